//! Keys that hash well or badly, and values that are counted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

/// A hash of any quality, the same in each run.
#[derive(Clone, Copy)]
pub enum Hashing {
    Constant,
    Identity,
    Good,
}

pub enum Hashed {
    Constant,
    Identity(u64),
    Good(DefaultHasher),
}

impl BuildHasher for Hashing {
    type Hasher = Hashed;

    fn build_hasher(&self) -> Hashed {
        match self {
            Self::Constant => Hashed::Constant,
            Self::Identity => Hashed::Identity(0),
            Self::Good => Hashed::Good(DefaultHasher::new()),
        }
    }
}

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Constant => {}
            Self::Identity(sum) => {
                bytes.iter().for_each(|byte| *sum = *sum << 8 | u64::from(*byte));
            }
            Self::Good(hasher) => hasher.write(bytes),
        }
    }

    fn finish(&self) -> u64 {
        match self {
            Self::Constant => 0,
            Self::Identity(sum) => *sum,
            Self::Good(hasher) => hasher.finish(),
        }
    }
}

thread_local! {
    /// How many there are of each value that is dropped.
    pub static ALIVE: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
}

pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {
    fn new(key: u8) -> Self;
    fn get(&self) -> u8;
}

pub trait Value: Clone + Send + Sync + 'static {
    fn new(id: u32, weight: u8) -> Self;
    /// The number and the weight.
    fn get(&self) -> (u32, u8);
}

impl Key for u8 {
    fn new(key: u8) -> Self {
        key
    }

    fn get(&self) -> u8 {
        *self
    }
}

impl Value for (u32, u8) {
    fn new(id: u32, weight: u8) -> Self {
        (id, weight)
    }

    fn get(&self) -> Self {
        *self
    }
}

impl Key for Box<u8> {
    fn new(key: u8) -> Self {
        Box::new(key)
    }

    fn get(&self) -> u8 {
        **self
    }
}

/// A value on the heap that is counted.
pub struct Counted(Box<(u32, u8)>);

impl Value for Counted {
    fn new(id: u32, weight: u8) -> Self {
        ALIVE.with_borrow_mut(|alive| *alive.entry(id).or_default() += 1);
        Self(Box::new((id, weight)))
    }

    fn get(&self) -> (u32, u8) {
        *self.0
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0.0, self.0.1)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.with_borrow_mut(|alive| {
            let count = alive.get_mut(&self.0.0).expect("it is dropped twice");
            *count -= 1;
            if *count == 0 {
                alive.remove(&self.0.0);
            }
        });
    }
}
