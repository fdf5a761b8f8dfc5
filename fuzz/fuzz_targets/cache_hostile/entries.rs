//! Keys and values whose `Hash`, `Eq`, `Clone` and `Drop` misbehave, and which are counted.

use crate::mischief::{MISCHIEF, count, may_panic, misbehave};
use std::hash::{Hash, Hasher};

pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {
    fn new(key: u8) -> Self;
    fn get(&self) -> u8;
}

pub trait Value: Clone + Send + Sync + 'static {
    /// Of that key, and of a weight.
    fn new(key: u8, weight: u8) -> Self;
    fn check(&self, key: u8);
    fn weight(&self) -> u8;
}

pub fn hash(key: u8, state: &mut impl Hasher) {
    may_panic();
    let hashes = MISCHIEF.with(|mischief| mischief.hashes.get());
    state.write_u8(key % hashes.max(1));
}

pub fn equal(key: u8, other: u8) -> bool {
    may_panic();
    key == other
}

/// A key on the heap.
pub struct Boxed(Box<u8>);

impl Key for Boxed {
    fn new(key: u8) -> Self {
        count(|mischief| &mischief.keys, 1);
        Self(Box::new(key))
    }

    fn get(&self) -> u8 {
        *self.0
    }
}

impl Clone for Boxed {
    fn clone(&self) -> Self {
        misbehave();
        Self::new(self.get())
    }
}

impl Drop for Boxed {
    fn drop(&mut self) {
        count(|mischief| &mischief.keys, -1);
        misbehave();
    }
}

impl Hash for Boxed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.get(), state);
    }
}

impl PartialEq for Boxed {
    fn eq(&self, other: &Self) -> bool {
        equal(self.get(), other.get())
    }
}

impl Eq for Boxed {}

/// A value on the heap, that says whose it is.
pub struct Guarded(Box<(u8, u8)>);

impl Value for Guarded {
    fn new(key: u8, weight: u8) -> Self {
        count(|mischief| &mischief.values, 1);
        Self(Box::new((key, weight)))
    }

    fn check(&self, key: u8) {
        assert_eq!(self.0.0, key, "another key's value");
    }

    fn weight(&self) -> u8 {
        self.0.1
    }
}

impl Clone for Guarded {
    fn clone(&self) -> Self {
        misbehave();
        Self::new(self.0.0, self.0.1)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        count(|mischief| &mischief.values, -1);
        misbehave();
    }
}

/// A key to be copied.
#[derive(Clone, Copy)]
pub struct Plain(u8);

impl Key for Plain {
    fn new(key: u8) -> Self {
        Self(key)
    }

    fn get(&self) -> u8 {
        self.0
    }
}

impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0, state);
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        equal(self.0, other.0)
    }
}

impl Eq for Plain {}

impl Value for [u8; 2] {
    fn new(key: u8, weight: u8) -> Self {
        [key, weight]
    }

    fn check(&self, key: u8) {
        assert_eq!(self[0], key, "another key's value");
    }

    fn weight(&self) -> u8 {
        self[1]
    }
}
