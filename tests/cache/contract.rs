//! Reading and writing, one thread at a time.

use crate::{AnyHasher, Constant, KINDS, Kind, Random, built, entries, in_time};
use forthwith::cache::{Cache, InsertError, ReplaceError};
use std::borrow::Borrow;
use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, mpsc};

#[test]
fn what_was_inserted_is_found_in_every_way() {
    for kind in KINDS {
        let cache = kind.cache(100);
        assert_eq!(cache.insert(1_u64, 10_u64), Ok(()));
        assert_eq!(cache.get(&1), Some(10));
        assert_eq!(cache.try_get(&1), Ok(Some(10)));
        assert_eq!(cache.get_with(&1, |value| value + 1), Some(11));
        assert_eq!(cache.get_ref(&1).map(|guard| (*guard.key(), *guard)), Some((1, 10)));
        assert_eq!(cache.peek(&1), Some(10));
        assert!(cache.contains_key(&1));
        assert_eq!(entries(&cache), [(1, 10)]);
        assert_eq!((cache.len(), cache.is_empty(), cache.capacity()), (1, false, 100));
    }
}

#[test]
fn what_was_not_inserted_is_not_found_in_any_way() {
    for kind in KINDS {
        let cache = kind.cache::<u64, u64>(100);
        cache.insert(1, 10).expect("room");
        assert_eq!(cache.get(&2), None);
        assert_eq!(cache.try_get(&2), Ok(None));
        assert_eq!(cache.get_with(&2, |_| unreachable!("not there")), None::<()>);
        assert!(cache.get_ref(&2).is_none());
        assert_eq!(cache.peek(&2), None);
        assert!(!cache.contains_key(&2));
        assert!(!cache.remove(&2));
        assert_eq!(cache.take(&2), None);
        assert_eq!(cache.len(), 1);
    }
}

#[test]
fn an_insert_under_the_same_key_replaces_the_value() {
    for kind in KINDS {
        let cache = kind.cache(100);
        for value in 0..10_000_u64 {
            cache.insert(7_u64, value).expect("room");
            assert_eq!((cache.get(&7), cache.len()), (Some(value), 1), "{kind:?}");
        }
    }
}

#[test]
fn remove_and_take_leave_nothing_behind() {
    for kind in KINDS {
        let cache = kind.cache(100);
        for round in 0..1_000_u64 {
            cache.insert(1, round).expect("room");
            cache.insert(2, round + 1).expect("room");
            assert!(cache.remove(&1) && !cache.remove(&1));
            assert_eq!((cache.take(&2), cache.take(&2)), (Some(round + 1), None));
            assert!(cache.is_empty() && !cache.contains_key(&1) && !cache.contains_key(&2));
        }
    }
}

#[test]
fn replace_if_writes_only_over_what_was_expected() {
    for kind in KINDS {
        let cache = kind.cache(100);
        assert_eq!(cache.replace_if(1_u64, 5_u64, |_| true), Err(ReplaceError::Absent(1, 5)));
        assert!(cache.is_empty());
        cache.insert(1, 10).expect("room");
        assert_eq!(cache.replace_if(1, 11, |value| *value == 10), Ok(()));
        let differs = cache.replace_if(1, 12, |value| *value == 10);
        assert_eq!(differs, Err(ReplaceError::Differs(1, 12)));
        assert_eq!(differs.unwrap_err().into_inner(), (1, 12));
        assert_eq!((cache.get(&1), cache.len()), (Some(11), 1));
    }
}

#[test]
fn replace_if_asks_again_when_the_entry_changed_while_it_asked() {
    for kind in KINDS {
        let cache = kind.cache(100);
        cache.insert(1_u64, 0_u64).expect("room");
        let asked = Cell::new(0);
        let replaced = cache.replace_if(1, 100, |value| {
            asked.set(asked.get() + 1);
            if *value < 3 {
                cache.insert(1, value + 1).expect("room");
            }
            true
        });
        assert_eq!((replaced, asked.get(), cache.get(&1)), (Ok(()), 4, Some(100)), "{kind:?}");
    }
}

#[test]
fn replace_if_does_not_bring_back_what_was_removed_while_it_asked() {
    for kind in KINDS {
        let cache = kind.cache(100);
        cache.insert(1_u64, 0_u64).expect("room");
        let replaced = cache.replace_if(1, 5, |_| cache.remove(&1));
        assert_eq!(replaced, Err(ReplaceError::Absent(1, 5)), "{kind:?}");
        assert!(cache.is_empty());
    }
}

