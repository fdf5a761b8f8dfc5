//! A strict parser for JSON (RFC 8259) as the tour writes it: its numbers are integers, a name
//! appears once in an object, and one line break may follow the value.

use std::collections::BTreeMap;
use std::str::Chars;

/// A parsed value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(u64),
    Text(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// The member of this name; every accessor panics if it is not what is asked for.
    pub(crate) fn get(&self, name: &str) -> &Self {
        match self {
            Self::Object(members) => &members[name],
            other => panic!("{other:?} is no object"),
        }
    }

    /// The integer of this name.
    pub(crate) fn integer(&self, name: &str) -> u64 {
        match self.get(name) {
            Self::Integer(number) => *number,
            other => panic!("{name} is {other:?}"),
        }
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            other => panic!("{other:?} is no string"),
        }
    }

    pub(crate) fn array(&self) -> &[Self] {
        match self {
            Self::Array(values) => values,
            other => panic!("{other:?} is no array"),
        }
    }
}

/// The one value in `bytes`, which end with one line break.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut parser = Parser { rest: text.chars() };
    let value = parser.value()?;
    match parser.rest.as_str() {
        "\n" => Ok(value),
        rest => Err(format!("{rest:?} after the value")),
    }
}

struct Parser<'a> {
    rest: Chars<'a>,
}

impl Parser<'_> {
    fn value(&mut self) -> Result<Value, String> {
        match self.peek() {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"') => self.string().map(Value::Text),
            Some('n') => "null".chars().try_for_each(|c| self.expect(c)).map(|()| Value::Null),
            _ => self.integer(),
        }
    }

    fn object(&mut self) -> Result<Value, String> {
        let mut members = BTreeMap::new();
        self.list('{', '}', |parser| {
            let name = parser.string()?;
            parser.expect(':')?;
            let value = parser.value()?;
            let twice = format!("{name:?} appears twice");
            members.insert(name, value).map_or(Ok(()), |_| Err(twice))
        })?;
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value, String> {
        let mut values = Vec::new();
        self.list('[', ']', |parser| parser.value().map(|value| values.push(value)))?;
        Ok(Value::Array(values))
    }

    /// `item`s between `open` and `close`, a comma between each two.
    fn list(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.expect(open)?;
        if self.peek() == Some(close) {
            return self.expect(close);
        }
        loop {
            item(self)?;
            match self.next()? {
                ',' => {}
                end if end == close => return Ok(()),
                other => return Err(format!("{other:?} in a list")),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                control if control < ' ' => return Err(format!("{control:?} in a string")),
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        match self.next()? {
            character @ ('"' | '\\' | '/') => Ok(character),
            'n' => Ok('\n'),
            't' => Ok('\t'),
            'r' => Ok('\r'),
            'u' => {
                let digits: String = (0..4).map(|_| self.next()).collect::<Result<_, _>>()?;
                let code = u32::from_str_radix(&digits, 16).map_err(|error| error.to_string())?;
                char::from_u32(code).ok_or(format!("half a character: {digits}"))
            }
            other => Err(format!("{other:?} after a backslash")),
        }
    }

    fn integer(&mut self) -> Result<Value, String> {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.expect(digit)?;
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(format!("{digits} starts with a zero"));
        }
        digits.parse().map(Value::Integer).map_err(|error| format!("{digits:?}: {error}"))
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn next(&mut self) -> Result<char, String> {
        self.rest.next().ok_or("the text ends too early".to_owned())
    }

    fn expect(&mut self, expected: char) -> Result<(), String> {
        match self.next()? {
            found if found == expected => Ok(()),
            found => Err(format!("{found:?} instead of {expected:?}")),
        }
    }
}

#[test]
fn the_parser_is_strict() {
    for good in ["{}", "[]", "0", r#"{"a":[1,null,"b\u0001"]}"#] {
        assert!(parse(format!("{good}\n").as_bytes()).is_ok(), "{good}");
    }
    for bad in ["{", "[1,]", "{\"a\":1,\"a\":2}", "01", "\"\\x\"", "\"\u{1}\"", "1 2", "nul", ""] {
        assert!(parse(format!("{bad}\n").as_bytes()).is_err(), "{bad}");
    }
}
