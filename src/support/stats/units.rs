//! Numbers as people read them: bytes, nanoseconds, counts, rates.
//!
//! Each type wraps a `u64` for the time of one `{}`. Width, fill and alignment of the format work
//! as for a string (and a precision cuts it, as it cuts a string). Displaying allocates a short
//! string.

use std::fmt;
use std::time::Duration;

/// Bytes in binary units: `512 B`, `1.5 MiB`.
///
/// ```
/// use forthwith::support::stats::Bytes;
///
/// assert_eq!(Bytes(3 << 19).to_string(), "1.5 MiB");
/// assert_eq!(format!("[{:>9}]", Bytes(512)), "[    512 B]");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 7] = [
            (1, "B"),
            (1 << 10, "KiB"),
            (1 << 20, "MiB"),
            (1 << 30, "GiB"),
            (1 << 40, "TiB"),
            (1 << 50, "PiB"),
            (1 << 60, "EiB"),
        ];
        f.pad(&scaled(self.0, &UNITS, 1))
    }
}

/// A time in nanoseconds: `870 ns`, `1.24 µs`, `12.00 s`.
///
/// ```
/// use forthwith::support::stats::Nanos;
/// use std::time::Duration;
///
/// assert_eq!(Nanos(1_240).to_string(), "1.24 µs");
/// assert_eq!(Nanos::from(Duration::from_millis(12)).to_string(), "12.00 ms");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl From<Duration> for Nanos {
    /// Saturates after 584 years.
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] =
            [(1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")];
        f.pad(&scaled(self.0, &UNITS, 2))
    }
}

/// The decimal units of counts and rates.
const DECIMAL: [(u64, &str); 7] = [
    (1, ""),
    (1_000, "k"),
    (1_000_000, "M"),
    (1_000_000_000, "G"),
    (1_000_000_000_000, "T"),
    (1_000_000_000_000_000, "P"),
    (1_000_000_000_000_000_000, "E"),
];

/// A number of things in decimal units: `42`, `1.2 M`.
///
/// ```
/// use forthwith::support::stats::Count;
///
/// assert_eq!(Count(1_234_567).to_string(), "1.2 M");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&scaled(self.0, &DECIMAL, 1))
    }
}

/// How often something happened in some time: `1.2 M/s`.
///
/// ```
/// use forthwith::support::stats::Rate;
/// use std::time::Duration;
///
/// let rate = Rate { count: 600_000, elapsed: Duration::from_millis(500) };
/// assert_eq!(rate.per_second(), Some(1_200_000));
/// assert_eq!(rate.to_string(), "1.2 M/s");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How often it happened.
    pub count: u64,
    /// In how much time.
    pub elapsed: Duration,
}

impl Rate {
    /// The rate, rounded to whole events a second and saturating; `None` if no time has passed.
    #[must_use]
    pub fn per_second(self) -> Option<u64> {
        let elapsed_ns = self.elapsed.as_nanos();
        let scaled = u128::from(self.count) * 1_000_000_000;
        let rate = (scaled + elapsed_ns / 2).checked_div(elapsed_ns)?;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Rate {
    /// `-/s` if no time has passed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per_second() {
            Some(rate) => f.pad(&format!("{}/s", Count(rate))),
            None => f.pad("-/s"),
        }
    }
}

/// `value` in the smallest of `units` in which, once rounded to so many decimals, it stays below
/// the next.
///
/// The first unit is shown without decimals: there is nothing behind its point.
fn scaled(value: u64, units: &[(u64, &str)], decimals: u32) -> String {
    let ten = 10_u128.pow(decimals);
    let rounded = |unit: u64| (u128::from(value) * ten + u128::from(unit / 2)) / u128::from(unit);
    let below_next =
        |pair: &[(u64, &str)]| rounded(pair[0].0) < u128::from(pair[1].0 / pair[0].0) * ten;
    let index = units.windows(2).position(below_next).unwrap_or(units.len() - 1);
    let (unit, name) = units[index];
    if index == 0 {
        return format!("{value} {name}").trim_end().to_owned();
    }
    let (whole, part) = (rounded(unit) / ten, rounded(unit) % ten);
    format!("{whole}.{part:0width$} {name}", width = decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_in_binary_units() {
        let table = [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (3 << 19, "1.5 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, expected) in table {
            assert_eq!(Bytes(bytes).to_string(), expected);
        }
    }

    #[test]
    fn times_read_with_two_decimals() {
        let table = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_240, "1.24 µs"),
            (1_005_000, "1.01 ms"),
            (12_000_000_000, "12.00 s"),
            (3_600_000_000_000, "3600.00 s"),
        ];
        for (nanos, expected) in table {
            assert_eq!(Nanos(nanos).to_string(), expected);
        }
        assert_eq!(Nanos::from(Duration::MAX), Nanos(u64::MAX));
    }

    #[test]
    fn counts_read_in_decimal_units() {
        let table = [(0, "0"), (42, "42"), (1_000, "1.0 k"), (1_234_567, "1.2 M")];
        for (count, expected) in table {
            assert_eq!(Count(count).to_string(), expected);
        }
        assert_eq!(Count(u64::MAX).to_string(), "18.4 E");
    }

    #[test]
    fn rounding_up_moves_to_the_next_unit() {
        assert_eq!(Count(999_949).to_string(), "999.9 k");
        assert_eq!(Count(999_950).to_string(), "1.0 M");
        assert_eq!(Bytes((1 << 20) - 1).to_string(), "1.0 MiB");
        assert_eq!(Nanos(999_999).to_string(), "1.00 ms");
    }

    #[test]
    fn rates_are_per_second() {
        let rate = |count, millis| Rate { count, elapsed: Duration::from_millis(millis) };
        assert_eq!(rate(600_000, 500).to_string(), "1.2 M/s");
        assert_eq!(rate(7, 1_000).to_string(), "7/s");
        assert_eq!(rate(7, 0).to_string(), "-/s");
        assert_eq!(rate(u64::MAX, 1).per_second(), Some(u64::MAX));
    }

    #[test]
    fn width_and_alignment_are_kept() {
        assert_eq!(format!("[{:>10}]", Bytes(1_536)), "[   1.5 KiB]");
        assert_eq!(format!("[{:<9}]", Nanos(1_240)), "[1.24 µs  ]");
        assert_eq!(format!("[{:^6}]", Count(42)), "[  42  ]");
        assert_eq!(format!("[{:>5}]", Rate::default()), "[  -/s]");
    }
}
