//! The workers' threads as the balancer sees them: where each should run, and what it lets others read.
//!
//! Each place has a *post*. A thread that starts puts itself on its CPUs, opens its clocks, and hangs both
//! up there; before it ends it takes them down. So whoever holds a post's lock may read and pin the thread:
//! it cannot end meanwhile.

use super::config::{BalancerBuilder, BuildError};
use super::pinning::cpu_of;
use crate::exec::{Probe, StartHook, StopHook};
use crate::sys::affinity::{self, PinError};
use crate::sys::sync::{Arc, Mutex, MutexGuard};
use crate::sys::topology::CpuSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, mpsc};

/// Where the threads run, and what is known of each.
pub(super) struct Posts {
    /// Where workers run.
    plan: Mutex<Plan>,
    /// One for each place.
    all: Box<[Mutex<Post>]>,
}

/// Where workers run.
pub(super) struct Plan {
    /// The CPU of each worker, from the first again when there are more workers; empty for no pins.
    pub(super) cpus: Vec<usize>,
    /// The CPUs of those that are not pinned. A thread that is started by a pinned one would inherit
    /// its pin.
    pub(super) allowed: CpuSet,
}

impl Plan {
    /// The CPU of a worker, if it is pinned, and what its mask should be.
    fn of(&self, worker: usize) -> (Option<usize>, CpuSet) {
        let cpu = cpu_of(&self.cpus, worker);
        (cpu, cpu.map_or_else(|| self.allowed.clone(), |cpu| CpuSet::from_iter([cpu])))
    }
}

/// What is known of the thread in one place.
#[derive(Debug, Default)]
pub(super) struct Post {
    pub(super) probe: Option<Probe>,
    /// The CPU that it is pinned to.
    pub(super) cpu: Option<usize>,
}

impl Posts {
    /// Posts without threads.
    pub(super) fn new(places: usize, plan: Plan) -> Self {
        Self { plan: Mutex::new(plan), all: (0..places).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn post(&self, index: usize) -> MutexGuard<'_, Post> {
        // Plain data: whatever a panic left is consistent.
        self.all[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        // Replaced as a whole.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the calling thread, the worker `index`, where it should run, and lets it be read.
    fn begin(&self, index: usize) -> Result<(), PinError> {
        let (cpu, mask) = self.plan().of(index);
        let pinned = match cpu {
            Some(cpu) => affinity::pin_to_core(cpu),
            // As far as that can be had: who is not pinned may run anywhere.
            None => affinity::pin_to(&mask).or(Ok(())),
        };
        let cpu = cpu.filter(|_| pinned.is_ok());
        *self.post(index) = Post { probe: Some(Probe::current_thread()), cpu };
        pinned
    }

    /// Puts every worker where it should run now; the first error is returned, after all have been
    /// tried.
    pub(super) fn repin(&self, plan: Plan) -> Result<(), PinError> {
        *self.plan() = plan;
        let mut outcome = Ok(());
        for index in 0..self.all.len() {
            let (cpu, mask) = self.plan().of(index);
            let mut post = self.post(index);
            let thread = post.probe.as_ref().and_then(|probe| probe.thread.as_ref());
            let Some(thread) = thread else { continue };
            let pinned = thread.pin_to(&mask);
            post.cpu = cpu.filter(|_| pinned.is_ok());
            outcome = outcome.and(pinned);
        }
        outcome
    }
}

/// What a worker's thread does first: it pins itself, calls the user's hook, and reports.
pub(super) fn start_hook(
    settings: &mut BalancerBuilder,
    posts: &Arc<Posts>,
    started: mpsc::Sender<Result<(), BuildError>>,
) -> StartHook {
    let (posts, hook, run_unpinned) =
        (Arc::clone(posts), settings.on_start.take(), settings.run_unpinned);
    Box::new(move |index| {
        let pinned = posts.begin(index).or_else(|error| {
            // On platforms that cannot verify, a pin that was reported as done is one.
            let is_tolerable =
                run_unpinned || matches!(error, PinError::Unverified { got: None, .. });
            if is_tolerable { Ok(()) } else { Err(error) }
        });
        let call = || hook.as_ref().map_or((), |hook| hook(index));
        let outcome = pinned.map_err(BuildError::Pin).and_then(|()| {
            catch_unwind(AssertUnwindSafe(call))
                .map_err(|_payload| BuildError::StartHook { worker: index })
        });
        let works = outcome.is_ok();
        if !works {
            *posts.post(index) = Post::default();
        }
        // Whoever is started after `build` has returned reports to nobody.
        let _ = started.send(outcome);
        works
    })
}

/// What a worker's thread does last.
pub(super) fn stop_hook(settings: &mut BalancerBuilder, posts: &Arc<Posts>) -> StopHook {
    let (posts, hook) = (Arc::clone(posts), settings.on_stop.take());
    Box::new(move |index| {
        if let Some(hook) = &hook {
            hook(index);
        }
        *posts.post(index) = Post::default();
    })
}
