//! The form of every `Stats` in the crate: one list of fields, three structs, one way to print.
//!
//! A component counts in its private `Counters` and shows a `Stats`, a plain `Copy` snapshot with
//! public `u64` fields. Both come from one list, so a field cannot be counted and not shown. This
//! is the crate's only macro; it replaces some hundred lines a component, all alike.
//!
//! ```text
//!   event ── counters.hit() ──▶ Counters { hits }  ─┐
//!                                                   ├─ counters.snapshot(gauges) ──▶ Stats
//!   what the component knows ─▶ Gauges { entries } ─┘                                  │
//!                                               later - earlier ──▶ Stats of the interval
//! ```
//!
//! - A *counter* only grows; the difference of two snapshots is what happened in between.
//! - A *gauge* is a level, read by the component when it makes the snapshot; a difference keeps
//!   the newer level.
//! - A snapshot may mix instants: the fields are read one after the other while others count.
//! - Counting is one relaxed addition: no other memory is read because of a counter's value.
//! - A snapshot reads each counter once. Neither allocates, blocks or enters the kernel.
//! - Displayed on one line, `name=value name=value`, in plain numbers for machines; people read
//!   them through [`Bytes`], [`Nanos`], [`Count`] and [`Rate`].

mod units;

pub use units::{Bytes, Count, Nanos, Rate};

