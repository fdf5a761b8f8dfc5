//! Where workers run, and where those run that they start.
#![cfg(target_os = "linux")]

use super::{child, eventually, fixed, in_time, on_workers};
use forthwith::cpu::{Balancer, BuildError, Pinning, Priority, blocking};
use forthwith::sys::affinity::{self, PinError, with_mask};
use forthwith::sys::topology::{CpuSet, Topology};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn mask() -> CpuSet {
    affinity::current().expect("a mask")
}

fn only(cpu: usize) -> CpuSet {
    CpuSet::from_iter([cpu])
}

/// The CPUs of the machine in the order in which workers take them.
fn cpus() -> Vec<usize> {
    Topology::detect().spread()
}

/// The mask of a child process, which inherits that of the thread that starts it.
fn mask_of_a_child() -> CpuSet {
    let output = Command::new("cat").arg("/proc/self/status").output().expect("there is a cat");
    let text = String::from_utf8(output.stdout).expect("text");
    let list = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.expect("a list").trim().parse().expect("a list")
}

#[test]
fn every_worker_runs_on_the_cpu_of_the_plan_and_more_workers_wrap_around() {
    in_time(|| {
        let cpus = cpus();
        let workers = 2 * cpus.len() + 1;
        let backwards: Vec<usize> = cpus.iter().rev().copied().collect();
        let plans =
            [(Pinning::PhysicalCores, &cpus), (Pinning::Cores(backwards.clone()), &backwards)];
        for (pinning, plan) in plans {
            let balancer = fixed(workers).pinning(pinning).build().expect("they are ours");
            for (index, mask) in on_workers(&balancer, workers, mask) {
                let cpu = plan[index % plan.len()];
                assert_eq!(mask, only(cpu), "worker {index}");
                assert_eq!(balancer.workers()[index].cpu, Some(cpu));
            }
            assert_eq!(balancer.workers()[workers].cpu, None, "nobody is there");
        }
        let listed_twice = Pinning::Cores(vec![cpus[0], cpus[0]]);
        let balancer = fixed(2).pinning(listed_twice).build().expect("valid");
        assert!(on_workers(&balancer, 2, mask).iter().all(|(_, mask)| *mask == only(cpus[0])));
    });
}

#[test]
fn workers_that_are_not_pinned_run_wherever_the_process_may() {
    in_time(|| {
        let allowed = Topology::detect().allowed().clone();
        // Also when the thread that makes them is pinned.
        let build = || fixed(2).build().expect("valid");
        let balancer = with_mask(&only(cpus()[0]), build).expect("an allowed cpu");
        for (index, mask) in on_workers(&balancer, 2, mask) {
            assert_eq!(mask, allowed);
            assert_eq!(balancer.workers()[index].cpu, None);
        }
    });
}

/// A CPU that no machine has.
const NOWHERE: usize = CpuSet::LIMIT - 1;

#[test]
fn cpus_that_cannot_be_had_are_typed_errors() {
    in_time(|| {
        let first = cpus()[0];
        let build = |list: &[usize]| {
            let built = fixed(1).pinning(Pinning::Cores(list.to_vec())).build();
            match built.expect_err("it cannot be had") {
                BuildError::Pin(error) => error,
                other => panic!("{other}"),
            }
        };
        assert!(matches!(build(&[]), PinError::EmptySet));
        match build(&[first, NOWHERE]) {
            PinError::NotAllowed { asked, granted } => {
                assert_eq!((asked.len(), granted), (2, only(first)));
            }
            other => panic!("{other}"),
        }
        for cpu in [CpuSet::LIMIT, usize::MAX] {
            match build(&[cpu]) {
                PinError::OutOfRange { cpu: asked, limit } => {
                    assert_eq!((asked, limit), (cpu, CpuSet::LIMIT));
                }
                other => panic!("{other}"),
            }
        }
    });
}

#[test]
fn who_says_so_runs_unpinned_where_a_pin_cannot_be_had_and_can_see_it() {
    in_time(|| {
        let allowed = Topology::detect().allowed().clone();
        for list in [vec![NOWHERE], vec![]] {
            let builder = fixed(2).pinning(Pinning::Cores(list)).run_unpinned(true);
            let balancer = builder.build().expect("it may run unpinned");
            for (index, mask) in on_workers(&balancer, 2, mask) {
                assert_eq!((mask, balancer.workers()[index].cpu), (allowed.clone(), None));
            }
            balancer.refresh().expect("it still may");
        }
    });
}

#[test]
fn what_a_pinned_worker_starts_inherits_its_pin_unless_it_is_unpinned() {
    in_time(|| {
        let allowed = Topology::detect().allowed().clone();
        let balancer = fixed(1).pinning(Pinning::PhysicalCores).build().expect("valid");
        let (own, pin) = (balancer.clone(), only(cpus()[0]));
        let task = move || {
            let start = || (thread::spawn(mask).join().expect("no panic"), mask_of_a_child());
            // The kernel's rule, and the way around it.
            let inherited = start();
            let free = own.unpinned(start).expect("it may run there");
            let again = own.unpinned(|| own.unpinned(mask)).expect("it may run there");
            (inherited, free, again.expect("it may run there"), mask())
        };
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        let (inherited, free, again, own) = ticket.wait().expect("no panic");
        assert_eq!(inherited, (pin.clone(), pin.clone()));
        assert_eq!(free, (allowed.clone(), allowed.clone()));
        assert_eq!((again, own), (allowed, pin), "and it is pinned again");
    });
}

