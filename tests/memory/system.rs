//! The pool and the system under it: syscalls, locked memory, forks, the end of a thread.
#![cfg(target_os = "linux")]

use super::{small, take_all};
use forthwith::memory::{Chunk, Pool};
use std::cell::RefCell;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Barrier;
use std::time::Duration;

/// Runs the named test of this program again, in a process of its own, told to play `role`.
fn again(test: &str, role: &str) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().expect("there is one"));
    command.args([test, "--exact", "--test-threads=1"]).env(ROLE, role);
    command.output().expect("it ran a moment ago").status
}

const ROLE: &str = "FORTHWITH_TEST_ROLE";

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

#[test]
fn acquire_and_release_make_no_syscall() {
    match role() {
        None => {
            let test = "system::acquire_and_release_make_no_syscall";
            assert!(again(test, "quiet").success(), "a syscall was made");
            assert_eq!(again(test, "loud").signal(), Some(libc::SIGSYS), "the filter filters");
        }
        Some(role) => without_syscalls(role == "loud"),
    }
}

/// Uses a pool in all ways below its limit, in a thread that is killed if it makes a syscall.
fn without_syscalls(loud: bool) -> ! {
    let pool = small(4096);
    let local = pool.local();
    let mut held: Vec<Chunk> = Vec::with_capacity(1000);
    let mut work = || {
        // More than magazines hold, so that the depot has its part.
        held.extend((0..1000).map_while(|_| pool.try_acquire().ok()));
        assert_eq!(held.len(), 1000);
        held.drain(..).for_each(drop);
        held.extend((0..1000).map_while(|_| Some(local.acquire().ok()?.into_chunk())));
        held.drain(..).for_each(|chunk| local.release(chunk));
        drop(pool.try_alloc(5));
        assert_eq!(pool.stats().in_use_chunks, 0);
    };
    work();
    forbid_syscalls();
    (0..10).for_each(|_| work());
    if loud {
        // SAFETY: takes nothing and touches nothing.
        unsafe { libc::getppid() };
    }
    // SAFETY: ends the process; the one call that is left.
    unsafe { libc::_exit(0) }
}

/// From here on any syscall of this thread but `exit_group` kills the process.
fn forbid_syscalls() {
    filter(libc::SYS_exit_group, libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_KILL_PROCESS);
}

/// From here on this thread's `call` has one outcome, and all its other calls another.
fn filter(call: libc::c_long, outcome: u32, others: u32) {
    let statement =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let filter = [
        // The number of the call is the first word of its record.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, outcome, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, others, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: takes four integers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the kernel copies the program, which is well formed and alive.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }, 0);
}

#[test]
fn without_the_kernels_barrier_a_pool_still_works_and_nobody_is_left_waiting() {
    let test = "system::without_the_kernels_barrier_a_pool_still_works_and_nobody_is_left_waiting";
    let Some(role) = role() else {
        assert!(again(test, "from the start").success());
        assert!(again(test, "later").success());
        return;
    };
    let refuse = || {
        let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        filter(libc::SYS_membarrier, refused, libc::SECCOMP_RET_ALLOW);
    };
    if role == "from the start" {
        refuse();
        let pool = small(100);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..1000).for_each(|_| drop(pool.acquire().expect("open"))));
            }
        });
        assert_eq!((take_all(&pool).len(), pool.stats().cached_chunks), (100, 0));
        return;
    }
    let (pool, filled, refused) = (small(100), Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop((0..50).map(|_| pool.try_acquire().expect("free")).collect::<Vec<_>>());
            filled.wait();
            refused.wait();
            super::eventually(|| pool.stats().waiting_threads == 1);
            // Whoever comes to the lock gives up what nobody could take from him.
            drop(pool.try_acquire());
        });
        filled.wait();
        refuse();
        let some = take_all(&pool);
        refused.wait();
        let served = pool.acquire_timeout(Duration::from_secs(20)).map(drop);
        assert!(some.len() < 100, "the other thread's magazine cannot be searched");
        assert_eq!(served, Ok(()));
    });
    assert_eq!(take_all(&pool).len(), 100);
}

#[test]
fn locked_memory_beyond_what_is_allowed_is_used_unlocked_and_reported() {
    const ALLOWED: u64 = 1 << 20;
    if role().is_none() {
        let test = "system::locked_memory_beyond_what_is_allowed_is_used_unlocked_and_reported";
        assert!(again(test, "limited").success());
        return;
    }
    let limit = libc::rlimit { rlim_cur: ALLOWED, rlim_max: ALLOWED };
    // SAFETY: the record is read only.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) }, 0);
    // Root is above that limit. Whoever is not root already stays what he is.
    // SAFETY: takes an integer.
    unsafe { libc::setuid(65534) };
    let pool = Pool::builder("locked").chunk_size(64 << 10).limit_bytes(4 << 20).mlock(true);
    let pool = pool.build().expect("locking less is no error");
    let mut all = take_all(&pool);
    for chunk in &mut all {
        chunk.fill(1);
    }
    let stats = pool.stats();
    assert_eq!(stats.committed_bytes, 4 << 20);
    assert!((1..=ALLOWED).contains(&stats.locked_bytes), "{} bytes are locked", stats.locked_bytes);
    drop(all);
    pool.trim();
    assert_eq!(pool.stats().locked_bytes, 0);
    pool.try_acquire().expect("free").fill(2);
    assert!(pool.stats().locked_bytes > 0, "what is made again is locked again");
}

#[test]
fn a_forked_child_has_a_pool_of_its_own() {
    let pool = small(64);
    let mut chunk = pool.try_acquire().expect("free");
    chunk[0] = 1;
    // SAFETY: the child uses the pool, which needs no lock and no allocation for this, and leaves.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let same = chunk[0] == 1 && pool.try_acquire().is_ok();
        chunk[0] = 2;
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!same)) };
    }
    let mut status = 0;
    // SAFETY: our own child, and a word to write to.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(ExitStatus::from_raw(status).code(), Some(0));
    assert_eq!(chunk[0], 1);
}

#[test]
fn a_chunk_dropped_at_the_very_end_of_a_thread_comes_back() {
    thread_local!(static KEPT: RefCell<Vec<Chunk>> = const { RefCell::new(Vec::new()) });
    let pool = small(4);
    for used_before in [false, true] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Thread-locals are destroyed in the order of their first use, or against it.
                if used_before {
                    drop(pool.try_acquire().expect("free"));
                }
                KEPT.with_borrow_mut(|kept| kept.push(pool.try_acquire().expect("free")));
            });
        });
        super::eventually(|| pool.stats().in_use_chunks == 0);
        assert_eq!(take_all(&pool).len(), 4);
    }
}
