//! What an engine is made of: plain values, checked when it is made.

use crate::lockfree::CapacityError;
use std::fmt;
use std::io;
use std::time::Duration;

/// What a thread does first: with its index; false if it cannot work.
pub type StartHook = Box<dyn Fn(usize) -> bool + Send + Sync>;
/// What a thread does last: with its index.
pub type StopHook = Box<dyn Fn(usize) + Send + Sync>;

/// How often an idle worker looks for work before it goes to sleep.
///
/// Looking finds work some microseconds sooner, and takes the core from whoever would bring it. Of all
/// workers of a pool one at a time looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spin {
    /// As often as has paid lately, on that thread: 192 times at most, about ten microseconds; hardly
    /// ever where others need the core.
    #[default]
    Adaptive,
    /// Not at all.
    Never,
    /// So often.
    Looks(u32),
}

/// What an [`Engine`](super::Engine) is made of.
pub struct Config {
    /// Threads are called `name-index`; the kernel keeps 15 bytes.
    pub name: String,
    /// How many workers at first; at least `workers_min`.
    pub workers: usize,
    /// How many workers [`resize`](super::Engine::resize) leaves at least. If 0, there may be none while
    /// there is nothing to do; who queues the next task starts one, or calls it back.
    pub workers_min: usize,
    /// How many threads there can ever be, those beside blocked workers included;
    /// [`PLACES_MAX`](Config::PLACES_MAX) at most. Each takes some 5 KiB.
    pub places: usize,
    /// How many tasks wait at most, by priority (the least urgent first).
    pub capacities: [usize; 4],
    /// How many results can be outstanding without an allocation for each; 0 for none.
    pub tickets: usize,
    /// How long a worker beyond the limit keeps its thread.
    pub keep_alive: Duration,
    /// How often a worker looks for work before it goes to sleep.
    pub spin: Spin,
    /// The stack of each thread in bytes, raised to 64 KiB; `None` for that of `std`.
    pub stack_size: Option<usize>,
    /// Whether queue delays and run times are measured (in samples), and how long workers sleep.
    pub metered: bool,
    /// Whether what tasks spawn goes to a deque of their worker first, the newest to be taken first, as
    /// suits computing; else it goes to the common queues.
    pub local: bool,
    /// Whether workers show what kind of task they run.
    pub watched: bool,
    /// What a new thread does first.
    pub on_start: Option<StartHook>,
    /// What a thread does last.
    pub on_stop: Option<StopHook>,
}

impl Config {
    /// The most places that an engine can have.
    pub const PLACES_MAX: usize = 4096;

    /// The least stack that a thread gets.
    pub const STACK_BYTES_MIN: usize = 64 << 10;
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "exec".into(),
            workers: 1,
            workers_min: 1,
            places: 1,
            capacities: [1024; 4],
            tickets: 1024,
            keep_alive: Duration::from_secs(1),
            spin: Spin::Adaptive,
            stack_size: None,
            metered: true,
            local: true,
            watched: false,
            on_start: None,
            on_stop: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("workers", &self.workers)
            .field("places", &self.places)
            .field("capacities", &self.capacities)
            .finish_non_exhaustive()
    }
}

/// An engine that cannot be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum EngineError {
    /// No worker was asked for, or no place for any.
    NoWorkers,
    /// More places than an engine can have.
    TooManyPlaces {
        /// The places asked for.
        asked: usize,
        /// The most that there can be.
        max: usize,
    },
    /// More workers than places.
    TooManyWorkers {
        /// The workers asked for.
        asked: usize,
        /// The places there are.
        places: usize,
    },
    /// A queue or the stock of tickets has an impossible capacity.
    Capacity(CapacityError),
    /// The system started no thread.
    Thread(io::Error),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkers => write!(f, "0 workers were asked for, at least 1 is needed"),
            Self::TooManyPlaces { asked, max } => {
                write!(f, "places for {asked} threads were asked for, at most {max} can be had")
            }
            Self::TooManyWorkers { asked, places } => {
                write!(f, "{asked} workers were asked for, there are places for {places}")
            }
            Self::Capacity(error) => error.fmt(f),
            Self::Thread(_) => write!(f, "no thread could be started"),
        }
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            Self::Capacity(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CapacityError> for EngineError {
    fn from(error: CapacityError) -> Self {
        Self::Capacity(error)
    }
}
