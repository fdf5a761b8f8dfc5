//! Readers of files.

use super::allocations;
use super::scratch::Scratch;
use forthwith::io::{Access, Mapping, Reader, Strategy};
use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom};

/// A file of a MiB.
fn file(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    std::fs::write(&scratch.0, vec![7; 1 << 20]).expect("written");
    scratch
}

#[test]
fn hot_reads_allocate_nothing() {
    let ways = [(Mapping::Never, Strategy::Positional), (Mapping::Always, Strategy::Mapped)];
    for (mapping, strategy) in ways {
        let scratch = file("reader");
        let reader = Reader::options().access(Access::Random).mapping(mapping).map_above(0);
        let mut reader = reader.open(&scratch.0).expect("opened");
        assert_eq!(reader.strategy(), strategy);
        let mut buffer = [0; 4096];
        let mut offset = 0;
        let count = allocations(|| {
            offset = (offset + 4099) % (1 << 19);
            assert_eq!(reader.read_at(black_box(&mut buffer[..64]), offset).expect("read"), 64);
            assert_eq!(reader.read_at(black_box(&mut buffer), offset).expect("read"), 4096);
            let _ = reader.try_read_at(&mut buffer, offset);
            let range = offset..offset + 4096;
            let _ = reader.prefetch(std::slice::from_ref(&range));
            let (one, two) = buffer.split_at_mut(64);
            reader.read_batch(&mut [(offset, one), (0, two)]).expect("read");
        });
        assert_eq!(count, 0, "{strategy:?}");
        let count = allocations(|| {
            reader.seek(SeekFrom::Start(0)).expect("there");
            reader.read_exact(&mut buffer).expect("read");
        });
        assert_eq!(count, 0, "{strategy:?}, one after the other");
        assert_eq!(buffer, [7; 4096]);
    }
}