#[test]
fn replace_if_gives_up_after_a_bounded_number_of_tries() {
    for kind in KINDS {
        let cache = kind.cache(100);
        cache.insert(1_u64, 0_u64).expect("room");
        let asked = Cell::new(0);
        let refused = cache.replace_if(1, u64::MAX, |value| {
            asked.set(asked.get() + 1);
            cache.insert(1, value + 1).is_ok()
        });
        let contended = InsertError::Contended { key: 1, value: u64::MAX };
        assert_eq!(refused, Err(ReplaceError::Refused(contended)), "{kind:?}");
        assert_eq!((asked.get(), cache.get(&1)), (64, Some(64)), "{kind:?}");
    }
}

#[test]
fn a_cleared_cache_is_empty_and_works() {
    for kind in KINDS {
        let cache = kind.cache(1000);
        for round in 0..3_u64 {
            for key in 0..500_u64 {
                cache.insert(key, key + round).expect("room");
            }
            cache.clear();
            assert!(cache.is_empty() && cache.iter().next().is_none());
            assert!((0..500).all(|key| cache.get(&key).is_none()));
        }
        cache.insert(1, 2).expect("room");
        assert_eq!(entries(&cache), [(1, 2)]);
    }
}

#[test]
fn strings_and_bytes_are_looked_up_borrowed() {
    let cache = Cache::new(100).expect("valid");
    cache.insert("name".to_owned(), 1).expect("room");
    assert_eq!((cache.get("name"), cache.peek("name")), (Some(1), Some(1)));
    assert_eq!(cache.get_ref("name").map(|guard| guard.key().len()), Some(4));
    assert!(cache.contains_key("name") && !cache.contains_key("nam"));
    assert_eq!(cache.get_or_insert_with("other", || 2), Ok(2));
    assert_eq!((cache.take("other"), cache.remove("name")), (Some(2), true));

    let cache = Cache::new(100).expect("valid");
    cache.insert(vec![1_u8, 2], "pair").expect("room");
    cache.insert(Vec::new(), "none").expect("room");
    assert_eq!(cache.get(&[1_u8, 2][..]), Some("pair"));
    assert_eq!(cache.get(&[][..] as &[u8]), Some("none"));
    assert_eq!(cache.get(&[1_u8][..]), None);
    assert!(cache.remove(&[1_u8, 2][..]));
}

#[test]
fn wide_keys_are_told_apart_in_every_bit() {
    for kind in KINDS {
        let cache = kind.cache(1000);
        let keys = || (0..128).map(|bit| 1_u128 << bit).chain([0, u128::MAX]);
        for (number, key) in keys().enumerate() {
            cache.insert(key, number).expect("room");
        }
        for (number, key) in keys().enumerate() {
            assert_eq!(cache.get(&key), Some(number), "{kind:?}: {key:#x}");
        }
    }
}

/// Known by its number alone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    number: u32,
    note: &'static str,
}

impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl Borrow<u32> for Record {
    fn borrow(&self) -> &u32 {
        &self.number
    }
}

#[test]
fn keys_can_be_borrowed_as_a_part_of_them() {
    let cache = Cache::new(100).expect("valid");
    cache.insert(Record { number: 7, note: "seven" }, 49).expect("room");
    assert_eq!((cache.get(&7), cache.get(&8)), (Some(49), None));
    let guard = cache.get_ref(&7).expect("there");
    assert_eq!((guard.key().note, *guard.value()), ("seven", 49));
    assert!(cache.remove(&7));
}

#[test]
fn keys_of_one_hash_are_told_apart() {
    for kind in KINDS {
        let cache = built(kind.builder(kind.set()).hasher(Constant::default()));
        let keys = 0..kind.set() as u64;
        for key in keys.clone() {
            cache.insert(key, key * 3).expect("room");
        }
        for key in keys.clone() {
            assert_eq!(cache.get(&key), Some(key * 3), "{kind:?}");
        }
        assert!(cache.remove(&3) && !cache.contains_key(&3));
        cache.insert(4, 0).expect("room");
        for key in keys.filter(|key| ![3, 4].contains(key)) {
            assert_eq!(cache.peek(&key), Some(key * 3), "{kind:?}");
        }
        assert_eq!(cache.peek(&4), Some(0));
    }
}

