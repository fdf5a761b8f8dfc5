//! Files that are truncated under their maps: the process lives, and reads tell the truth.

use super::child::{alone, ends};
use super::temp::{Random, Temp};
use forthwith::io::{self, Access, Mapping, Reader, Strategy};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;
use std::{fs, ptr, thread};

const MIB: usize = 1 << 20;

fn always() -> io::ReaderOptions {
    Reader::options().mapping(Mapping::Always)
}

#[test]
fn a_truncated_file_is_read_to_its_new_end() {
    io::guard_truncation().expect("linux");
    let temp = Temp::new();
    let bytes = Random::new(1).bytes(MIB);
    for (keep, read) in [(0, 0), (5000, 700_000), (4096, 4096), (4097, 8192), (500_000, 499_990)] {
        let path = temp.file("cut", &bytes);
        let mut reader = always().open(&path).expect("a file");
        assert_eq!(reader.strategy(), Strategy::Mapped);
        let before = io::guard_stats();
        OpenOptions::new().write(true).open(&path).expect("ours").set_len(keep).expect("ours");
        let mut buffer = vec![0xAA; 16_000];
        let count = reader.read_at(&mut buffer, read as u64).expect("a file");
        let end = (keep as usize).clamp(read, read + 16_000);
        assert_eq!(buffer[..count], bytes[read..end]);
        // Whatever was noticed, everything is as the file is.
        for offset in (0..MIB as u64).step_by(15_000) {
            let end = (keep as usize).clamp(offset as usize, offset as usize + 16_000);
            let count = reader.read_at(&mut buffer, offset).expect("a file");
            assert_eq!(buffer[..count], bytes[offset as usize..end], "{keep}: at {offset}");
        }
        let error = reader.read_exact_at(&mut buffer, keep).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(io::guard_stats().hits > before.hits);
        assert_eq!(reader.strategy(), Strategy::Positional);
        let stats = reader.stats();
        assert_eq!((stats.lost_maps, stats.map_bytes), (1, 0));
        assert!(stats.truncated_reads >= 1);
        // SAFETY: not mapped any more: nothing comes.
        let slice = unsafe { reader.slice_unchecked(0..1) };
        assert_eq!(slice.unwrap_err().kind(), ErrorKind::Unsupported);
        // As good as new.
        fs::write(&path, &bytes).expect("ours");
        assert_eq!(reader.refresh().expect("a file"), MIB as u64);
        assert_eq!(reader.strategy(), Strategy::Mapped);
        reader.read_exact_at(&mut buffer, 800_000).expect("there");
        assert_eq!(buffer, bytes[800_000..816_000]);
        assert!(reader.stats().mapped_reads > 0);
    }
}

#[test]
fn a_scan_ends_where_the_file_does_and_goes_on_when_that_grows() {
    io::guard_truncation().expect("linux");
    let temp = Temp::new();
    let bytes = Random::new(5).bytes(6 * MIB);
    for access in [Access::Any, Access::Once] {
        for keep in [2 * MIB, 2 * MIB + 100, MIB + 1, MIB, 1000, 0] {
            let path = temp.file("scanned", &bytes);
            let mut reader = Reader::options().access(access).open(&path).expect("a file");
            assert_eq!(reader.strategy(), Strategy::Mapped);
            let mut found = vec![0; MIB];
            reader.read_exact(&mut found).expect("it is so long");
            let file = OpenOptions::new().append(true).open(&path).expect("ours");
            file.set_len(keep as u64).expect("ours");
            // Whole buffers may be on their way.
            let mut piece = [0; 1000];
            while let count @ 1.. = reader.read(&mut piece).expect("a file") {
                found.extend_from_slice(&piece[..count]);
            }
            assert!(found.len() >= keep && found.len() <= keep.max(MIB + (64 << 10)));
            assert!(found == bytes[..found.len()], "{access:?}, {keep}");
            if found.len() == keep {
                (&file).write_all(&bytes[keep..]).expect("ours");
                reader.read_to_end(&mut found).expect("a file");
                assert!(found == bytes, "{access:?}, {keep}");
            }
        }
    }
}

