//! Settings that make no sense, and what errors say.

use crate::{fixed, in_time, pool};
use forthwith::threads::{
    BuildError, CancelToken, CreateError, DispatchError, Lost, MapError, Panic, Pool, Stats,
    Stopped, SubmitError, Threads, Ticket, Unfinished, UnknownGroup, UnknownPool, Waited, WhenFull,
};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::time::Duration;

#[test]
fn names_that_no_thread_can_have_are_refused() {
    for name in ["", "\0", "a\0b"] {
        let Err(error) = Pool::builder(name).build() else { panic!("{name:?} was taken") };
        assert!(matches!(&error, BuildError::Name { name: told } if told == name));
        assert!(error.to_string().contains(&format!("{name:?}")));
        assert!(error.source().is_none());
    }
}

#[test]
fn any_other_name_is_kept_whole() {
    in_time(|| {
        let long = "x".repeat(10_000);
        for name in [" ", "a", "ünïcödé, wïth möre thän fïfteen", "🦀🦀🦀🦀🦀", "a/b\n%s", &long]
        {
            let pool = Pool::builder(name).threads(1..=2).build().expect("valid");
            assert_eq!(pool.name(), name);
            let thread = pool.submit(|| std::thread::current().name().map(str::len));
            assert!(thread.expect("open").wait().expect("runs").expect("it has one") <= 15);
        }
    });
}

#[test]
fn a_range_of_threads_must_make_sense() {
    #[allow(clippy::reversed_empty_ranges, reason = "what is tested")]
    let crossed = [3..=2, usize::MAX..=0];
    for threads in crossed.into_iter().chain([0..=0]) {
        let Err(error) = Pool::builder("test").threads(threads.clone()).build() else {
            panic!("{threads:?} was taken")
        };
        assert!(matches!(error, BuildError::Scaling(_)), "{threads:?}: {error:?}");
        assert_eq!(error.to_string(), error.source().expect("it has one").to_string());
    }
    for threads in [0..=4097, 4097..=4097, 0..=usize::MAX, usize::MAX..=usize::MAX] {
        let Err(error) = Pool::builder("test").threads(threads.clone()).build() else {
            panic!("{threads:?} was taken")
        };
        assert!(matches!(error, BuildError::Engine(_)), "{threads:?}: {error:?}");
        assert!(error.to_string().contains("4096"), "{error}");
        assert!(error.to_string().contains(&threads.end().to_string()), "{error}");
    }
    drop(Pool::builder("test").threads(0..=4096).build().expect("the most there can be"));
}

#[test]
fn impossible_capacities_are_errors() {
    for queue in [0, usize::MAX, usize::MAX / 64, 1 << 46] {
        let Err(error) = fixed(1).queue(queue).build() else { panic!("{queue} was taken") };
        assert!(matches!(error, BuildError::Engine(_)), "{queue}: {error:?}");
        assert!(error.source().is_some() && !error.to_string().is_empty());
    }
    let Err(error) = fixed(1).tickets(usize::MAX).build() else { panic!("it was taken") };
    assert!(matches!(error, BuildError::Engine(_)), "{error:?}");
}

#[test]
fn durations_of_zero_are_errors_where_they_make_no_sense() {
    let zero = Duration::ZERO;
    for (settings, name) in [
        (fixed(1).deadline(zero), "deadline"),
        (fixed(1).overdue_after(zero), "overdue_after"),
        (fixed(1).check_interval(Some(zero)), "check_interval"),
    ] {
        let Err(BuildError::Zero { setting }) = settings.build() else { panic!("it was taken") };
        assert_eq!(setting, name);
    }
}

