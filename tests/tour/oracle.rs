//! The same inventory, independently: by `find`, `sha256sum` and a map.

use crate::program::run;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

/// The numbers of an inventory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) unreadable: u64,
    pub(crate) directories: u64,
    pub(crate) duplicate_groups: u64,
    pub(crate) duplicate_bytes: u64,
}

/// What is below `root`, as far as the user of the tests' children may see it.
pub(crate) fn inventory(root: &Path) -> Expected {
    let readable = find(root, &["-type", "f", "-readable"]);
    let unreadable = find(root, &["(", "-type", "f", "-o", "-type", "d", ")", "!", "-readable"]);
    let mut contents = BTreeMap::<String, Vec<u64>>::new();
    for path in &readable {
        let len_bytes = Path::new(OsStr::from_bytes(path)).metadata().expect("it exists").len();
        contents.entry(sha256(path)).or_default().push(len_bytes);
    }
    let duplicates = contents.values().filter(|sizes| sizes.len() > 1 && sizes[0] > 0);
    Expected {
        files: readable.len() as u64,
        bytes: contents.values().flatten().sum(),
        unreadable: unreadable.len() as u64,
        directories: find(root, &["-type", "d"]).len() as u64,
        duplicate_groups: duplicates.clone().count() as u64,
        duplicate_bytes: duplicates.flat_map(|sizes| &sizes[1..]).sum(),
    }
}

/// The paths below `root` for which `test` holds. That some of it cannot be listed is no failure.
fn find(root: &Path, test: &[&str]) -> Vec<Vec<u8>> {
    let ended = run(Command::new("find").arg(root).args(test).arg("-print0"));
    ended
        .stdout
        .split_inclusive(|byte| *byte == 0)
        .map(|path| path[..path.len() - 1].into())
        .collect()
}

/// The digest of one file, in hexadecimal.
fn sha256(path: &[u8]) -> String {
    let ended = run(Command::new("sha256sum").args(["-z", "--"]).arg(OsStr::from_bytes(path)));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    String::from_utf8(ended.stdout[..64].into()).expect("hexadecimal digits")
}
