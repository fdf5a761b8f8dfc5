//! A storage whose calls can be held back: a device that takes as long as a test wants it to.

use forthwith::store::{File, Storage};
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What can be held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Write,
    Sync,
}

/// Holds calls back while it is closed. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    closed: Option<Call>,
    /// How many are held back.
    waiting: usize,
}

impl Gate {
    /// Holds back such calls from now on.
    pub(crate) fn close(&self, call: Call) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).closed = Some(call);
    }

    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).closed = None;
        self.0.1.notify_all();
    }

    /// Returns when a call is held back.
    pub(crate) fn wait_for_one(&self) {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_while(state, |state| state.waiting == 0).expect("no panic"));
    }

    fn pass(&self, call: Call) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed != Some(call) {
            return;
        }
        state.waiting += 1;
        self.0.1.notify_all();
        let mut state =
            self.0.1.wait_while(state, |state| state.closed == Some(call)).expect("no panic");
        state.waiting -= 1;
    }
}

/// A storage, or a file of it, behind a gate.
#[derive(Debug)]
pub(crate) struct Gated<T> {
    inner: T,
    gate: Gate,
}

impl<T> Gated<T> {
    pub(crate) fn new(inner: T) -> (Self, Gate) {
        let gate = Gate::default();
        (Self { inner, gate: gate.clone() }, gate)
    }

    fn behind<U>(&self, inner: U) -> Gated<U> {
        Gated { inner, gate: self.gate.clone() }
    }
}

impl<S: Storage> Storage for Gated<S> {
    type File = Gated<S::File>;

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn create(&self, name: &str) -> io::Result<Self::File> {
        Ok(self.behind(self.inner.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        Ok(self.behind(self.inner.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.gate.pass(Call::Sync);
        self.inner.sync_directory()
    }

    fn lock(&self) -> io::Result<()> {
        self.inner.lock()
    }
}

impl<F: File> File for Gated<F> {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.gate.pass(Call::Write);
        self.inner.write_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass(Call::Sync);
        self.inner.sync()
    }
}
