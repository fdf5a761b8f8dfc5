//! Hints to the processor: this memory will be written, or read, soon.

/// Asks for the cache line at `address`, to be written, without waiting for it. Nothing happens where the
/// processor has no such instruction, or the address is no memory of ours.
#[inline]
pub(crate) fn prefetch_for_writing<T>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint: it reads and writes nothing, and an address that is not mapped is not an error.
    unsafe {
        std::arch::asm!(
            "prefetchw [{}]",
            in(reg) address,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

/// Asks for the cache lines of `len` bytes, to be read, without waiting for them. Nothing happens where the
/// processor has no such instruction, or the memory is not there: it is not brought from a file.
#[inline]
#[cfg_attr(not(feature = "io"), allow(dead_code, reason = "for the components that use it"))]
pub(crate) fn prefetch_for_reading(start: *const u8, len: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for at in (0..len).step_by(64) {
        // SAFETY: a hint: it reads and writes nothing, and an address that is not mapped is not an error.
        unsafe {
            std::arch::asm!(
                "prefetcht0 [{}]",
                in(reg) start.wrapping_add(at),
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (start, len);
}
