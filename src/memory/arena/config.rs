//! What an arena pool is to be: the builder, and everything that can be wrong with it.

use super::pool::ArenaPool;
use crate::lockfree::CapacityError;
use std::fmt;

/// Makes an [`ArenaPool`]; see [`ArenaPool::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ArenaPoolBuilder {
    pub(super) name: String,
    limit_bytes: usize,
    arenas: Option<usize>,
    arena_bytes: Option<usize>,
    keep_bytes: Option<usize>,
}

/// A checked configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) limit_bytes: usize,
    pub(super) arenas: usize,
    pub(super) arena_bytes: usize,
    pub(super) keep_bytes: usize,
}

impl ArenaPoolBuilder {
    /// The most arenas that a pool can have.
    pub const MAX_ARENAS: usize = 1 << 20;

    pub(super) fn new(name: String) -> Self {
        Self { name, limit_bytes: 64 << 20, arenas: None, arena_bytes: None, keep_bytes: None }
    }

    /// The most bytes that all arenas together may take; 64 MiB if not set.
    pub fn limit_bytes(mut self, bytes: usize) -> Self {
        self.limit_bytes = bytes;
        self
    }

    /// How many arenas can be lent at a time; two for each core that the process may use, and four at
    /// least, if not set. One that was never used takes no memory.
    pub fn arenas(mut self, arenas: usize) -> Self {
        self.arenas = Some(arenas);
        self
    }

    /// What a borrower may allocate if it does not ask for more; the limit divided by the number of
    /// arenas if not set.
    pub fn arena_bytes(mut self, bytes: usize) -> Self {
        self.arena_bytes = Some(bytes);
        self
    }

    /// The most bytes that an arena keeps for its next borrower; as `arena_bytes` if not set.
    pub fn keep_bytes(mut self, bytes: usize) -> Self {
        self.keep_bytes = Some(bytes);
        self
    }

    /// Makes the pool. Its arenas take memory when they are used.
    ///
    /// # Errors
    /// [`ArenaBuildError`], with the numbers in it.
    pub fn build(self) -> Result<ArenaPool, ArenaBuildError> {
        ArenaPool::build(self)
    }

    pub(super) fn plan(&self) -> Result<Plan, ArenaBuildError> {
        let limit_bytes = self.limit_bytes;
        if limit_bytes == 0 {
            return Err(ArenaBuildError::ZeroLimit);
        }
        let arenas = self.arenas.unwrap_or_else(default_arenas);
        if arenas == 0 {
            return Err(ArenaBuildError::ZeroArenas);
        }
        if arenas > Self::MAX_ARENAS {
            let max = Self::MAX_ARENAS;
            return Err(ArenaBuildError::TooManyArenas { asked: arenas, max });
        }
        let arena_bytes = self.arena_bytes.unwrap_or(limit_bytes / arenas);
        if arena_bytes == 0 {
            return Err(ArenaBuildError::ZeroQuota { limit_bytes, arenas });
        }
        if arena_bytes > limit_bytes {
            return Err(ArenaBuildError::QuotaOverLimit { asked: arena_bytes, limit_bytes });
        }
        let keep_bytes = self.keep_bytes.unwrap_or(arena_bytes);
        Ok(Plan { limit_bytes, arenas, arena_bytes, keep_bytes })
    }
}

fn default_arenas() -> usize {
    (2 * crate::sys::topology::usable_cores()).max(4)
}

/// An arena pool that cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArenaBuildError {
    /// The limit is no bytes.
    ZeroLimit,
    /// No arenas were asked for.
    ZeroArenas,
    /// More arenas than a pool can have.
    TooManyArenas {
        /// What was asked for.
        asked: usize,
        /// What can be had.
        max: usize,
    },
    /// Each arena could take nothing.
    ZeroQuota {
        /// The limit over all arenas.
        limit_bytes: usize,
        /// How many there are.
        arenas: usize,
    },
    /// One arena could take more than all together.
    QuotaOverLimit {
        /// What was asked for.
        asked: usize,
        /// The limit over all arenas.
        limit_bytes: usize,
    },
    /// The pool's own tables cannot be had.
    Tables(CapacityError),
}

impl fmt::Display for ArenaBuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroLimit => write!(f, "limit is zero, at least 1 byte is needed"),
            Self::ZeroArenas => write!(f, "number of arenas is zero, at least 1 is needed"),
            Self::TooManyArenas { asked, max } => {
                write!(f, "{asked} arenas are over the maximum of {max}")
            }
            Self::ZeroQuota { limit_bytes, arenas } => {
                write!(f, "{arenas} arenas get no byte each of a limit of {limit_bytes}")
            }
            Self::QuotaOverLimit { asked, limit_bytes } => {
                write!(f, "an arena of {asked} bytes is over the limit of {limit_bytes} for all")
            }
            Self::Tables(error) => write!(f, "no room for the pool's tables: {error}"),
        }
    }
}

impl std::error::Error for ArenaBuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tables(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CapacityError> for ArenaBuildError {
    fn from(error: CapacityError) -> Self {
        Self::Tables(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_with_its_numbers() {
        let builder = || ArenaPoolBuilder::new("test".into()).arenas(4).limit_bytes(4096);
        let cases = [
            (builder().limit_bytes(0), "limit is zero, at least 1 byte is needed"),
            (builder().arenas(0), "number of arenas is zero, at least 1 is needed"),
            (
                builder().arenas(usize::MAX),
                "18446744073709551615 arenas are over the maximum of 1048576",
            ),
            (builder().limit_bytes(3), "4 arenas get no byte each of a limit of 3"),
            (builder().arena_bytes(0), "4 arenas get no byte each of a limit of 4096"),
            (
                builder().arena_bytes(5000),
                "an arena of 5000 bytes is over the limit of 4096 for all",
            ),
        ];
        for (builder, expected) in cases {
            assert_eq!(builder.plan().unwrap_err().to_string(), expected);
        }
        let plan = builder().plan().expect("valid");
        assert_eq!((plan.arena_bytes, plan.keep_bytes), (1024, 1024));
    }
}
