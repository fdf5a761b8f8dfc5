//! Power cuts on a simulated disk: all there can be for small logs, and very many for larger ones.

mod exhaustive;
pub(crate) mod oracle;
mod random;
mod recovery;
