//! As much JSON as the tour writes: objects, arrays, strings, integers, null.
//!
//! A [`Value`] is valid JSON by construction: it can only be made of Rust values, and every string
//! is escaped on the way in. Bytes of a path that are not UTF-8 become U+FFFD, so two different
//! names may look alike.

use std::fmt::{self, Write};
use std::path::Path;

/// One JSON value, written out.
#[derive(Debug)]
pub(crate) struct Value(String);

impl Value {
    /// An object of these members, in this order. Names are not checked for being unique.
    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        let members = members.map(|(name, value)| format!("{}:{value}", Self::from(name)));
        Self(format!("{{{}}}", members.join(",")))
    }

    /// An array of these values.
    pub(crate) fn array(values: impl IntoIterator<Item = Self>) -> Self {
        let values: Vec<String> = values.into_iter().map(|value| value.0).collect();
        Self(format!("[{}]", values.join(",")))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(number.to_string())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        let mut json = String::with_capacity(text.len() + 2);
        json.push('"');
        text.chars().for_each(|character| push_escaped(&mut json, character));
        json.push('"');
        Self(json)
    }
}

impl From<&Path> for Value {
    fn from(path: &Path) -> Self {
        Self::from(&*path.to_string_lossy())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(|| Self("null".to_owned()), Into::into)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends one character of a string; JSON forbids these few as they are.
///
/// DEL and the C1 controls are allowed, and escaped too: a terminal would obey them.
fn push_escaped(json: &mut String, character: char) {
    match character {
        '"' => json.push_str("\\\""),
        '\\' => json.push_str("\\\\"),
        '\n' => json.push_str("\\n"),
        '\t' => json.push_str("\\t"),
        // All controls are below U+00A0: four digits always do. Writing to a string cannot fail.
        control if control.is_control() => drop(write!(json, "\\u{:04x}", u32::from(control))),
        other => json.push(other),
    }
}