/// Declares the statistics of a component.
///
/// ```text
/// crate::support::stats::stats! {
///     /// What one cache has done.
///     pub struct Stats;
///
///     /// The live side.
///     pub(super) struct Counters of Counter {
///         /// Lookups that found a live entry.
///         hits: hit(),                        // fn hit(&self): adds 1
///         /// Bytes given up to make room.
///         evicted_bytes: evicted(bytes),      // fn evicted(&self, bytes: u64): adds so many
///     }
///
///     /// The levels of the moment.
///     pub(super) struct Gauges {
///         /// Entries held now.
///         entries,
///     }
/// }
/// let stats = self.counters.snapshot(Gauges { entries: self.len() as u64 });
/// ```
///
/// `Counter` is `lockfree::Counter` everywhere but in the tests below: a `Debug + Default` type
/// with `add(&self, u64)` and `sum(&self) -> u64`. `Gauges {}` may be empty. Counts that a component
/// keeps elsewhere follow as `and counts { … }`: they are handed over with the gauges, and subtracted
/// as counters are.
/// Fields, verbs and `snapshot` are as visible as their struct. A verb that moves two counters is
/// written by hand, in an `impl Counters` beside the list.
#[cfg_attr(not(any(test, feature = "memory")), allow(unused_macros, reason = "for the components"))]
macro_rules! stats {
    (
        $(#[$stats_doc:meta])*
        $stats_vis:vis struct $Stats:ident;

        $(#[$counters_doc:meta])*
        $counters_vis:vis struct $Counters:ident of $Counter:ty {
            $($(#[$counter_doc:meta])* $counter:ident: $verb:ident($($amount:ident)?),)+
        }

        $(#[$gauges_doc:meta])*
        $gauges_vis:vis struct $Gauges:ident {
            $($(#[$gauge_doc:meta])* $gauge:ident,)*
        }
        $(and counts { $($(#[$total_doc:meta])* $total:ident,)+ })?
    ) => {
        $(#[$stats_doc])*
        ///
        /// A snapshot; its fields may be of slightly different instants. The difference of two
        /// (`later - earlier`) is the interval between them.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        $stats_vis struct $Stats {
            $($(#[$counter_doc])* $stats_vis $counter: u64,)+
            $($($(#[$total_doc])* $stats_vis $total: u64,)+)?
            $($(#[$gauge_doc])* $stats_vis $gauge: u64,)*
        }

        impl ::core::ops::Sub for $Stats {
            type Output = Self;

            /// What happened between two snapshots: counters are subtracted (not below 0), gauges
            /// keep the level of the later one.
            fn sub(self, earlier: Self) -> Self {
                Self {
                    $($counter: self.$counter.saturating_sub(earlier.$counter),)+
                    $($($total: self.$total.saturating_sub(earlier.$total),)+)?
                    $($gauge: self.$gauge,)*
                }
            }
        }

        impl ::core::ops::Add for $Stats {
            type Output = Self;

            /// Two of them together: every field is added.
            fn add(self, other: Self) -> Self {
                Self {
                    $($counter: self.$counter.saturating_add(other.$counter),)+
                    $($($total: self.$total.saturating_add(other.$total),)+)?
                    $($gauge: self.$gauge.saturating_add(other.$gauge),)*
                }
            }
        }

        impl ::core::fmt::Display for $Stats {
            /// One line: `name=value name=value`.
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let fields = [
                    $((stringify!($counter), self.$counter),)+
                    $($((stringify!($total), self.$total),)+)?
                    $((stringify!($gauge), self.$gauge),)*
                ];
                for (index, (name, value)) in fields.into_iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    write!(f, "{space}{name}={value}")?;
                }
                Ok(())
            }
        }

        $(#[$counters_doc])*
        #[derive(Debug, Default)]
        $counters_vis struct $Counters {
            $($counter: $Counter,)+
        }

        impl $Counters {
            $(
                #[inline]
                $counters_vis fn $verb(&self $(, $amount: u64)?) {
                    self.$counter.add($crate::support::stats::stats!(@amount $($amount)?));
                }
            )+

            /// The counters now, beside `gauges`.
            $counters_vis fn snapshot(&self, gauges: $Gauges) -> $Stats {
                let $Gauges { $($gauge,)* $($($total,)+)? } = gauges;
                $Stats { $($counter: self.$counter.sum(),)+ $($($total,)+)? $($gauge,)* }
            }
        }

        $(#[$gauges_doc])*
        #[derive(Debug, Clone, Copy)]
        $gauges_vis struct $Gauges {
            $($gauges_vis $gauge: u64,)*
            $($($gauges_vis $total: u64,)+)?
        }
    };
    (@amount) => { 1 };
    (@amount $amount:ident) => { $amount };
}
#[cfg_attr(
    not(any(test, feature = "memory")),
    allow(unused_imports, reason = "for the components")
)]
pub(crate) use stats;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The interface of `lockfree::Counter` in one word.
    #[derive(Debug, Default)]
    struct Word(AtomicU64);

    impl Word {
        fn add(&self, n: u64) {
            // Relaxed: a statistic; no other memory is read because of it.
            self.0.fetch_add(n, Ordering::Relaxed);
        }

        fn sum(&self) -> u64 {
            // Relaxed: as above.
            self.0.load(Ordering::Relaxed)
        }
    }

    super::stats! {
        /// What a cache has done.
        pub(crate) struct Stats;

        /// The live side.
        struct Counters of Word {
            /// Lookups that found an entry.
            hits: hit(),
            /// Bytes given up to make room.
            evicted_bytes: evicted(bytes),
        }

        /// The levels of the moment.
        struct Gauges {
            /// Entries held now.
            entries,
        }
    }

    #[test]
    fn verbs_move_their_own_field() {
        let counters = Counters::default();
        counters.hit();
        counters.hit();
        counters.evicted(100);
        let stats = counters.snapshot(Gauges { entries: 3 });
        assert_eq!(stats, Stats { hits: 2, evicted_bytes: 100, entries: 3 });
    }

    #[test]
    fn a_difference_subtracts_counters_and_keeps_the_newer_gauge() {
        let earlier = Stats { hits: 10, evicted_bytes: 5, entries: 7 };
        let later = Stats { hits: 25, evicted_bytes: 5, entries: 4 };
        assert_eq!(later - earlier, Stats { hits: 15, evicted_bytes: 0, entries: 4 });
    }

    #[test]
    fn a_difference_never_wraps() {
        let one = Stats { hits: 1, ..Stats::default() };
        assert_eq!((Stats::default() - one).hits, 0);
    }

    #[test]
    fn stats_print_on_one_line() {
        let stats = Stats { hits: 2, evicted_bytes: 100, entries: 3 };
        assert_eq!(stats.to_string(), "hits=2 evicted_bytes=100 entries=3");
    }

    mod with_counts_from_elsewhere {
        use super::Word;

        crate::support::stats::stats! {
            /// Two counts, one kept by somebody else.
            pub(crate) struct Stats;
            /// The live side.
            struct Counters of Word {
                /// Things begun.
                begun: began(),
            }
            /// The level, and the count of the other.
            struct Gauges {
                /// Things at hand.
                open,
            }
            and counts {
                /// Things done.
                done,
            }
        }

        #[test]
        fn such_a_count_is_shown_and_subtracted() {
            let counters = Counters::default();
            counters.began();
            let earlier = counters.snapshot(Gauges { open: 1, done: 5 });
            counters.began();
            let later = counters.snapshot(Gauges { open: 3, done: 9 });
            assert_eq!(later - earlier, Stats { begun: 1, done: 4, open: 3 });
            assert_eq!(later.to_string(), "begun=2 done=9 open=3");
        }
    }

    mod without_gauges {
        use super::Word;

        crate::support::stats::stats! {
            /// The smallest list.
            pub(crate) struct Stats;
            /// The live side.
            struct Counters of Word {
                /// Things done.
                done: done(),
            }
            /// None.
            struct Gauges {}
        }

        #[test]
        fn the_list_of_gauges_may_be_empty() {
            let counters = Counters::default();
            counters.done();
            assert_eq!(counters.snapshot(Gauges {}).to_string(), "done=1");
        }
    }
}
