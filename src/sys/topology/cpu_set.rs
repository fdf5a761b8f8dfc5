//! A set of CPU numbers, in the words of the kernel's affinity masks.
//!
//! One bit a CPU, as many words as the highest number needs, and the kernel's list format
//! (`0-3,8`) in and out. What cannot be parsed is a typed error, and no text makes it allocate more
//! than [`CpuSet::LIMIT`] bits.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A set of CPU numbers, as the kernel counts them: 0, 1, 2, …, with holes where it has holes.
///
/// It grows with the highest number in it, so machines beyond the 1024 CPUs of C's `cpu_set_t`
/// need nothing special. It is written and read in the kernel's list format: `0-3,8`.
///
/// No operation makes a syscall. Those that return or grow a set allocate: one bit for every
/// number up to the highest.
///
/// ```
/// use forthwith::sys::topology::CpuSet;
///
/// let node: CpuSet = "0-3,8".parse()?;
/// let mine = CpuSet::from_iter([2, 3, 4]);
/// assert_eq!(node.len(), 5);
/// assert_eq!(node.intersect(&mine).to_string(), "2-3");
/// assert_eq!(mine.iter().collect::<Vec<_>>(), [2, 3, 4]);
/// # Ok::<(), forthwith::sys::topology::ParseCpuSetError>(())
/// ```
// Invariant: the last word is not zero, so that equal sets have equal words.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct CpuSet {
    /// CPU `n` is bit `n % BITS` of word `n / BITS`: `unsigned long[]`, as the kernel has it.
    words: Vec<usize>,
}

const BITS: usize = usize::BITS as usize;

impl CpuSet {
    /// Every number in a set is below this; eight times what Linux can be built for.
    ///
    /// The limit makes a corrupt or hostile list cost 8 KiB and not all memory.
    pub const LIMIT: usize = 1 << 16;

    /// The empty set. Does not allocate.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Adds `cpu`; `true` if it was not in the set before.
    ///
    /// # Panics
    /// If `cpu` is [`LIMIT`](Self::LIMIT) or more.
    pub fn insert(&mut self, cpu: usize) -> bool {
        assert!(cpu < Self::LIMIT, "cpu {cpu} is beyond the limit of {} cpus", Self::LIMIT);
        let (word, bit) = position(cpu);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        fresh
    }

    /// Takes `cpu` out; `true` if it was in the set.
    pub fn remove(&mut self, cpu: usize) -> bool {
        let present = self.contains(cpu);
        if present {
            let (word, bit) = position(cpu);
            self.words[word] &= !bit;
            self.trim();
        }
        present
    }

    /// Whether `cpu` is in the set. Any number may be asked for.
    #[must_use]
    pub fn contains(&self, cpu: usize) -> bool {
        let (word, bit) = position(cpu);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many CPUs are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|bits| bits.count_ones() as usize).sum()
    }

    /// Whether the set has no CPU in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The lowest number in the set.
    #[must_use]
    pub fn first(&self) -> Option<usize> {
        self.iter().next()
    }

    /// The CPUs that are in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self::from_words(self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect())
    }

    /// The CPUs that are in at least one of the two sets.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.extend(other);
        all
    }

    /// Whether every CPU of this set is in `other` too.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|cpu| other.contains(cpu))
    }

    /// The numbers, in ascending order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { set: self, word: 0, rest: self.words.first().copied().unwrap_or(0) }
    }

    /// A set out of the words of a kernel mask; what lies beyond the limit is dropped.
    pub(crate) fn from_words(mut words: Vec<usize>) -> Self {
        words.truncate(Self::LIMIT / BITS);
        let mut set = Self { words };
        set.trim();
        set
    }

    /// The words of a kernel mask, without trailing zeroes.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "masks are Linux's"))]
    pub(crate) fn words(&self) -> &[usize] {
        &self.words
    }

    /// Restores the invariant after bits were cleared.
    fn trim(&mut self) {
        let used = self.words.iter().rposition(|&bits| bits != 0).map_or(0, |last| last + 1);
        self.words.truncate(used);
    }
}

/// The word of `cpu` and its bit therein.
const fn position(cpu: usize) -> (usize, usize) {
    (cpu / BITS, 1 << (cpu % BITS))
}

/// The numbers of a [`CpuSet`] in ascending order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    set: &'a CpuSet,
    word: usize,
    /// The bits of `word` that are still to come.
    rest: usize,
}

impl Iterator for Iter<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.rest == 0 {
            self.word += 1;
            self.rest = *self.set.words.get(self.word)?;
        }
        let bit = self.rest.trailing_zeros() as usize;
        self.rest &= self.rest - 1;
        Some(self.word * BITS + bit)
    }
}

impl<'a> IntoIterator for &'a CpuSet {
    type Item = usize;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Panics as [`CpuSet::insert`] does.
impl Extend<usize> for CpuSet {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, cpus: I) {
        for cpu in cpus {
            self.insert(cpu);
        }
    }
}

/// Panics as [`CpuSet::insert`] does.
impl FromIterator<usize> for CpuSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        let mut set = Self::new();
        set.extend(cpus);
        set
    }
}

/// The kernel's list format: `0-3,8`; nothing for the empty set.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while cpus.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuSet({self})")
    }
}

