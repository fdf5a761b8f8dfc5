//! The formats of traces: which one a file has, and the requests in it.
//!
//! | format | a request |
//! |---|---|
//! | `arc` | text, `start blocks ignored sequence`: as many keys from `start` on as blocks |
//! | `lirs` | text, one key a line; lines with `*` are markers |
//! | `adapt_size` | text, `sequence key size` |
//! | `u64be`, `u32be` | a big-endian key: scarab and corda, cache2k |
//! | `oracleGeneral` | 24 little-endian bytes: `u32` time, `u64` key, `u32` size, `i64` next |
//!
//! Numbers are decimal; lines without any character are skipped. A size of zero counts as one: a
//! cache by weight may never evict what weighs nothing.
//!
//! The name of a file decides, then its first line. Bytes that are not text have no mark that tells
//! formats apart, so files of keys alone need a name that says who wrote them, or `--format`.

/// How a file of requests is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Arc,
    Lirs,
    AdaptSize,
    U64Be,
    U32Be,
    OracleGeneral,
}

/// What a file asks for, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) keys: Vec<u64>,
    /// One a key, or none at all.
    pub(super) sizes: Vec<u64>,
}

/// Why bytes are not requests of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ParseError {
    /// A line of text, counted from 1, that is not as the format says.
    Line(usize),
    /// The last record is shorter than the others.
    Cut,
    /// More requests than are taken.
    TooMany,
}

const ORACLE_BYTES: usize = 24;

impl Format {
    /// The format of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "arc" => Self::Arc,
            "lirs" => Self::Lirs,
            "adapt_size" => Self::AdaptSize,
            "u64be" => Self::U64Be,
            "u32be" => Self::U32Be,
            "oracleGeneral" => Self::OracleGeneral,
            _ => return None,
        })
    }

    /// The format of a file by its name, which no longer says how it is packed, or by its content.
    pub(super) fn of(name: &str, bytes: &[u8]) -> Option<Self> {
        Self::of_name(&name.to_ascii_lowercase()).or_else(|| Self::of_content(bytes))
    }

    fn of_name(name: &str) -> Option<Self> {
        let has = |part| name.contains(part);
        Some(match () {
            () if has("oraclegeneral") => Self::OracleGeneral,
            () if name.strip_suffix(".lis").is_some() => Self::Arc,
            () if has("scarab") || has("corda") => Self::U64Be,
            () if has("cache2k") => Self::U32Be,
            () if has("adapt_size") => Self::AdaptSize,
            () if has("lirs") => Self::Lirs,
            () => return None,
        })
    }

    /// By the number of columns in the first line that holds a request.
    fn of_content(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.split(|&byte| byte == b'\n');
        let line = lines.find(|line| !is_blank(line) && !is_marker(line))?;
        match numbers(line)?.count {
            1 => Some(Self::Lirs),
            3 => Some(Self::AdaptSize),
            4 => Some(Self::Arc),
            _ => None,
        }
    }

    /// The first `limit` requests; more than `most` are refused.
    pub(super) fn parse(
        self,
        bytes: &[u8],
        limit: usize,
        most: usize,
    ) -> Result<Requests, ParseError> {
        let mut sink = Sink { requests: Requests::default(), limit, most };
        match self {
            Self::Arc => by_line(bytes, &mut sink, |sink, [start, blocks, _, _]| {
                let end = start.checked_add(blocks).ok_or(Stop::Junk)?;
                (start..end).try_for_each(|key| sink.key(key))
            }),
            Self::Lirs => by_line(bytes, &mut sink, |sink, [key]| sink.key(key)),
            Self::AdaptSize => by_line(bytes, &mut sink, |sink, [_, key, size]| {
                sink.key(key)?;
                sink.size(size);
                Ok(())
            }),
            Self::U64Be => {
                by_record(bytes, &mut sink, |sink, record| sink.key(u64::from_be_bytes(*record)))
            }
            Self::U32Be => by_record(bytes, &mut sink, |sink, record| {
                sink.key(u32::from_be_bytes(*record).into())
            }),
            Self::OracleGeneral => by_record::<ORACLE_BYTES>(bytes, &mut sink, |sink, record| {
                let [_, _, _, _, key @ .., s0, s1, s2, s3, _, _, _, _, _, _, _, _] = *record;
                sink.key(u64::from_le_bytes(key))?;
                sink.size(u32::from_le_bytes([s0, s1, s2, s3]).into());
                Ok(())
            }),
        }?;
        Ok(sink.requests)
    }
}

