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

    /// What is left of a stack that is spent, at least. Without optimisation a deque that grows or shrinks
    /// takes over 20 KiB: its memory reclamation moves bags of two KiB by value.
    const SPENT_LEAVES: usize = 28 << 10;

    /// The same of one that is deep.
    const DEEP_LEAVES: usize = Self::SPENT_LEAVES + (12 << 10);

    pub(super) fn from_here(bytes: Option<usize>) -> Self {
        Self { base: Self::here(), bytes: bytes.unwrap_or(Self::USUAL_BYTES) }
    }

    /// Whether over two thirds are used; of a small stack, less.
    pub(super) fn is_deep(self) -> bool {
        self.is_used(self.bytes / 3 * 2, Self::DEEP_LEAVES)
    }

    /// Whether over four fifths are used: too much to run another task on top; of a small stack, less.
    pub(super) fn is_spent(self) -> bool {
        self.is_used(self.bytes / 5 * 4, Self::SPENT_LEAVES)
    }

    /// Whether more than `part` is used, or less than `leaves` is left.
    fn is_used(self, part: usize, leaves: usize) -> bool {
        self.base.abs_diff(Self::here()) > part.min(self.bytes.saturating_sub(leaves))
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

    /// Uses so many frames of a kilobyte, then says whether that is deep, and whether all is spent.
    fn after(frames: usize, stack: Stack) -> (bool, bool) {
        let frame = std::hint::black_box([0_u8; 1024]);
        if frames == 0 {
            (stack.is_deep(), stack.is_spent())
        } else {
            let (is_deep, is_spent) = after(frames - 1, stack);
            (is_deep && frame[0] == 0, is_spent)
        }
    }

    #[test]
    fn a_stack_is_deep_from_two_thirds_on_and_spent_from_four_fifths() {
        let stack = Stack::from_here(Some(96 << 10));
        assert_eq!(after(8, stack), (false, false));
        assert!(after(66, stack).0);
        assert_eq!(after(80, stack), (true, true));
    }
}
