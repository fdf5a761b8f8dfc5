//! How much of its stack a thread has used: what says when waiting by helping should stop.
//!
//! The distance between two addresses of locals, one at the bottom of the thread and one here; no
//! guarantee, a good guess on every platform whose stacks are one piece of memory.

/// The bottom of a thread's stack, and its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack {
    base: usize,
    bytes: usize,
}

impl Stack {
    /// What threads get whose stack nobody has asked for.
    const USUAL_BYTES: usize = 2 << 20;

    pub(super) fn from_here(bytes: Option<usize>) -> Self {
        Self { base: Self::here(), bytes: bytes.unwrap_or(Self::USUAL_BYTES) }
    }

    /// Whether over two thirds are used.
    pub(super) fn is_deep(self) -> bool {
        self.base.abs_diff(Self::here()) > self.bytes / 3 * 2
    }

    #[inline(never)]
    fn here() -> usize {
        let local = 0_u8;
        std::hint::black_box(&raw const local).addr()
    }
}

#[cfg(test)]
mod tests {
    use super::Stack;

    /// Uses so many frames of a kilobyte, then says whether that is deep.
    fn is_deep_after(frames: usize, stack: Stack) -> bool {
        let frame = std::hint::black_box([0_u8; 1024]);
        if frames == 0 {
            stack.is_deep()
        } else {
            is_deep_after(frames - 1, stack) && frame[0] == 0
        }
    }

    #[test]
    fn a_stack_is_deep_from_two_thirds_on() {
        let stack = Stack::from_here(Some(96 << 10));
        assert!(!is_deep_after(8, stack));
        assert!(is_deep_after(66, stack));
    }
}