#[test]
fn the_least_and_the_most_of_each_setting_work() {
    in_time(|| {
        for time in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            let positive = time.max(Duration::from_nanos(1));
            let far = time.max(Duration::from_hours(1));
            let pool = Pool::builder("test").threads(0..=3).queue(1).tickets(0).stack_size(0);
            let pool = pool.keep_alive(time).check_interval(Some(far)).overdue_after(positive);
            let pool = pool.deadline(far).build().expect("valid");
            for number in 0..100 {
                let ticket = pool.submit(move || number).expect("open");
                assert_eq!(ticket.wait().expect("runs"), number);
            }
        }
    });
}

#[test]
fn a_stack_that_no_thread_can_have_is_an_error() {
    in_time(|| {
        for bytes in [usize::MAX, usize::MAX / 2, 1 << 60] {
            let Err(error) = fixed(1).stack_size(bytes).build() else {
                panic!("{bytes} was taken")
            };
            assert!(matches!(error, BuildError::Engine(_)), "{error:?}");
        }
    });
}

#[test]
fn a_closed_pool_gives_everything_back() {
    in_time(|| {
        for policy in
            [WhenFull::Block, WhenFull::Reject, WhenFull::CallerRuns, WhenFull::DropOldest]
        {
            let pool = fixed(1).queue(1).when_full(policy).build().expect("valid");
            pool.close();
            pool.close();
            assert!(pool.is_closed());
            let refused = [
                pool.execute(|| ()).map_err(SubmitError::into_inner).is_err(),
                pool.try_execute(|| ()).is_err_and(|it| matches!(it, SubmitError::Closed(_))),
                pool.execute_timeout(Duration::MAX, || ())
                    .is_err_and(|it| matches!(it, SubmitError::Closed(_))),
                pool.submit(|| ()).is_err_and(|it| matches!(it, SubmitError::Closed(_))),
                pool.try_submit(|| ()).is_err_and(|it| matches!(it, SubmitError::Closed(_))),
                pool.submit_timeout(Duration::MAX, || ())
                    .is_err_and(|it| matches!(it, SubmitError::Closed(_))),
                pool.submit_cancellable(|_| ())
                    .is_err_and(|it| matches!(it, SubmitError::Closed(_))),
            ];
            assert_eq!(refused, [true; 7], "{policy:?}");
            let mut results = pool.map(2, 0..3, |n| n);
            let Some(Err(MapError::Refused(SubmitError::Closed(0)))) = results.next() else {
                panic!("{policy:?}: it was taken")
            };
            pool.drain(Duration::MAX).expect("nothing is left");
            assert_eq!(pool.stats().submitted, 0);
        }
    });
}

#[test]
fn errors_are_errors_and_all_can_be_printed() {
    fn is_error<T: Error + Send + Sync + 'static>() {}
    fn is_debug<T: Debug>() {}
    is_error::<BuildError>();
    is_error::<SubmitError<fn()>>();
    is_error::<Lost>();
    is_error::<Panic>();
    is_error::<Waited<u8>>();
    is_error::<MapError<u8>>();
    is_error::<Unfinished>();
    is_error::<UnknownGroup>();
    is_error::<UnknownPool>();
    is_error::<CreateError>();
    is_error::<DispatchError<fn()>>();
    is_debug::<Pool>();
    is_debug::<Threads>();
    is_debug::<Ticket<u8>>();
    is_debug::<CancelToken<'_>>();
    is_debug::<Stats>();
    is_debug::<Stopped>();
    is_debug::<WhenFull>();

    let shown: [&dyn Display; 7] = [
        &SubmitError::Full(()),
        &SubmitError::Closed(()),
        &SubmitError::Forked(()),
        &Lost::Abandoned,
        &Lost::Expired,
        &Lost::Deadlock,
        &Panic::new(Box::new("no good")),
    ];
    for shown in shown {
        let text = shown.to_string();
        assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.'), "{text}");
    }
    let pool = pool(1);
    assert!(format!("{pool:?}").contains("\"test\""));
    assert!(format!("{:?}", fixed(1)).contains("\"test\""));
    assert!(format!("{:?}", pool.try_submit(|| ())).contains("Ticket"));
}
