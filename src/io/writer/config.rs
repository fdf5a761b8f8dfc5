//! What a writer is to be: the builder, and everything that can be wrong with it.

use super::back::Back;
use super::front::Front;
use super::sink::{Placed, Sink, Stored, Streamed};
use super::stats::Meters;
use super::writer::Writer;
use crate::io::frames::{BLOCK_BYTES, FrameEncoder, Map};
use crate::store::{self, Flusher};
use crate::support::codec::Codec;
use crate::support::path_error;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When what was written is made durable, besides by [`Writer::sync`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// Not: the system does it some time.
    #[default]
    Never,
    /// When the writer is closed or dropped.
    OnClose,
    /// After each so many bytes of the contents, exactly there, and at the end.
    EveryBytes(u64),
    /// By each flush, and at the end. Full batches that nobody flushed are not synced.
    OnFlush,
}

/// What a writer is to be. Made by [`Writer::builder`].
///
/// ```
/// use forthwith::io::{Sync, Writer};
/// use std::io::Write;
/// # let path = std::env::temp_dir().join(format!("forthwith-builder-{}", std::process::id()));
///
/// let mut log = Writer::builder()
///     .sync(Sync::EveryBytes(4 << 20))
///     .preallocate(64 << 20)
///     .on_lost(|error, bytes| eprintln!("{bytes} bytes were lost: {error}"))
///     .create(&path)?;
/// log.write_all(b"hello")?;
/// log.close()?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing until a file is named"]
pub struct WriterBuilder {
    batch_bytes: usize,
    sync: Sync,
    flush_every: Option<Duration>,
    flusher: Flusher,
    preallocate: Option<u64>,
    codec: Option<Codec>,
    cuts_tail: bool,
    on_lost: Option<OnLost>,
}

/// Called when a writer that is dropped could not write everything.
pub(super) type OnLost = Box<dyn FnOnce(&io::Error, u64) + Send + std::marker::Sync>;

/// A checked configuration, in the units of the implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) batch_bytes: usize,
    pub(super) sync_every: Option<u64>,
    pub(super) syncs_on_flush: bool,
    pub(super) syncs_on_close: bool,
    pub(super) flush_every: Option<Duration>,
    pub(super) has_thread: bool,
    /// Room is taken in steps of this; 0 is not to.
    pub(super) reserve: u64,
    /// Up to here none is.
    pub(super) unreserved: u64,
    pub(super) codec: Option<Codec>,
}

impl WriterBuilder {
    /// The longest batch.
    pub const MAX_BATCH_BYTES: usize = 1 << 30;

    pub(super) fn new() -> Self {
        Self {
            batch_bytes: 256 << 10,
            sync: Sync::Never,
            flush_every: None,
            flusher: Flusher::Callers,
            preallocate: None,
            codec: None,
            cuts_tail: false,
            on_lost: None,
        }
    }

    /// How many bytes are collected before they are written: 256 KiB. Batches of files end at multiples of
    /// this. With frames, whole blocks of 64 KiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// When it is made durable, besides by [`Writer::sync`]: [`Sync::Never`].
    pub fn sync(mut self, sync: Sync) -> Self {
        self.sync = sync;
        self
    }

    /// How long a byte waits in the buffer, about: for ever, if this is not called. Who looks at the time is
    /// set by [`flusher`](Self::flusher).
    pub fn flush_every(mut self, time: Duration) -> Self {
        self.flush_every = Some(time);
        self
    }

    /// Who flushes by the time: [`Flusher::Callers`], that is who calls [`Writer::tick`]; or a thread of the
    /// writer's. With a thread, a write takes a lock that is held for an instant only, and there is a second
    /// buffer, so that writes go on while the thread writes or syncs.
    pub fn flusher(mut self, flusher: Flusher) -> Self {
        self.flusher = flusher;
        self
    }

    /// Takes room on the device in steps of so many bytes, ahead of what is written, which makes writes and
    /// syncs cheaper and leaves the file in fewer pieces. Closing gives back what was not used; a crash
    /// leaves it taken. 0 is not to; the default is steps of 16 MiB for files that are
    /// [created](Self::create), once they are longer than a MiB, and not to for others.
    ///
    /// The length of a file does not show it; that of a file of a [storage](Self::store_file) does: it is
    /// longer, by zeros, until it is closed, and after a crash. Where the system cannot do it, or has not so
    /// much left, it is done without.
    pub fn preallocate(mut self, bytes: u64) -> Self {
        self.preallocate = Some(bytes);
        self
    }

