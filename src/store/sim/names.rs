//! The names of a simulated directory, and how they change.
//!
//! A file has at most one name, whatever survives of the changes: a renaming that survives moves the
//! file, wherever its name is by then. So no crash leaves a renamed file with two names, or a file
//! that was renamed and nothing else without one.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of a file. Never used again.
pub(super) type Number = u64;

/// Which name leads to which file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names(BTreeMap<Arc<str>, Number>);

/// One change to the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Create { name: Arc<str>, file: Number },
    Rename { from: Arc<str>, to: Arc<str>, file: Number },
    Remove { name: Arc<str>, file: Number },
}

impl Names {
    pub(super) fn get(&self, name: &str) -> Option<Number> {
        self.0.get(name).copied()
    }

    pub(super) fn insert(&mut self, name: Arc<str>, file: Number) {
        self.0.insert(name, file);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Number)> {
        self.0.iter().map(|(name, file)| (name, *file))
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Create { name, file } => self.insert(Arc::clone(name), *file),
            Change::Rename { to, file, .. } => {
                self.0.retain(|_, it| it != file);
                self.insert(Arc::clone(to), *file);
            }
            Change::Remove { file, .. } => self.0.retain(|_, it| it != file),
        }
    }
}

impl Change {
    /// The file that it is about.
    pub(super) fn file(&self) -> Number {
        let (Self::Create { file, .. } | Self::Rename { file, .. } | Self::Remove { file, .. }) =
            self;
        *file
    }

    /// Whether both are about one file or one name, so that the later one settles the matter.
    pub(super) fn touches(&self, other: &Self) -> bool {
        let names = self.names();
        self.file() == other.file()
            || other.names().iter().flatten().any(|name| names.contains(&Some(name)))
    }

    fn names(&self) -> [Option<&Arc<str>>; 2] {
        match self {
            Self::Create { name, .. } | Self::Remove { name, .. } => [Some(name), None],
            Self::Rename { from, to, .. } => [Some(from), Some(to)],
        }
    }
}
