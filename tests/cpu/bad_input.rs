//! Bad input is refused with its numbers, before a thread is made.

use super::{balancer, fixed, in_time};
use forthwith::cpu::{Balancer, BalancerBuilder, BuildError, Priority, SubmitError};
use forthwith::support::scaling::{Scaling, ScalingError};
use std::error::Error;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

fn refused(builder: BalancerBuilder) -> BuildError {
    builder.build().expect_err("it makes no sense")
}

#[test]
fn impossible_numbers_of_workers_are_typed_errors() {
    in_time(|| {
        let workers = |range| refused(Balancer::builder().workers(range));
        assert!(matches!(workers(0..=0), BuildError::NoWorkers));
        assert!(matches!(workers(0..=4), BuildError::NoWorkers));
        match workers(RangeInclusive::new(3, 2)) {
            BuildError::Scaling(ScalingError::BoundsCrossed { min: 3, max: 2 }) => {}
            other => panic!("{other}"),
        }
        let error = workers(RangeInclusive::new(3, 2));
        assert_eq!(error.to_string(), "at most 2 workers is less than at least 3");
        assert!(error.source().is_some());
        // Rules that the user's own builder sets.
        let rules = |range: RangeInclusive<usize>| {
            refused(fixed(1).scaling(move |_| Scaling::builder(range.clone())))
        };
        assert!(matches!(rules(0..=0), BuildError::Scaling(ScalingError::ZeroMax)));
        let error = rules(0..=4);
        assert!(error.to_string().starts_with("0 workers were asked for"), "{error}");
        let error = refused(fixed(1).scaling(|rules| rules.grow_step(0)));
        assert!(matches!(error, BuildError::Scaling(ScalingError::ZeroStep { .. })));
    });
}

#[test]
fn settings_out_of_range_are_typed_errors() {
    in_time(|| {
        for asked in [0, 101, 255] {
            match refused(fixed(1).overload_percent(asked)) {
                BuildError::OverloadPercent { asked: said } => assert_eq!(said, asked),
                other => panic!("{other}"),
            }
        }
        let error = refused(fixed(1).check_interval(Some(Duration::ZERO)));
        assert!(matches!(error, BuildError::NoInterval));
        for name in ["twelve chars", "with\0zero"] {
            match refused(fixed(1).name(name)) {
                BuildError::Name { name: said, bytes_max: 11 } => assert_eq!(said, name),
                other => panic!("{other}"),
            }
        }
        for name in ["", "eleven char", "ä"] {
            fixed(1).name(name).build().expect("a name");
        }
        for percent in [1, 100] {
            fixed(1).overload_percent(percent).build().expect("within the bounds");
        }
        for interval in [Duration::from_nanos(1), Duration::MAX] {
            fixed(1).check_interval(Some(interval)).build().expect("an interval");
        }
    });
}

#[test]
fn impossible_capacities_are_typed_errors_that_name_them() {
    in_time(|| {
        for priority in Priority::ALL {
            let error = refused(fixed(1).queue(priority, 0));
            assert_eq!(error.to_string(), "capacity is zero, at least 1 is needed");
            assert!(error.source().is_some());
            let error = refused(fixed(1).queue(priority, usize::MAX));
            assert!(error.to_string().contains(&usize::MAX.to_string()), "{error}");
        }
        assert!(matches!(refused(fixed(1).queues(0)), BuildError::Engine(_)));
        assert!(matches!(refused(fixed(1).tickets(usize::MAX)), BuildError::Engine(_)));
        fixed(1).queues(1).tickets(0).build().expect("the least there is");
    });
}

/// Builds what asks for far too much: a typed error, not a panic and not the end of the process.
fn too_much(what: &str, builder: BalancerBuilder) {
    let outcome = catch_unwind(AssertUnwindSafe(|| builder.build().map(drop)));
    let error = outcome.unwrap_or_else(|_| panic!("{what}: a panic")).expect_err(what);
    assert!(matches!(error, BuildError::Engine(_) | BuildError::Scaling(_)), "{what}: {error}");
}

#[test]
fn numbers_of_threads_beyond_all_bounds_are_typed_errors() {
    in_time(|| {
        too_much("workers", Balancer::builder().workers(1..=usize::MAX));
        too_much("workers at once", Balancer::builder().workers(usize::MAX..=usize::MAX));
        too_much("spare threads", fixed(1).spare(usize::MAX));
        too_much("a stack", fixed(1).stack_size(usize::MAX));
        too_much("a large stack", fixed(1).stack_size(1 << 60));
    });
}

#[test]
fn more_places_than_there_is_memory_for_are_a_typed_error() {
    let Some(_role) = super::child::role() else {
        let test = "bad_input::more_places_than_there_is_memory_for_are_a_typed_error";
        super::child::succeeds(test, "too much");
        return;
    };
    in_time(|| too_much("spare threads", fixed(1).spare(1 << 50)));
    super::child::leave();
}

#[test]
fn a_batch_without_end_is_refused_and_not_a_panic() {
    in_time(|| {
        let balancer = balancer(1);
        balancer.close();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            balancer.submit_all(Priority::Low, std::iter::repeat(|| 1))
        }));
        let refused = outcome.expect("no panic").expect_err("closed");
        assert!(matches!(refused.refused, SubmitError::Closed(_)));
        assert!(refused.tickets.is_empty());
    });
}

#[test]
fn a_start_hook_that_panics_is_a_typed_error_and_leaves_no_thread() {
    in_time(|| {
        let (stopped, stops) = std::sync::mpsc::channel();
        let builder = fixed(3)
            .on_start(|index| assert!(index != 1, "on purpose"))
            .on_stop(move |index| stopped.send(index).expect("the test listens"));
        let error = refused(builder);
        assert!(matches!(error, BuildError::StartHook { worker: 1 }), "{error}");
        let mut stops: Vec<_> = stops.iter().collect();
        stops.sort_unstable();
        assert_eq!(stops, [0, 2], "who has not started does not stop");
    });
}

#[test]
fn a_stop_hook_that_panics_is_swallowed() {
    in_time(|| {
        let balancer = fixed(2).on_stop(|_| panic!("on purpose")).build().expect("valid");
        balancer.drain(Duration::from_secs(50)).expect("it ends all the same");
    });
}

#[test]
fn a_worker_with_a_small_stack_works() {
    in_time(|| {
        for bytes in [128 << 10, 256 << 10] {
            let balancer = fixed(1).stack_size(bytes).build().expect("valid");
            balancer.submit(Priority::Low, || ()).expect("open").wait().expect("no panic");
        }
    });
}
