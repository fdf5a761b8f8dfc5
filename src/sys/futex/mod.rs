//! A 32-bit word that threads can sleep on: the base of every wait in this crate.
//!
//! ```text
//!   waiter                                waker
//!   word == expected? -- no --> Changed   word = new
//!        | yes (checked by the kernel)    wake_one() / wake_all()
//!        v                                     |
//!      asleep  <-------------------------------+
//!        |---- deadline passed ---> TimedOut
//!        v
//!      Woken   (also spuriously: callers look at the word again)
//! ```
//!
//! Two implementations with one interface; [`sync`](super::sync) picks.
//!
//! | | `linux` | `portable` |
//! |---|---|---|
//! | size | 4 bytes | a word, a mutex, a condition variable |
//! | wait | one `futex(2)` syscall | locks a mutex, waits on a condition variable |
//! | wake | one syscall, never blocks | locks the mutex for two instructions |
//! | where | Linux | other platforms, and under loom |
//!
//! # Invariants
//! - **I1** A `wait(expected)` that starts after the word has changed, or that sleeps when a
//!   wake-up is sent after the change, returns: the comparison and going to sleep are one step
//!   with respect to wake-ups. The kernel keeps it on Linux, the mutex elsewhere.
//! - **I2** A deadline that is over before the call is reported as `TimedOut` after the
//!   comparison and without sleeping. The models use this to inject timeouts.

use std::time::Instant;

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "`sync` picks one of the two; the tests run both")]
pub(crate) mod linux;
#[allow(dead_code, reason = "as above")]
pub(crate) mod portable;

/// Why a [`wait`](super::sync::Futex::wait) returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A wake-up, or a spurious return.
    Woken,
    /// The word did not hold the expected value.
    Changed,
    /// The deadline passed.
    TimedOut,
}

/// The time left until `deadline`; `None` once it is over.
fn remaining(deadline: Instant) -> Option<std::time::Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::Wake;
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    /// The contract, run against each implementation.
    macro_rules! contract {
        ($name:ident, $futex:ty) => {
            mod $name {
                use super::*;

                #[test]
                fn wait_returns_at_once_when_the_word_differs() {
                    let futex = <$futex>::new(1);
                    assert_eq!(futex.wait(0, None), Wake::Changed);
                }

                #[test]
                fn a_deadline_in_the_past_times_out_without_sleeping() {
                    let futex = <$futex>::new(0);
                    assert_eq!(futex.wait(0, Some(Instant::now())), Wake::TimedOut);
                }

                #[test]
                fn a_deadline_is_kept() {
                    let futex = <$futex>::new(0);
                    let start = Instant::now();
                    let deadline = start + Duration::from_millis(20);
                    while futex.wait(0, Some(deadline)) != Wake::TimedOut {}
                    assert!(start.elapsed() >= Duration::from_millis(20));
                }

                #[test]
                fn wake_all_wakes_every_sleeper() {
                    let futex = <$futex>::new(0);
                    std::thread::scope(|scope| {
                        let sleepers: Vec<_> = (0..3)
                            .map(|_| {
                                scope.spawn(|| {
                                    while futex.word().load(Ordering::Acquire) == 0 {
                                        futex.wait(0, None);
                                    }
                                })
                            })
                            .collect();
                        std::thread::sleep(Duration::from_millis(5));
                        futex.word().store(1, Ordering::Release);
                        futex.wake_all();
                        for sleeper in sleepers {
                            sleeper.join().expect("a sleeper returns");
                        }
                    });
                }
            }
        };
    }

    #[cfg(target_os = "linux")]
    contract!(linux, super::super::linux::Futex);
    contract!(portable, super::super::portable::Futex);
}
