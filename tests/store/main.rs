//! The public contract of `store`'s storages: real files and the simulated disk.

mod beds;
mod contract;
mod crash;
mod directory;
mod enumeration;
mod faults;
#[path = "../shared/fresh.rs"]
mod fresh;
mod model;
