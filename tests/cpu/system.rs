//! The balancer and the system around it: masks, quotas, forks.
#![cfg(target_os = "linux")]

use super::{balancer, child, comes_true, eventually, in_time, occupy, on_workers};
use forthwith::cpu::{Balancer, BuildError, Pinning, Priority, SubmitError};
use forthwith::lockfree::ticket::Lost;
use forthwith::sys::affinity::{self, PinError, with_mask};
use forthwith::sys::topology::{CpuSet, Topology, usable_cores};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use std::{fs, io, process};

fn first_cpu() -> CpuSet {
    CpuSet::from_iter(Topology::detect().allowed().first())
}

/// The numbers that a child printed as `said: 1 2 3`.
fn said(output: &str) -> Vec<usize> {
    let line = output.lines().find_map(|line| line.strip_prefix("said:"));
    let numbers = line.unwrap_or_else(|| panic!("{output}")).split_whitespace();
    numbers.map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn the_default_size_is_that_of_the_mask() {
    if child::role().is_none() {
        let test = "system::the_default_size_is_that_of_the_mask";
        let run = || said(&child::succeeds(test, "counts"));
        let masked = with_mask(&first_cpu(), run).expect("an allowed cpu");
        assert_eq!(masked, [1, 1]);
        let all = Topology::detect().usable_cores();
        assert_eq!(run(), [all, all]);
        return;
    }
    in_time(|| {
        let balancer = Balancer::new().expect("valid");
        println!("\nsaid: {} {}", balancer.target(), balancer.stats().threads);
    });
    child::leave();
}

#[test]
fn a_cpu_that_exists_and_is_not_ours_is_refused() {
    let all = Topology::detect();
    let test = "system::a_cpu_that_exists_and_is_not_ours_is_refused";
    let Some(role) = child::role() else {
        let Some(other) = all.allowed().iter().nth(1) else { return };
        let run = || child::succeeds(test, &other.to_string());
        with_mask(&first_cpu(), run).expect("an allowed cpu");
        return;
    };
    let (other, ours) = (role.parse().expect("a cpu"), all.allowed().first().expect("a cpu"));
    let builder = || Balancer::builder().workers(1..=1).pinning(Pinning::Cores(vec![ours, other]));
    match builder().build().expect_err("not ours") {
        BuildError::Pin(PinError::NotAllowed { asked, granted }) => {
            assert_eq!((asked.len(), granted), (2, first_cpu()));
        }
        other => panic!("{other}"),
    }
    builder().run_unpinned(true).build().expect("it may run unpinned");
    child::leave();
}

/// Sets the mask of the main thread of this process, which is what it was given.
fn give_process(cpus: &CpuSet) {
    let mut set: libc::cpu_set_t = {
        // SAFETY: plain integers; zero is a valid value.
        unsafe { std::mem::zeroed() }
    };
    for cpu in cpus {
        // SAFETY: the numbers of this machine are below 1024; `set` is borrowed for the call.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    let pid = process::id().cast_signed();
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: the set is read only.
    assert_eq!(unsafe { libc::sched_setaffinity(pid, size, &raw const set) }, 0);
}

/// A process that is given one CPU, then two: its workers must be two, and use both.
#[test]
fn refreshing_follows_a_mask_that_grows() {
    let test = "system::refreshing_follows_a_mask_that_grows";
    let all = Topology::detect().allowed().clone();
    let Some(role) = child::role() else {
        if usable_cores() == all.len() && fs::read("/proc/self/status").is_ok() {
            with_mask(&first_cpu(), || {
                child::succeeds(test, &all.to_string());
            })
            .expect("an allowed cpu");
        }
        return;
    };
    in_time(move || {
        // Nor are the spare places what it grows into.
        let balancer = Balancer::builder().spare(0).check_interval(None).build().expect("valid");
        assert_eq!(balancer.target(), 1);
        let wide: CpuSet = role.parse().expect("a list");
        give_process(&wide);
        balancer.refresh().expect("nothing is in the way");
        assert_eq!((balancer.topology().allowed(), balancer.target()), (&wide, wide.len()));
        let masks = on_workers(&balancer, wide.len(), || affinity::current().expect("a mask"));
        for (index, mask) in masks {
            assert_eq!(mask, wide, "worker {index} stays where it was");
        }
    });
    child::leave();
}

#[test]
fn refreshing_moves_pinned_workers_to_a_mask_that_grows() {
    let test = "system::refreshing_moves_pinned_workers_to_a_mask_that_grows";
    let all = Topology::detect().allowed().clone();
    let Some(role) = child::role() else {
        if usable_cores() == all.len() {
            with_mask(&first_cpu(), || child::succeeds(test, &all.to_string()))
                .expect("an allowed cpu");
        }
        return;
    };
    in_time(move || {
        let builder = Balancer::builder().pinning(Pinning::PhysicalCores).check_interval(None);
        let balancer = builder.build().expect("valid");
        let wide: CpuSet = role.parse().expect("a list");
        give_process(&wide);
        balancer.refresh().expect("nothing is in the way");
        let plan = balancer.topology().spread();
        assert_eq!((balancer.target(), plan.len()), (wide.len(), wide.len()));
        let masks = on_workers(&balancer, wide.len(), || affinity::current().expect("a mask"));
        for (index, mask) in masks {
            assert_eq!(mask, CpuSet::from_iter([plan[index]]));
            assert_eq!(balancer.workers()[index].cpu, Some(plan[index]));
        }
    });
    child::leave();
}

#[test]
fn the_default_size_is_that_of_the_quota_and_refreshing_follows_it() {
    let test = "system::the_default_size_is_that_of_the_quota_and_refreshing_follows_it";
    match child::role() {
        None => match Group::with_one_core() {
            Ok(group) => {
                let path = group.0.to_str().expect("a path of ours");
                match *said(&child::succeeds(test, path)) {
                    [before, within, lifted, tight] => {
                        assert_eq!((before, within), (Topology::detect().usable_cores(), 1));
                        assert!(lifted >= before, "{lifted}");
                        assert_eq!(tight, 1);
                    }
                    _ => eprintln!("skipped: no process may join the cgroup"),
                }
            }
            Err(error) => eprintln!("skipped: no cgroup with a quota here: {error}"),
        },
        Some(group) => {
            in_time(move || follow_the_quota(Path::new(&group)));
            child::leave();
        }
    }
}

/// Counts the workers before joining the group, in it, after its quota was lifted, and set again.
fn follow_the_quota(group: &Path) {
    let outside = Balancer::builder().check_interval(None).build().expect("valid");
    let mut counts = vec![outside.target()];
    if fs::write(group.join("cgroup.procs"), process::id().to_string()).is_ok() {
        let inside = Balancer::builder().check_interval(None).build().expect("valid");
        counts.push(inside.target());
        Group::limit(group, "-1", "max").expect("a group");
        inside.refresh().expect("threads can be had");
        counts.push(inside.target());
        on_workers(&inside, inside.target(), || ());
        Group::limit(group, "100000", "100000").expect("a group");
        inside.refresh().expect("it only shrinks");
        counts.push(inside.target());
        eventually(|| inside.stats().sleeping_workers == 1);
    }
    let counts: Vec<_> = counts.iter().map(usize::to_string).collect();
    println!("\nsaid: {}", counts.join(" "));
}

/// A cgroup of our own, removed in the end.
struct Group(PathBuf);

impl Group {
    fn with_one_core() -> io::Result<Self> {
        let root = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"]
            .map(Path::new)
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())
            .ok_or(io::ErrorKind::NotFound)?;
        let path = root.join(format!("forthwith-test-cpu-{}", process::id()));
        fs::create_dir(&path)?;
        let group = Self(path);
        Self::limit(&group.0, "100000", "100000")?;
        Ok(group)
    }

    /// Sets the limit, in the words of whichever version has it.
    fn limit(group: &Path, v1_words: &str, v2_words: &str) -> io::Result<()> {
        let v1 = group.join("cpu.cfs_quota_us");
        if v1.exists() {
            return fs::write(v1, v1_words);
        }
        // Not there unless the group above hands the controller down.
        fs::write(group.join("cpu.max"), v2_words)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process leaves its group a little after it was waited for.
        let removed = comes_true(Duration::from_secs(20), || fs::remove_dir(&self.0).is_ok());
        assert!(removed || std::thread::panicking(), "{} cannot be removed", self.0.display());
    }
}

/// Forks, and has the child end with what `child` returns, or be killed after a while.
///
/// The child of a process with threads makes loads, stores, and ends.
fn in_a_fork(child: impl FnOnce() -> i32) -> Option<i32> {
    // SAFETY: see above: what the tests do in the child takes no lock and needs no other thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: ends the child with a signal if it hangs.
        unsafe { libc::alarm(20) };
        let code = child();
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    assert!(pid > 0, "a child");
    let mut status = 0;
    // SAFETY: our own child, and a word to write to.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    ExitStatus::from_raw(status).code()
}

#[test]
fn a_forked_child_is_refused_and_waits_for_nobody() {
    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        let (first, second) = (
            balancer.submit(Priority::Low, || 1).expect("open"),
            balancer.submit(Priority::Low, || 2).expect("open"),
        );
        let mut only = Some(balancer);
        let code = in_a_fork(|| {
            let balancer = only.take().expect("the child has a copy");
            let is_forked = |outcome: Result<(), SubmitError<fn()>>| {
                matches!(outcome, Err(SubmitError::Forked(_)))
            };
            let f: fn() = || ();
            for priority in Priority::ALL {
                if !is_forked(balancer.try_spawn(priority, f))
                    || !is_forked(balancer.spawn(priority, f))
                    || !is_forked(balancer.try_submit(priority, f).map(drop))
                {
                    return 1;
                }
            }
            if !matches!(first.wait(), Err(Lost::Abandoned)) {
                return 2;
            }
            let waited = second.wait_timeout(Duration::from_secs(10));
            if waited.map_err(|it| it.to_string()).is_ok() {
                return 3;
            }
            if balancer.discard() != 0 || balancer.drain(Duration::MAX).is_err() {
                return 4;
            }
            if balancer.install(|| 5) != 5 {
                return 5;
            }
            // The only handle that there is in the child.
            drop(balancer);
            0
        });
        assert_eq!(code, Some(0));
        drop((gate, only));
    });
}

