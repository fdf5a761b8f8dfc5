//! What a log must hold, may hold and must not, judged from what was appended and acknowledged.
//!
//! ```text
//!             first        truncated          durable                 end
//!   ──────────┼────────────┼──────────────────┼───────────────────────┼──► positions
//!   given up  │ whole segments may be gone    │ must be there         │ a prefix of it may be there
//! ```
//!
//! What a recovery found is durable from then on; what it did not find must never be seen again.

use crate::START;
use forthwith::store::{Journal, Lsn, Recovered, Storage};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(crate) struct Oracle {
    segment: u64,
    /// What may be found: what the last recovery found, and what was appended since.
    records: BTreeMap<u64, Vec<u8>>,
    /// The log begins here, or at a later segment up to that of `truncated`.
    first: u64,
    truncated: u64,
    /// Everything below was acknowledged as durable, or found by a recovery.
    durable: u64,
}

impl Oracle {
    pub(crate) fn new(segment: u64) -> Self {
        Self { segment, records: BTreeMap::new(), first: START, truncated: 0, durable: START }
    }

    /// A record was appended.
    pub(crate) fn appended(&mut self, lsn: Lsn, payload: Vec<u8>) {
        let lsn = lsn.get();
        assert!(lsn >= self.durable, "{lsn} is below {}, which is durable", self.durable);
        let last = self.records.last_key_value().map(|(lsn, _)| *lsn);
        assert!(last.is_none_or(|last| last < lsn), "{lsn} is not after {last:?}");
        self.records.insert(lsn, payload);
    }

    /// Everything below is durable: we were told so.
    pub(crate) fn durable(&mut self, end: Lsn) {
        self.durable = self.durable.max(end.get());
    }

    /// Records before this are about to be given up.
    pub(crate) fn truncating(&mut self, lsn: Lsn) {
        self.truncated = self.truncated.max(lsn.get());
    }

    /// The log begins here now, durably.
    pub(crate) fn truncated(&mut self, first: Lsn) {
        self.first = self.first.max(first.get());
        self.records = self.records.split_off(&self.first);
    }

    /// What is known to be there, and not given up.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// A record that may be there, by chance.
    pub(crate) fn lsns(&self) -> impl Iterator<Item = Lsn> {
        self.records.keys().map(|lsn| Lsn::new(*lsn))
    }

    /// A recovery said that it found this, and nobody can look.
    pub(crate) fn recovered(&mut self, recovered: &Recovered) {
        self.truncated(recovered.first);
        let lost = self.records.keys().nth(recovered.records as usize).copied();
        if let Some(lost) = lost {
            self.records.split_off(&lost);
        }
        self.durable(recovered.end);
    }

    /// Looks at what a recovery found. That is what the log is from now on.
    pub(crate) fn check<S: Storage>(&mut self, journal: &Journal<S>, case: &str) {
        let recovered = *journal.recovered();
        let (first, end) = (recovered.first.get(), recovered.end.get());
        let highest = self.truncated / self.segment * self.segment + START;
        assert!(first % self.segment == START, "{case}: the log begins at {first}");
        assert!(
            (self.first..=highest.max(self.first)).contains(&first),
            "{case}: the log begins at {first}, not from {} to {highest}",
            self.first
        );
        assert_eq!(journal.first().get(), first, "{case}");
        assert!(
            end >= self.durable,
            "{case}: the log ends at {end}, and was durable up to {}",
            self.durable
        );
        let found = Self::read(journal, recovered.records, case);
        self.compare(&found, first, case);
        let bytes: usize = found.iter().map(|(_, payload)| payload.len()).sum();
        assert_eq!(recovered.bytes, bytes as u64, "{case}");
        if let Some((last, payload)) = found.last() {
            assert!(last + crate::size(payload.len()) <= end, "{case}: {last} is beyond {end}");
        }
        if let Some(hole) = recovered.hole {
            assert_eq!(hole.at, recovered.end, "{case}");
            assert!(hole.next_valid > hole.at, "{case}: {hole}");
        }
        self.records = found.into_iter().collect();
        (self.first, self.durable) = (first, end);
    }

    /// Everything that the journal holds and may be found, in the order in which it was read.
    fn read<S: Storage>(journal: &Journal<S>, count: u64, case: &str) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        let mut records = journal.records();
        loop {
            match records.read() {
                Ok(Some(record)) => found.push((record.lsn.get(), record.payload.to_vec())),
                Ok(None) => break,
                Err(error) => panic!("{case}: after {} records: {error}", found.len()),
            }
        }
        assert_eq!(found.len() as u64, count, "{case}: not as many as recovery counted");
        found
    }

    /// What was found is a prefix of what may be, and holds all that must be.
    fn compare(&self, found: &[(u64, Vec<u8>)], first: u64, case: &str) {
        let mut expected = self.records.range(first..);
        for (lsn, payload) in found {
            let next = expected.next();
            assert!(
                next == Some((lsn, payload)),
                "{case}: at {lsn} there are {} bytes {:02x?}…, and not {:?}",
                payload.len(),
                &payload[..payload.len().min(8)],
                next.map(|(lsn, payload)| (lsn, payload.len(), payload.first()))
            );
        }
        if let Some((next, _)) = expected.next() {
            assert!(
                *next >= self.durable,
                "{case}: {next} is missing, and was durable up to {}",
                self.durable
            );
        }
    }
}