/// Takes requests until there are enough.
struct Sink {
    requests: Requests,
    limit: usize,
    most: usize,
}

/// Why no more requests are read.
enum Stop {
    Enough,
    TooMany,
    Junk,
}

impl Sink {
    fn key(&mut self, key: u64) -> Result<(), Stop> {
        let len = self.requests.keys.len();
        if len >= self.limit {
            return Err(Stop::Enough);
        }
        if len >= self.most {
            return Err(Stop::TooMany);
        }
        self.requests.keys.push(key);
        Ok(())
    }

    /// Of the last key.
    fn size(&mut self, size: u64) {
        self.requests.sizes.push(size.max(1));
    }
}

/// Hands the numbers of each line to `take`, if there are exactly `N`.
fn by_line<const N: usize>(
    bytes: &[u8],
    sink: &mut Sink,
    take: impl Fn(&mut Sink, [u64; N]) -> Result<(), Stop>,
) -> Result<(), ParseError> {
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        if is_blank(line) || (N == 1 && is_marker(line)) {
            continue;
        }
        let junk = ParseError::Line(index + 1);
        let Some(fields) = numbers(line).and_then(Fields::exactly) else { return Err(junk) };
        match take(sink, fields) {
            Ok(()) => {}
            Err(Stop::Enough) => break,
            Err(Stop::TooMany) => return Err(ParseError::TooMany),
            Err(Stop::Junk) => return Err(junk),
        }
    }
    Ok(())
}

