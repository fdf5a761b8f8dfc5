//! Copying out of memory that anybody may change, or truncate away, at any moment.
//!
//! A shared mapping of a file is written by whoever has the file open, in this process or another. A
//! reference to such bytes is undefined behaviour, and so is a plain copy of them, which the compiler may
//! split, repeat or move. Here every byte is loaded exactly once, by instructions that the compiler does
//! not look into, or by atomic loads. What comes out may be torn, as it may be by `read(2)`.
//!
//! | length | x86-64 | elsewhere |
//! |---|---|---|
//! | to 64 | the first half and the last, overlapping | words, atomically |
//! | to 511 | 64 bytes a round, the last round overlapping | words, atomically |
//! | 512 and more | `rep movsb` | words, atomically |
//!
//! Measured on one machine (EPYC, `fsrm`), at random places of 512 KiB / 1 GiB, in ns:
//!
//! | bytes | `memcpy` | 64 a round | `rep movsb` | words |
//! |---|---|---|---|---|
//! | 64 | 4 / 61 | 7 / 52 | 17 / 125 | 10 / 76 |
//! | 512 | 20 / 156 | 14 / 244 | 31 / 182 | 38 / 436 |
//! | 4096 | 108 / 710 | 123 / 803 | 113 / 695 | 209 / 989 |
//!
//! A fault in the middle does no harm: each of these instructions goes on where it was.

#[cfg(all(target_arch = "x86_64", not(miri)))]
use std::arch::asm;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

/// From here on `rep movsb` is as fast as anything, on memory that is not in the nearest cache.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const STRING_MOVE: usize = 512;

/// Copies `len` bytes from `from` to `to`.
///
/// # Safety
/// `from` is valid for reads of `len` bytes, which others may change meanwhile in any way that is not a
/// data race of this program's Rust code with atomic loads; `to` is valid for writes of so many, and
/// nobody else's. They do not overlap.
#[inline]
pub(super) unsafe fn copy_out(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        match len {
            // SAFETY: the caller's promise, in all three.
            65..STRING_MOVE => unsafe { copy_rounds(from, to, len) },
            // SAFETY: as above.
            0..=64 => unsafe { copy_few(from, to, len) },
            // SAFETY: as above.
            _ => unsafe { copy_string(from, to, len) },
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    // SAFETY: the caller's promise.
    unsafe {
        copy_words(from, to, len);
    }
}

/// # Safety
/// As of [`copy_out`]; from 65 bytes on.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn copy_rounds(from: *const u8, to: *mut u8, len: usize) {
    debug_assert!(len > 64);
    // SAFETY: full rounds from the front, and one that ends with the last byte: all within `len`.
    unsafe {
        asm!(
            "2:",
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{from} + 32]",
            "movups {d}, [{from} + 48]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{to} + 32], {c}",
            "movups [{to} + 48], {d}",
            "add {from}, 64",
            "add {to}, 64",
            "dec {rounds}",
            "jnz 2b",
            "movups {a}, [{last_from}]",
            "movups {b}, [{last_from} + 16]",
            "movups {c}, [{last_from} + 32]",
            "movups {d}, [{last_from} + 48]",
            "movups [{last_to}], {a}",
            "movups [{last_to} + 16], {b}",
            "movups [{last_to} + 32], {c}",
            "movups [{last_to} + 48], {d}",
            rounds = inout(reg) (len - 1) / 64 => _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            last_from = in(reg) from.wrapping_add(len - 64),
            last_to = in(reg) to.wrapping_add(len - 64),
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack),
        );
    }
}

/// # Safety
/// As of [`copy_out`].
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn copy_string(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise; the direction flag is clear, as everywhere in Rust.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// # Safety
/// As of [`copy_out`]; up to 64 bytes.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn copy_few(from: *const u8, to: *mut u8, len: usize) {
    /// The first and the last so many bytes, which may be partly the same.
    macro_rules! copy_ends {
        ($size:literal, $class:ident, $modifier:literal) => {
            // SAFETY: so many bytes from the front, and so many to the end: both within `len`.
            unsafe {
                asm!(
                    concat!("mov {a", $modifier, "}, [{from}]"),
                    concat!("mov {b", $modifier, "}, [{last_from}]"),
                    concat!("mov [{to}], {a", $modifier, "}"),
                    concat!("mov [{last_to}], {b", $modifier, "}"),
                    from = in(reg) from,
                    to = in(reg) to,
                    last_from = in(reg) from.wrapping_add(len - $size),
                    last_to = in(reg) to.wrapping_add(len - $size),
                    a = out($class) _,
                    b = out($class) _,
                    options(nostack, preserves_flags),
                )
            }
        };
    }
    match len {
        // SAFETY: the caller's promise.
        32.. => unsafe { copy_halves(from, to, len) },
        // SAFETY: the caller's promise.
        16.. => unsafe { copy_pair(from, to, len) },
        8.. => copy_ends!(8, reg, ""),
        4.. => copy_ends!(4, reg, ":e"),
        2.. => copy_ends!(2, reg, ":x"),
        1 => copy_ends!(1, reg_byte, ""),
        0 => {}
    }
}