    /// Writes frames: blocks of 64 KiB with checksums, made smaller by `codec` where that pays, to be read
    /// by a [`FrameReader`](crate::io::FrameReader). Without this the file holds what was written and nothing
    /// else.
    pub fn compression(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Allows [`append`](Self::append) to cut off what a frame file ends with that cannot be read: the
    /// remains of a writer that crashed. Without this such a file is refused, by
    /// [`FrameError::Cut`](crate::io::FrameError::Cut).
    pub fn cut_torn_tail(mut self) -> Self {
        self.cuts_tail = true;
        self
    }

    /// Called by the drop of a writer that could not write everything, or not sync it: with the first error,
    /// and the number of bytes that were accepted and never written. [`Writer::close`] returns both instead.
    pub fn on_lost(
        mut self,
        hook: impl FnOnce(&io::Error, u64) + Send + std::marker::Sync + 'static,
    ) -> Self {
        self.on_lost = Some(Box::new(hook));
        self
    }

    /// Writes a new file, or one that is emptied first.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for settings that cannot be,
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory) for a buffer that there is no memory for; else what the
    /// system says. The message names the path.
    pub fn create(self, path: impl AsRef<Path>) -> io::Result<Writer> {
        let path = path.as_ref();
        let create = || {
            let mut plan = self.plan()?;
            if self.preallocate.is_none() {
                (plan.reserve, plan.unreserved) = (16 << 20, 1 << 20);
            }
            let (file, is_new) = open(OpenOptions::new().write(true).truncate(true), path)?;
            let frames = plan.codec.map(FrameEncoder::new);
            let sink: Box<dyn Sink> = if file.metadata()?.is_file() {
                Box::new(Placed::new(file, path, is_new))
            } else {
                // A pipe or a device has no offsets.
                Box::new(Streamed::named(file, path, is_new))
            };
            self.start(plan, sink, frames, Start::default())
        };
        create().map_err(|error| path_error::at("create", path, error))
    }

    /// Writes to the end of a file, which is made if there is none.
    ///
    /// Without frames the system is told to append, so that bytes of others are never overwritten, and
    /// positions count from the length that the file has now. With frames the file must be ours alone.
    ///
    /// # Errors
    /// As [`create`](Self::create); with frames, a [`FrameError`](crate::io::FrameError) inside if the file
    /// is no frame file, or ends in the middle.
    pub fn append(self, path: impl AsRef<Path>) -> io::Result<Writer> {
        let path = path.as_ref();
        let append = || {
            let plan = self.plan()?;
            match plan.codec {
                None => self.append_plain(plan, path),
                Some(codec) => self.append_frames(plan, codec, path),
            }
        };
        append().map_err(|error| path_error::at("append to", path, error))
    }

    /// Writes to an open file, at its cursor: a file, a pipe, a terminal.
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use forthwith::io::Writer;
    /// use std::fs::File;
    /// use std::io::{self, Write};
    /// use std::os::fd::AsFd;
    ///
    /// io::stdout().flush()?; // what `print!` still holds comes first
    /// let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    /// let mut out = Writer::builder().file(stdout)?;
    /// for line in 0..3 {
    ///     writeln!(out, "line {line}")?;
    /// }
    /// out.close()?; // one call, and an error is not lost
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// A file that does not block, but says [`WouldBlock`](io::ErrorKind::WouldBlock), ends the writer when
    /// it does so.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for settings that cannot be, and
    /// [`preallocate`](Self::preallocate) is among them.
    pub fn file(self, file: File) -> io::Result<Writer> {
        let plan = self.plan()?;
        refuse_preallocation(&plan)?;
        let frames = plan.codec.map(FrameEncoder::new);
        self.start(plan, Box::new(Streamed::unnamed(file)), frames, Start::default())
    }

    /// Writes to an empty file of a [`Storage`](store::Storage), for example of a
    /// [`Directory`](store::Directory). Its name is made durable by
    /// [`sync_directory`](store::Storage::sync_directory), not by the writer.
    ///
    /// # Errors
    /// As [`file`](Self::file), but for the preallocation.
    pub fn store_file(self, file: impl store::File) -> io::Result<Writer> {
        let plan = self.plan()?;
        let frames = plan.codec.map(FrameEncoder::new);
        self.start(plan, Box::new(Stored(file)), frames, Start::default())
    }

