//! The rows of `cache`: `cache/<operation>-<keys>-<values>/<threads>t`.
//!
//! | operation | what |
//! |---|---|
//! | `get`, `mix90`, `insert` | [`workload`] |
//! | `get-p99`, `get-p999`, `get-p9999` | [`latency`]: percentiles of a lookup, eight threads on few cores |
//! | `bytes` | [`footprint`]: memory an entry |
//!
//! Keys are `u64`, `str16` or `str64` ([`contender::Strings`]); values are `copy`, a `u64`, or `heap`,
//! an `Arc` of 64 bytes. Rows of `u64` and `copy` have our cache by copy, all others the general one.
//!
//! [`ours`] is ours, [`peers`] are the caches beside it, [`bounds`] the maps that evict nothing.
//! [`goals`] says what we want to reach, [`zipf`] which keys are used.

mod bounds;
mod contender;
mod footprint;
mod goals;
mod latency;
mod ours;
mod peers;
mod workload;
mod zipf;

use crate::versus::Row;
use bounds::{Dash, Papaya};
use contender::{Contender, Heap, Keys, Strings, Value, Words};
use goals::Form;
use ours::{ByCopy, General};
use peers::{Foyer, LruShards, MiniMoka, Moka, Quick, QuickTuned, Ufo};
use std::marker::PhantomData;
use workload::{Get, Insert, Mix90, Stand, Workload, work};

/// Every row of this component.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = get::<Words, u64, ByCopy>(Form::ByCopy, &[1, 2, 8]);
    rows.extend(get::<Words, Heap, General<_, _>>(Form::General, &[1, 2, 8]));
    rows.extend(get::<Strings<16>, u64, General<_, _>>(Form::General, &[1, 2]));
    rows.extend(get::<Strings<16>, Heap, General<_, _>>(Form::General, &[1, 2]));
    rows.extend(get::<Strings<64>, Heap, General<_, _>>(Form::General, &[1, 2]));
    rows.extend(beside_all::<Mix90, Words, u64, ByCopy>(Form::ByCopy, &[1, 2, 8]));
    rows.extend(beside_all::<Mix90, Words, Heap, General<_, _>>(Form::General, &[1, 2, 8]));
    rows.extend(beside_all::<Mix90, Strings<16>, Heap, General<_, _>>(Form::General, &[1, 2]));
    rows.extend(beside_all::<Insert, Words, u64, ByCopy>(Form::ByCopy, &[1, 2, 8]));
    rows.extend(beside_all::<Insert, Words, Heap, General<_, _>>(Form::General, &[1, 2]));
    rows.extend(beside_all::<Insert, Strings<16>, Heap, General<_, _>>(Form::General, &[1, 2]));
    rows.extend(tails::<u64, ByCopy>());
    rows.extend(tails::<Heap, General<_, _>>());
    rows.push(bytes::<u64, ByCopy>());
    rows.push(bytes::<Heap, General<_, _>>());
    rows
}

fn get<S: Keys, V: Value, O: Contender<S::Key, V>>(form: Form, threads: &[usize]) -> Vec<Row> {
    of::<Get, S, V, O>(form, threads)
        .bound::<Papaya<_, _>>("papaya")
        .bound::<Dash<_, _>>("dashmap")
        .rows
}

fn beside_all<W: Workload, S: Keys, V: Value, O: Contender<S::Key, V>>(
    form: Form,
    threads: &[usize],
) -> Vec<Row> {
    of::<W, S, V, O>(form, threads).rows
}

/// Ours beside every peer.
fn of<W: Workload, S: Keys, V: Value, O: Contender<S::Key, V>>(
    form: Form,
    threads: &[usize],
) -> Group<W, S, V> {
    Group::new::<O>(form, threads)
        .peer::<Quick<_, _>>("quick_cache")
        .peer::<QuickTuned<_, _>>("quick_cache-tuned")
        .peer::<Moka<_, _>>("moka")
        .peer::<MiniMoka<_, _>>("mini-moka")
        .peer::<Ufo<_, _>>("TinyUFO")
        .peer::<Foyer<_, _>>("foyer-memory")
        .peer::<LruShards<_, _>>("lru-mutex8")
}

