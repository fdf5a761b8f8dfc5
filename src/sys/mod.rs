//! The operating system and the model checker, behind plain names.
//!
//! The bottom layer: every `libc` call and almost every `cfg` of the crate is here, so that the
//! layers above read as if there were one platform.
//!
//! | module | what | where the platform lacks it |
//! |---|---|---|
//! | [`topology`] | which CPUs we may use, who shares a core, a cache or a node, how much of them a cgroup grants | one package of equal cores, no quota |
//! | [`affinity`] | pin the calling thread, verified | [`PinError::Unsupported`](affinity::PinError::Unsupported) |
//! | [`cpu_time`] | the CPU time that a thread used | `None` |
//! | [`sched_stat`] | how long a thread ran, and how long it waited for a CPU | `None` |
//! | `coarse` | the kernel's tick clock: a third of the price of `Instant::now()` | `None` |
//! | `thread_index` | a small number for the calling thread | |
//! | [`faults`] | page faults of a thread, of the process | `None` |
//! | `map` | mapped files, copied out of | |
//! | `bus` | truncated mappings become a flag | an error |
//! | `file` | positional and gathered writes, room on the device, reads that do not wait | `std`, or unsupported |
//! | `fork` | whether we are the child of a `fork` by now | never |
//! | `region` | address space that becomes memory where it is touched | a heap block |
//! | `bytes` | bytes that several threads fill, each its own part | |
//! | `zeroed` | many values of zero bytes in a region | |
//! | `words` | a value that is copied word by word, each atomically | |
//! | `membarrier` | a fence of which one side is free | fences |
//! | `lanes` | which of sixteen lanes equal a value | arithmetic of words |
//! | `prefetch` | hints that memory will be written, or read, soon | nothing |
//! | `deque` | what stands in for the work-stealing deque under loom | |
//! | `sync` | atomics, cells, futex: `std` or loom | |
//! | `planted` | deliberate bugs, for tests of the tests | |
//! | `futex` | sleep on a word | a mutex and a condition variable |

pub mod affinity;
#[cfg(feature = "io")]
#[allow(dead_code, reason = "there is no `io` under loom")]
pub(crate) mod bus;
#[allow(dead_code, reason = "loom has its own, in `sync`")]
pub(crate) mod bytes;
pub(crate) mod coarse;
pub mod cpu_time;
#[cfg(any(feature = "cpu", feature = "threads"))]
#[allow(dead_code, reason = "for loom: `sync` has the real one elsewhere")]
pub(crate) mod deque;
pub mod faults;
#[cfg(feature = "io")]
#[allow(dead_code, reason = "`io`, which loom does not have, uses most of it")]
pub(crate) mod file;
#[cfg_attr(
    not(any(feature = "cpu", feature = "threads")),
    allow(dead_code, reason = "for the components that hold what a `fork` does not copy")
)]
pub(crate) mod fork;
#[cfg(test)]
#[path = "../../tests/shared/fresh.rs"]
pub(crate) mod fresh;
pub(crate) mod futex;
#[cfg(feature = "cache")]
pub(crate) mod lanes;
#[cfg(feature = "io")]
#[allow(dead_code, reason = "there is no `io` under loom")]
pub(crate) mod map;
#[allow(dead_code, reason = "loom has its own, in `sync`")]
pub(crate) mod membarrier;
pub(crate) mod planted;
pub(crate) mod prefetch;
#[cfg_attr(not(feature = "memory"), allow(dead_code, reason = "for pools of memory"))]
pub(crate) mod region;
pub mod sched_stat;
pub(crate) mod sync;
#[allow(dead_code, reason = "loom has its own, in `sync`")]
pub(crate) mod thread_index;
pub mod topology;
#[cfg(feature = "cache")]
#[allow(dead_code, reason = "loom has its own, in `sync`")]
pub(crate) mod words;
#[allow(dead_code, reason = "loom has its own, in `sync`")]
pub(crate) mod zeroed;
