//! What was read before: the digests of files, kept in a cache under what tells one state of a file from
//! another.
//!
//! So a second inventory stats each file instead of reading it. A digest is kept only if the file was the
//! same before it was read and after.
//!
//! Both key and value are small and `Copy`: workers keep digests, and the second pass looks them up,
//! without a lock or an allocation. With a journal, the first pass knows those of earlier tours.

use crate::digest::Contents;
use crate::identity::Identity;
use crate::journal::{Digests, Failure};
use forthwith::cache::Cache;
use forthwith::lockfree::Counter;
use std::collections::HashMap;

/// The digests of the files of one tree.
#[derive(Debug)]
pub(crate) struct Known {
    digests: Cache<Identity, Contents>,
    /// What earlier tours left. Nobody writes to it any more.
    earlier: HashMap<Identity, Contents>,
    /// How much of that was good for something.
    used: Counter,
    /// What outlives this process.
    journal: Option<Digests>,
}

/// What a journal was good for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Digests that earlier tours had left.
    pub(crate) found: u64,
    /// Those of files here: these were not read.
    pub(crate) used: u64,
    /// Digests that are left to the next tour.
    pub(crate) left: u64,
}

/// How lookups went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recalled {
    /// Digests that were known.
    pub(crate) hits: u64,
    /// Digests that were not.
    pub(crate) misses: u64,
}

impl Known {
    /// Room for the digests of `files` files, and for some that come meanwhile; with what earlier tours
    /// left in `journal`.
    pub(crate) fn with_room_for(files: usize, journal: Option<Digests>) -> Result<Self, Failure> {
        let digests = Cache::by_copy(files.saturating_add(files / 4).max(1024))?;
        let mut earlier = HashMap::new();
        if let Some(journal) = &journal {
            journal.replay(|file, contents| {
                let _ = earlier.insert(file, contents);
            })?;
        }
        Ok(Self { digests, earlier, used: Counter::new(), journal })
    }

    /// What is known of a file in that state.
    pub(crate) fn recall(&self, file: Identity) -> Option<Contents> {
        self.digests.get(&file).or_else(|| {
            let contents = *self.earlier.get(&file)?;
            self.used.add(1);
            self.insert(file, contents);
            Some(contents)
        })
    }

    /// Keeps what was read of a file; `before` and `after` are what it was at either end.
    pub(crate) fn keep(&self, before: Option<Identity>, after: Option<Identity>, read: Contents) {
        if let Some(file) = before.filter(|_| before == after) {
            self.insert(file, read);
        }
    }

    fn insert(&self, file: Identity, contents: Contents) {
        // Without a weight limit nothing is too heavy, and without guards no place is held.
        let _ = self.digests.insert(file, contents);
        if let Some(journal) = &self.journal
            && file.is_settled()
        {
            journal.append(file, contents);
        }
    }

    /// Leaves all that was kept or recalled to the next tour, if there is a journal.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        self.journal.as_ref().map_or(Ok(()), Digests::save)
    }

    /// What the journal was good for; `None` if there is none.
    pub(crate) fn kept(&self) -> Option<Kept> {
        self.journal.as_ref().map(|journal| Kept {
            found: self.earlier.len() as u64,
            used: self.used.sum(),
            left: journal.appended(),
        })
    }

    /// How all lookups went so far.
    pub(crate) fn recalled(&self) -> Recalled {
        let stats = self.digests.stats().l2;
        Recalled { hits: stats.hits, misses: stats.misses }
    }
}