/// Why a text is not a list of CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseCpuSetError {
    /// A part between commas is neither a number nor a range `first-last`.
    NotANumber {
        /// The part as it was given.
        part: String,
    },
    /// A range ends before it starts.
    Backwards {
        /// Where the range starts.
        first: usize,
        /// Where it ends.
        last: usize,
    },
    /// A number is [`CpuSet::LIMIT`] or more.
    OutOfRange {
        /// The number as it was given; it may be too long for an integer.
        number: String,
    },
}

impl fmt::Display for ParseCpuSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotANumber { part } => {
                write!(f, "`{part}` is neither a cpu number nor a range of them")
            }
            Self::Backwards { first, last } => {
                write!(f, "the range {first}-{last} ends before it starts")
            }
            Self::OutOfRange { number } => {
                write!(f, "cpu {number} is beyond the limit of {} cpus", CpuSet::LIMIT)
            }
        }
    }
}

impl Error for ParseCpuSetError {}

/// Reads the kernel's list format: `0-3,8`. White space around the list is ignored, and an empty
/// list is the empty set: files that the kernel writes have both.
impl FromStr for CpuSet {
    type Err = ParseCpuSetError;

    fn from_str(text: &str) -> Result<Self, ParseCpuSetError> {
        let text = text.trim();
        let mut set = Self::new();
        if text.is_empty() {
            return Ok(set);
        }
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first, part)?, number(last, part)?);
            if last < first {
                return Err(ParseCpuSetError::Backwards { first, last });
            }
            set.extend(first..=last);
        }
        Ok(set)
    }
}

/// One number of a list; `part` is what to complain about.
fn number(digits: &str, part: &str) -> Result<usize, ParseCpuSetError> {
    // Stricter than `usize::from_str`, which accepts a sign.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseCpuSetError::NotANumber { part: part.to_owned() });
    }
    match digits.parse() {
        Ok(cpu) if cpu < CpuSet::LIMIT => Ok(cpu),
        _ => Err(ParseCpuSetError::OutOfRange { number: digits.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &str) -> CpuSet {
        list.parse().expect("a valid list")
    }

    #[test]
    fn lists_are_read_and_written_as_the_kernel_does() {
        for list in ["", "0", "0-1", "0-3,8", "1,3,5", "63-64", "0,1023-1025,65535"] {
            assert_eq!(set(list).to_string(), list);
        }
        assert_eq!(set(" 0-3\n"), set("0,1,2,3"));
        assert_eq!(set("3,1-2,2-5").to_string(), "1-5");
    }

    #[test]
    fn malformed_lists_are_refused_with_the_part_at_fault() {
        for part in ["x", "-", "1-", "-1", "+1", "1-2-3", "0x1", "0-7:2/4", "1 2"] {
            let expected = ParseCpuSetError::NotANumber { part: part.to_owned() };
            assert_eq!(format!("0,{part}").parse::<CpuSet>(), Err(expected));
        }
        for list in [",", "0,", ",0", "0,,1"] {
            let expected = ParseCpuSetError::NotANumber { part: String::new() };
            assert_eq!(list.parse::<CpuSet>(), Err(expected), "{list}");
        }
        assert_eq!("4-2".parse::<CpuSet>(), Err(ParseCpuSetError::Backwards { first: 4, last: 2 }));
    }

    #[test]
    fn a_number_beyond_the_limit_is_refused_before_memory_is_spent() {
        for number in ["65536", "18446744073709551615", "99999999999999999999999"] {
            let expected = ParseCpuSetError::OutOfRange { number: number.to_owned() };
            assert_eq!(format!("0-{number}").parse::<CpuSet>(), Err(expected));
        }
    }

    #[test]
    fn sets_grow_beyond_1024_and_forget_the_space_when_they_shrink() {
        let mut cpus = set("0");
        assert!(cpus.insert(5000));
        assert!(!cpus.insert(5000));
        assert_eq!(cpus.iter().collect::<Vec<_>>(), [0, 5000]);
        assert!(cpus.remove(5000));
        assert!(!cpus.remove(5000));
        assert_eq!(cpus, set("0"));
        assert_eq!(cpus.words().len(), 1);
    }

    #[test]
    fn membership_of_any_number_can_be_asked() {
        let cpus = set("0,64");
        assert!(cpus.contains(0) && cpus.contains(64));
        assert!(!cpus.contains(1) && !cpus.contains(65) && !cpus.contains(usize::MAX));
    }

    #[test]
    #[should_panic(expected = "beyond the limit")]
    fn inserting_beyond_the_limit_panics() {
        CpuSet::new().insert(CpuSet::LIMIT);
    }

    #[test]
    fn set_algebra_keeps_equal_sets_equal() {
        let (low, high) = (set("0-3"), set("2-200"));
        assert_eq!(low.intersect(&high), set("2-3"));
        assert_eq!(low.intersect(&set("100")), CpuSet::new());
        assert_eq!(low.union(&high), set("0-200"));
        assert!(set("2").is_subset(&low) && !high.is_subset(&low));
        assert!(CpuSet::new().is_subset(&CpuSet::new()));
    }

    #[test]
    fn the_empty_set_is_empty_in_every_respect() {
        let empty = CpuSet::new();
        assert!(empty.is_empty());
        assert_eq!((empty.len(), empty.first(), empty.iter().next()), (0, None, None));
        assert_eq!(CpuSet::from_words(vec![0, 0]), empty);
    }

    #[test]
    fn debug_output_is_the_list() {
        assert_eq!(format!("{:?}", set("0-1,4")), "CpuSet(0-1,4)");
    }
}