#[test]
fn an_end_within_a_page_that_is_still_there_is_seen() {
    io::guard_truncation().expect("linux");
    let temp = Temp::new();
    let path = temp.file("page", &[7; 10_000]);
    let reader = always().open(&path).expect("a file");
    let file = OpenOptions::new().write(true).open(&path).expect("ours");
    for keep in [9_999, 9_000, 8_200] {
        file.set_len(keep).expect("ours");
        let mut buffer = [0; 2_000];
        let count = reader.read_at(&mut buffer[..1_805], 8_195).expect("a file");
        assert_eq!(count as u64, keep - 8_195, "{keep}");
        assert_eq!(buffer[..count], [7; 2_000][..count]);
        assert_eq!(reader.read_at(&mut buffer[..1], keep).expect("the end"), 0);
        assert_eq!(reader.strategy(), Strategy::Mapped);
    }
    // Zeros that are the file's are not taken for its end.
    file.set_len(9_500).expect("ours");
    let mut buffer = [1; 1_300];
    assert_eq!(reader.read_at(&mut buffer, 8_200).expect("a file"), 1_300);
    assert_eq!(buffer, [0; 1_300]);
}

#[test]
fn without_the_guard_the_process_dies_of_it() {
    let test = "truncation::without_the_guard_the_process_dies_of_it";
    let (status, _) = ends(test, || {
        let temp = Temp::new();
        let path = temp.file("cut", &vec![1; MIB]);
        // It does not have to be so: by default nothing is mapped that can be cut.
        let careful = Reader::open(&path).expect("a file");
        let reckless = always().open(&path).expect("a file");
        OpenOptions::new().write(true).open(&path).expect("ours").set_len(0).expect("ours");
        assert_eq!(careful.strategy(), Strategy::Positional);
        assert_eq!(careful.read_at(&mut [0; 10], 5).expect("a file"), 0);
        drop(temp);
        let _ = reckless.read_at(&mut [0; 10], 500_000);
    });
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
}

#[test]
fn by_default_nothing_is_mapped_without_the_guard_and_again_when_it_is_covered() {
    alone(
        "truncation::by_default_nothing_is_mapped_without_the_guard_and_again_when_it_is_covered",
        || {
            let temp = Temp::new();
            let path = temp.file("large", &vec![1; 2 * MIB]);
            let strategy = || Reader::open(&path).expect("a file").strategy();
            assert_eq!((io::is_guarded(), strategy()), (false, Strategy::Positional));
            // What nobody can truncate needs no guard.
            let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_WRITE;
            let sealed = super::temp::memory(&vec![1; 2 * MIB], seals);
            let sealed = Reader::options().file(sealed).expect("a file");
            assert_eq!(sealed.strategy(), Strategy::Mapped);
            io::guard_truncation().expect("linux");
            io::guard_truncation().expect("again");
            assert_eq!((io::is_guarded(), strategy()), (true, Strategy::Mapped));
            install(libc::SIG_DFL, 0);
            assert_eq!((io::is_guarded(), strategy()), (false, Strategy::Positional));
            assert!(io::guard_truncation().is_err());
        },
    );
}

#[test]
fn a_thousand_maps_are_scanned_while_the_file_comes_and_goes() {
    alone("truncation::a_thousand_maps_are_scanned_while_the_file_comes_and_goes", || {
        io::guard_truncation().expect("linux");
        let temp = Temp::new();
        let path = temp.file("flipping", &vec![0; MIB]);
        let file = OpenOptions::new().write(true).open(&path).expect("ours");
        let (stop, lost) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    file.set_len(0).expect("ours");
                    file.set_len(MIB as u64).expect("ours");
                    // Time to map it.
                    thread::sleep(Duration::from_micros(100));
                }
            });
            let scanners: Vec<_> =
                (0..2).map(|_| scope.spawn(|| scan(&path, 600, &lost))).collect();
            for scanner in scanners {
                scanner.join().expect("no panic");
            }
            stop.store(true, Relaxed);
        });
        let stats = io::guard_stats();
        assert!(stats.hits > 0 && lost.load(Relaxed) > 0, "it never happened: {stats:?}");
        assert_eq!(stats.watched, 0);
    });
}

