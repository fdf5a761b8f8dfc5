//! A disk to crash: a storage in memory that loses its power as badly as real ones do.
//!
//! For tests of anything that writes files and claims that they survive. Write against
//! [`Storage`](super::Storage), run on a [`Directory`](super::Directory), and test on a [`SimDisk`]:
//! a hundred thousand power cuts take seconds, each can be had again by its seed, and those of
//! something small can be had all of them. It finds the syncs that are missing; it does not find out
//! what a given file system happens to do without them.
//!
//! - Everything is in memory and nothing blocks, but for a mutex that is held for one call.
//! - A run is the same for the same seed and the same calls in the same order.
//! - A copy for a crash shares its pages with the disk that it is of.
//!
//! ```text
//!            SimDisk::new(seed)
//!                 │ storage() ─────► the code under test
//!                 │ faults(), damage(), crash_after()
//!                 ▼
//!     ┌── crash() ── crash_with(choices) ── kill() ── snapshot()     what may be found afterwards:
//!     ▼              ▼                      ▼           ▼            each a SimDisk of its own
//!   SimDisk        SimDisk                SimDisk     SimDisk
//!     │ storage() ───► the code under test, again: does it find what it was promised?
//! ```
//!
//! # What a crash leaves
//! Each of these is independent of all others, and anybody's guess ([`Choices`]):
//!
//! | | if it was synced | if not |
//! |---|---|---|
//! | each sector of 512 bytes that was written | as it was then | as it was synced, or any of the later versions, or torn: the first bytes of a later version, then those of an earlier one; or zeros, or garbage |
//! | the length of a file | as it was then | as it was synced, or any of the later lengths |
//! | bytes that were never written | zero | zero |
//! | each creation, renaming and removal of a name | done | done or not, whatever became of those before and after it |
//!
//! - Syncing a file says nothing of its name, and syncing the directory nothing of what is in its files:
//!   a new file takes both. A name that was not synced may be lost with all that was.
//! - A renaming is done or not: the file has the old or the new name, never both or neither. One that
//!   takes another file's name leaves that file there, or its own.
//! - A removal that is not durable may bring the file back, as it was synced.
//! - A sync that [fails](Faults::fail_sync) makes nothing durable, and later ones do not make up for it.
//! - Sectors that were not written since they were synced never change, whatever happens to those
//!   beside them. A write within a sector, or a cut within one, writes all of it: what was synced
//!   there before is at risk again. Nothing else goes wrong by itself: no bits rot, and no write goes astray.
//!
//! [`Damage`] takes some of this away, where a file system is known to be kinder or where every outcome
//! is to be seen: with `cuts: 1` a sector that was written once has five.
//!
//! # Example
//! A program that forgets to sync the directory, and a crash that shows it:
//!
//! ```
//! use forthwith::store::{File, SimDisk, Storage};
//! use std::io;
//!
//! fn save(storage: &impl Storage, text: &[u8]) -> io::Result<()> {
//!     let file = storage.create("settings")?;
//!     file.write_all_at(text, 0)?;
//!     file.sync()
//! }
//!
//! fn finds_it_after_a_crash(seed: u64) -> io::Result<bool> {
//!     let disk = SimDisk::new(seed);
//!     save(&disk.storage(), b"volume = 11")?;
//!     let after = disk.crash().storage();
//!     let mut text = [0; 11];
//!     Ok(match after.open("settings") {
//!         Ok(file) => file.read_full_at(&mut text, 0)? == 11 && &text == b"volume = 11",
//!         Err(error) if error.kind() == io::ErrorKind::NotFound => false,
//!         Err(error) => return Err(error),
//!     })
//! }
//!
//! let found: Vec<bool> = (0..20).map(finds_it_after_a_crash).collect::<io::Result<_>>()?;
//! assert!(found.contains(&true), "it often goes well,");
//! assert!(found.contains(&false), "but the name may be lost");
//! # Ok::<(), io::Error>(())
//! ```
//!
//! And every outcome of a crash, one by one:
//!
//! ```
//! use forthwith::store::{Damage, File, Odometer, SimDisk, Storage};
//!
//! let disk = SimDisk::new(0);
//! disk.damage(Damage { cuts: 1, ..Damage::default() });
//! let file = disk.storage().create("a")?;
//! disk.storage().sync_directory()?;
//! file.write_all_at(&[1; 1024], 0)?;
//!
//! let mut odometer = Odometer::new();
//! loop {
//!     let after = disk.crash_with(&mut odometer);
//!     assert!(after.storage().open("a").is_ok(), "the name was synced");
//!     if !odometer.advance() {
//!         break;
//!     }
//! }
//! // The length is old (0), or new; then each of two sectors is old (which is zeros), new, torn, or
//! // garbage.
//! assert_eq!(odometer.combinations(), 1 + 4 * 4);
//! # Ok::<(), std::io::Error>(())
//! ```

mod choices;
mod crash;
mod disk;
mod faults;
mod inode;
mod machine;
mod names;
mod ops;
mod pages;
mod rng;
mod storage;

pub use choices::{Choices, Dice, Fate, Odometer, Question};
pub use disk::SimDisk;
pub use faults::{Damage, Faults};
pub use ops::{Op, Operation};
pub use storage::{SimFile, SimStorage};

/// What a crash leaves whole, or does not.
const SECTOR: usize = 512;
