//! Digests that outlive the process: what a tour has read, the next one need not read.
//!
//! Each digest is a record of a journal, appended by the worker that has made it, and in the hands of
//! the system some 10 ms later. So a tour that is killed leaves what it has read, and the next one
//! goes on from there. What is found in the journal and still true is appended again: so a last record,
//! with where this tour began, makes everything before that void.
//!
//! ```text
//!   log │ earlier tours ········ end │ digest │ digest │ …                      │ end: start │
//!       └─ replay, at the start      └─ start: appended while the tour is made  └─ commit
//!       └─ given up after the commit, by whole segments
//! ```
//!
//! - **Appending** takes no lock and allocates nothing, whatever the number of workers.
//! - **What is replaced** is given up when what replaces it is durable, not before.
//! - **The first failure ends the journal**, and [`Digests::save`] says so: who appends need not look.

use crate::digest::Contents;
use crate::identity::Identity;
use forthwith::io::{Journal, Level};
use forthwith::store::Lsn;
use std::error::Error;
use std::path::Path;

/// Any failure of a journal, as text for people.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// What a record begins with. A journal with others is somebody else's.
const MAGIC: [u8; 8] = *b"tour 1\0\0";
/// The magic, the identity, and the length of the contents.
const WORDS: usize = 1 + 5 + 1;

/// What a record says.
enum Record {
    /// What is in a file.
    Digest(Identity, Contents),
    /// What is before this position is true no more.
    End(Lsn),
}

/// A journal of digests.
#[derive(Debug)]
pub(crate) struct Digests {
    journal: Journal,
    /// Where this tour's records begin.
    start: Lsn,
}

impl Digests {
    /// Opens the journal in `directory`, which is made if there is none. Who has it open has it alone.
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        let opened = Journal::builder().segment_bytes(4 << 20).open(directory);
        let journal = opened.map_err(|error| format!("the journal in {directory:?}: {error}"))?;
        let start = journal.reached(Level::Buffered);
        Ok(Self { journal, start })
    }

    /// What was lost, if the journal was damaged: what was recovered ends there.
    pub(crate) fn damage(&self) -> Option<String> {
        self.journal.recovered().hole.map(|hole| hole.to_string())
    }

    /// Calls `f` with each digest that earlier tours left, the newest last.
    pub(crate) fn replay(&self, mut f: impl FnMut(Identity, Contents)) -> Result<(), Failure> {
        let mut from = self.journal.first();
        self.visit(from, |record| {
            if let Record::End(start) = record {
                from = start;
            }
        })?;
        self.visit(from, |record| {
            if let Record::Digest(file, contents) = record {
                f(file, contents);
            }
        })
    }

    fn visit(&self, from: Lsn, mut f: impl FnMut(Record)) -> Result<(), Failure> {
        let mut records = self.journal.records_from(from);
        while let Some(record) = records.read()? {
            f(decode(record.payload).ok_or_else(|| {
                format!("the journal's record at {} is not the tour's", record.lsn)
            })?);
        }
        Ok(())
    }

    /// Records a digest, unless the journal has failed or was saved.
    pub(crate) fn append(&self, file: Identity, contents: Contents) {
        // A failure stays one, and `save` reports it.
        let _ = self.journal.append(&encode(file, contents));
    }

    /// Leaves what was appended to the next tour, and nothing else. Later digests are refused.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        // Durable first: then what it replaces is needed no more.
        self.journal.commit(&encode_end(self.start))?;
        self.journal.truncate_prefix(self.start)?;
        self.journal.close()?;
        Ok(())
    }

    /// How many digests were appended.
    pub(crate) fn appended(&self) -> u64 {
        self.journal.stats().appends
    }
}

/// The magic, words in little-endian order, the digest.
fn encode(file: Identity, (len_bytes, sha256): Contents) -> [u8; WORDS * 8 + 32] {
    let mut record = [0; WORDS * 8 + 32];
    let (words, digest) = record.split_at_mut(WORDS * 8);
    let all = file.to_words().into_iter().chain([len_bytes]).map(u64::to_le_bytes);
    for (place, word) in words.as_chunks_mut().0.iter_mut().zip([MAGIC].into_iter().chain(all)) {
        *place = word;
    }
    digest.copy_from_slice(&sha256);
    record
}

/// The magic, and a position.
fn encode_end(start: Lsn) -> [u8; 16] {
    let mut record = [0; 16];
    record[..8].copy_from_slice(&MAGIC);
    record[8..].copy_from_slice(&start.get().to_le_bytes());
    record
}

/// What a record of ours says.
fn decode(record: &[u8]) -> Option<Record> {
    if let ([MAGIC, start], []) = record.as_chunks() {
        return Some(Record::End(Lsn::new(u64::from_le_bytes(*start))));
    }
    let (words, sha256) = record.split_at_checked(WORDS * 8)?;
    let [MAGIC, file @ .., len_bytes] = words.as_chunks().0 else { return None };
    let file: [[u8; 8]; 5] = file.try_into().ok()?;
    let contents = (u64::from_le_bytes(*len_bytes), sha256.try_into().ok()?);
    Some(Record::Digest(Identity::from_words(file.map(u64::from_le_bytes)), contents))
}
