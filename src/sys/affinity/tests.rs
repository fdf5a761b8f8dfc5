//! Tests: what a pin says and does, on this machine and on sets that it does not have.

use super::*;

fn set(list: &str) -> CpuSet {
    list.parse().expect("a valid list")
}

#[test]
fn errors_say_what_was_asked_and_what_the_limit_was() {
    let (asked, granted, none) = (set("0-3"), set("0-1"), CpuSet::new());
    let got = Some(set("7"));
    for (error, text) in [
        (PinError::OutOfRange { cpu: 70_000, limit: 65_536 }, "cpu 70000 is beyond the limit"),
        (PinError::NotAllowed { asked: asked.clone(), granted: none }, "none is allowed"),
        (PinError::NotAllowed { asked: asked.clone(), granted }, "0-3, of which only 0-1"),
        (PinError::Unverified { asked: asked.clone(), got }, "0-3, but the mask reads 7"),
        (PinError::Unverified { asked, got: None }, "cannot be read back"),
    ] {
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.source().is_none());
    }
}

#[test]
fn the_kernels_own_words_are_the_source() {
    let error = PinError::Os(io::Error::from(io::ErrorKind::PermissionDenied));
    assert!(error.source().is_some_and(|source| source.to_string().contains("denied")));
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::super::linux::{grow, verify};
    use super::*;

    /// A kernel that wants `bits` bits and then reports its highest CPU.
    fn kernel(bits: usize) -> impl FnMut(&mut [usize]) -> io::Result<()> {
        move |words| {
            let word_bits = usize::BITS as usize;
            if words.len() * word_bits < bits {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            words[(bits - 1) / word_bits] = 1 << ((bits - 1) % word_bits);
            Ok(())
        }
    }

    #[test]
    fn the_buffer_grows_until_the_kernel_is_content() {
        for bits in [1, 1024, 1025, 8192, CpuSet::LIMIT] {
            let cpus = grow(kernel(bits)).expect("within the limit");
            assert_eq!(cpus.iter().collect::<Vec<_>>(), [bits - 1]);
        }
    }

    #[test]
    fn growing_ends_at_the_limit_and_at_any_other_error() {
        let error = grow(kernel(CpuSet::LIMIT + 1)).expect_err("beyond the limit");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        let mut calls = 0;
        let error = grow(|_| {
            calls += 1;
            Err(io::Error::from_raw_os_error(libc::EPERM))
        });
        assert_eq!(error.expect_err("passed on").raw_os_error(), Some(libc::EPERM));
        assert_eq!(calls, 1);
    }

    #[test]
    fn a_mask_that_somebody_else_set_is_reported_and_left_alone() {
        let mask = current().expect("a mask");
        let asked = set("65535");
        match verify(linux::CALLER, &asked, &mask) {
            Err(PinError::Unverified { asked: wanted, got }) => {
                assert_eq!((wanted, got), (asked, Some(mask.clone())));
            }
            other => panic!("expected `Unverified`, got {other:?}"),
        }
        assert_eq!(current().expect("a mask"), mask);
    }

    /// Runs `test` in a thread that is pinned to the first CPU, with all CPUs and that one.
    fn pinned(test: impl FnOnce(&CpuSet, &CpuSet) + Send + 'static) {
        let thread = std::thread::spawn(move || {
            let all = current().expect("a mask");
            let first = CpuSet::from_iter(all.first());
            pin_to(&first).expect("an allowed cpu");
            test(&all, &first);
        });
        thread.join().expect("the thread does not panic");
    }

    #[test]
    fn what_a_pinned_thread_starts_with_a_mask_inherits_it() {
        pinned(|all, first| {
            let start = || std::thread::spawn(current).join().expect("no panic");
            let inside = with_mask(all, start).expect("the mask that we had");
            assert_eq!(&inside.expect("a mask"), all);
            assert_eq!(&current().expect("a mask"), first);
            assert_eq!(&start().expect("a mask"), first);
        });
    }

    #[test]
    fn the_mask_is_put_back_after_a_panic_and_after_a_change() {
        pinned(|all, first| {
            let panicked = std::panic::catch_unwind(|| {
                with_mask(all, || std::panic::resume_unwind(Box::new("planned")))
            });
            assert!(panicked.is_err_and(|payload| payload.is::<&str>()));
            assert_eq!(&current().expect("a mask"), first);

            let last = CpuSet::from_iter(all.iter().last());
            with_mask(all, || pin_to(&last).expect("an allowed cpu")).expect("allowed");
            assert_eq!(&current().expect("a mask"), first);
        });
    }

    #[test]
    fn masks_nest() {
        pinned(|all, first| {
            let inside = with_mask(all, || {
                let inner = with_mask(first, || current().expect("a mask"));
                (inner.expect("allowed"), current().expect("a mask"))
            });
            assert_eq!(inside.expect("allowed"), (first.clone(), all.clone()));
            assert_eq!(&current().expect("a mask"), first);
        });
    }

    #[test]
    fn nothing_runs_with_a_mask_that_cannot_be_had() {
        pinned(|all, first| {
            let more = all.union(&CpuSet::from_iter([CpuSet::LIMIT - 1]));
            for (asked, refusal) in [(CpuSet::new(), "no cpu"), (more, "only")] {
                let error = with_mask(&asked, || unreachable!("the mask was not set"));
                let error = error.expect_err("refused").to_string();
                assert!(error.contains(refusal), "{error}");
                assert_eq!(&current().expect("a mask"), first);
            }
        });
    }

    #[test]
    fn the_process_may_use_what_a_pinned_thread_may_not() {
        let cpus = allowed_to_process().expect("masks can be read");
        let first = cpus.first().expect("a cpu");
        let seen = std::thread::spawn(move || {
            pin_to_core(first).expect("an allowed cpu");
            allowed_to_process()
        });
        assert_eq!(seen.join().expect("no panic"), Some(cpus));
    }
}
