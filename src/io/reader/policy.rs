//! Which way a file is read: from memory, by position, or as it comes. Pure.
//!
//! | what | [`Mapping::Auto`] | [`Always`](Mapping::Always) | [`Never`](Mapping::Never) |
//! |---|---|---|---|
//! | a pipe, a socket, a terminal | stream | stream | stream |
//! | a device, a file of `/proc`, an empty file | positional | positional | positional |
//! | read at random, or nobody knows how; 1 MiB or more | mapped, if that is safe | mapped | positional |
//! | read from front to back, or once; 4 MiB or more | mapped, if that is safe | mapped | positional |
//! | smaller | positional | mapped | positional |
//!
//! Mapping is safe if the guard is installed, or if nobody can change the file any more.
//!
//! # Why these numbers
//! A pair of `mmap` and `munmap` costs 9 µs, as much as ten reads of 64 bytes; a mapped read is a copy for
//! a twelfth of the price of a system call. For one pass over a file the copy is the same, a fault for some
//! pages takes the place of a call, and what comes next can be called into the cache: from memory a fourth
//! faster, once the pair is paid for. What is not in memory comes by `pread` all the same, see `seek.rs`.

/// How a file will be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nobody knows. Mapped as for random access, read ahead as the system guesses.
    #[default]
    Any,
    /// Here and there, again and again: nothing is read ahead.
    Random,
    /// From front to back: the system reads far ahead.
    Sequential,
    /// Once, and from front to back.
    Once,
}

/// Whether a file may be mapped into memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// If it pays, and if a truncation of the file cannot end the process: behind
    /// [`guard_truncation`](crate::io::guard_truncation), or because nobody can truncate it.
    #[default]
    Auto,
    /// Whenever the system can. **Without the guard, whoever truncates the file kills the process.**
    Always,
    /// Not at all.
    Never,
}

/// Which way a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Copied out of memory. Reads of more than 16 KiB still go the other way, unless the map was
    /// [populated](super::ReaderOptions::populate) or is read from front to back: as a copy they would wait
    /// for the device once a page.
    Mapped,
    /// By `pread`: a system call a read.
    Positional,
    /// From front to back, as it comes: a pipe, a socket, a terminal.
    Stream,
}

/// From here on a file is mapped, if it is read at random.
const MAP_ABOVE: u64 = 1 << 20;
/// The same, if it is read from front to back.
const MAP_SCANS_ABOVE: u64 = 4 << 20;

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Regular,
    /// A device with places.
    Seekable,
    Stream,
}

/// What the decision is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) kind: Kind,
    pub(super) len: u64,
    pub(super) access: Access,
    pub(super) mapping: Mapping,
    pub(super) map_above: Option<u64>,
}

impl View {
    /// Whether it would pay to map the file, or was asked for.
    pub(super) fn wants_map(&self) -> bool {
        // A slice is not longer, nor is a map; and of nothing there is none.
        let can = self.kind == Kind::Regular && (1..=isize::MAX as u64).contains(&self.len);
        can && match self.mapping {
            Mapping::Always => true,
            Mapping::Never => false,
            Mapping::Auto => self.len >= self.threshold(),
        }
    }

    /// The decision; `is_safe` is asked only if it matters.
    pub(super) fn decide(&self, is_safe: impl FnOnce() -> bool) -> Strategy {
        match self.kind {
            Kind::Stream => Strategy::Stream,
            _ if self.wants_map() && (self.mapping == Mapping::Always || is_safe()) => {
                Strategy::Mapped
            }
            _ => Strategy::Positional,
        }
    }

    fn threshold(&self) -> u64 {
        self.map_above.unwrap_or(match self.access {
            Access::Any | Access::Random => MAP_ABOVE,
            Access::Sequential | Access::Once => MAP_SCANS_ABOVE,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Kind, Mapping, Strategy, View};
    use Access::{Any, Once, Random, Sequential};
    use Mapping::{Always, Auto, Never};
    use Strategy::{Mapped, Positional, Stream};

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_table_holds() {
        let regular = Kind::Regular;
        let table = [
            // kind, length, access, mapping, map_above, safe; the decision
            (regular, MIB, Any, Auto, None, true, Mapped),
            (regular, MIB, Random, Auto, None, true, Mapped),
            (regular, MIB, Random, Auto, None, false, Positional),
            (regular, MIB - 1, Random, Auto, None, true, Positional),
            (regular, 4 * MIB, Sequential, Auto, None, true, Mapped),
            (regular, 4 * MIB - 1, Sequential, Auto, None, true, Positional),
            (regular, 4 * MIB, Once, Auto, None, true, Mapped),
            (regular, 4 * MIB, Once, Auto, None, false, Positional),
            (regular, MIB, Once, Auto, Some(MIB), true, Mapped),
            (regular, 4 * MIB, Any, Auto, Some(4 * MIB + 1), true, Positional),
            (regular, 1, Any, Auto, Some(0), true, Mapped),
            (regular, 1, Once, Always, None, false, Mapped),
            (regular, 0, Random, Always, None, true, Positional),
            (regular, 0, Random, Auto, Some(0), true, Positional),
            (regular, u64::MAX, Random, Always, None, true, Positional),
            (regular, 100 * MIB, Random, Never, Some(0), true, Positional),
            (Kind::Seekable, 100 * MIB, Random, Always, None, true, Positional),
            (Kind::Stream, 0, Random, Always, None, true, Stream),
            (Kind::Stream, 0, Any, Never, None, false, Stream),
        ];
        for (row, (kind, len, access, mapping, map_above, safe, expected)) in
            table.into_iter().enumerate()
        {
            let view = View { kind, len, access, mapping, map_above };
            assert_eq!(view.decide(|| safe), expected, "row {row}: {view:?}");
        }
    }

    #[test]
    fn whether_it_is_safe_is_asked_only_if_it_matters() {
        let never = || panic!("it was asked");
        let view =
            View { kind: Kind::Regular, len: 10, access: Any, mapping: Auto, map_above: None };
        assert_eq!(view.decide(never), Positional);
        assert_eq!(View { mapping: Always, ..view }.decide(never), Mapped);
        assert_eq!(View { len: MIB, mapping: Never, ..view }.decide(never), Positional);
    }
}
