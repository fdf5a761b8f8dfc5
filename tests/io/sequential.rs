//! `Read`, `BufRead` and `Seek`: what `std`'s readers do, over files and streams.

use super::temp::{Random, Temp};
use forthwith::io::{self, Access, Mapping, Reader, ReaderOptions, Strategy};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Buffers of many sizes; mapped or not, to be read in any order, or from front to back.
fn ways() -> Vec<ReaderOptions> {
    let _ = io::guard_truncation();
    let sizes = [1, 7, 4096, 64 << 10].map(|bytes| Reader::options().buffer_bytes(bytes));
    let mapped = sizes.map(|options| options.mapping(Mapping::Always));
    let scanned = mapped.map(|options| options.access(Access::Sequential));
    [sizes, mapped, scanned].concat()
}

#[test]
fn any_mix_of_reads_and_seeks_is_that_of_a_cursor() {
    let temp = Temp::new();
    let bytes = Random::new(1).bytes(150_000);
    let path = temp.file("mixed", &bytes);
    for (seed, options) in ways().into_iter().enumerate() {
        let mut random = Random::new(seed as u64);
        let (mut reader, mut model) = (options.open(&path).expect("a file"), Cursor::new(&bytes));
        for _ in 0..1_500 {
            step(&mut random, &mut reader, &mut model);
            assert_eq!(reader.position(), model.position());
            assert_eq!(reader.stream_position().expect("a file"), model.position());
        }
    }
}