#[test]
fn nothing_takes_no_room() {
    for kind in KINDS {
        let cache = kind.cache(10);
        assert_eq!(cache.get(&()), None);
        cache.insert((), ()).expect("room");
        cache.insert((), ()).expect("room");
        assert_eq!((cache.get(&()), cache.len()), (Some(()), 1));
        assert!(cache.remove(&()) && cache.is_empty());
    }
}

#[test]
fn values_of_any_size_and_alignment_are_kept() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    #[repr(align(256))]
    struct Aligned([u8; 300]);

    let cache = Cache::new(100).expect("valid");
    for key in 0..100_u8 {
        cache.insert(key, Aligned([key; 300])).expect("room");
        let aligned = cache.get_with(&key, |value| std::ptr::from_ref(value).addr() % 256);
        assert_eq!((aligned, cache.get(&key)), (Some(0), Some(Aligned([key; 300]))));
    }
    let cache = Cache::new(20).expect("valid");
    cache.insert("page", [7_u8; 12_000]).expect("room");
    let sum = cache.get_with("page", |page| page.iter().map(|byte| u32::from(*byte)).sum());
    assert_eq!(sum, Some(84_000_u32));
}

#[test]
fn copies_are_exact_whatever_they_are_made_of() {
    fn check<K: Copy + Hash + Eq, V: Copy + PartialEq + std::fmt::Debug>(key: K, value: V) {
        let cache = Cache::by_copy(10).expect("small enough");
        cache.insert(key, value).expect("room");
        assert_eq!(cache.get(&key), Some(value));
    }
    check(1_u8, (1_u8, u64::MAX, 3_u16));
    check('x', "a reference");
    check([3_u8; 3], f64::MIN_POSITIVE);
    check(true, None::<std::num::NonZeroU64>);
    check("key", Some(std::num::NonZeroU8::MIN));
    check((), [u128::MAX; 8]);
    check([0xA5_u8; 64], [0x5A_u8; 64]);
    check(0_u64, [u64::MAX; 15]);
}

#[test]
fn random_operations_do_what_they_do_to_a_map() {
    // So few keys that no set is ever full: nothing is evicted.
    const KEYS: u64 = 12;
    for kind in KINDS {
        for (seed, hasher) in (1..).zip(AnyHasher::all()) {
            let cache = built(kind.builder(KEYS as usize + 2).shards(seed).hasher(hasher.clone()));
            // One set would do for a constant hash, too.
            let cache = if cache.capacity() > kind.set() {
                built(kind.builder(kind.set()).hasher(hasher))
            } else {
                cache
            };
            let mut model = HashMap::<u64, u64>::new();
            let mut random = Random(seed as u64);
            for step in 0..6_000 {
                let key = random.below(KEYS);
                let say = |what: &str| format!("{kind:?} {seed}: {what} of {key} at {step}");
                match random.below(12) {
                    0..=3 => {
                        cache.insert(key, step).expect("room");
                        model.insert(key, step);
                    }
                    4 => assert_eq!(
                        cache.remove(&key),
                        model.remove(&key).is_some(),
                        "{}",
                        say("remove")
                    ),
                    5 => assert_eq!(cache.take(&key), model.remove(&key), "{}", say("take")),
                    6 => {
                        let parity = random.below(2);
                        let replaced = cache.replace_if(key, step, |value| value % 2 == parity);
                        let old = model.get_mut(&key).filter(|value| **value % 2 == parity);
                        assert_eq!(replaced.is_ok(), old.is_some(), "{}", say("replace_if"));
                        if let Some(value) = old {
                            *value = step;
                        }
                    }
                    7 => {
                        let expected = *model.entry(key).or_insert(step);
                        assert_eq!(
                            cache.get_or_insert_with(&key, || step),
                            Ok(expected),
                            "{}",
                            say("load")
                        );
                    }
                    8 if step % 7 == 0 => {
                        let before = model.len();
                        model.retain(|key, value| (*key + *value) % 3 != 0);
                        let removed = cache.retain(|key, value| (*key + *value) % 3 != 0);
                        assert_eq!(removed, before - model.len(), "{}", say("retain"));
                    }
                    9 if step % 50 == 0 => {
                        cache.clear();
                        model.clear();
                    }
                    10 => {
                        cache.tick(usize::MAX);
                    }
                    _ => assert_eq!(cache.get(&key), model.get(&key).copied(), "{}", say("get")),
                }
                if step % 100 == 0 {
                    let mut expected: Vec<_> =
                        model.iter().map(|(key, value)| (*key, *value)).collect();
                    expected.sort_unstable();
                    assert_eq!(entries(&cache), expected, "{}", say("entries"));
                }
                assert_eq!(cache.len(), model.len(), "{}", say("len"));
            }
        }
    }
}

