//! The bytes of a simulated file: pages that copies share until one of them writes.

use super::SECTOR;
use std::ops::Range;
use std::sync::Arc;

/// What copies share, and what a disk is divided into for its users: a multiple of a sector.
pub(super) const PAGE: usize = 4096;

/// One sector's bytes.
pub(super) type Sector = [u8; SECTOR];

/// The bytes of a file, by offset; what was never written is zero and takes no memory.
///
/// A clone costs a reference count a page.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages(Vec<Option<Arc<[u8; PAGE]>>>);

impl Pages {
    /// Copies the bytes at `offset` to `buffer`.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) {
        for (page, within, part) in pieces(offset, buffer.len()) {
            let to = &mut buffer[part];
            match self.0.get(page).and_then(Option::as_ref) {
                Some(bytes) => to.copy_from_slice(&bytes[within..within + to.len()]),
                None => to.fill(0),
            }
        }
    }

    /// Puts `bytes` at `offset`.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        for (page, within, part) in pieces(offset, bytes.len()) {
            let from = &bytes[part];
            if page >= self.0.len() {
                self.0.resize(page + 1, None);
            }
            let page = self.0[page].get_or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(page)[within..within + from.len()].copy_from_slice(from);
        }
    }

    /// Makes every byte from `offset` on zero.
    pub(super) fn cut(&mut self, offset: u64) {
        let (page, within) = place(offset);
        if page < self.0.len() {
            self.0.truncate(if within == 0 { page } else { page + 1 });
            if let Some(Some(last)) = self.0.get_mut(page) {
                Arc::make_mut(last)[within..].fill(0);
            }
        }
    }

    /// Takes the pages that hold any of `range` from `other`.
    pub(super) fn share(&mut self, other: &Self, range: Range<u64>) {
        let end = place(range.end.next_multiple_of(PAGE as u64)).0;
        let end = end.min(self.0.len().max(other.0.len()));
        if end > self.0.len() {
            self.0.resize(end, None);
        }
        for page in place(range.start).0..end {
            self.0[page].clone_from(other.0.get(page).unwrap_or(&None));
        }
    }

    /// A sector, by its number.
    pub(super) fn sector(&self, number: u64) -> &Sector {
        const ZERO: &Sector = &[0; SECTOR];
        let (page, within) = place(number * SECTOR as u64);
        self.0
            .get(page)
            .and_then(Option::as_ref)
            .map_or(ZERO, |bytes| bytes[within..].first_chunk().expect("a page is whole sectors"))
    }

    /// Whether there is memory behind a page.
    pub(super) fn holds(&self, page: usize) -> bool {
        self.0.get(page).is_some_and(Option::is_some)
    }

    /// How many pages there is memory behind, from page `first` on.
    pub(super) fn held_from(&self, first: usize) -> usize {
        self.0.iter().skip(first).filter(|page| page.is_some()).count()
    }

    /// An offset beyond which everything is zero.
    pub(super) fn end(&self) -> u64 {
        (self.0.len() * PAGE) as u64
    }
}

/// The page that holds `offset`, and where.
fn place(offset: u64) -> (usize, usize) {
    let page = PAGE as u64;
    ((offset / page) as usize, (offset % page) as usize)
}

/// For each page that `len` bytes at `offset` touch: its number, where in it, and which of the bytes.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let (page, within) = place(offset + done as u64);
        let part = done..len.min(done + PAGE - within);
        done = part.end;
        (!part.is_empty()).then_some((page, within, part))
    })
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Pages};

    /// Everything up to `len`.
    fn bytes(pages: &Pages, len: usize) -> Vec<u8> {
        let mut bytes = vec![9; len];
        pages.read(&mut bytes, 0);
        bytes
    }

    #[test]
    fn pages_hold_what_a_vector_would() {
        let mut pages = Pages::default();
        let mut model = vec![0_u8; 5 * PAGE];
        let writes = [(0, 1), (PAGE - 1, 2), (2 * PAGE, PAGE), (3 * PAGE + 7, PAGE), (10, 0)];
        for (n, (offset, len)) in writes.into_iter().enumerate() {
            let new = vec![n as u8 + 1; len];
            pages.write(&new, offset as u64);
            model[offset..offset + len].copy_from_slice(&new);
            assert_eq!(bytes(&pages, 5 * PAGE), model);
            assert_eq!(pages.sector(7)[..], model[7 * 512..8 * 512]);
        }
        for end in [4 * PAGE + 3, 4 * PAGE, 2 * PAGE + 1, PAGE, 0] {
            pages.cut(end as u64);
            model[end..].fill(0);
            assert_eq!(bytes(&pages, 5 * PAGE), model);
        }
    }

    #[test]
    fn a_clone_keeps_its_bytes_when_the_other_is_written() {
        let mut pages = Pages::default();
        pages.write(&[1; 3 * PAGE], 0);
        let clone = pages.clone();
        pages.write(&[2], 5);
        pages.cut(PAGE as u64 + 1);
        assert_eq!(bytes(&clone, 3 * PAGE), [1; 3 * PAGE]);
    }

    #[test]
    fn sharing_takes_whole_pages_and_no_others() {
        let (mut new, mut old) = (Pages::default(), Pages::default());
        old.write(&[1; 4 * PAGE], 0);
        new.write(&[2; 2 * PAGE], 0);
        let mut both = old.clone();
        both.share(&new, PAGE as u64 + 1..PAGE as u64 + 2);
        assert_eq!(both.sector(7), old.sector(7));
        assert_eq!(both.sector(8), new.sector(8));
        assert_eq!(both.sector(15), new.sector(15));
        assert_eq!(both.sector(16), old.sector(16));
        // What the other does not have is zero.
        both.share(&new, 0..u64::from(u32::MAX));
        assert_eq!(bytes(&both, 4 * PAGE), bytes(&new, 4 * PAGE));
        let mut none = Pages::default();
        none.share(&new, 0..1);
        assert_eq!(bytes(&none, PAGE), [2; PAGE]);
        assert_eq!((none.held_from(0), none.holds(0), none.holds(1)), (1, true, false));
    }
}
