//! The free list against a `Vec` as the stack of what is free.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::lockfree::FreeList;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Op {
    Pop,
    /// Pushes one of the owned indices, chosen by the number.
    Push(u8),
    IsEmpty,
}

#[derive(Debug, Arbitrary)]
struct Input {
    capacity: u8,
    starts_full: bool,
    ops: Vec<Op>,
}

fuzz_target!(|input: Input| {
    let capacity = usize::from(input.capacity);
    let made = if input.starts_full { FreeList::full(capacity) } else { FreeList::empty(capacity) };
    let Ok(mut list) = made else {
        assert_eq!(capacity, 0, "only a capacity of zero is refused here");
        return;
    };
    let all: Vec<u32> = (0..u32::from(input.capacity)).rev().collect();
    let (mut free, mut owned) =
        if input.starts_full { (all, Vec::new()) } else { (Vec::new(), all) };

    for op in input.ops {
        match op {
            Op::Pop => {
                let expected = free.pop();
                assert_eq!(list.pop(), expected);
                owned.extend(expected);
            }
            Op::Push(choice) if !owned.is_empty() => {
                let index = owned.swap_remove(usize::from(choice) % owned.len());
                list.push(index);
                free.push(index);
            }
            Op::Push(_) => {}
            Op::IsEmpty => assert_eq!(list.is_empty(), free.is_empty()),
        }
        let top_down: Vec<u32> = free.iter().rev().copied().collect();
        assert_eq!(list.validate(), top_down);
    }
});
