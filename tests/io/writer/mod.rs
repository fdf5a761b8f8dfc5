//! Writers: what is in the file afterwards, how safe it is, and what became of it when it is not.

mod append;
mod contents;
mod faults;
mod flushing;
mod levels;
mod refused;
mod stats;

use super::temp::{Random, Temp};
use forthwith::io::{Writer, WriterBuilder};

/// A builder of small batches, so that little data crosses many edges.
fn small() -> WriterBuilder {
    Writer::builder().batch_bytes(64)
}

/// Random bytes, fewer than `bound`.
fn piece(random: &mut Random, bound: usize) -> Vec<u8> {
    let len = random.below(bound);
    random.bytes(len)
}