/// Maps the file and reads all of it, `rounds` times.
fn scan(path: &std::path::Path, rounds: usize, lost: &AtomicUsize) {
    let mut buffer = vec![0; 10_000];
    let mut mapped = 0;
    // Until it has happened: who cuts the file may be late.
    while mapped < rounds || lost.load(Relaxed) == 0 {
        let reader = always().open(path).expect("a file");
        mapped += usize::from(reader.strategy() == Strategy::Mapped);
        let mut offset = 0;
        while let count @ 1.. = reader.read_at(&mut buffer, offset).expect("a file") {
            assert!(buffer[..count].iter().all(|byte| *byte == 0));
            offset += count as u64;
        }
        assert!(offset <= MIB as u64);
        lost.fetch_add(reader.stats().lost_maps as usize, Relaxed);
    }
}

#[test]
fn threads_that_share_a_reader_all_survive() {
    io::guard_truncation().expect("linux");
    let temp = Temp::new();
    for round in 0..30 {
        let path = temp.file("shared", &vec![3; MIB]);
        let reader = always().open(&path).expect("a file");
        let file = OpenOptions::new().write(true).open(&path).expect("ours");
        let cut = AtomicBool::new(false);
        thread::scope(|scope| {
            for seed in 0..4 {
                let (reader, cut) = (&reader, &cut);
                scope.spawn(move || {
                    let mut random = Random::new(seed + 100 * round);
                    let mut buffer = [0; 5000];
                    while reader.strategy() == Strategy::Mapped {
                        let (is_cut, offset) = (cut.load(Acquire), random.below(MIB));
                        let count = reader.read_at(&mut buffer, offset as u64).expect("a file");
                        // What came is the file's, and no zero page is. But while it is cut, the system
                        // zeroes the rest of its last page under who copies it.
                        let zeroed = |at| !is_cut && (10_000..12_288).contains(&(offset + at));
                        let mut bytes = buffer[..count].iter().enumerate();
                        assert!(bytes.all(|(at, byte)| *byte == 3 || *byte == 0 && zeroed(at)));
                    }
                });
            }
            file.set_len(10_000).expect("ours");
            // Release: who sees it sees the file as it is from now on.
            cut.store(true, Release);
        });
        assert_eq!(reader.stats().lost_maps, 1);
    }
}

#[test]
fn a_child_of_fork_is_guarded_as_its_parent_is() {
    alone("truncation::a_child_of_fork_is_guarded_as_its_parent_is", || {
        io::guard_truncation().expect("linux");
        let temp = Temp::new();
        let path = temp.file("inherited", &vec![1; MIB]);
        let reader = always().open(&path).expect("a file");
        reader.read_exact_at(&mut [0; 10], 0).expect("there");
        OpenOptions::new().write(true).open(&path).expect("ours").set_len(0).expect("ours");
        // SAFETY: this process has no other thread that matters, and the child makes system calls alone.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let read = reader.read_at(&mut [0; 10], 700_000);
            let is_right = matches!(read, Ok(0)) && io::guard_stats().hits == 1;
            // SAFETY: has no preconditions.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        let mut status = -1;
        // SAFETY: `status` is borrowed for the call; the child is ours.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        assert_eq!(io::guard_stats().hits, 0);
    });
}

/// Has the system do this about SIGBUS.
fn install(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: plain integers and addresses; zero bytes are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the action is borrowed for the call, and its handler is one of those below.
    let outcome = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) };
    assert_eq!(outcome, 0);
}

