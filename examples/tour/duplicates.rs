//! Groups files of equal content, and says what the copies cost.
//!
//! Equal means equal in length and SHA-256; contents are not compared again. Empty files are
//! equal to each other and cost nothing, so they are left out. A hard link is a file for itself:
//! that two names share their bytes on disk is not looked at.

use crate::digest::Digested;

/// Files of one content; two or more of them, none empty.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    /// The members, sorted by path.
    members: Vec<&'a Digested>,
}

impl<'a> Group<'a> {
    /// How many files have this content.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// The first of them, by path.
    pub(crate) fn first(&self) -> &'a Digested {
        self.members[0]
    }

    /// The bytes of all copies but one.
    pub(crate) fn wasted_bytes(&self) -> u64 {
        (self.members.len() as u64 - 1) * self.first().len_bytes
    }
}

/// Every group of duplicates, the most wasteful first.
pub(crate) fn find(files: &[Digested]) -> Vec<Group<'_>> {
    let mut sorted: Vec<&Digested> = files.iter().filter(|file| file.len_bytes > 0).collect();
    sorted.sort_unstable_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.path.cmp(&b.path)));
    let mut groups: Vec<Group<'_>> = sorted
        .chunk_by(|a, b| key(a) == key(b))
        .filter(|same| same.len() > 1)
        .map(|same| Group { members: same.to_vec() })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.wasted_bytes()));
    groups
}

/// What equal files have in common.
fn key(file: &Digested) -> (u64, &[u8; 32]) {
    (file.len_bytes, &file.sha256)
}
