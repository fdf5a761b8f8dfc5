//! Finding out what a log holds, after anything may have happened to it.
//!
//! ```text
//!   segment 7 ── chained by salt and end ──► segment 8 ──────────────► segment 9 (not chained: dropped)
//!   │ record record record │                │ record record ✗ ····· record │
//!                                                           │         └─ valid, but behind damage: a hole
//!                                                           └─ end: the log is everything before
//! ```
//!
//! The log is the longest prefix without a gap: from the oldest segment on, record by record, each valid in
//! its place; on to the next segment if that one says that it follows exactly here. What lies behind the
//! first damage is reported, and given up for good by the segment that is begun next, with the first record:
//! until then every recovery finds the same.
//!
//! The last segment is gone on with only where nothing can come back: its end is on a sector, so that no
//! durable byte is written again, and behind it are zeros. If a crash left anything there, be it half a
//! record, new bytes could make it whole: then the next segment is begun, under another salt.
//!
//! Nothing is changed here, but that spare files beyond the bound are removed.

use super::config::Recovery;
use super::error::{Hole, OpenError};
use super::header::SegmentHeader;
use super::layout::{Layout, START};
use super::position::Lsn;
use super::record::Kind;
use super::scan::Behind;
use super::scan::{Found, Window};
use super::segments::{Segment, live_name, number_in};
use crate::store::{File, Storage};
use crate::sys::planted::planted;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;

/// What was found when a journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Where the log begins: no record is before.
    pub first: Lsn,
    /// Where it ended: everything before is there.
    pub end: Lsn,
    /// Records in between.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Damage with valid records behind it, which are given up.
    pub hole: Option<Hole>,
    /// Files that were given up: segments behind the end, or without a valid header.
    pub dropped_segments: u64,
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, end, records, bytes, hole, dropped_segments } = self;
        write!(f, "{records} records of {bytes} bytes from {first} to {end}")?;
        if *dropped_segments > 0 {
            write!(f, ", {dropped_segments} segments dropped")?;
        }
        hole.map_or(Ok(()), |hole| write!(f, ", {hole}"))
    }
}

/// What a journal goes on from.
#[derive(Debug)]
pub(super) struct State<F> {
    pub(super) found: Recovered,
    pub(super) live: VecDeque<Arc<Segment<F>>>,
    pub(super) spares: Vec<String>,
    /// Segments behind the end, and behind the one that is begun next.
    pub(super) behind: Vec<u64>,
    /// The segment to begin; or the last one of the live is gone on with.
    pub(super) next: Option<u64>,
}

/// A segment as it was found.
struct Candidate<F> {
    header: SegmentHeader,
    file: F,
}

/// How far the log goes in one segment.
struct Extent {
    end: u64,
    records: u64,
    bytes: u64,
    behind: Behind,
}

pub(super) fn recover<S: Storage>(
    storage: &S,
    layout: &Layout,
    recovery: Recovery,
    spares_max: usize,
) -> Result<State<S::File>, OpenError> {
    let names = storage.list().map_err(|e| io_error("list", "", e))?;
    let numbers = names.iter().filter_map(|name| number_in(name, "log"));
    let numbers: BTreeSet<u64> = numbers.filter(|number| layout.has(*number)).collect();
    let mut spares: Vec<String> =
        names.into_iter().filter(|name| number_in(name, "spare").is_some()).collect();
    let mut state = State {
        found: Recovered::default(),
        live: VecDeque::new(),
        spares: Vec::new(),
        behind: Vec::new(),
        next: Some(numbers.first().copied().unwrap_or(0)),
    };
    Chain { storage, layout }.follow(&numbers, &mut state)?;
    if let (Some(hole), Recovery::Strict) = (state.found.hole, recovery) {
        return Err(OpenError::Hole(hole));
    }

    state.behind = numbers.into_iter().skip(state.live.len()).collect();
    state.found.dropped_segments = state.behind.len() as u64;
    if state.next.is_none() && !state.behind.is_empty() {
        state.next = state.live.back().map(|last| last.number + 1);
    }
    // That name is taken over.
    state.behind.retain(|number| Some(*number) != state.next);
    while spares.len() > spares_max {
        let Some(spare) = spares.pop() else { break };
        storage.remove(&spare).map_err(|e| io_error("remove", &spare, e))?;
    }
    state.spares = spares;
    Ok(state)
}

/// The live segments that follow one another.
struct Chain<'a, S> {
    storage: &'a S,
    layout: &'a Layout,
}

