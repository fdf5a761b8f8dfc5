//! What only real files have: paths, other programs, permissions.

use super::beds::{Bed, Real};
use forthwith::store::{Directory, File, Storage};
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

fn kind<T: std::fmt::Debug>(outcome: io::Result<T>) -> ErrorKind {
    outcome.expect_err("must be refused").kind()
}

#[test]
fn a_directory_is_made_where_there_is_none_and_kept_where_there_is_one() {
    let bed = Real::new();
    let path = bed.path().join("made");
    let directory = Directory::open(&path).unwrap();
    assert!(path.is_dir());
    assert_eq!(directory.path(), path);
    directory.create("a").unwrap().write_all_at(b"kept", 0).unwrap();
    let again = Directory::open(&path).unwrap();
    assert_eq!(again.list().unwrap(), ["a"]);
    assert_eq!(fs::read(path.join("a")).unwrap(), b"kept");
}

#[test]
fn a_directory_is_not_made_of_something_else() {
    let bed = Real::new();
    let file = bed.path().join("file");
    fs::write(&file, b"x").unwrap();
    assert_eq!(kind(Directory::open(&file)), ErrorKind::NotADirectory);
    assert_eq!(fs::read(&file).unwrap(), b"x");
    assert!(Directory::open(file.join("below")).is_err());
    let error = Directory::open(bed.path().join("no").join("parent")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("parent"), "{error}");
    assert!(Directory::open("").is_err());
}

#[test]
fn errors_name_the_operation_and_the_path_and_keep_the_systems() {
    let bed = Real::new();
    let directory = bed.storage();
    let path = bed.path().join("missing").display().to_string();
    for (error, operation) in [
        (directory.open("missing").unwrap_err(), "open"),
        (directory.remove("missing").unwrap_err(), "remove"),
        (directory.rename("missing", "b").unwrap_err(), "rename"),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let text = error.to_string();
        assert!(text.contains(operation) && text.contains(&path), "{text}");
        let source = error.source().and_then(|it| it.downcast_ref::<io::Error>());
        assert!(source.is_some_and(|it| it.raw_os_error().is_some()), "{error:?}");
    }
    let error = directory.create("a").unwrap().set_len(u64::MAX).unwrap_err();
    assert!(error.to_string().contains(&bed.path().join("a").display().to_string()), "{error}");
}

#[test]
fn only_files_with_readable_names_are_listed() {
    let bed = Real::new();
    let directory = bed.storage();
    directory.create("a").unwrap();
    fs::create_dir(bed.path().join("below")).unwrap();
    fs::write(bed.path().join("other"), b"").unwrap();
    #[cfg(unix)]
    {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        fs::write(bed.path().join(OsStr::from_bytes(b"\xFF\xFE")), b"").unwrap();
        std::os::unix::fs::symlink(bed.path().join("a"), bed.path().join("link")).unwrap();
        std::os::unix::fs::symlink(bed.path().join("none"), bed.path().join("dangling")).unwrap();
        std::os::unix::fs::symlink(bed.path(), bed.path().join("loop")).unwrap();
    }
    let mut names = directory.list().unwrap();
    names.sort();
    let expected: &[&str] = if cfg!(unix) { &["a", "link", "other"] } else { &["a", "other"] };
    assert_eq!(names, expected);
}

#[test]
fn a_directory_in_place_of_a_file_is_an_error() {
    let bed = Real::new();
    let directory = bed.storage();
    fs::create_dir(bed.path().join("d")).unwrap();
    directory.create("a").unwrap();
    assert_eq!(kind(directory.create("d")), ErrorKind::AlreadyExists);
    assert!(directory.open("d").is_err());
    assert!(directory.remove("d").is_err());
    assert!(directory.rename("a", "d").is_err());
    assert_eq!(directory.list().unwrap(), ["a"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_storage_full_and_not_a_success() {
    // `/dev/full` takes the part of a file on a full disk.
    if !Path::new("/dev/full").exists() {
        return;
    }
    let bed = Real::new();
    std::os::unix::fs::symlink("/dev/full", bed.path().join("full")).unwrap();
    let file = bed.storage().open("full").unwrap();
    assert_eq!(kind(file.write_at(b"x", 0)), ErrorKind::StorageFull);
    assert_eq!(kind(file.write_all_at(b"x", 0)), ErrorKind::StorageFull);
}

#[cfg(unix)]
#[test]
fn what_may_not_be_written_is_permission_denied() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Real::new();
    let directory = bed.storage();
    directory.create("a").unwrap();
    fs::set_permissions(bed.path().join("a"), fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(bed.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // Root may do everything: then there is nothing to see.
    let is_root = fs::write(bed.path().join("probe"), b"").is_ok();
    let outcomes = [
        directory.create("b").map(drop),
        directory.open("a").map(drop),
        directory.remove("a"),
        directory.rename("a", "b"),
        Directory::open(bed.path().join("below")).map(drop),
    ];
    fs::set_permissions(bed.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for outcome in outcomes {
        if !is_root {
            assert_eq!(kind(outcome), ErrorKind::PermissionDenied);
        }
    }
}

#[test]
fn a_directory_that_is_gone_is_an_error_everywhere() {
    let bed = Real::new();
    let path = bed.path().join("gone");
    let directory = Directory::open(&path).unwrap();
    fs::remove_dir(&path).unwrap();
    assert_eq!(kind(directory.list()), ErrorKind::NotFound);
    assert_eq!(kind(directory.create("a")), ErrorKind::NotFound);
    assert_eq!(kind(directory.sync_directory()), ErrorKind::NotFound);
    assert_eq!(kind(directory.lock()), ErrorKind::NotFound);
}

#[test]
fn a_relative_path_stays_where_it_was() {
    let directory = Directory::open(Path::new(".")).unwrap();
    assert!(directory.path().is_absolute());
    let expected = std::env::current_dir().unwrap().canonicalize().unwrap();
    assert_eq!(directory.path().canonicalize().unwrap(), expected);
}
