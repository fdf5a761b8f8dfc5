//! Where there is no guard: nothing can be watched, and everybody is told so.

use std::io;

pub(super) fn install() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn is_installed() -> bool {
    false
}

pub(super) fn is_ready() -> bool {
    false
}
