//! The state of a simulated disk: names, files, what was asked, and what will go wrong.
//!
//! ```text
//!   call ──► power? ──► is it to fail? ──► names.rs, files.rs do it ──► ops
//! ```
//!
//! # Invariants
//! - **I1** A file is there while `names` or `synced_names` leads to it, a change that is not durable is
//!   about it, or somebody has it open.
//! - **I2** `used` is the pages of all files that have a name or are open.

use super::choices::Choices;
use super::crash::Crash;
use super::faults::{Damage, Faults};
use super::inode::Inode;
use super::names::{Change, Names, Number};
use super::ops::{Op, Operation};
use super::pages::PAGE;
use super::rng::{Rng, derive};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Arc;

mod files;
mod names;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Machine {
    power: Power,
    seed: u64,
    /// How many disks came out of this one.
    heirs: u64,
    /// What faults happen by.
    rng: Rng,
    names: Names,
    synced_names: Names,
    /// Changes since the directory was last synced.
    changes: Vec<Change>,
    /// Changes that a sync failed to make durable.
    forgotten_changes: Vec<Change>,
    files: BTreeMap<Number, Inode>,
    next_file: Number,
    /// Pages.
    used: usize,
    faults: Faults,
    damage: Damage,
    /// The operation that finds the power gone.
    off_at: Option<usize>,
    ops: Vec<Op>,
    /// Which storage has the lock.
    locked_by: Option<u64>,
    next_storage: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    On,
    Off,
    /// The machine is on, but the process that had these handles is not.
    Killed,
}

