//! The public contract of `sys`, on the machine at hand.

use forthwith::sys::affinity::{self, PinError};
use forthwith::sys::topology::{CpuSet, Topology, usable_cores};

#[test]
fn the_topology_is_consistent_with_itself() {
    let machine = Topology::detect();
    let ids: CpuSet = machine.cpus().iter().map(|cpu| cpu.id).collect();
    assert_eq!(&ids, machine.allowed());
    assert!((1..=ids.len()).contains(&machine.usable_cores()));
    assert_eq!(usable_cores(), machine.usable_cores());

    let spread = machine.spread();
    assert_eq!(spread.iter().copied().collect::<CpuSet>(), ids);
    assert_eq!(spread.len(), ids.len());
    assert!(spread.starts_with(&machine.physical_cores()));

    for cpu in &ids {
        assert!(machine.smt_siblings(cpu).contains(cpu));
        assert!(machine.sharing_l3(cpu).contains(cpu));
        let node = machine.node_of(cpu).expect("an allowed cpu has a node");
        assert!(machine.on_node(node).contains(cpu));
    }
}

#[test]
fn input_that_makes_no_sense_is_refused_without_a_panic() {
    assert!(matches!(affinity::pin_to(&CpuSet::new()), Err(PinError::EmptySet)));
    for cpu in [CpuSet::LIMIT, usize::MAX] {
        match affinity::pin_to_core(cpu) {
            Err(PinError::OutOfRange { cpu: asked, limit }) => {
                assert_eq!(asked, cpu);
                assert!(limit <= cpu);
            }
            other => panic!("expected `OutOfRange`, got {other:?}"),
        }
    }
}