#[test]
fn closures_look_up_as_deep_as_they_like() {
    fn nest(cache: &Cache<u64, u64>, depth: u64) -> u64 {
        if depth == 0 {
            return 0;
        }
        let inner = cache.get_with(&(depth % 10), |value| value + nest(cache, depth - 1));
        inner.expect("it is there")
    }
    in_time(|| {
        for kind in KINDS {
            let cache = kind.cache(100);
            (0..10).for_each(|key| cache.insert(key, 1).expect("room"));
            assert_eq!(nest(&cache, 30), 30, "{kind:?}");
            assert_eq!(nest(&cache, 30), 30, "again: all announcements are withdrawn");
            cache.tick(usize::MAX);
            (0..10).for_each(|key| cache.insert(key, 2).expect("room"));
            assert_eq!(nest(&cache, 30), 60, "{kind:?}");
        }
    });
}

#[test]
fn a_closure_keeps_its_value_while_it_writes_to_the_same_key() {
    in_time(|| {
        let cache = Cache::new(5).expect("valid");
        cache.insert(1, "old".repeat(10)).expect("room");
        let seen = cache.get_with(&1, |value| {
            for round in 0..100 {
                cache.insert(1, format!("new {round}")).expect("one place is held");
                cache.insert(round + 2, String::new()).expect("one place is held");
            }
            assert!(cache.remove(&1) || cache.is_empty() || cache.len() <= 5);
            cache.clear();
            value.clone()
        });
        assert_eq!(seen, Some("old".repeat(10)));
        assert!(cache.is_empty());
    });
}

/// Looks its key up when its thread ends, after other thread-locals may be gone.
struct LastLook {
    cache: Arc<Cache<String, String>>,
    found: mpsc::Sender<Option<String>>,
}

impl Drop for LastLook {
    fn drop(&mut self) {
        let found = self.cache.get("key");
        self.cache.insert("ended".into(), "thread".into()).expect("room");
        self.found.send(found).expect("the test waits");
    }
}

#[test]
fn a_thread_that_is_ending_reads_and_writes() {
    thread_local! {
        static LAST: Cell<Option<LastLook>> = const { Cell::new(None) };
        static OTHER: Cell<Option<LastLook>> = const { Cell::new(None) };
    }
    in_time(|| {
        let cache = Arc::new(Cache::new(100).expect("valid"));
        cache.insert("key".into(), "value".into()).expect("room");
        let (found, looks) = mpsc::channel();
        let theirs = Arc::clone(&cache);
        let thread = std::thread::spawn(move || {
            // One is destroyed after the cache's own thread-locals, one before.
            LAST.set(Some(LastLook { cache: Arc::clone(&theirs), found: found.clone() }));
            assert_eq!(theirs.get("key").as_deref(), Some("value"));
            OTHER.set(Some(LastLook { cache: theirs, found }));
        });
        thread.join().expect("no panic");
        let looks: Vec<_> = looks.iter().collect();
        assert_eq!(looks, [Some("value".to_owned()), Some("value".to_owned())]);
        assert_eq!(cache.get("ended").as_deref(), Some("thread"));
    });
}

#[test]
fn caches_guards_and_errors_pass_between_threads() {
    fn passes<T: Send + Sync>() {}
    passes::<Cache<String, Vec<u8>>>();
    passes::<Cache<u64, Arc<str>, Constant>>();
    passes::<forthwith::cache::Ref<'static, String, Vec<u8>>>();
    passes::<InsertError<String, String>>();
    passes::<ReplaceError<String, String>>();
    passes::<forthwith::cache::LoadError<String>>();
    passes::<forthwith::cache::Iter<'static, String, u8, Constant>>();
    let cache = Kind::ByCopy.cache(10);
    std::thread::scope(|scope| {
        scope.spawn(|| cache.insert(1, 2).expect("room"));
    });
    assert_eq!(cache.get(&1), Some(2));
}