/// What the faults say about the next call.
enum Luck {
    Good,
    Short,
    Failure,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            power: Power::On,
            seed,
            heirs: 0,
            rng: Rng::new(derive(seed, u64::MAX)),
            names: Names::default(),
            synced_names: Names::default(),
            changes: Vec::new(),
            forgotten_changes: Vec::new(),
            files: BTreeMap::new(),
            next_file: 0,
            used: 0,
            faults: Faults::default(),
            damage: Damage::default(),
            off_at: None,
            ops: Vec::new(),
            locked_by: None,
            next_storage: 0,
        }
    }

    // ---- settings and records

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(super) fn set_damage(&mut self, damage: Damage) {
        self.damage = damage;
    }

    pub(super) fn set_off_at(&mut self, number: u64) {
        if !self.is_on() {
            // Off is off.
            return;
        }
        self.off_at = Some(usize::try_from(number).unwrap_or(usize::MAX));
    }

    pub(super) fn ops(&self) -> &[Op] {
        &self.ops
    }

    pub(super) fn is_on(&self) -> bool {
        self.power == Power::On && self.off_at.is_none_or(|number| self.ops.len() < number)
    }

    pub(super) fn used_bytes(&self) -> u64 {
        (self.used * PAGE) as u64
    }

    fn file(&mut self, number: Number) -> &mut Inode {
        self.files.get_mut(&number).expect("a file that is open or has a name (I1)")
    }

    fn name(&mut self, number: Number) -> Arc<str> {
        Arc::clone(&self.file(number).name)
    }

    // ---- operations

    fn check_power(&self) -> io::Result<()> {
        match self.power {
            Power::On if self.is_on() => Ok(()),
            Power::On | Power::Off => Err(io::Error::other("the machine is off")),
            Power::Killed => Err(io::Error::other("the process was killed")),
        }
    }

    /// Does something that may change the disk, unless it is to fail, and notes it.
    fn run<R>(
        &mut self,
        operation: Operation,
        act: impl FnOnce(&mut Self) -> io::Result<R>,
    ) -> io::Result<R> {
        self.check_power()?;
        let outcome = if self.is_to_fail() { Err(failure()) } else { act(self) };
        self.log(operation, outcome)
    }

    fn sync_with(
        &mut self,
        operation: Operation,
        keep: impl FnOnce(&mut Self),
        forget: impl FnOnce(&mut Self),
    ) -> io::Result<()> {
        self.check_power()?;
        // Both count.
        let is_to_fail = self.is_to_fail() | counted_down(&mut self.faults.fail_sync);
        let outcome = if is_to_fail {
            forget(self);
            Err(failure())
        } else {
            keep(self);
            Ok(())
        };
        self.log(operation, outcome)
    }

    fn log<R>(&mut self, operation: Operation, outcome: io::Result<R>) -> io::Result<R> {
        self.ops.push(Op { operation, failed: outcome.is_err() });
        outcome
    }

    fn is_to_fail(&self) -> bool {
        self.faults.fail_operation == Some(self.ops.len() as u64)
    }

    fn luck_of_operation(&mut self, short: u32) -> io::Result<Luck> {
        if self.is_to_fail() { Ok(Luck::Failure) } else { self.luck(short) }
    }

    fn luck(&mut self, short: u32) -> io::Result<Luck> {
        if self.rng.one_in(self.faults.interruptions) {
            return Err(ErrorKind::Interrupted.into());
        }
        Ok(if self.rng.one_in(short) { Luck::Short } else { Luck::Good })
    }

    // ---- storages

    pub(super) fn new_storage(&mut self) -> u64 {
        self.next_storage += 1;
        self.next_storage
    }

    pub(super) fn lock(&mut self, storage: u64) -> io::Result<()> {
        self.check_power()?;
        if *self.locked_by.get_or_insert(storage) == storage {
            Ok(())
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    pub(super) fn unlock(&mut self, storage: u64) {
        self.locked_by.take_if(|it| *it == storage);
    }

    // ---- ends

    /// The seed of the next thing that comes out of this one.
    pub(super) fn next_seed(&mut self) -> u64 {
        self.heirs += 1;
        derive(self.seed, self.heirs)
    }

    /// Cuts the power, if it is on, and returns what is found afterwards.
    pub(super) fn crash(&mut self, choices: &mut dyn Choices, seed: u64) -> Self {
        if self.power != Power::Killed {
            self.power = Power::Off;
        }
        let mut crash = Crash::new(choices, &self.damage, seed);
        let changes = self.forgotten_changes.iter().chain(&self.changes);
        let survivors = crash.names(&self.synced_names, changes);
        let mut heir = self.heir(seed);
        for (name, number) in survivors.iter() {
            crash.next_file();
            let (pages, len) = self.files[&number].crash(&mut crash);
            heir.adopt(Inode::surviving(Arc::clone(name), pages, len));
        }
        heir
    }

    /// The same disk again, for another process: everything, synced or not.
    pub(super) fn snapshot(&mut self) -> Self {
        let seed = self.next_seed();
        let mut files = self.files.clone();
        for file in files.values_mut() {
            file.handles = 0;
        }
        Self {
            names: self.names.clone(),
            synced_names: self.synced_names.clone(),
            changes: self.changes.clone(),
            forgotten_changes: self.forgotten_changes.clone(),
            next_file: self.next_file,
            used: files.values().filter(|file| file.is_named).map(Inode::held).sum(),
            files,
            ..self.heir(seed)
        }
    }

    /// Ends the process.
    pub(super) fn kill(&mut self) {
        if self.power == Power::On {
            self.power = Power::Killed;
        }
    }

    /// An empty disk of the same make.
    fn heir(&self, seed: u64) -> Self {
        let mut heir = Self::new(seed);
        heir.faults.capacity_bytes = self.faults.capacity_bytes;
        heir.damage = self.damage.clone();
        heir
    }

    fn adopt(&mut self, file: Inode) {
        let number = self.next_file;
        self.next_file += 1;
        self.names.insert(Arc::clone(&file.name), number);
        self.synced_names.insert(Arc::clone(&file.name), number);
        self.used += file.held();
        self.files.insert(number, file);
    }
}

/// Counts down to an event, and says when it is there.
fn counted_down(left: &mut Option<u64>) -> bool {
    match left {
        Some(0) => left.take().is_some(),
        Some(more) => {
            *more -= 1;
            false
        }
        None => false,
    }
}

fn failure() -> io::Error {
    io::Error::other("the device failed, as it was told to")
}
