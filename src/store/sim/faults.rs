//! What goes wrong on a simulated disk: while it runs, and when it is cut off.

/// What goes wrong while the disk runs. Nothing does, by default.
///
/// ```
/// use forthwith::store::{Faults, File, SimDisk, Storage};
///
/// let disk = SimDisk::new(1);
/// disk.faults(Faults { capacity_bytes: Some(8192), ..Faults::default() });
/// let file = disk.storage().create("a")?;
/// assert_eq!(file.write_at(&[1; 10_000], 0)?, 8192); // short
/// let error = file.write_at(&[1], 8192).unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// How much fits, in blocks of 4096 bytes: what is beyond is
    /// [`StorageFull`](std::io::ErrorKind::StorageFull), after a short write of what still fits.
    /// `None`: everything does. Stays the same after a crash, as the only one of these.
    pub capacity_bytes: Option<u64>,
    /// One write in so many is short, by a random number of bytes; 0: none.
    pub short_writes: u32,
    /// One read in so many is short, by a random number of bytes; 0: none.
    pub short_reads: u32,
    /// One read or write in so many is [`Interrupted`](std::io::ErrorKind::Interrupted) before it
    /// does anything; 0: none.
    pub interruptions: u32,
    /// The operation of this number (see [`SimDisk::ops`](super::SimDisk::ops)) fails, once. If it is
    /// a sync, it fails as `fail_sync` says; everything else does nothing.
    pub fail_operation: Option<u64>,
    /// After so many reads, counted from this setting, one fails.
    pub fail_read: Option<u64>,
    /// After so many syncs of files or the directory, counted from this setting, one fails. What it
    /// should have made durable is forgotten: it can still be read, later syncs say that all is well
    /// and do not make it durable; only what is written again is. That is what Linux does.
    pub fail_sync: Option<u64>,
}

/// What a crash may do to what was not synced. Everything, by default.
///
/// Whatever is set here, a sector may be left as it was synced or as it was written since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// In how many places a sector may be torn, at even distances: the bytes before are new, those
    /// behind are old. 0: sectors are written whole or not at all; 1: in the middle; 511: anywhere.
    /// More count as 511.
    pub cuts: u32,
    /// Whether a sector may be all zeros.
    pub zeros: bool,
    /// Whether a sector may be random bytes.
    pub garbage: bool,
    /// Whether names survive in the order in which they changed, as journaling file systems have
    /// it; if not, any of the changes may survive without those before it.
    pub names_in_order: bool,
}

impl Default for Damage {
    fn default() -> Self {
        Self { cuts: 511, zeros: true, garbage: true, names_in_order: false }
    }
}

impl Damage {
    /// As little as there can be: sectors are old or new, and names survive in order. What a log must
    /// survive on the kindest of disks.
    ///
    /// ```
    /// use forthwith::store::Damage;
    ///
    /// let torn_in_the_middle = Damage { cuts: 1, ..Damage::least() };
    /// assert!(!torn_in_the_middle.garbage);
    /// ```
    #[must_use]
    pub fn least() -> Self {
        Self { cuts: 0, zeros: false, garbage: false, names_in_order: true }
    }
}
