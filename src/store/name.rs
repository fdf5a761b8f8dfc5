//! The names that every storage takes.

use std::io;

/// The name that a storage keeps for its lock.
pub(super) const LOCK: &str = "lock";

/// Refuses what is not one plain name: nothing leaves the directory, or takes the lock's name.
///
/// Separators and colons of all platforms are refused on each, so that a directory can move.
pub(super) fn plain(name: &str) -> io::Result<()> {
    let reserved = ["", ".", "..", LOCK].contains(&name);
    if reserved || name.contains(['/', '\\', ':', '\0']) {
        let message = format!("{name:?} is not a name for a file of a storage");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn nothing_but_one_name_is_a_name() {
        for name in ["a", "a.log", "0000000000000001.spare", ".hidden", "…", "lock.", "locks"] {
            assert!(plain(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "lock", "a/b", "/a", "a/", "a\\b", "c:a", "a\0b"] {
            let error = plain(name).expect_err(name);
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("{name:?}")));
        }
    }
}
