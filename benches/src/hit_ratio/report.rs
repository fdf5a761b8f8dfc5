//! Hit ratios as an aligned table for people, or as one JSON object a line for machines.

use super::options::Options;
use super::simulate::{COLUMNS, Column};
use super::trace::Trace;
use std::fmt::Write as _;
use std::io::{self, Write};

/// What the lines have in common.
#[derive(Debug)]
pub(super) struct Table {
    trace: String,
    requests: usize,
    distinct: usize,
    json: bool,
    weighted: bool,
    /// How wide the capacities are.
    width: usize,
}

impl Table {
    pub(super) fn new(trace: &Trace, distinct: usize, options: &Options) -> Self {
        let widths = options.capacities.iter().map(|capacity| capacity.to_string().len());
        Self {
            trace: trace.name.clone(),
            requests: trace.keys().len(),
            distinct,
            json: options.json,
            weighted: options.weighted,
            width: widths.fold("capacity".len(), usize::max),
        }
    }

    /// What comes before the lines: for people, what is replayed and who is compared.
    pub(super) fn begin(&self, out: &mut impl Write) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let Self { trace, requests, distinct, width, .. } = self;
        let unit = if self.weighted { "bytes" } else { "entries" };
        writeln!(
            out,
            "{trace}: {requests} requests, {distinct} keys; hit ratio, %; capacity in {unit}"
        )?;
        let mut line = format!("{:>width$}", "capacity");
        for column in COLUMNS {
            // Writing to a string does not fail.
            let _ = write!(line, "{:>1$}", column.name, width_of(column));
        }
        writeln!(out, "{line}")
    }

    /// The hits of every column at one capacity.
    pub(super) fn row(
        &self,
        out: &mut impl Write,
        capacity: u64,
        hits: &[Option<u64>],
    ) -> io::Result<()> {
        let line = if self.json { self.object(capacity, hits) } else { self.line(capacity, hits) };
        writeln!(out, "{line}")?;
        out.flush()
    }

    fn ratio(&self, hits: u64) -> f64 {
        hits as f64 / self.requests as f64
    }

    fn line(&self, capacity: u64, hits: &[Option<u64>]) -> String {
        let width = self.width;
        let mut line = format!("{capacity:>width$}");
        for (column, hits) in COLUMNS.iter().zip(hits) {
            let width = width_of(column);
            let cell = hits.map_or("-".into(), |hits| format!("{:.2}", self.ratio(hits) * 100.0));
            // Writing to a string does not fail.
            let _ = write!(line, "{cell:>width$}");
        }
        line
    }

    fn object(&self, capacity: u64, hits: &[Option<u64>]) -> String {
        let mut ratios = Vec::new();
        for (column, hits) in COLUMNS.iter().zip(hits) {
            let ratio = hits.map_or("null".into(), |hits| format!("{:.6}", self.ratio(hits)));
            ratios.push(format!("\"{}\":{ratio}", column.name));
        }
        let weighted = if self.weighted { "\"weighted\":true," } else { "" };
        format!(
            "{{\"trace\":{},\"capacity\":{capacity},{weighted}\"requests\":{},\"distinct\":{},\
             \"hit_ratio\":{{{}}}}}",
            quoted(&self.trace),
            self.requests,
            self.distinct,
            ratios.join(",")
        )
    }
}

/// Room for the name and for `100.00`, and two spaces before.
fn width_of(column: &Column) -> usize {
    column.name.len().max("100.00".len()) + 2
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04x}", control as u32);
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Table, quoted};

    fn table(json: bool, weighted: bool) -> Table {
        Table { trace: "t".into(), requests: 8, distinct: 3, json, weighted, width: 8 }
    }

    fn row(table: &Table, hits: Option<u64>) -> String {
        let mut out = Vec::new();
        table.begin(&mut out).expect("memory");
        table.row(&mut out, 5, &vec![hits; COLUMNS.len()]).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_object_has_every_key_and_column() {
        let line = row(&table(true, false), Some(3));
        let begin = "{\"trace\":\"t\",\"capacity\":5,\"requests\":8,\"distinct\":3,\"hit_ratio\":{";
        assert!(line.starts_with(begin) && line.ends_with("}}\n"), "{line}");
        for column in COLUMNS {
            assert!(line.contains(&format!("\"{}\":0.375000", column.name)), "{line}");
        }
        let line = row(&table(true, true), None);
        assert!(line.contains("\"weighted\":true,") && line.contains("\"opt\":null}"), "{line}");
    }

    #[test]
    fn the_columns_of_the_table_are_aligned() {
        let text = row(&table(false, true), Some(8));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "t: 8 requests, 3 keys; hit ratio, %; capacity in bytes");
        assert_eq!(lines[1].len(), lines[2].len(), "{text}");
        assert!(lines[2].starts_with("       5  "), "{text}");
        assert!(row(&table(false, false), None).ends_with("    -\n"));
    }

    #[test]
    fn strings_are_quoted_as_json_wants_it() {
        assert_eq!(quoted("a\"b\\c\nd\u{e9}"), "\"a\\\"b\\\\c\\u000ad\u{e9}\"");
    }
}
