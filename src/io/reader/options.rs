//! How a file is to be read, and opening it.

use super::Reader;
use super::mapped::Mapped;
use super::policy::{Access, Kind, Mapping, Strategy, View};
use super::seek::Cursor;
use super::stats::Counters;
use crate::support::path_error;
use crate::sys::bus;
use crate::sys::map::{Map, Use};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;
use std::sync::OnceLock;

/// How a file is to be read. Made by [`Reader::options`]; may be used again and again.
///
/// | setting | if not set |
/// |---|---|
/// | [`access`](Self::access) | [`Access::Any`] |
/// | [`mapping`](Self::mapping) | [`Mapping::Auto`] |
/// | [`map_above`](Self::map_above) | 1 MiB; 4 MiB for [`Access::Sequential`] and [`Access::Once`] |
/// | [`populate`](Self::populate) | no |
/// | [`buffer_bytes`](Self::buffer_bytes) | 64 KiB |
///
/// ```
/// use forthwith::io::{Access, Mapping, Reader, Strategy};
///
/// let options = Reader::options().access(Access::Random).mapping(Mapping::Never);
/// let reader = options.open("Cargo.toml")?;
/// assert_eq!(reader.strategy(), Strategy::Positional);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it does nothing until a file is opened"]
pub struct ReaderOptions {
    access: Access,
    mapping: Mapping,
    map_above: Option<u64>,
    populate: bool,
    buffer_bytes: usize,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            access: Access::Any,
            mapping: Mapping::Auto,
            map_above: None,
            populate: false,
            buffer_bytes: 64 << 10,
        }
    }
}

impl ReaderOptions {
    /// How the file will be read.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Whether it may be mapped.
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// From how many bytes on a file is worth a map, under [`Mapping::Auto`].
    pub fn map_above(mut self, bytes: u64) -> Self {
        self.map_above = Some(bytes);
        self
    }

    /// Reads all of a mapped file into memory, and into the page tables, while it is opened: opening
    /// waits for the device, no later read does, unless the system needs the memory for something else. What
    /// does not fit is left out silently.
    pub fn populate(mut self, populate: bool) -> Self {
        self.populate = populate;
        self
    }

    /// The size of the buffer behind [`Read`](io::Read) and [`BufRead`](io::BufRead); not 0. It is allocated
    /// with the first of such reads.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Opens the file at `path`, to read it.
    ///
    /// Three to six system calls. To open a named pipe waits until somebody opens it to write.
    ///
    /// # Errors
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a buffer of 0 bytes;
    /// [`IsADirectory`](io::ErrorKind::IsADirectory); what the system says. All name the path.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<Reader> {
        let path = path.as_ref();
        let open = || self.read(File::open(path)?, |_| Ok(0));
        open().map_err(|error| path_error::at("open", path, error))
    }

    /// Reads `file`, from its cursor on; reads by offset mind no cursor. It must have been opened to be
    /// read.
    ///
    /// # Errors
    /// As [`open`](Self::open), without a path.
    pub fn file(&self, file: File) -> io::Result<Reader> {
        self.read(file, |mut file| file.stream_position())
    }

    pub(in crate::io) fn capacity(&self) -> usize {
        self.buffer_bytes
    }

    fn read(
        self,
        file: File,
        position: impl FnOnce(&File) -> io::Result<u64>,
    ) -> io::Result<Reader> {
        if self.buffer_bytes == 0 {
            let message = "a buffer of 0 bytes holds nothing";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let (kind, len) = measure(&file)?;
        let position = if kind == Kind::Stream { 0 } else { position(&file)? };
        let (strategy, mapped) = self.map(&file, kind, len);
        let reader = Reader {
            file,
            mapped,
            strategy,
            len,
            options: self,
            counters: Counters::default(),
            earlier: (0, 0),
            sealed: OnceLock::new(),
            cursor: Cursor::new(position),
        };
        if self.is_worth_telling(strategy, len) {
            // Advice: what cannot be advised is read all the same.
            let _ = reader.tell_system(self.access);
        }
        Ok(reader)
    }

    /// Whether the system is to hear how the file will be read. Not that it may read far ahead in what one
    /// read brings anyway: the call costs as much as some pages.
    fn is_worth_telling(&self, strategy: Strategy, len: u64) -> bool {
        match self.access {
            _ if strategy == Strategy::Stream => false,
            Access::Any => false,
            Access::Random => true,
            Access::Sequential | Access::Once => len > self.buffer_bytes as u64,
        }
    }

    /// Decides, and maps if that is the decision. A map that is refused is a decision, too.
    pub(super) fn map(&self, file: &File, kind: Kind, len: u64) -> (Strategy, Option<Mapped>) {
        let Self { access, mapping, map_above, .. } = *self;
        let view = View { kind, len, access, mapping, map_above };
        let mut map = None;
        let strategy = view.decide(|| {
            map = self.map_safely(file, len as usize);
            map.is_some()
        });
        if strategy == Strategy::Mapped && map.is_none() {
            map = self.map_anyway(file, len as usize);
        }
        let Some(map) = map else {
            let unmapped =
                if strategy == Strategy::Mapped { Strategy::Positional } else { strategy };
            return (unmapped, None);
        };
        // What the system guesses from is the sequence of faults, and a wrong guess moves megabytes.
        let _ = map.advise(usage(access));
        let is_read_ahead = self.populate || usage(access) == Use::Sequential;
        (Strategy::Mapped, Some(Mapped::new(map, is_read_ahead)))
    }

    fn map_safely(&self, file: &File, len: usize) -> Option<Map> {
        if bus::is_installed() {
            return Map::guarded(file, len, self.populate).ok();
        }
        Map::sealed(file, len)
    }

    /// Safely if that can be done; if it cannot only because the table of the guard is full, not at all.
    fn map_anyway(&self, file: &File, len: usize) -> Option<Map> {
        if bus::is_installed() {
            return Map::guarded(file, len, self.populate).ok();
        }
        Map::sealed(file, len).or_else(|| Map::unguarded(file, len, self.populate).ok())
    }
}

/// Where nobody knows, the memory of a map is for reads by offset: who reads from front to back is served by
/// `pread`.
pub(super) fn usage(access: Access) -> Use {
    match access {
        Access::Any | Access::Random => Use::Random,
        Access::Sequential | Access::Once => Use::Sequential,
    }
}

/// What a file is, and how long.
pub(super) fn measure(mut file: &File) -> io::Result<(Kind, u64)> {
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.is_file() {
        return Ok((Kind::Regular, metadata.len()));
    }
    let Ok(position) = file.stream_position() else { return Ok((Kind::Stream, 0)) };
    // A disk has a length that its metadata do not tell; a terminal has neither.
    let len = file.seek(SeekFrom::End(0)).unwrap_or(0);
    file.seek(SeekFrom::Start(position))?;
    Ok((Kind::Seekable, len))
}