fn tails<V: Value, O: Contender<u64, V>>() -> Vec<Row> {
    let rows = latency::rows::<Words, V, O>();
    let rows = latency::beside::<Words, V, QuickTuned<_, _>>(rows, "quick_cache-tuned");
    let rows = latency::beside::<Words, V, Moka<_, _>>(rows, "moka");
    let rows = latency::beside::<Words, V, Ufo<_, _>>(rows, "TinyUFO");
    let rows = latency::beside::<Words, V, Foyer<_, _>>(rows, "foyer-memory");
    latency::beside::<Words, V, LruShards<_, _>>(rows, "lru-mutex8")
}

fn bytes<V: Value, O: Contender<u64, V>>() -> Row {
    let name = format!("cache/bytes-{}-{}", Words::NAME, V::NAME);
    Row::new(&name, 1, footprint::entry::<Words, V, O>())
        .peer("quick_cache", footprint::entry::<Words, V, Quick<_, _>>())
        .peer("moka", footprint::entry::<Words, V, Moka<_, _>>())
        .peer("mini-moka", footprint::entry::<Words, V, MiniMoka<_, _>>())
        .peer("TinyUFO", footprint::entry::<Words, V, Ufo<_, _>>())
        .peer("foyer-memory", footprint::entry::<Words, V, Foyer<_, _>>())
        .peer("lru-mutex8", footprint::entry::<Words, V, LruShards<_, _>>())
        .ops(1)
        .goal(0.0)
}

/// The rows of one workload under several numbers of threads; each contender has one cache in them.
struct Group<W, S, V> {
    rows: Vec<Row>,
    threads: Vec<usize>,
    of: PhantomData<(W, S, V)>,
}

impl<W: Workload, S: Keys, V: Value> Group<W, S, V> {
    fn new<O: Contender<S::Key, V>>(form: Form, threads: &[usize]) -> Self {
        let (stand, name) = (Stand::new(), format!("cache/{}-{}-{}", W::NAME, S::NAME, V::NAME));
        let row = |&threads: &usize| {
            let row = Row::new(&name, threads, work::<W, S, V, O>(&stand, threads));
            goals::set(row, W::NAME, form, threads)
        };
        let rows = threads.iter().map(row).collect();
        Self { rows, threads: threads.to_vec(), of: PhantomData }
    }

    fn peer<C: Contender<S::Key, V>>(self, name: &'static str) -> Self {
        let stand = Stand::new();
        self.each(|row, threads| row.peer(name, work::<W, S, V, C>(&stand, threads)))
    }

    fn bound<C: Contender<S::Key, V>>(self, name: &'static str) -> Self {
        let stand = Stand::new();
        self.each(|row, threads| row.bound(name, work::<W, S, V, C>(&stand, threads)))
    }

