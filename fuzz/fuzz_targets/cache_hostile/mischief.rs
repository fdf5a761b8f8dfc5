//! What makes the user's code misbehave: it panics when its time has come, and uses the cache from within.

use crate::Op;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// How deep the user's code may be within itself.
const DEPTH: u32 = 3;

/// The cache as user code sees it.
pub trait Shared {
    fn act(&self, op: Op);
}

/// What makes the user's code misbehave. One thread runs all of it.
#[derive(Default)]
pub struct Mischief {
    /// Calls until the next panic, if there is one.
    pub fuse: Cell<Option<u8>>,
    pub panics: RefCell<Vec<u8>>,
    pub within: RefCell<Vec<Option<Op>>>,
    pub depth: Cell<u32>,
    pub hashes: Cell<u8>,
    pub cache: RefCell<Option<Arc<dyn Shared>>>,
    pub keys: Cell<i64>,
    pub values: Cell<i64>,
}

thread_local! {
    pub static MISCHIEF: Mischief = Mischief::default();
}

/// What is thrown on purpose; past the hook, which would end the fuzzer.
pub struct OnPurpose;

/// Panics, if it is time.
pub fn may_panic() {
    let now = MISCHIEF.with(|mischief| {
        let fuse = mischief.fuse.get();
        let next = match fuse {
            Some(0) => mischief.panics.borrow_mut().pop(),
            Some(calls) => Some(calls - 1),
            None => None,
        };
        // A second panic in a destructor would abort: it is put off.
        if fuse == Some(0) && std::thread::panicking() {
            return false;
        }
        mischief.fuse.set(next);
        fuse == Some(0)
    });
    if now {
        resume_unwind(Box::new(OnPurpose));
    }
}

/// Uses the cache from within, if it is to, and panics, if it is time.
pub fn misbehave() {
    let next = MISCHIEF.with(|mischief| {
        if mischief.depth.get() >= DEPTH {
            return None;
        }
        let op = mischief.within.borrow_mut().pop()??;
        let cache = mischief.cache.borrow().clone()?;
        Some((op, cache))
    });
    if let Some((op, cache)) = next {
        MISCHIEF.with(|mischief| mischief.depth.set(mischief.depth.get() + 1));
        let outcome = catch(|| cache.act(op));
        MISCHIEF.with(|mischief| mischief.depth.set(mischief.depth.get() - 1));
        if let Err(panic) = outcome
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
    may_panic();
}

/// Catches what was thrown on purpose.
pub fn catch(f: impl FnOnce()) -> Result<(), Box<OnPurpose>> {
    catch_unwind(AssertUnwindSafe(f))
        .map_err(|panic| panic.downcast::<OnPurpose>().unwrap_or_else(|_| panic!("not on purpose")))
}

pub fn count(which: impl Fn(&Mischief) -> &Cell<i64>, by: i64) {
    // Whatever is dropped when the thread ends is not counted.
    let _ = MISCHIEF.try_with(|mischief| {
        let cell = which(mischief);
        cell.set(cell.get() + by);
        assert!(cell.get() >= 0, "dropped twice");
    });
}

/// Ends all mischief.
pub fn calm() {
    MISCHIEF.with(|mischief| {
        mischief.fuse.set(None);
        mischief.panics.borrow_mut().clear();
        mischief.within.borrow_mut().clear();
    });
}

impl fmt::Debug for OnPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("on purpose")
    }
}
