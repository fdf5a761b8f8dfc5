//! What `io` promises about files: the contract, bad input, and what others do to a file meanwhile.

mod bad_input;
#[cfg(unix)]
#[path = "../shared/child.rs"]
mod child;
mod files;
mod frames;
#[path = "../shared/fresh.rs"]
mod fresh;
#[path = "../shared/patience.rs"]
mod patience;
mod reader;
mod sequential;
mod temp;
#[cfg(target_os = "linux")]
mod truncation;
mod writer;