/// # Safety
/// As of [`copy_out`]; 16 to 32 bytes.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn copy_pair(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: 16 bytes from the front, and 16 to the end: both within `len`.
    unsafe {
        asm!(
            "movups {a}, [{from}]",
            "movups {b}, [{last_from}]",
            "movups [{to}], {a}",
            "movups [{last_to}], {b}",
            from = in(reg) from,
            to = in(reg) to,
            last_from = in(reg) from.wrapping_add(len - 16),
            last_to = in(reg) to.wrapping_add(len - 16),
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// # Safety
/// As of [`copy_out`]; 32 to 64 bytes.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
unsafe fn copy_halves(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: 32 bytes from the front, and 32 to the end: both within `len`.
    unsafe {
        asm!(
            "movups {a}, [{from}]",
            "movups {b}, [{from} + 16]",
            "movups {c}, [{last_from}]",
            "movups {d}, [{last_from} + 16]",
            "movups [{to}], {a}",
            "movups [{to} + 16], {b}",
            "movups [{last_to}], {c}",
            "movups [{last_to} + 16], {d}",
            from = in(reg) from,
            to = in(reg) to,
            last_from = in(reg) from.wrapping_add(len - 32),
            last_to = in(reg) to.wrapping_add(len - 32),
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// The copy of other processors: bytes up to a word's boundary, words, bytes.
///
/// # Safety
/// As of [`copy_out`].
#[cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    allow(dead_code, reason = "for other processors")
)]
unsafe fn copy_words(from: *const u8, to: *mut u8, len: usize) {
    const WORD: usize = size_of::<usize>();
    let head = from.align_offset(WORD).min(len);
    let words = (len - head) / WORD;
    let tail = head + words * WORD;
    for at in (0..head).chain(tail..len) {
        // SAFETY: within `len`, and others' accesses to it are no data race with atomic loads.
        let byte = unsafe { AtomicU8::from_ptr(from.wrapping_add(at).cast_mut()) };
        // Relaxed: bytes as they come; the caller has a fence behind the copy.
        let byte = byte.load(Relaxed);
        // SAFETY: within `len`.
        unsafe { to.wrapping_add(at).write(byte) };
    }
    for at in (head..tail).step_by(WORD) {
        #[allow(clippy::cast_ptr_alignment, reason = "aligned: behind the head")]
        let word = from.wrapping_add(at).cast_mut().cast::<usize>();
        // SAFETY: a whole word within `len`, aligned since it is behind the head; as above.
        let word = unsafe { AtomicUsize::from_ptr(word) };
        // Relaxed: as above.
        let word = word.load(Relaxed);
        // SAFETY: within `len`; written wherever it lies.
        unsafe { to.wrapping_add(at).cast::<usize>().write_unaligned(word) };
    }
}

#[cfg(test)]
mod tests {
    type Copy = unsafe fn(*const u8, *mut u8, usize);

    /// Every length to 300 and some beyond, every alignment of both sides; nothing around is touched.
    fn check(copy: Copy) {
        let source: Vec<u8> = (0..5000_u32).map(|at| (at * 7 + at / 251) as u8).collect();
        let lengths = (0..300).chain([511, 512, 513, 1000, 4096, 4800]);
        for (len, from) in lengths.flat_map(|len| (0..17).map(move |from| (len, from))) {
            let at = 1 + (len + from) % 13;
            let mut target = vec![0xAA_u8; len + 32];
            // SAFETY: within both.
            unsafe { copy(source[from..].as_ptr(), target[at..].as_mut_ptr(), len) };
            assert_eq!(target[at..at + len], source[from..from + len], "{len} bytes from {from}");
            let around = target[..at].iter().chain(&target[at + len..]);
            assert!(around.into_iter().all(|byte| *byte == 0xAA), "{len} bytes from {from}");
        }
    }

    #[test]
    fn copies_are_exact() {
        check(|from, to, len| {
            // SAFETY: as `check` says.
            unsafe { super::copy_out(from, to, len) };
        });
    }

    #[test]
    fn copies_by_words_are_exact() {
        check(|from, to, len| {
            // SAFETY: as `check` says.
            unsafe { super::copy_words(from, to, len) };
        });
    }
}