/// Hands each `N` bytes to `take`.
fn by_record<const N: usize>(
    bytes: &[u8],
    sink: &mut Sink,
    take: impl Fn(&mut Sink, &[u8; N]) -> Result<(), Stop>,
) -> Result<(), ParseError> {
    let (records, rest) = bytes.as_chunks();
    for record in records {
        match take(sink, record) {
            Ok(()) => {}
            Err(Stop::Enough) => return Ok(()),
            Err(Stop::TooMany) => return Err(ParseError::TooMany),
            Err(Stop::Junk) => return Err(ParseError::Cut),
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(ParseError::Cut) }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

fn is_marker(line: &[u8]) -> bool {
    line.trim_ascii().starts_with(b"*")
}

/// The first numbers of a line, and how many there are.
struct Fields {
    first: [u64; 4],
    count: usize,
}

impl Fields {
    fn exactly<const N: usize>(self) -> Option<[u64; N]> {
        if self.count == N { self.first.first_chunk().copied() } else { None }
    }
}

/// None if anything else than numbers is there.
fn numbers(line: &[u8]) -> Option<Fields> {
    let mut fields = Fields { first: [0; 4], count: 0 };
    for field in str::from_utf8(line).ok()?.split_ascii_whitespace() {
        let number = field.parse().ok()?;
        if let Some(place) = fields.first.get_mut(fields.count) {
            *place = number;
        }
        fields.count += 1;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::{Format, ParseError, Requests};

    fn parse(format: Format, bytes: &[u8]) -> Result<Requests, ParseError> {
        format.parse(bytes, usize::MAX, 1000)
    }

    fn keys(format: Format, bytes: &[u8]) -> Vec<u64> {
        parse(format, bytes).expect("well formed").keys
    }

    #[test]
    fn each_format_yields_its_keys_in_order() {
        assert_eq!(keys(Format::Arc, b"7 3 0 0\n1 1 0 1\r\n\n5 0 0 2"), [7, 8, 9, 1]);
        assert_eq!(keys(Format::Lirs, b"*\n3\n  500\n* end\n3\n"), [3, 500, 3]);
        assert_eq!(
            keys(Format::U64Be, b"\0\0\0\0\0\0\x01\x02\xff\0\0\0\0\0\0\0"),
            [258, 255 << 56]
        );
        assert_eq!(keys(Format::U32Be, b"\0\0\x01\x02\0\0\0\x09"), [258, 9]);
        assert!(keys(Format::Lirs, b"").is_empty());
    }

    #[test]
    fn sizes_are_read_where_there_are_some_and_weigh_at_least_one() {
        let requests = parse(Format::AdaptSize, b"1 5 68\n2 6 0\n").expect("well formed");
        assert_eq!(requests, Requests { keys: vec![5, 6], sizes: vec![68, 1] });

        let mut record = Vec::new();
        record.extend(9_u32.to_le_bytes());
        record.extend(0x0102_0304_0506_u64.to_le_bytes());
        record.extend(512_u32.to_le_bytes());
        record.extend((-1_i64).to_le_bytes());
        let requests = parse(Format::OracleGeneral, &record).expect("well formed");
        assert_eq!(requests, Requests { keys: vec![0x0102_0304_0506], sizes: vec![512] });
    }

    #[test]
    fn junk_is_named_by_its_line() {
        for (format, bytes, line) in [
            (Format::Arc, &b"1 1 0 0\n1 1 0\n"[..], 2),
            (Format::Arc, b"1 1 0 0 0\n", 1),
            (Format::Arc, b"18446744073709551615 2 0 0", 1),
            (Format::Arc, b"* 1 0 0", 1),
            (Format::Lirs, b"1\n\n-2\n", 3),
            (Format::Lirs, b"1\n\xff\n", 2),
            (Format::Lirs, b"18446744073709551616", 1),
            (Format::AdaptSize, b"1 2 3\n1 2 x\n", 2),
        ] {
            assert_eq!(parse(format, bytes), Err(ParseError::Line(line)), "{format:?} {bytes:?}");
        }
        assert_eq!(parse(Format::U64Be, &[0; 12]), Err(ParseError::Cut));
        assert_eq!(parse(Format::U32Be, &[0; 5]), Err(ParseError::Cut));
        assert_eq!(parse(Format::OracleGeneral, &[0; 25]), Err(ParseError::Cut));
    }

    #[test]
    fn a_line_that_asks_for_too_much_is_refused_before_memory_runs_out() {
        let line = b"0 18446744073709551615 0 0";
        assert_eq!(parse(Format::Arc, line), Err(ParseError::TooMany));
        let first = Format::Arc.parse(line, 3, 1000).expect("enough");
        assert_eq!(first.keys, [0, 1, 2]);
        // Whatever follows the first requests is not looked at.
        let first = Format::AdaptSize.parse(b"1 2 3\n2 3 4\njunk\n", 1, 1000).expect("enough");
        assert_eq!(first, Requests { keys: vec![2], sizes: vec![3] });
    }

    #[test]
    fn the_name_decides_and_then_the_first_line() {
        for (name, bytes, format) in [
            ("arc_OLTP.lis", &b""[..], Some(Format::Arc)),
            ("P6.lis", b"", Some(Format::Arc)),
            ("scarab_scarab-recs.trace", b"", Some(Format::U64Be)),
            ("corda_trace_vaultservice", b"", Some(Format::U64Be)),
            ("cache2k_web07.trace", b"", Some(Format::U32Be)),
            ("lirs_loop.trace", b"", Some(Format::Lirs)),
            ("adapt_size_request.trace", b"", Some(Format::AdaptSize)),
            ("libcachesim_cloudPhysicsIO.oracleGeneral.bin", b"", Some(Format::OracleGeneral)),
            ("a", b"1 2 3 4\n", Some(Format::Arc)),
            ("a", b"*\n\n   7\n", Some(Format::Lirs)),
            ("a", b"1 2 3", Some(Format::AdaptSize)),
            ("a", b"1 2\n", None),
            ("a", b"hello\n", None),
            ("a", b"\0\0\0\x01", None),
            ("a", b"", None),
        ] {
            assert_eq!(Format::of(name, bytes), format, "{name} {bytes:?}");
        }
    }
}
