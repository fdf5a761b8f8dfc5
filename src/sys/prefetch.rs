//! A hint to the processor: this memory will be written soon.

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