    fn append_plain(self, plan: Plan, path: &Path) -> io::Result<Writer> {
        refuse_preallocation(&plan)?;
        let (file, is_new) = open(OpenOptions::new().append(true), path)?;
        let len = file.metadata()?.len();
        let start = Start { position: len, file_at: len };
        self.start(plan, Box::new(Streamed::named(file, path, is_new)), None, start)
    }

    fn append_frames(self, plan: Plan, codec: Codec, path: &Path) -> io::Result<Writer> {
        let (file, is_new) = open(OpenOptions::new().read(true).write(true), path)?;
        let map = Map::of_file(&file)?;
        let is_empty = file.metadata()?.len() == 0;
        if let Err(cut) = map.check_end()
            && !is_empty
        {
            if !self.cuts_tail {
                return Err(cut.into());
            }
            file.set_len(map.end_at())?;
        }
        let frames = FrameEncoder::resume(codec, &map);
        let start = Start { position: map.raw_bytes(), file_at: map.end_at() };
        self.start(plan, Box::new(Placed::new(file, path, is_new)), Some(frames), start)
    }

    fn start(
        self,
        plan: Plan,
        sink: Box<dyn Sink>,
        frames: Option<FrameEncoder>,
        start: Start,
    ) -> io::Result<Writer> {
        let meters = Arc::new(Meters::new(start.position));
        let back = Back::new(&plan, sink, frames, start, Arc::clone(&meters))?;
        let front = Front::new(buffer(plan.batch_bytes)?, &plan, start.position);
        Writer::start(&plan, front, back, meters, self.on_lost)
    }

    fn plan(&self) -> io::Result<Plan> {
        let batch_bytes = match self.codec {
            None => self.batch_bytes,
            Some(_) => self.batch_bytes.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(usize::MAX),
        };
        let max = Self::MAX_BATCH_BYTES;
        if !(1..=max).contains(&batch_bytes) {
            return invalid(format!(
                "a batch of {} bytes is not from 1 to {max}",
                self.batch_bytes
            ));
        }
        if self.sync == Sync::EveryBytes(0) {
            return invalid("a sync every 0 bytes".to_owned());
        }
        let reserve = self.preallocate.unwrap_or(0);
        if reserve > 1 << 40 {
            return invalid(format!("steps of {reserve} bytes are more than 2^40"));
        }
        let has_thread = self.flusher == Flusher::Thread;
        if has_thread && self.flush_every.is_none_or(|every| every.is_zero()) {
            return invalid("a thread that flushes needs a time to do it, above 0".to_owned());
        }
        Ok(Plan {
            batch_bytes,
            sync_every: match self.sync {
                Sync::EveryBytes(bytes) => Some(bytes),
                _ => None,
            },
            syncs_on_flush: self.sync == Sync::OnFlush,
            syncs_on_close: self.sync != Sync::Never,
            flush_every: self.flush_every,
            has_thread,
            reserve,
            unreserved: 0,
            codec: self.codec,
        })
    }
}

/// Where a writer begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    /// In the contents.
    pub(super) position: u64,
    /// In the file.
    pub(super) file_at: u64,
}

/// Opens a file, or makes it; returns whether it was made.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<(File, bool)> {
    let mut for_new = options.clone();
    for_new.truncate(false);
    match for_new.create_new(true).open(path) {
        Ok(file) => Ok((file, true)),
        // Also where it is made between the two calls, or a link leads to nothing.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok((options.create(true).open(path)?, false))
        }
        Err(error) => Err(error),
    }
}

/// A buffer of zeros, which take no memory until they are written to.
pub(super) fn buffer(bytes: usize) -> io::Result<Box<[u8]>> {
    /// Up to here, it is as any other allocation.
    const SMALL: usize = 1 << 20;
    if bytes > SMALL {
        // Asked for first, because `vec!` ends the process where there is no memory.
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    }
    Ok(vec![0; bytes].into_boxed_slice())
}

fn refuse_preallocation(plan: &Plan) -> io::Result<()> {
    if plan.reserve == 0 {
        return Ok(());
    }
    invalid("room can be taken ahead for files that are created, and for no others".to_owned())
}

fn invalid<T>(what: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, what))
}

impl fmt::Debug for WriterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterBuilder").field("plan", &self.plan()).finish_non_exhaustive()
    }
}
