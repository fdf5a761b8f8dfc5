//! The ring against a `VecDeque`, with boxed values (leaks and double drops show in the
//! sanitizer) and with tasks of several sizes.
#![no_main]

use arbitrary::Arbitrary;
use forthwith::lockfree::{Full, Ring, Task};
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

#[derive(Debug, Arbitrary)]
enum Op {
    Push(u16),
    Pop,
    Len,
    /// Pushes a task that captures a few words, or more than fit in place.
    PushTask {
        large: bool,
        id: u16,
    },
    RunTask,
    DropTask,
    /// Closes both rings; the next one drops them with what is inside, and makes new ones.
    Close,
}

#[derive(Debug, Arbitrary)]
struct Input {
    capacity: u8,
    ops: Vec<Op>,
}

fuzz_target!(|input: Input| {
    let capacity = usize::from(input.capacity);
    let (Ok(mut ring), Ok(mut tasks)) =
        (Ring::with_capacity(capacity), Ring::with_capacity(capacity))
    else {
        assert_eq!(capacity, 0, "only a capacity of zero is refused here");
        return;
    };
    let mut closed = false;
    let mut model: VecDeque<Box<u16>> = VecDeque::new();
    let mut task_model: VecDeque<u16> = VecDeque::new();
    let ran = Arc::new(Mutex::new(Vec::new()));
    let mut expected_ran = Vec::new();

    for op in input.ops {
        match op {
            Op::Push(value) => match ring.push(Box::new(value)) {
                Ok(()) => {
                    assert!(!closed, "pushed to a closed ring");
                    model.push_back(Box::new(value));
                }
                Err(Full(back)) => {
                    assert_eq!(*back, value);
                    assert!(closed || model.len() == capacity, "refused with room left");
                }
            },
            Op::Pop => assert_eq!(ring.pop(), model.pop_front()),
            Op::Len => {
                assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
            }
            Op::PushTask { large, id } => {
                if tasks.push(task(large, id, Arc::clone(&ran))).is_ok() {
                    assert!(!closed, "pushed to a closed ring");
                    task_model.push_back(id);
                } else {
                    assert!(closed || task_model.len() == capacity, "refused with room left");
                }
            }
            Op::RunTask => {
                if let Some(task) = tasks.pop() {
                    task.run();
                }
                expected_ran.extend(task_model.pop_front());
            }
            Op::DropTask => {
                drop(tasks.pop());
                task_model.pop_front();
            }
            Op::Close if closed => {
                ring = Ring::with_capacity(capacity).expect("it was valid before");
                tasks = Ring::with_capacity(capacity).expect("it was valid before");
                model.clear();
                task_model.clear();
                closed = false;
            }
            Op::Close => {
                ring.close();
                tasks.close();
                closed = true;
            }
        }
        assert!(model.len() <= capacity);
        assert_eq!((ring.is_closed(), tasks.is_closed()), (closed, closed));
        ring.validate();
    }
    assert_eq!(*ran.lock().unwrap(), expected_ran);
});

fn task(large: bool, id: u16, ran: Arc<Mutex<Vec<u16>>>) -> Task {
    let ballast = [u64::from(id); 16];
    let note = move |id| ran.lock().unwrap().push(id);
    if large { Task::new(move || note(ballast[15] as u16)) } else { Task::new(move || note(id)) }
}
