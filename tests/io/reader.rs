//! Reads at offsets: the same bytes, whichever way they come.

use super::temp::{Random, Temp};
use forthwith::io::{self, Access, Mapping, Reader, ReaderOptions, Strategy};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::thread;

/// Every way to read a file, where there is a guard.
fn ways() -> Vec<ReaderOptions> {
    let _ = io::guard_truncation();
    let mapping = [Mapping::Never, Mapping::Auto, Mapping::Always];
    let access = [Access::Any, Access::Random, Access::Sequential, Access::Once];
    let all = mapping.into_iter().flat_map(|mapping| access.map(|access| (mapping, access)));
    all.map(|(mapping, access)| Reader::options().mapping(mapping).access(access)).collect()
}

/// What `std` reads there.
fn expected(bytes: &[u8], offset: u64, len: usize) -> &[u8] {
    let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
    &bytes[start..bytes.len().min(start.saturating_add(len))]
}

/// Reads at random places of a file that holds `bytes`, some of them beyond its end.
fn check(reader: &Reader, bytes: &[u8], seed: u64, rounds: usize) {
    let mut random = Random::new(seed);
    let mut buffer = vec![0; 70_000];
    for _ in 0..rounds {
        let offset = random.below(bytes.len() + bytes.len() / 8 + 100) as u64;
        let most = [1, 64, 600, 5000, 70_000][random.below(5)];
        let len = random.below(most + 1);
        let wanted = expected(bytes, offset, len);
        buffer[..len].fill(0xAA);
        let count = reader.read_at(&mut buffer[..len], offset).expect("a file");
        assert_eq!(buffer[..count], *wanted, "{len} at {offset} of {}", bytes.len());
        let exact = reader.read_exact_at(&mut buffer[..len], offset);
        match exact {
            Ok(()) => assert_eq!(buffer[..len], *wanted),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                assert!(wanted.len() < len);
            }
        }
    }
}

#[test]
fn reads_equal_what_was_written_in_every_way() {
    let temp = Temp::new();
    let mut random = Random::new(1);
    for len in [0, 1, 63, 4095, 4096, 4097, 100_000, (1 << 20) + 3] {
        let bytes = random.bytes(len);
        let path = temp.file("bytes", &bytes);
        for options in ways() {
            let reader = options.open(&path).expect("a file");
            assert_eq!(reader.len(), len as u64);
            check(&reader, &bytes, len as u64, 200);
        }
    }
}

#[test]
fn strategies_are_what_was_asked_for() {
    let temp = Temp::new();
    let (small, large) = (temp.file("small", &[1; 1000]), temp.file("large", &vec![1; 1 << 20]));
    let is_guarded = io::guard_truncation().is_ok();
    assert_eq!(io::is_guarded(), is_guarded);
    let strategy =
        |path: &Path, options: ReaderOptions| options.open(path).expect("a file").strategy();
    let options = Reader::options();
    assert_eq!(strategy(&small, options), Strategy::Positional);
    assert_eq!(strategy(&small, options.mapping(Mapping::Always)), Strategy::Mapped);
    assert_eq!(strategy(&large, options.mapping(Mapping::Never)), Strategy::Positional);
    let mapped = if is_guarded { Strategy::Mapped } else { Strategy::Positional };
    assert_eq!(strategy(&large, options), mapped);
    assert_eq!(strategy(&large, options.map_above((1 << 20) + 1)), Strategy::Positional);
    assert_eq!(strategy(&small, options.map_above(1000)), mapped);
    assert_eq!(strategy(&small, options.map_above(0).populate(true)), mapped);
    let once = options.access(Access::Once);
    assert_eq!(strategy(&large, once), Strategy::Positional);
    assert_eq!(strategy(&temp.file("huge", &vec![1; 4 << 20]), once), mapped);
}

#[test]
fn many_threads_read_one_file_at_once() {
    let temp = Temp::new();
    let bytes = Random::new(2).bytes(3 << 20);
    let path = temp.file("shared", &bytes);
    for options in ways() {
        let reader = options.open(&path).expect("a file");
        thread::scope(|scope| {
            for seed in 0..6 {
                let (reader, bytes) = (&reader, &bytes);
                scope.spawn(move || check(reader, bytes, seed, 60));
            }
        });
        let stats = reader.stats();
        assert!(stats.reads() >= 6 * 60 && stats.bytes() > 0);
    }
}