#[test]
fn a_thread_that_a_pinned_worker_has_the_balancer_start_gets_its_own_pin() {
    in_time(|| {
        let cpus = cpus();
        let pinning = Pinning::Cores(cpus.clone());
        let balancer = fixed(1).pinning(pinning).build().expect("valid");
        let own = balancer.clone();
        let (send, masks) = mpsc::channel();
        let task = move || {
            let other = move || send.send(mask()).expect("it waits");
            own.spawn(Priority::Critical, other).expect("open");
            blocking(|| masks.recv().expect("another worker runs it"))
        };
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        assert_eq!(ticket.wait().expect("no panic"), only(cpus[1 % cpus.len()]));
        // And without pins it does not inherit whatever the task has set.
        let balancer = fixed(1).build().expect("valid");
        let (own, first) = (balancer.clone(), only(cpus[0]));
        let (send, masks) = mpsc::channel();
        let task = move || {
            affinity::pin_to(&first).expect("an allowed cpu");
            let other = move || send.send(mask()).expect("it waits");
            own.spawn(Priority::Critical, other).expect("open");
            blocking(|| masks.recv().expect("another worker runs it"))
        };
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        assert_eq!(&ticket.wait().expect("no panic"), balancer.topology().allowed());
    });
}

#[test]
fn refreshing_pins_workers_again_whose_mask_was_changed() {
    in_time(|| {
        let plan = cpus();
        let pinning = Pinning::Cores(plan.clone());
        let balancer = fixed(2).pinning(pinning).build().expect("valid");
        let allowed = Topology::detect().allowed().clone();
        let widened = allowed.clone();
        on_workers(&balancer, 2, move || affinity::pin_to(&widened).expect("they are ours"));
        assert!(on_workers(&balancer, 2, mask).iter().all(|(_, mask)| *mask == allowed));
        balancer.refresh().expect("the plan still fits");
        for (index, mask) in on_workers(&balancer, 2, mask) {
            assert_eq!(mask, only(plan[index % plan.len()]));
        }
        assert_eq!(balancer.target(), 2, "a fixed number stays");
    });
}

#[test]
fn a_worker_in_a_place_that_was_vacant_is_pinned_and_measured_though_the_last_one_ends_late() {
    in_time(|| {
        // The thread that leaves has its stop hook still to run while the next one begins.
        let late = |_| thread::sleep(Duration::from_millis(200));
        let balancer = Balancer::builder()
            .workers(1..=2)
            .check_interval(None)
            .keep_alive(Duration::from_millis(1))
            .pinning(Pinning::PhysicalCores)
            .on_stop(late)
            .build()
            .expect("valid");
        balancer.set_workers(2).expect("threads can be had");
        on_workers(&balancer, 2, || ());
        balancer.set_workers(1).expect("it only shrinks");
        eventually(|| balancer.stats().threads == 1);
        balancer.set_workers(2).expect("threads can be had");
        on_workers(&balancer, 2, || ());
        thread::sleep(Duration::from_millis(300));
        balancer.tick(std::time::Instant::now());
        let cpus = cpus();
        let worker = balancer.workers().swap_remove(1);
        assert_eq!(worker.cpu, Some(cpus[1 % cpus.len()]), "{worker}");
        assert!(worker.cpu_time > Duration::ZERO, "{worker} used no time");
        // What is forgotten is not pinned again either.
        let allowed = Topology::detect().allowed().clone();
        let widened = allowed.clone();
        on_workers(&balancer, 2, move || affinity::pin_to(&widened).expect("they are ours"));
        balancer.refresh().expect("the plan still fits");
        for (index, mask) in on_workers(&balancer, 2, mask) {
            assert_eq!(mask, only(cpus[index % cpus.len()]), "worker {index}");
        }
    });
}

#[test]
fn a_worker_that_is_added_later_and_cannot_be_pinned_does_not_start_and_is_counted() {
    if child::role().is_none() {
        let test = "pinning::a_worker_that_is_added_later_and_cannot_be_pinned_does_not_start_and_is_counted";
        child::succeeds(test, "refused");
        return;
    }
    in_time(|| {
        let balancer = Balancer::builder().workers(1..=2).check_interval(None);
        let balancer = balancer.pinning(Pinning::PhysicalCores).build().expect("valid");
        // From here on no thread of this process pins itself, but for those that did.
        let blocked = balancer.submit(Priority::Normal, refuse_affinity).expect("open");
        blocked.wait().expect("no panic");
        let own = balancer.clone();
        // A thread that the filtered worker starts inherits the filter.
        let grow = move || own.set_workers(2).map_err(|error| error.to_string());
        let grown = balancer.submit(Priority::Normal, grow).expect("open").wait();
        grown.expect("no panic").expect("the thread itself can be had");
        eventually(|| balancer.stats().start_failures == 1);
        eventually(|| balancer.stats().threads == 1);
        assert_eq!((balancer.workers()[1].cpu, balancer.target()), (None, 2));
        balancer.submit(Priority::Low, || ()).expect("open").wait().expect("one is left");
    });
    child::leave();
}

/// From here on the calling thread, and those that it starts, may not set a mask.
fn refuse_affinity() {
    let statement =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let filter = [
        // The number of the call is the first word of its record.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_sched_setaffinity as u32,
            0,
            1,
        ),
        statement(libc::BPF_RET | libc::BPF_K, refused, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: takes four integers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the kernel copies the program, which is well formed and alive.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }, 0);
}