    fn each(self, add: impl Fn(Row, usize) -> Row) -> Self {
        let rows = self.rows.into_iter().zip(&self.threads);
        let rows = rows.map(|(row, &threads)| add(row, threads)).collect();
        Self { rows, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::bounds::{Dash, Papaya};
    use super::contender::{Contender, Heap, Keys, Strings, Value, Words};
    use super::ours::{ByCopy, General};
    use super::peers::{Foyer, LruShards, MiniMoka, Moka, Quick, QuickTuned, Ufo};
    use super::workload::{Get, Mix90, Stand, Workload};

    #[test]
    fn every_contender_of_every_row_does_its_operations() {
        for row in super::rows() {
            for contender in row.contenders() {
                let sample = contender.sample(256);
                assert!(!sample.elapsed.is_zero(), "{} {}", row.name, contender.name);
            }
        }
    }

    #[test]
    fn names_say_component_operation_keys_values_and_threads_and_differ() {
        let mut names: Vec<String> = super::rows().into_iter().map(|row| row.name).collect();
        for name in &names {
            let parts: Vec<&str> = name.split('/').collect();
            let ["cache", operation, "1t" | "2t" | "8t"] = parts[..] else { panic!("{name}") };
            let mut parts = operation.rsplit('-');
            assert!(matches!(parts.next(), Some("copy" | "heap")), "{name}");
            assert!(matches!(parts.next(), Some("u64" | "str16" | "str64")), "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// The share of lookups that hit when two threads do so many operations.
    fn hit_share<W: Workload, S: Keys, V: Value, C: Contender<S::Key, V>>() -> f64 {
        let stand = Stand::<C>::new();
        stand.measure::<W, S, V>(2, 50_000, W::run::<S, V, C>);
        stand.hit_share()
    }

    /// The share of each peer, by name.
    fn peers<W: Workload, S: Keys, V: Value>() -> Vec<(&'static str, f64)> {
        vec![
            ("quick_cache", hit_share::<W, S, V, Quick<_, _>>()),
            ("quick_cache-tuned", hit_share::<W, S, V, QuickTuned<_, _>>()),
            ("moka", hit_share::<W, S, V, Moka<_, _>>()),
            ("mini-moka", hit_share::<W, S, V, MiniMoka<_, _>>()),
            ("TinyUFO", hit_share::<W, S, V, Ufo<_, _>>()),
            ("foyer-memory", hit_share::<W, S, V, Foyer<_, _>>()),
            ("lru-mutex8", hit_share::<W, S, V, LruShards<_, _>>()),
        ]
    }

    fn all_hold_the_keys<S: Keys, V: Value, O: Contender<S::Key, V>>() {
        let ours = hit_share::<Get, S, V, O>();
        assert!(ours > 0.98, "ours: {ours}");
        let mut others = peers::<Get, S, V>();
        others.push(("papaya", hit_share::<Get, S, V, Papaya<_, _>>()));
        others.push(("dashmap", hit_share::<Get, S, V, Dash<_, _>>()));
        for (who, share) in others {
            assert!((share - ours).abs() < 0.02, "{who}: {share}, ours: {ours}");
        }
    }

    #[test]
    fn every_contender_holds_the_keys() {
        all_hold_the_keys::<Words, u64, ByCopy>();
        all_hold_the_keys::<Words, Heap, General<_, _>>();
        all_hold_the_keys::<Strings<16>, u64, General<_, _>>();
        all_hold_the_keys::<Strings<64>, Heap, General<_, _>>();
    }

    /// Policies differ, and so do their hits. Who missed much more often would have less to do.
    #[test]
    fn every_contender_hits_about_as_often_in_the_mix() {
        let ours = hit_share::<Mix90, Words, u64, ByCopy>();
        for (who, share) in peers::<Mix90, Words, u64>() {
            println!("{who}: {share}, ours: {ours}");
            assert!((share - ours).abs() < 0.1, "{who}: {share}, ours: {ours}");
        }
    }

    /// How many entries there are in the end when many more were inserted than there is room for.
    fn held<S: Keys, V: Value, C: Contender<S::Key, V>>(room: usize) -> f64 {
        let (cache, numbers) = (C::holding(room), 0..4 * room as u64);
        for number in numbers.clone() {
            cache.insert(S::key(number), V::of(number));
            cache.find(&S::key(number)).inspect(|&found| assert_eq!(found, number));
        }
        cache.settle();
        numbers.filter(|&number| cache.find(&S::key(number)).is_some()).count() as f64
    }

    #[test]
    fn every_cache_holds_as_many_as_it_says_and_finds_what_was_inserted() {
        fn check<S: Keys, V: Value, C: Contender<S::Key, V>>(who: &str) {
            let room = 20_000;
            let share = held::<S, V, C>(room) / room as f64;
            println!("{who}: {share}");
            assert!((0.95..1.03).contains(&share), "{who}: {share}");
        }
        check::<Words, u64, ByCopy>("ours by copy");
        check::<Strings<16>, Heap, General<_, _>>("ours");
        check::<Words, u64, Quick<_, _>>("quick_cache");
        check::<Words, u64, QuickTuned<_, _>>("quick_cache-tuned");
        check::<Words, u64, Moka<_, _>>("moka");
        check::<Words, u64, MiniMoka<_, _>>("mini-moka");
        check::<Words, u64, Ufo<_, _>>("TinyUFO");
        check::<Words, u64, Foyer<_, _>>("foyer-memory");
        check::<Strings<16>, Heap, LruShards<_, _>>("lru-mutex8");
    }
}
