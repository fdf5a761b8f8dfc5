//! The handle of a simulated disk: what a test holds while the code under test has the storage.

use super::choices::{Choices, Dice};
use super::faults::{Damage, Faults};
use super::machine::Machine;
use super::ops::Op;
use super::storage::SimStorage;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory that can lose its power. See the [module](super) for what that does.
///
/// Clones are handles of the same disk. What is random about it is decided by its seed: the same
/// calls in the same order have the same outcome.
///
/// ```
/// use forthwith::store::{File, SimDisk, Storage};
///
/// let disk = SimDisk::new(7);
/// let storage = disk.storage();
/// let file = storage.create("a")?;
/// file.write_all_at(b"kept", 0)?;
/// file.sync()?;
/// storage.sync_directory()?;
/// file.write_all_at(b"lost, or not, or torn, or garbage", 512)?;
///
/// let after = disk.crash();
/// assert!(file.len().is_err(), "the machine is off");
/// let mut found = [0; 4];
/// after.storage().open("a")?.read_full_at(&mut found, 0)?;
/// assert_eq!(&found, b"kept");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SimDisk {
    machine: Shared,
}

/// The machine, for all its handles.
///
/// A mutex of `std` also where a model checker runs the code above: it is held for one call, which
/// does nothing that other threads could be waiting for.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Machine>>);

impl Shared {
    fn new(machine: Machine) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Machine> {
        // Only `Choices` panic in there, when the disk that they crash is already off.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Machine::new(seed))
    }

    fn of(machine: Machine) -> Self {
        Self { machine: Shared::new(machine) }
    }

    /// The storage on it, for the code under test: one for each time that it starts.
    #[must_use]
    pub fn storage(&self) -> SimStorage {
        SimStorage::new(self.machine.clone())
    }

    /// Cuts the power, and returns what is found on the disk when it is back.
    ///
    /// What was synced is there; the rest is decided by chance (see the [module](super)). This disk is
    /// off from now on: all that is done with its storages and their files fails. Another call returns
    /// another outcome of the same power cut. The disk that is returned has no
    /// [faults](Self::faults) but its capacity, does the same [damage](Self::damage), and has an empty
    /// record of [operations](Self::ops).
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut machine = self.machine.lock();
        let seed = machine.next_seed();
        Self::of(machine.crash(&mut Dice::new(seed), seed))
    }

    /// As [`crash`](Self::crash), but `choices` decide.
    ///
    /// Crashing one disk again and again with an [`Odometer`](super::Odometer) shows every outcome of
    /// one power cut. `choices` must not use the disk: that waits for ever.
    ///
    /// # Panics
    /// If an answer is not below the number of answers.
    ///
    /// ```
    /// use forthwith::store::{Fate, File, SimDisk, Storage};
    ///
    /// let disk = SimDisk::new(0);
    /// disk.storage().create("a")?;
    /// assert_eq!(disk.crash_with(&mut Fate::Lost).storage().list()?, [""; 0]);
    /// assert_eq!(disk.crash_with(&mut Fate::Kept).storage().list()?, ["a"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn crash_with(&self, choices: &mut dyn Choices) -> Self {
        let mut machine = self.machine.lock();
        let seed = machine.next_seed();
        Self::of(machine.crash(choices, seed))
    }

    /// Cuts the power before the operation of this number (see [`ops`](Self::ops)) does anything: it and
    /// everything after it fails. [`crash`](Self::crash) then says what is left.
    ///
    /// A run that is cut off before each of its operations in turn was interrupted everywhere: what is
    /// half done is among the outcomes of the cut after it.
    ///
    /// ```
    /// use forthwith::store::{SimDisk, Storage};
    ///
    /// let disk = SimDisk::new(0);
    /// disk.crash_after(1);
    /// let storage = disk.storage();
    /// assert!(storage.create("a").is_ok()); // operation 0
    /// assert!(storage.create("b").is_err()); // operation 1
    /// assert!(!disk.is_on());
    /// ```
    pub fn crash_after(&self, number: u64) {
        self.machine.lock().set_off_at(number);
    }

    /// Ends the process, but not the machine: returns a disk on which everything is as it was, synced
    /// or not. What is done with the storages of this one, and their files, fails.
    ///
    /// After [`crash_after`](Self::crash_after) this is what a process leaves that was killed at that
    /// operation. What was not synced can still be lost, by a crash of the disk that is returned.
    ///
    /// ```
    /// use forthwith::store::{Fate, SimDisk, Storage};
    ///
    /// let disk = SimDisk::new(0);
    /// disk.storage().create("a")?;
    /// let next = disk.kill();
    /// assert_eq!(next.storage().list()?, ["a"]);
    /// assert_eq!(next.crash_with(&mut Fate::Lost).storage().list()?, [""; 0]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut machine = self.machine.lock();
        let next = machine.snapshot();
        machine.kill();
        Self::of(next)
    }

    /// A disk on which everything is as it is here, synced or not; this one goes on.
    ///
    /// Shows what a crash at this moment would leave, without one.
    ///
    /// ```
    /// use forthwith::store::{Fate, SimDisk, Storage};
    ///
    /// let disk = SimDisk::new(0);
    /// let storage = disk.storage();
    /// storage.create("a")?;
    /// let names_now = || disk.snapshot().crash_with(&mut Fate::Lost).storage().list();
    /// assert_eq!(names_now()?, [""; 0]);
    /// storage.sync_directory()?;
    /// assert_eq!(names_now()?, ["a"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Self {
        Self::of(self.machine.lock().snapshot())
    }

    /// Sets what goes wrong from now on.
    pub fn faults(&self, faults: Faults) {
        self.machine.lock().set_faults(faults);
    }

    /// Sets what crashes may do to what was not synced.
    pub fn damage(&self, damage: Damage) {
        self.machine.lock().set_damage(damage);
    }

    /// What the disk was asked to do that may change it, in order: the number of each is its place.
    /// What it could not even be asked, because it was off, is not there.
    ///
    /// ```
    /// use forthwith::store::{File, Operation, SimDisk, Storage};
    ///
    /// let disk = SimDisk::new(0);
    /// let file = disk.storage().create("a")?;
    /// file.write_all_at(b"1", 0)?;
    /// file.sync()?;
    /// let ops = disk.ops();
    /// assert_eq!(ops[2].operation, Operation::Sync { file: "a".into() });
    /// assert_eq!(ops[1].to_string(), "write a 0+1");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn ops(&self) -> Vec<Op> {
        self.machine.lock().ops().to_vec()
    }

    /// How many operations there were: the number of the next one.
    #[must_use]
    pub fn ops_len(&self) -> u64 {
        self.machine.lock().ops().len() as u64
    }

    /// Whether it still does what it is asked.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.machine.lock().is_on()
    }

    /// How much room the files take that have a name or are open, in bytes: whole blocks of 4096.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.machine.lock().used_bytes()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.machine.lock();
        f.debug_struct("SimDisk")
            .field("is_on", &machine.is_on())
            .field("ops", &machine.ops().len())
            .field("used_bytes", &machine.used_bytes())
            .finish_non_exhaustive()
    }
}