/// Masks and other threads' clocks: Linux has all of it.
#[cfg(target_os = "linux")]
mod on_linux {
    use super::{CpuSet, PinError, Topology, affinity};
    use forthwith::sys::cpu_time::{CpuClock, thread_cpu_time};
    use forthwith::sys::sched_stat::SchedStat;
    use forthwith::sys::topology::{Quota, online_cpus};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};
    use std::{env, fs, io, process, thread};

    /// How long the tests wait for what comes within a moment.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn more_cpus_may_run_than_are_ours_and_not_fewer() {
        let (ours, online) = (Topology::detect().allowed().len(), online_cpus());
        // It is not known where `/sys` is not mounted.
        assert!(online == 0 || (ours..=1 << 20).contains(&online), "{ours} of {online}");
    }

    #[test]
    fn a_thread_can_be_pinned_to_each_allowed_cpu_and_set_free_again() {
        in_a_thread(|| {
            let before = affinity::current().expect("a mask");
            for cpu in Topology::detect().allowed() {
                affinity::pin_to_core(cpu).expect("an allowed cpu");
                assert_eq!(affinity::current().expect("a mask"), CpuSet::from_iter([cpu]));
            }
            affinity::pin_to(&before).expect("the mask that we had");
            assert_eq!(affinity::current().expect("a mask"), before);
        });
    }

    #[test]
    fn a_refused_cpu_gives_a_typed_error_and_leaves_the_mask_alone() {
        in_a_thread(|| {
            let before = affinity::current().expect("a mask");
            // The last number of C's mask and the last of ours, which no kernel can have.
            let highest = [1023, CpuSet::LIMIT - 1];
            for cpu in highest.into_iter().filter(|&cpu| !before.contains(cpu)) {
                match affinity::pin_to_core(cpu) {
                    Err(PinError::NotAllowed { asked, granted }) => {
                        assert_eq!(asked, CpuSet::from_iter([cpu]));
                        assert!(granted.is_empty());
                    }
                    other => panic!("expected `NotAllowed`, got {other:?}"),
                }
                assert_eq!(affinity::current().expect("a mask"), before);
            }
        });
    }

    #[test]
    fn a_set_that_is_allowed_in_part_is_refused_as_a_whole() {
        in_a_thread(|| {
            let before = affinity::current().expect("a mask");
            let first = before.first().expect("a cpu");
            let asked = CpuSet::from_iter([first, CpuSet::LIMIT - 1]);
            match affinity::pin_to(&asked) {
                Err(PinError::NotAllowed { asked: wanted, granted }) => {
                    assert_eq!(wanted, asked);
                    assert_eq!(granted, CpuSet::from_iter([first]));
                }
                other => panic!("expected `NotAllowed`, got {other:?}"),
            }
            assert_eq!(affinity::current().expect("a mask"), before);
        });
    }

    #[test]
    fn a_pinned_thread_still_detects_what_the_process_was_given() {
        in_a_thread(|| {
            let unpinned = Topology::detect();
            let cpu = unpinned.allowed().first().expect("a cpu");
            affinity::pin_to_core(cpu).expect("an allowed cpu");
            assert_eq!(Topology::detect(), unpinned);
        });
    }

    #[test]
    fn the_clock_of_another_thread_grows_with_its_work_and_not_with_time() {
        const WORK: Duration = Duration::from_millis(5);
        let (orders, inbox) = mpsc::channel::<()>();
        let (outbox, reports) = mpsc::channel();
        let worker = thread::spawn(move || {
            outbox.send(CpuClock::current_thread().expect("a clock")).expect("a reader");
            for () in inbox {
                work(WORK);
                outbox.send(CpuClock::current_thread().expect("a clock")).expect("a reader");
            }
        });
        let clock = reports.recv().expect("the worker lives");

        let before = clock.read().expect("the worker lives");
        orders.send(()).expect("the worker lives");
        reports.recv().expect("the worker lives");
        let after = clock.read().expect("the worker lives");
        assert!(after >= before + WORK, "{before:?} {after:?}");

        // On its way to sleep it may be charged for what a hypervisor takes.
        let rests = || {
            let (before, asleep) = (clock.read().expect("the worker lives"), Instant::now());
            thread::sleep(Duration::from_millis(40));
            clock.read().expect("the worker lives") < before + asleep.elapsed() / 4
        };
        assert!(within(PATIENCE, rests), "it grows while its thread sleeps");

        drop(orders);
        worker.join().expect("no panic");
        assert_eq!(clock.read(), None, "the thread has ended");
    }

    #[test]
    fn ended_threads_stay_ended_while_their_ids_may_be_reused() {
        let clocks: Vec<_> = (0..20)
            .map(|_| thread::spawn(|| CpuClock::current_thread().expect("a clock")))
            .map(|thread| thread.join().expect("no panic"))
            .collect();
        assert!(clocks.iter().all(|clock| clock.read().is_none()));
    }

    #[test]
    fn a_thread_sees_its_own_running_time_grow_with_its_work() {
        const WORK: Duration = Duration::from_millis(20);
        let Some(stat) = sched_stat() else { return };
        let before = stat.read().expect("our own thread lives");
        work(WORK);
        // The numbers lag behind by a tick, unless we let others run in between.
        thread::sleep(Duration::from_millis(1));
        let after = stat.read().expect("our own thread lives");
        assert!(after.running >= before.running + WORK, "{before:?} {after:?}");
        assert!(after.waiting >= before.waiting, "{before:?} {after:?}");
        assert!(after.slices > before.slices, "{before:?} {after:?}");
    }

    #[test]
    fn two_busy_threads_on_one_cpu_are_seen_to_wait_for_it() {
        const WAIT: Duration = Duration::from_millis(5);
        if sched_stat().is_none() {
            return;
        }
        let first = CpuSet::from_iter(Topology::detect().allowed().first());
        let stop = &AtomicBool::new(false);
        let (outbox, handles) = mpsc::channel();
        thread::scope(|scope| {
            let start = |outbox: mpsc::Sender<SchedStat>| {
                scope.spawn(move || {
                    outbox.send(sched_stat().expect("as before")).expect("a reader");
                    while !stop.load(Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            };
            let both = || [outbox.clone(), outbox].map(start);
            affinity::with_mask(&first, both).expect("an allowed cpu");

            let stats: Vec<SchedStat> = handles.iter().take(2).collect();
            let waits = || stats.iter().map(|stat| stat.read().unwrap_or_default().waiting);
            let before: Vec<_> = waits().collect();
            let have_waited = || waits().zip(&before).all(|(now, before)| now >= *before + WAIT);
            let competed = within(PATIENCE, have_waited);
            let after: Vec<_> = waits().collect();
            // Before anything can panic: the scope waits for the threads.
            stop.store(true, Relaxed);
            assert!(competed && stats.len() == 2, "{before:?} {after:?}");
        });
    }

    #[test]
    fn the_statistics_of_an_ended_thread_are_gone() {
        if sched_stat().is_none() {
            return;
        }
        let stats: Vec<_> = (0..20)
            .map(|_| thread::spawn(|| sched_stat().expect("as before")))
            .map(|thread| thread.join().expect("no panic"))
            .collect();
        // `join` returns a little before the kernel has forgotten the thread.
        for stat in &stats {
            assert!(within(PATIENCE, || stat.read().is_none()), "{:?}", stat.read());
        }
    }

    /// The calling thread's statistics; says so if there are none here.
    fn sched_stat() -> Option<SchedStat> {
        let stat = SchedStat::current_thread();
        if stat.is_none() {
            eprintln!("skipped: this kernel has no scheduler statistics");
        }
        stat
    }

    /// Runs itself again, in a process that has one CPU in its mask and in one that joins a group
    /// with a quota of one core.
    #[test]
    fn a_fresh_detection_follows_the_mask_and_the_quota() {
        const ROLE: &str = "FORTHWITH_TEST_GROUP";
        match env::var_os(ROLE) {
            None => {}
            Some(group) if group.is_empty() => return report(&Topology::detect()),
            Some(group) => return detect_around(Path::new(&group)),
        }
        let run = |group: &Path| {
            let mut command = Command::new(env::current_exe().expect("a path"));
            let name = "on_linux::a_fresh_detection_follows_the_mask_and_the_quota";
            command.args(["--exact", name, "--nocapture"]).env(ROLE, group);
            reports(command)
        };

        let all = run(Path::new(""));
        let first = CpuSet::from_iter(Topology::detect().allowed().first());
        let masked = affinity::with_mask(&first, || run(Path::new(""))).expect("an allowed cpu");
        assert_eq!((all.len(), masked.as_slice()), (1, [1].as_slice()));

        match Group::with_one_core() {
            Ok(group) => match *run(&group.0) {
                // More in the end if the group that it left had a limit.
                [before, 1, lifted] => assert!(before == all[0] && lifted >= before, "{lifted}"),
                [_] => eprintln!("used only the mask: no process may join the cgroup"),
                ref reports => panic!("{reports:?}"),
            },
            Err(error) => eprintln!("used only the mask: no cgroup with a quota here: {error}"),
        }
    }

    /// Detects before joining the group, in it, and after its quota was lifted.
    fn detect_around(group: &Path) {
        report(&Topology::detect());
        if fs::write(group.join("cgroup.procs"), process::id().to_string()).is_err() {
            return;
        }
        let within = Topology::detect();
        assert!(within.quota().is_some_and(|quota| quota.whole_cores() == 1), "{within}");
        report(&within);
        Group::limit(group, None).expect("a group");
        report(&Topology::detect());
    }

    const REPORT: &str = "usable cores: ";

    fn report(machine: &Topology) {
        println!("\n{REPORT}{}", machine.usable_cores());
    }

    /// Runs `command`, not for ever, and returns what it reported.
    fn reports(mut command: Command) -> Vec<usize> {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("our own binary runs");
        if !within(PATIENCE, || child.try_wait().expect("a child").is_some()) {
            child.kill().expect("a child");
        }
        let output = child.wait_with_output().expect("a child");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {text}", output.status);
        let reports = text.lines().filter_map(|line| line.strip_prefix(REPORT));
        reports.map(|cores| cores.parse().expect("a number")).collect()
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
            let path = root.join(format!("forthwith-test-{}", process::id()));
            fs::create_dir(&path)?;
            let group = Self(path);
            Self::limit(&group.0, Quota::new(100_000, 100_000))?;
            Ok(group)
        }

        /// Sets or lifts the limit, in the words of whichever version has it.
        fn limit(group: &Path, quota: Option<Quota>) -> io::Result<()> {
            let us = quota.map(|quota| quota.quota_us().to_string());
            let v1 = group.join("cpu.cfs_quota_us");
            if v1.exists() {
                return fs::write(v1, us.as_deref().unwrap_or("-1"));
            }
            // Not there unless the group above hands the controller down.
            fs::write(group.join("cpu.max"), us.as_deref().unwrap_or("max"))
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            // A process leaves its group a little after it was waited for.
            let removed = within(PATIENCE, || fs::remove_dir(&self.0).is_ok());
            assert!(removed || thread::panicking(), "{} cannot be removed", self.0.display());
        }
    }

    /// Whether `condition` comes true in time.
    fn within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + patience;
        while !condition() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Runs `test` in a thread of its own, whose mask may be left in any state.
    fn in_a_thread(test: impl FnOnce() + Send + 'static) {
        thread::spawn(test).join().expect("the thread does not panic");
    }

    /// Uses `amount` of CPU time, however long that takes.
    fn work(amount: Duration) {
        let end = thread_cpu_time().expect("a clock") + amount;
        while thread_cpu_time().expect("a clock") < end {
            std::hint::black_box((0..1_000_u64).fold(0, u64::wrapping_add));
        }
    }
}
