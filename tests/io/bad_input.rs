//! What is no file to read, and what the system has no room for: typed errors that name the path.

use super::temp::Temp;
use forthwith::io::{self, Mapping, Reader};
use std::error::Error;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};

#[test]
fn a_file_that_is_missing_is_named() {
    let temp = Temp::new();
    let path = temp.path().join("missing");
    let error = Reader::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(path.to_str().expect("text")), "{error}");
    let source = error.get_ref().and_then(Error::source).expect("the system's");
    assert!(source.downcast_ref::<std::io::Error>().is_some_and(|it| it.raw_os_error().is_some()));
    for path in ["", "a\0b"] {
        assert!(Reader::open(path).is_err());
        assert!(io::read_into(path, &mut Vec::new()).is_err());
    }
}

#[cfg(unix)]
#[test]
fn a_directory_is_no_file() {
    let temp = Temp::new();
    for mapping in [Mapping::Auto, Mapping::Always, Mapping::Never] {
        let error = Reader::options().mapping(mapping).open(temp.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
        assert!(error.to_string().contains("forthwith-io"), "{error}");
    }
    let error = io::read_into(temp.path(), &mut vec![1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsADirectory);
}

#[test]
fn a_buffer_of_nothing_is_refused() {
    let temp = Temp::new();
    let path = temp.file("bytes", &[1; 10]);
    let error = Reader::options().buffer_bytes(0).open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_file_that_was_opened_to_be_written_says_so_when_it_is_read() {
    let temp = Temp::new();
    let path = temp.file("bytes", &[1; 10_000]);
    let _ = io::guard_truncation();
    for mapping in [Mapping::Auto, Mapping::Always, Mapping::Never] {
        let file = OpenOptions::new().write(true).open(&path).expect("a file");
        let mut reader = Reader::options().mapping(mapping).file(file).expect("a file");
        assert!(reader.read_at(&mut [0; 10], 0).is_err());
        assert!(reader.read(&mut [0; 10]).is_err());
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
        assert_eq!(reader.position(), 0);
    }
}

#[cfg(unix)]
mod alone {
    use super::super::child::alone;
    use super::super::temp::Temp;
    use super::{ErrorKind, Reader, io};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_may_not_be_read_is_refused() {
        alone("bad_input::alone::a_file_that_may_not_be_read_is_refused", || {
            let temp = Temp::new();
            let path = temp.file("secret", &[1; 10]);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("ours");
            // Root may read everything: become somebody else, if we are.
            // SAFETY: has no preconditions.
            if unsafe { libc::geteuid() } == 0 {
                let open = fs::Permissions::from_mode(0o755);
                fs::set_permissions(temp.path(), open).expect("ours");
                // SAFETY: an integer; this process runs nothing else.
                if unsafe { libc::seteuid(65_534) } != 0 {
                    eprintln!("skipped: there is no other user here");
                    return;
                }
            }
            let denied = Reader::open(&path).unwrap_err().kind();
            let denied_too = io::read_into(&path, &mut Vec::new()).unwrap_err().kind();
            // SAFETY: has no preconditions.
            let user = unsafe { libc::getuid() };
            // So that the directory can be removed.
            // SAFETY: as above.
            unsafe { libc::seteuid(user) };
            assert_eq!(
                (denied, denied_too),
                (ErrorKind::PermissionDenied, ErrorKind::PermissionDenied)
            );
        });
    }

    #[test]
    fn too_many_open_files_are_an_error_and_then_it_goes_on() {
        alone("bad_input::alone::too_many_open_files_are_an_error_and_then_it_goes_on", || {
            let temp = Temp::new();
            let path = temp.file("bytes", &[1; 10]);
            let few = libc::rlimit { rlim_cur: 40, rlim_max: 40 };
            // SAFETY: the limit is borrowed for the call.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const few) }, 0);
            let mut readers = Vec::new();
            let error = loop {
                match Reader::open(&path) {
                    Ok(reader) => readers.push(reader),
                    Err(error) => break error,
                }
                assert!(readers.len() < 100);
            };
            assert!(error.to_string().contains("bytes"), "{error}");
            assert!(io::read_into(&path, &mut Vec::new()).is_err());
            assert!(readers.len() > 10);
            readers.pop();
            assert_eq!(io::read_into(&path, &mut Vec::new()).expect("one is free"), 10);
        });
    }
}