#[test]
fn an_empty_file_has_nothing_to_read() {
    let temp = Temp::new();
    let path = temp.file("empty", &[]);
    for options in ways() {
        let reader = options.open(&path).expect("a file");
        assert_eq!((reader.strategy(), reader.len()), (Strategy::Positional, 0));
        assert_eq!(reader.read_at(&mut [0; 10], 0).expect("a file"), 0);
        let error = reader.read_exact_at(&mut [0; 10], 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(io::read_into(&path, &mut vec![7; 9]).expect("a file"), 0);
    }
}

#[test]
fn offsets_beyond_every_file_and_buffers_of_nothing_are_no_errors() {
    let temp = Temp::new();
    let path = temp.file("bytes", &[5; 10_000]);
    for options in ways() {
        let reader = options.open(&path).expect("a file");
        let top = i64::MAX as u64;
        for offset in [10_000, 10_001, 1 << 40, top - 1, top, top + 1, u64::MAX - 5, u64::MAX] {
            assert_eq!(reader.read_at(&mut [0; 100], offset).expect("the end"), 0, "{offset}");
            assert_eq!(reader.read_at(&mut [], offset).expect("nothing"), 0);
            let error = reader.read_exact_at(&mut [0; 100], offset).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            match reader.try_read_at(&mut [0; 100], offset) {
                Ok(count) => assert_eq!(count, 0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
            }
        }
        for offset in [0, 5, 9_999] {
            assert_eq!(reader.read_at(&mut [], offset).expect("nothing"), 0);
            reader.read_exact_at(&mut [], offset).expect("nothing");
        }
    }
}

#[test]
fn a_file_that_grows_is_read_to_its_new_end() {
    let temp = Temp::new();
    let mut bytes = Random::new(3).bytes(10_000);
    let path = temp.file("growing", &bytes);
    for options in ways() {
        let mut reader = options.open(&path).expect("a file");
        let before = bytes.len() as u64;
        let more = Random::new(before).bytes(50_000);
        let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(&more).expect("room");
        bytes.extend(more);
        assert_eq!(reader.len(), before);
        check(&reader, &bytes, 4, 100);
        let strategy = reader.strategy();
        assert_eq!(reader.refresh().expect("a file"), bytes.len() as u64);
        assert_eq!((reader.len(), reader.strategy()), (bytes.len() as u64, strategy));
        check(&reader, &bytes, 5, 100);
    }
}

#[test]
fn a_file_that_is_deleted_or_replaced_stays_what_it_was() {
    let temp = Temp::new();
    let bytes = Random::new(6).bytes(100_000);
    for options in ways() {
        let path = temp.file("deleted", &bytes);
        let mut reader = options.open(&path).expect("a file");
        fs::remove_file(&path).expect("it is there");
        temp.file("deleted", b"something else");
        check(&reader, &bytes, 7, 50);
        assert_eq!(reader.refresh().expect("open"), 100_000);
        check(&reader, &bytes, 8, 50);
    }
}

#[test]
fn a_file_that_may_only_be_read_is_read() {
    let temp = Temp::new();
    let path = temp.file("read-only", &[9; 5000]);
    let mut permissions = fs::metadata(&path).expect("a file").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).expect("ours");
    for options in ways() {
        check(&options.open(&path).expect("a file"), &[9; 5000], 9, 30);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_proc_are_read_although_they_have_no_length() {
    let expected = fs::read_to_string("/proc/self/limits").expect("linux");
    for options in ways() {
        let reader = options.open("/proc/self/limits").expect("linux");
        assert_eq!((reader.strategy(), reader.len()), (Strategy::Positional, 0));
        let mut bytes = vec![0; 10_000];
        let mut len = 0;
        while let count @ 1.. = reader.read_at(&mut bytes[len..], len as u64).expect("linux") {
            len += count;
        }
        assert_eq!(bytes[..len], *expected.as_bytes());
    }
    let mut text = Vec::new();
    let count = io::read_into("/proc/self/limits", &mut text).expect("linux");
    assert_eq!((count, &text[..]), (expected.len(), expected.as_bytes()));
    assert!(io::read_into("/proc/self/maps", &mut text).expect("linux") > 1000);
}

#[test]
fn whole_files_are_read_into_a_buffer_that_is_used_again() {
    let temp = Temp::new();
    let mut random = Random::new(10);
    let mut out = Vec::new();
    for len in [0, 1, 100, 4095, 4096, 4097, 300_000, 17] {
        let bytes = random.bytes(len);
        let path = temp.file("whole", &bytes);
        assert_eq!(io::read_into(&path, &mut out).expect("a file"), len);
        assert_eq!(out, bytes);
    }
    let capacity = out.capacity();
    assert!(capacity > 300_000);
    io::read_into(temp.file("small", &[1; 1000]), &mut out).expect("a file");
    assert_eq!((out.len(), out.capacity()), (1000, capacity));
    let error = io::read_into(temp.path().join("none"), &mut out).unwrap_err();
    assert_eq!((error.kind(), out.len()), (ErrorKind::NotFound, 0));
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn whole_files_that_change_meanwhile_are_read_to_some_end_of_theirs() {
    let temp = Temp::new();
    let path = temp.file("changing", &vec![7; 200_000]);
    let file = OpenOptions::new().write(true).open(&path).expect("a file");
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            for round in 0..2_000 {
                file.set_len(if round % 2 == 0 { 3 } else { 200_000 }).expect("room");
            }
        });
        let mut out = Vec::new();
        while !changing.is_finished() {
            let count = io::read_into(&path, &mut out).expect("a file");
            assert!(count == out.len() && (3..=200_000).contains(&count), "{count}");
            assert_eq!(out[..3], [7; 3]);
        }
    });
}