/// Touches a page of somebody else's map that is gone.
fn touch_lost_page() -> u8 {
    use std::os::fd::AsRawFd;
    let temp = Temp::new();
    let path = temp.file("foreign", &[1; 8192]);
    let file = OpenOptions::new().read(true).write(true).open(&path).expect("ours");
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new mapping.
    let base = unsafe { libc::mmap(ptr::null_mut(), 8192, read, shared, file.as_raw_fd(), 0) };
    assert_ne!(base, libc::MAP_FAILED);
    file.set_len(0).expect("ours");
    drop(temp);
    FOREIGN.store(base.addr() + 4096, Relaxed);
    let page = base.cast::<u8>().wrapping_add(4096);
    // SAFETY: mapped; it faults, which is what it is for.
    unsafe { page.read_volatile() }
}

/// The page whose loss is none of the guard's business, and how often its handler was called for it.
static FOREIGN: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Somebody else's handler, which does what ours does, for its page alone.
extern "C" fn foreign(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the system's, or passed on.
    let about = unsafe { &*info };
    // SAFETY: a fault has an address.
    let address = unsafe { about.si_addr() };
    if address.addr() == FOREIGN.load(Relaxed) {
        CALLS.fetch_add(1, Relaxed);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: over a page of a mapping that is its own.
        unsafe { libc::mmap(address, 4096, libc::PROT_READ, flags, -1, 0) };
    } else {
        // SAFETY: has no preconditions.
        unsafe { libc::_exit(3) };
    }
}

extern "C" fn foreign_with_one_argument(signal: libc::c_int) {
    // SAFETY: has no preconditions.
    unsafe { libc::_exit(if signal == libc::SIGBUS { 42 } else { 1 }) };
}

#[test]
fn a_handler_that_was_there_before_is_called_for_what_is_its_own() {
    alone("truncation::a_handler_that_was_there_before_is_called_for_what_is_its_own", || {
        install(foreign as *const () as libc::sighandler_t, libc::SA_SIGINFO);
        io::guard_truncation().expect("linux");
        assert_eq!(touch_lost_page(), 0);
        assert_eq!((CALLS.load(Relaxed), io::guard_stats().hits), (1, 0));
        // And not for what is ours.
        let temp = Temp::new();
        let path = temp.file("ours", &vec![1; MIB]);
        let reader = always().open(&path).expect("a file");
        fs::write(&path, b"").expect("ours");
        assert_eq!(reader.read_at(&mut [0; 10], 99_999).expect("a file"), 0);
        assert_eq!((CALLS.load(Relaxed), io::guard_stats().hits), (1, 1));
    });
}

#[test]
fn a_handler_with_one_argument_is_called_with_one() {
    let (status, errors) =
        ends("truncation::a_handler_with_one_argument_is_called_with_one", || {
            install(foreign_with_one_argument as *const () as libc::sighandler_t, 0);
            io::guard_truncation().expect("linux");
            touch_lost_page();
        });
    assert_eq!(status.code(), Some(42), "{errors}");
}

#[test]
fn where_nobody_was_there_before_the_process_dies_as_it_would_have() {
    let test = "truncation::where_nobody_was_there_before_the_process_dies_as_it_would_have";
    let (status, errors) = ends(test, || {
        install(libc::SIG_DFL, 0);
        io::guard_truncation().expect("linux");
        touch_lost_page();
    });
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{errors}");
}

#[test]
fn a_signal_that_was_sent_is_treated_as_it_was_before() {
    let test = "truncation::a_signal_that_was_sent_is_treated_as_it_was_before";
    let (status, errors) = ends(test, || {
        install(libc::SIG_IGN, 0);
        io::guard_truncation().expect("linux");
        // SAFETY: has no preconditions.
        unsafe { libc::raise(libc::SIGBUS) };
        // A fault cannot be ignored.
        assert!(io::is_guarded());
        touch_lost_page();
    });
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{errors}");
}

#[test]
fn a_signal_that_was_sent_to_nobody_ends_the_process() {
    let test = "truncation::a_signal_that_was_sent_to_nobody_ends_the_process";
    let (status, errors) = ends(test, || {
        install(libc::SIG_DFL, 0);
        io::guard_truncation().expect("linux");
        // SAFETY: has no preconditions.
        unsafe { libc::raise(libc::SIGBUS) };
        std::process::exit(5);
    });
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{errors}");
}