#[test]
fn what_is_in_memory_is_scanned_there() {
    let is_guarded = io::guard_truncation().is_ok();
    let temp = Temp::new();
    let bytes = Random::new(2).bytes((5 << 20) + 777);
    let path = temp.file("scanned", &bytes);
    for access in [Access::Any, Access::Random, Access::Sequential, Access::Once] {
        let mut reader = Reader::options().access(access).open(&path).expect("a file");
        let mut found = Vec::new();
        while let piece @ [_, ..] = reader.fill_buf().expect("a file") {
            found.extend_from_slice(piece);
            let count = piece.len();
            reader.consume(count);
        }
        assert!(found == bytes, "{access:?}");
        let stats = reader.stats();
        assert_eq!(stats.bytes(), bytes.len() as u64);
        let is_mapped = is_guarded && matches!(access, Access::Sequential | Access::Once);
        assert_eq!(stats.mapped_reads > 0, is_mapped, "{access:?}: {stats:?}");
        assert!(stats.positional_reads > 0, "the last piece, because the file may have grown");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_scanned_by_the_page_and_zeros_by_the_buffer() {
    const PAGE: usize = 4096;
    io::guard_truncation().expect("linux");
    let temp = Temp::new();
    // Four pages, of which the third ends in zeros; some more of zeros; two; and a part of one.
    let mut bytes = vec![1; 26 * PAGE + 100];
    bytes[3 * PAGE - 10..3 * PAGE].fill(0);
    bytes[4 * PAGE..24 * PAGE].fill(0);
    let path = temp.file("pages", &bytes);
    let options = Reader::options().access(Access::Sequential).mapping(Mapping::Always);
    let mut reader = options.buffer_bytes(8 * PAGE).open(&path).expect("a file");
    reader.seek(SeekFrom::Start(5)).expect("a file");
    let mut at = 5;
    let mut lens = Vec::new();
    while let piece @ [_, ..] = reader.fill_buf().expect("a file") {
        assert_eq!(*piece, bytes[at..at + piece.len()]);
        lens.push(piece.len());
        at += piece.len();
        let count = piece.len();
        reader.consume(count);
    }
    let buffer = 8 * PAGE;
    let pieces = [PAGE - 5, PAGE, 2 * PAGE, buffer, buffer, 5 * PAGE, PAGE, 100];
    assert_eq!((at, &lens[..]), (bytes.len(), &pieces[..]));
    let stats = reader.stats();
    // The part of a page, because the file may have grown, and the end.
    assert_eq!((stats.mapped_reads, stats.positional_reads), (7, 2));
}

/// Does one thing to both.
fn step(random: &mut Random, reader: &mut Reader, model: &mut Cursor<&Vec<u8>>) {
    let most = [10, 300, 70_000][random.below(3)];
    let len = random.below(most);
    let far = random.below(200_000).cast_signed() as i64 - 100_000;
    match random.below(8) {
        0 | 1 => {
            let (mut got, mut wanted) = (vec![0; len], vec![0; len]);
            // The reader may be short; the model is not but at the end.
            let count = reader.read(&mut got).expect("a file");
            model.read_exact(&mut wanted[..count]).expect("it read more");
            assert_eq!(got[..count], wanted[..count]);
            assert!(count > 0 || len == 0 || model.get_ref().len() as u64 <= model.position());
        }
        2 => {
            let (mut got, mut wanted) = (vec![0; len], vec![0; len]);
            let position = model.position();
            let outcomes = (reader.read_exact(&mut got), model.read_exact(&mut wanted));
            assert_eq!(outcomes.0.is_ok(), outcomes.1.is_ok());
            if outcomes.0.is_err() {
                // Where a failed read ends is nobody's promise.
                reader.seek(SeekFrom::Start(position)).expect("a file");
                model.set_position(position);
            } else {
                assert_eq!(got, wanted);
            }
        }
        3 => {
            let available = reader.fill_buf().expect("a file").to_vec();
            assert!(model.fill_buf().expect("memory").starts_with(&available));
            let consumed = random.below(available.len() + 1);
            reader.consume(consumed);
            model.consume(consumed);
        }
        4 => seek(reader, model, SeekFrom::Start(random.below(170_000) as u64)),
        5 => seek(reader, model, SeekFrom::Current(far)),
        6 => seek(reader, model, SeekFrom::End(far)),
        _ => {
            let outcomes = (reader.seek_relative(far / 50), model.seek_relative(far / 50));
            assert_eq!(outcomes.0.is_ok(), outcomes.1.is_ok());
        }
    }
}

fn seek(reader: &mut Reader, model: &mut Cursor<&Vec<u8>>, to: SeekFrom) {
    match (reader.seek(to), model.seek(to)) {
        (Ok(got), Ok(wanted)) => assert_eq!(got, wanted),
        (Err(got), Err(_)) => assert_eq!(got.kind(), ErrorKind::InvalidInput),
        (got, wanted) => panic!("{got:?} where a cursor says {wanted:?}"),
    }
}

#[test]
fn a_seek_to_before_the_start_is_refused_and_nothing_moves() {
    let temp = Temp::new();
    let mut reader = Reader::open(temp.file("bytes", b"0123456789")).expect("a file");
    let mut two = [0; 2];
    reader.read_exact(&mut two).expect("there");
    for to in [SeekFrom::Current(-3), SeekFrom::End(-11), SeekFrom::Current(i64::MIN)] {
        assert_eq!(reader.seek(to).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(reader.position(), 2);
    }
    assert_eq!(reader.seek_relative(-3).unwrap_err().kind(), ErrorKind::InvalidInput);
    reader.read_exact(&mut two).expect("there");
    assert_eq!(&two, b"23");
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).expect("allowed"), u64::MAX);
    assert_eq!(reader.seek(SeekFrom::Current(1)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(reader.read(&mut two).expect("nothing there"), 0);
    assert_eq!(reader.fill_buf().expect("nothing there"), b"");
}

#[test]
fn lines_are_those_of_std() {
    let temp = Temp::new();
    let lines: Vec<_> =
        (0..5_000).map(|line| format!("{line}: {}", "é".repeat(line % 97))).collect();
    let text = lines.join("\n");
    let path = temp.file("lines", text.as_bytes());
    let expected: Vec<_> = BufReader::new(File::open(&path).expect("a file")).lines().collect();
    for options in ways() {
        let lines = options.open(&path).expect("a file").lines();
        for (line, expected) in lines.zip(&expected) {
            assert_eq!(&line.expect("text"), expected.as_ref().expect("text"));
        }
    }
}

#[test]
fn the_rest_is_read_to_its_end() {
    let temp = Temp::new();
    let bytes = Random::new(2).bytes(100_000);
    let path = temp.file("rest", &bytes);
    for options in ways() {
        let mut reader = options.open(&path).expect("a file");
        let mut out = b"kept".to_vec();
        reader.read_exact(&mut [0; 10]).expect("there");
        assert_eq!(reader.read_to_end(&mut out).expect("a file"), 99_990);
        assert_eq!((&out[..4], &out[4..]), (&b"kept"[..], &bytes[10..]));
        assert_eq!(reader.read_to_end(&mut out).expect("nothing more"), 0);
        // It ended; it may go on.
        let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
        file.write_all(b"more").expect("room");
        let mut more = String::new();
        reader.read_to_string(&mut more).expect("text");
        assert_eq!(more, "more");
        file.set_len(100_000).expect("ours");
    }
}

#[test]
fn a_reader_of_a_file_goes_on_where_its_cursor_is() {
    let temp = Temp::new();
    let path = temp.file("cursor", b"0123456789");
    let mut file = File::open(&path).expect("a file");
    file.seek(SeekFrom::Start(6)).expect("a file");
    let mut reader = Reader::options().file(file).expect("a file");
    assert_eq!(reader.position(), 6);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "6789");
    let mut first = [0; 2];
    reader.read_exact_at(&mut first, 0).expect("there");
    assert_eq!(&first, b"01");
}

#[test]
fn what_is_buffered_is_forgotten_when_it_is_asked_for_again() {
    let temp = Temp::new();
    let path = temp.file("changed", b"old old old");
    let mut reader = Reader::open(&path).expect("a file");
    let mut three = [0; 3];
    reader.read_exact(&mut three).expect("there");
    std::fs::write(&path, b"new new new").expect("ours");
    reader.seek(SeekFrom::Start(0)).expect("a file");
    reader.read_exact(&mut three).expect("there");
    assert_eq!(&three, b"new");
    std::fs::write(&path, b"NEW NEW").expect("ours");
    assert_eq!(reader.refresh().expect("a file"), 7);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, " NEW");
}

#[test]
fn a_buffer_is_allocated_by_the_first_read_that_needs_it() {
    let temp = Temp::new();
    let path = temp.file("bytes", &[1; 1000]);
    let absurd = Reader::options().buffer_bytes(usize::MAX / 2 - 100);
    let mut reader = absurd.open(&path).expect("nothing is allocated yet");
    reader.read_exact_at(&mut [0; 10], 0).expect("no buffer in between");
    assert_eq!(reader.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!(reader.fill_buf().unwrap_err().kind(), ErrorKind::OutOfMemory);
    assert_eq!(reader.position(), 0);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_as_it_comes() {
    use std::os::fd::OwnedFd;
    let bytes = Random::new(3).bytes(300_000);
    for options in ways() {
        let (from, mut to) = std::io::pipe().expect("two descriptors");
        std::thread::scope(|scope| {
            let bytes = &bytes;
            scope.spawn(move || to.write_all(bytes).expect("somebody reads"));
            let mut reader = options.file(File::from(OwnedFd::from(from))).expect("a pipe");
            assert_eq!((reader.strategy(), reader.len()), (Strategy::Stream, 0));
            let mut first = vec![0; 1000];
            reader.read_exact(&mut first).expect("there");
            assert_eq!(first, bytes[..1000]);
            assert_eq!(reader.stream_position().expect("no move"), 1000);
            let seeks = [SeekFrom::Start(0), SeekFrom::Current(-1), SeekFrom::End(0)];
            for to in seeks {
                assert_eq!(reader.seek(to).unwrap_err().kind(), ErrorKind::NotSeekable);
            }
            assert!(reader.seek_relative(-5).is_err());
            let refused = [
                reader.read_at(&mut [0; 5], 0).unwrap_err(),
                reader.read_at(&mut [], 0).unwrap_err(),
                reader.try_read_at(&mut [0; 5], 0).unwrap_err(),
                reader.prefetch(&[]).unwrap_err(),
                reader.read_batch(&mut []).unwrap_err(),
            ];
            assert!(refused.iter().all(|error| error.kind() == ErrorKind::NotSeekable));
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).expect("a pipe");
            assert_eq!(rest, bytes[1000..]);
            assert_eq!(reader.position(), 300_000);
            assert_eq!(reader.read(&mut [0; 5]).expect("the end"), 0);
            assert_eq!(reader.stats().stream_bytes, 300_000);
        });
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_opened_by_its_path() {
    use std::os::unix::ffi::OsStrExt;
    let temp = Temp::new();
    let fifo = |name: &str| {
        let path = temp.path().join(name);
        let name = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("no zeros");
        // SAFETY: a name that ends.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        path
    };
    // Two, because a fork of another test's thread may hold the end that was read for a moment.
    let (path, other) = (fifo("pipe"), fifo("other"));
    let write = |path: &Path| {
        let mut to = OpenOptions::new().write(true).open(path).expect("a pipe");
        to.write_all(b"one\ntwo\n").expect("somebody reads");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write(&path));
        let lines: Result<Vec<_>, _> = Reader::open(&path).expect("a pipe").lines().collect();
        assert_eq!(lines.expect("text"), ["one", "two"]);
        scope.spawn(|| write(&other));
        let mut text = Vec::new();
        assert_eq!(io::read_into(&other, &mut text).expect("a pipe"), 8);
        assert_eq!(text, b"one\ntwo\n");
    });
}