impl<S: Storage> Chain<'_, S> {
    /// Walks the log from the oldest segment on.
    fn follow(&self, numbers: &BTreeSet<u64>, state: &mut State<S::File>) -> Result<(), OpenError> {
        let layout = self.layout;
        let oldest = numbers.first().copied().unwrap_or(0);
        let start = Lsn::new(layout.start_of(oldest));
        (state.found.first, state.found.end) = (start, start);
        if numbers.is_empty() {
            return Ok(());
        }
        let mut window = Window::default();
        let mut number = oldest;
        let mut candidate = self.candidate(number)?;
        while let Some(Candidate { header, file }) = candidate.take() {
            let follows = numbers.contains(&(number + 1));
            let next = if follows { self.candidate(number + 1)? } else { None };
            let chained = next.filter(|next| {
                next.header.previous.salt == header.salt || planted("store_salt_not_chained")
            });
            let limit = chained.as_ref().map(|next| next.header.previous.end);
            let extent = self
                .extent(&mut window, &header, &file, limit)
                .map_err(|e| io_error("read", &live_name(number), e))?;
            state.found.end = Lsn::new(extent.end);
            state.found.records += extent.records;
            state.found.bytes += extent.bytes;
            let can_go_on = (extent.behind == Behind::Blank || planted("store_tail_gone_on"))
                && extent.end.is_multiple_of(layout.sector)
                && extent.end + layout.span() <= layout.end_of(number)
                && chained.is_none();
            state.next = (!can_go_on).then_some(number + 1);
            let (salt, previous_end) = (header.salt, header.previous.end);
            state.live.push_back(Arc::new(Segment { number, salt, previous_end, file }));
            number += 1;
            if limit == Some(extent.end) {
                candidate = chained;
                continue;
            }
            let next_valid = match (extent.behind, chained) {
                (Behind::Valid(position), _) => Some(position),
                (_, Some(_)) => Some(layout.start_of(number)),
                _ => None,
            };
            state.found.hole =
                next_valid.map(|next| Hole { at: state.found.end, next_valid: Lsn::new(next) });
        }
        self.look_behind(numbers.range(number..), state)
    }

    /// Whether there is a valid segment among those which do not belong to the log.
    fn look_behind<'n>(
        &self,
        mut behind: impl Iterator<Item = &'n u64>,
        state: &mut State<S::File>,
    ) -> Result<(), OpenError> {
        while let (None, Some(number)) = (state.found.hole, behind.next()) {
            if self.candidate(*number)?.is_some() {
                let next_valid = Lsn::new(self.layout.start_of(*number));
                state.found.hole = Some(Hole { at: state.found.end, next_valid });
            }
        }
        Ok(())
    }

    /// The segment with that number, if its header is valid.
    fn candidate(&self, number: u64) -> Result<Option<Candidate<S::File>>, OpenError> {
        let name = live_name(number);
        let file = self.storage.open(&name).map_err(|e| io_error("open", &name, e))?;
        let mut bytes = [0; START as usize];
        let len = file.read_full_at(&mut bytes, 0).map_err(|e| io_error("read", &name, e))?;
        let Some(header) = SegmentHeader::from_bytes(&bytes[..len]) else { return Ok(None) };
        if header.segment != self.layout.segment {
            let (found, asked) = (header.segment, self.layout.segment);
            return Err(OpenError::SegmentBytes { found, asked });
        }
        Ok((header.number == number).then_some(Candidate { header, file }))
    }

    /// Reads records until there is none, or up to `limit`, where the next segment says that this one ends.
    fn extent(
        &self,
        window: &mut Window,
        header: &SegmentHeader,
        file: &S::File,
        limit: Option<u64>,
    ) -> io::Result<Extent> {
        let (layout, salt) = (self.layout, header.salt);
        let until = limit.unwrap_or(u64::MAX).min(layout.end_of(header.number));
        let mut extent = Extent {
            end: layout.start_of(header.number),
            records: 0,
            bytes: 0,
            behind: Behind::Blank,
        };
        window.clear();
        while extent.end < until {
            let found = window.record(file, layout, salt, extent.end, until)?;
            let Found::Record { kind, payload, end } = found else { break };
            extent.end = end;
            if kind == Kind::Data {
                extent.records += 1;
                extent.bytes += payload.len() as u64;
            }
        }
        if extent.end < until {
            extent.behind = window.behind(file, layout, salt, extent.end..until)?;
        }
        Ok(extent)
    }
}

fn io_error(doing: &'static str, name: &str, source: io::Error) -> OpenError {
    OpenError::Io { doing, name: name.to_owned(), source }
}