#[test]
fn the_parent_of_a_fork_goes_on() {
    in_time(|| {
        let balancer = balancer(1);
        let gate = occupy(&balancer);
        let ticket = balancer.submit(Priority::Low, || 1).expect("open");
        let ours = balancer.clone();
        assert_eq!(
            in_a_fork(move || {
                drop(ours);
                0
            }),
            Some(0)
        );
        drop(gate);
        assert_eq!(ticket.wait().expect("no panic"), 1);
        balancer.drain(Duration::from_secs(50)).expect("nothing is in the way");
    });
}

#[test]
fn a_child_may_be_forked_at_any_time_of_the_monitor() {
    in_time(|| {
        let interval = Some(Duration::from_micros(50));
        for _ in 0..50 {
            let builder = Balancer::builder().workers(1..=1).check_interval(interval);
            let mut only = builder.build().ok();
            // In the child alone the handle is taken, and dropped.
            let code = in_a_fork(|| {
                only.take().map_or(1, |balancer| {
                    let f: fn() = || ();
                    i32::from(balancer.try_spawn(Priority::Low, f).is_ok())
                })
            });
            assert_eq!(code, Some(0));
            assert!(only.is_some(), "ours is still here");
        }
    });
}

#[test]
fn a_child_that_a_task_forks_is_refused_as_well() {
    in_time(|| {
        let balancer = balancer(1);
        let own = balancer.clone();
        let task = move || {
            in_a_fork(|| {
                let f: fn() = || ();
                let outcomes = Priority::ALL.map(|priority| own.try_spawn(priority, f));
                let is_forked =
                    |outcome: &Result<_, _>| matches!(outcome, Err(SubmitError::Forked(_)));
                let refused = outcomes.iter().filter(|outcome| is_forked(outcome)).count();
                4 - i32::try_from(refused).expect("four at most")
            })
        };
        let ticket = balancer.submit(Priority::Normal, task).expect("open");
        assert_eq!(ticket.wait().expect("no panic"), Some(0), "so many were taken");
    });
}
