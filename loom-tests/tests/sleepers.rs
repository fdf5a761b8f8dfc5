//! Sleeping workers: nobody sleeps while there is work that only a sleeper could take.
//!
//! Work is a number, so that the models speak of the wake-ups alone. A worker that sleeps for ever is
//! a deadlock, which loom reports.

use forthwith::lockfree::Sleepers;
use forthwith_loom_tests::two_preemptions;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::*};
use loom::thread;

/// Tasks that wait, tasks that were done, and where the workers sleep.
struct Shop {
    queued: AtomicUsize,
    done: AtomicUsize,
    sleepers: Sleepers,
}

impl Shop {
    fn new() -> Arc<Self> {
        let (queued, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { queued, done, sleepers: Sleepers::new() })
    }

    fn submit(&self) {
        // Relaxed: that the work is seen must follow from the fences alone.
        self.queued.fetch_add(1, Relaxed);
        self.sleepers.notify();
    }

    fn take(&self) -> bool {
        self.queued.fetch_update(Relaxed, Relaxed, |queued| queued.checked_sub(1)).is_ok()
    }

    /// Works until `tasks` are done, by whomever; sleeps between.
    fn work(&self, tasks: usize) {
        let mut woken = false;
        while self.done.load(Relaxed) < tasks {
            if self.take() {
                if std::mem::take(&mut woken) && self.queued.load(Relaxed) > 0 {
                    self.sleepers.notify();
                }
                if self.done.fetch_add(1, Relaxed) + 1 == tasks {
                    self.sleepers.wake_all();
                }
                continue;
            }
            let seat = self.sleepers.sit();
            if self.queued.load(Relaxed) == 0 && self.done.load(Relaxed) < tasks {
                seat.sleep();
            }
            woken = true;
        }
    }
}

#[test]
fn one_worker_does_two_tasks_and_sleeps_between() {
    two_preemptions(|| {
        let shop = Shop::new();
        let worker = {
            let shop = Arc::clone(&shop);
            thread::spawn(move || shop.work(2))
        };
        shop.submit();
        shop.submit();
        worker.join().unwrap();
        assert_eq!(shop.queued.load(Relaxed), 0);
    });
}

#[test]
fn two_workers_do_two_tasks_and_pass_the_wake_up_on() {
    two_preemptions(|| {
        let shop = Shop::new();
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let shop = Arc::clone(&shop);
                thread::spawn(move || shop.work(2))
            })
            .collect();
        shop.submit();
        shop.submit();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn two_who_submit_at_once_leave_no_task_behind() {
    two_preemptions(|| {
        let shop = Shop::new();
        let others: Vec<_> = [true, false]
            .map(|works| {
                let shop = Arc::clone(&shop);
                thread::spawn(move || if works { shop.work(2) } else { shop.submit() })
            })
            .into();
        shop.submit();
        for other in others {
            other.join().unwrap();
        }
    });
}

/// Both tasks wait for each other: if the second one's wake-up is lost, neither ends.
#[test]
fn two_tasks_that_need_two_workers_get_them() {
    two_preemptions(|| {
        let shop = Shop::new();
        let (first, second) = (Arc::new(AtomicUsize::new(0)), 2);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let (shop, met) = (Arc::clone(&shop), Arc::clone(&first));
                thread::spawn(move || {
                    let mut woken = false;
                    while !shop.take() {
                        let seat = shop.sleepers.sit();
                        if shop.queued.load(Relaxed) == 0 {
                            seat.sleep();
                        }
                        woken = true;
                    }
                    if woken && shop.queued.load(Relaxed) > 0 {
                        shop.sleepers.notify();
                    }
                    met.fetch_add(1, Relaxed);
                    while met.load(Relaxed) < second {
                        thread::yield_now();
                    }
                })
            })
            .collect();
        shop.submit();
        shop.submit();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}