#[test]
fn what_is_prefetched_or_in_memory_reads_the_same() {
    let temp = Temp::new();
    let bytes = Random::new(11).bytes(1 << 20);
    let path = temp.file("cold", &bytes);
    File::open(&path).expect("a file").sync_all().expect("a disk");
    for options in ways() {
        let reader = options.open(&path).expect("a file");
        let ranges = [0..4096, 900_000..950_000, 5..5, 7_000_000..8_000_000, 10..u64::MAX];
        match reader.prefetch(&ranges) {
            Ok(()) => {
                assert_eq!(reader.stats().prefetched_ranges, 4);
                assert!(reader.stats().prefetched_bytes >= 54_096 + 1_000_000);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
        }
        let _ = reader.advise(Access::Random);
        let (mut hits, mut misses) = (0, 0);
        for offset in (0..1 << 20).step_by(100_000) {
            let mut buffer = [0; 5000];
            match reader.try_read_at(&mut buffer, offset) {
                Ok(count) => {
                    hits += 1;
                    assert!(count > 0);
                    assert_eq!(buffer[..count], *expected(&bytes, offset, count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => misses += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
            }
        }
        let stats = reader.stats();
        assert_eq!((stats.try_hits, stats.try_misses), (hits, misses));
        check(&reader, &bytes, 12, 50);
    }
}

/// In any order, overlapping, more than are asked for ahead, and nothing at all.
#[test]
fn a_batch_fills_every_buffer_from_its_offset() {
    let temp = Temp::new();
    let mut random = Random::new(17);
    let bytes = random.bytes(8 << 20);
    let path = temp.file("batch", &bytes);
    File::open(&path).expect("a file").sync_all().expect("a disk");
    for options in ways() {
        for count in [0, 1, 2, 63, 64, 65, 128, 129, 300] {
            let reader = options.open(&path).expect("a file");
            drop_cached(reader.as_file());
            let lens = [0, 1, 64, 4096, 100_000];
            let mut buffers: Vec<Vec<u8>> =
                (0..count).map(|_| vec![0xAA; lens[random.below(5)]]).collect();
            let offsets: Vec<u64> =
                buffers.iter().map(|it| random.below(bytes.len() - it.len()) as u64).collect();
            let mut reads: Vec<_> =
                offsets.iter().copied().zip(buffers.iter_mut().map(Vec::as_mut_slice)).collect();
            reader.read_batch(&mut reads).expect("all of it is there");
            for (offset, buffer) in offsets.iter().zip(&buffers) {
                assert_eq!(buffer, expected(&bytes, *offset, buffer.len()), "at {offset}");
            }
            let stats = reader.stats();
            let filled = buffers.iter().filter(|buffer| !buffer.is_empty()).count() as u64;
            let wanted: usize = buffers.iter().map(Vec::len).sum();
            assert!(stats.positional_reads >= filled);
            assert_eq!(stats.positional_bytes, wanted as u64);
            let asked = if cfg!(target_os = "linux") { filled } else { 0 };
            assert_eq!(stats.prefetched_ranges, asked);
        }
    }
}

#[test]
fn a_batch_beyond_the_end_says_so_wherever_it_is() {
    let temp = Temp::new();
    let path = temp.file("bytes", &[5; 10_000]);
    for options in ways() {
        let reader = options.open(&path).expect("a file");
        for beyond in [9_001, 10_000, 1 << 40, i64::MAX as u64, u64::MAX - 5, u64::MAX] {
            for place in [0, 1, 63, 64, 99] {
                let mut buffers = vec![[0; 1000]; 100];
                let mut reads: Vec<_> =
                    buffers.iter_mut().map(|buffer| (9_000, buffer.as_mut_slice())).collect();
                reads[place].0 = beyond;
                let error = reader.read_batch(&mut reads).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{beyond}, {place}th");
                // Nothing is never beyond the end.
                reads[place].1 = &mut [];
                reader.read_batch(&mut reads).expect("the others are there");
                assert_eq!(buffers[(place + 1) % 100], [5; 1000]);
            }
        }
    }
}

/// Asks the system to forget what is clean and not mapped. Where there is no disk below, it stays.
#[cfg(target_os = "linux")]
fn drop_cached(file: &File) {
    use std::os::fd::AsRawFd;
    // SAFETY: integers.
    let outcome = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    assert_eq!(outcome, 0);
}

#[cfg(not(target_os = "linux"))]
fn drop_cached(_: &File) {}

#[cfg(target_os = "linux")]
#[test]
fn a_try_finds_what_was_read_and_misses_what_was_dropped() {
    use std::os::fd::AsRawFd;
    let temp = Temp::new();
    let bytes = Random::new(13).bytes(4 << 20);
    let path = temp.file("cache", &bytes);
    let reader = Reader::options().access(Access::Random).open(&path).expect("a file");
    let mut buffer = [0; 4096];
    let mut tries = 0..1000;
    let first = loop {
        // From the device, if somebody has asked for the memory: then it is cached again.
        assert_eq!(reader.read_at(&mut buffer, 0).expect("a file"), 4096);
        match reader.try_read_at(&mut buffer, 0) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && tries.next().is_some() => {}
            outcome => break outcome,
        }
    };
    match first {
        Ok(count) => assert_eq!(buffer[..count], bytes[..count]),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            return;
        }
    }
    assert_eq!(reader.stats().try_hits, 1);
    drop(reader);
    let file = File::open(&path).expect("a file");
    file.sync_all().expect("a disk");
    // SAFETY: integers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
    drop_cached(&file);
    let reader = Reader::options().mapping(Mapping::Never).open(&path).expect("a file");
    let tries = (0..64_u64).map(|page| page * 65_536);
    let misses = tries.filter(|offset| reader.try_read_at(&mut [0; 100], *offset).is_err()).count();
    assert_eq!(reader.stats().try_misses, misses as u64);
    assert_eq!(reader.stats().try_hits, 64 - misses as u64);
    check(&reader, &bytes, 14, 50);
}

#[test]
fn each_way_is_counted() {
    let temp = Temp::new();
    let path = temp.file("counted", &[1; 10_000]);
    for options in ways() {
        let reader = options.open(&path).expect("a file");
        for _ in 0..10 {
            reader.read_exact_at(&mut [0; 100], 50).expect("there");
        }
        let stats = reader.stats();
        assert_eq!((stats.reads(), stats.bytes()), (10, 1000));
        let (mapped, bytes) = match reader.strategy() {
            Strategy::Mapped => (10, 10_000),
            _ => (0, 0),
        };
        assert_eq!((stats.mapped_reads, stats.map_bytes), (mapped, bytes));
        reader.read_at(&mut [0; 100], 9_950).expect("a file");
        let later = reader.stats() - stats;
        assert_eq!((later.positional_reads, later.bytes()), (1, 50));
        assert!(stats.to_string().contains("mapped_reads="));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn slices_are_for_files_that_nobody_can_change() {
    let bytes = Random::new(15).bytes(2 << 20);
    let memory = |seals| super::temp::memory(&bytes, seals);
    let sealed = || memory(libc::F_SEAL_SHRINK | libc::F_SEAL_WRITE);
    for options in ways() {
        let reader = options.file(sealed()).expect("a file");
        assert_eq!(reader.slice(0..2 << 20), Some(&bytes[..]));
        assert_eq!(reader.slice(100..5000), Some(&bytes[100..5000]));
        assert_eq!(reader.slice(7..7), Some(&bytes[7..7]));
        for range in [0..(2 << 20) + 1, u64::MAX - 1..u64::MAX] {
            assert_eq!(reader.slice(range), None);
        }
        #[allow(clippy::reversed_empty_ranges, reason = "bad input")]
        let reversed = reader.slice(9..3);
        assert_eq!(reversed, None);
        check(&reader, &bytes, 16, 50);
        for seals in [0, libc::F_SEAL_SHRINK, libc::F_SEAL_WRITE] {
            let reader = options.file(memory(seals)).expect("a file");
            assert_eq!(reader.slice(0..10), None);
        }
    }
    let temp = Temp::new();
    let reader = Reader::open(temp.file("ordinary", &bytes)).expect("a file");
    assert_eq!(reader.slice(0..10), None);
}

#[test]
fn unchecked_slices_are_of_what_is_mapped() {
    let temp = Temp::new();
    let bytes = Random::new(17).bytes(50_000);
    let path = temp.file("sliced", &bytes);
    for options in ways() {
        let reader = options.open(&path).expect("a file");
        // SAFETY: nobody changes the file.
        let slice = |range| unsafe { reader.slice_unchecked(range) };
        if reader.strategy() == Strategy::Mapped {
            assert_eq!(slice(10..49_999).expect("mapped"), &bytes[10..49_999]);
            assert_eq!(slice(10..50_001).unwrap_err().kind(), ErrorKind::UnexpectedEof);
            assert_eq!(slice(5..u64::MAX).unwrap_err().kind(), ErrorKind::UnexpectedEof);
            #[allow(clippy::reversed_empty_ranges, reason = "bad input")]
            let reversed = slice(9..3);
            assert_eq!(reversed.unwrap_err().kind(), ErrorKind::InvalidInput);
        } else {
            assert_eq!(slice(10..20).unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}

#[test]
fn large_reads_of_a_map_go_to_the_file_unless_its_pages_come_by_themselves() {
    let temp = Temp::new();
    let path = temp.file("large", &vec![1; 100_000]);
    let mapped = Reader::options().mapping(Mapping::Always);
    let ways = [(mapped, 1), (mapped.populate(true), 2), (mapped.access(Access::Sequential), 2)];
    for (options, expected) in ways {
        let reader = options.open(&path).expect("a file");
        assert_eq!(reader.read_at(&mut vec![0; 16 << 10], 5).expect("a file"), 16 << 10);
        assert_eq!(
            reader.read_at(&mut vec![0; (16 << 10) + 1], 5).expect("a file"),
            (16 << 10) + 1
        );
        assert_eq!(reader.stats().mapped_reads, expected);
        assert_eq!(reader.stats().reads(), 2);
    }
}

#[test]
fn readers_travel_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Reader>();
    check::<io::Files>();
    check::<ReaderOptions>();
}
