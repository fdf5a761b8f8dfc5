//! Tests: the policy over time, against the invariants of the [module](super).

use super::{Decision, Memory, Reason, Scaling, View};
use std::time::{Duration, Instant};

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// 1 to 8 workers, late above 2 ms for 20 ms, calm for 200 ms, then 100 ms of rest.
pub(super) fn rules() -> Scaling {
    rules_for(1, 8)
}

pub(super) fn rules_for(min: usize, max: usize) -> Scaling {
    Scaling::builder(min..=max)
        .grow_delay(ms(2))
        .grow_window(ms(20))
        .grow_step(2)
        .shrink_delay(ms(1))
        .keep_alive(ms(200))
        .cool_down(ms(100))
        .build()
        .expect("valid rules")
}

/// Four busy workers on eight cores, and tasks that wait too long.
pub(super) const LATE: View = View {
    size: 4,
    busy: 4,
    blocked: 0,
    queued: 9,
    queue_delay: Duration::from_millis(5),
    usable: 8,
    wait_percent: 0,
};

/// Four workers with nothing to do.
pub(super) const CALM: View = View { busy: 0, queued: 0, queue_delay: Duration::ZERO, ..LATE };

/// Four workers with enough to do.
pub(super) const STEADY: View =
    View { queued: 1, queue_delay: Duration::from_micros(1500), ..LATE };

pub(super) fn grow(by: usize, reason: Reason) -> Decision {
    Decision::Grow { by, reason }
}

pub(super) fn shrink(by: usize, reason: Reason) -> Decision {
    Decision::Shrink { by, reason }
}

pub(super) fn hold(reason: Reason) -> Decision {
    Decision::Hold { reason }
}

#[test]
fn a_pool_may_sleep_at_zero_and_is_woken_by_work() {
    let rules = rules_for(0, 2);
    let one = View { size: 1, ..CALM };
    let none = View { size: 0, ..CALM };
    let start = Instant::now();
    let (_, memory) = rules.decide(Memory::default(), &one, start);
    let (decision, memory) = rules.decide(memory, &one, start + ms(200));
    assert_eq!(decision, shrink(1, Reason::Idle));
    let (decision, memory) = rules.decide(memory, &none, start + ms(201));
    assert_eq!(decision, hold(Reason::Steady));
    // The cool-down is not over, but nobody else would run the task.
    let queued = View { queued: 1, ..none };
    let (decision, _) = rules.decide(memory, &queued, start + ms(202));
    assert_eq!(decision, grow(1, Reason::NoWorker));
}

#[test]
fn a_rise_of_the_run_queue_wait_forbids_growth() {
    let rules = rules();
    let start = Instant::now();
    let table = [(5, grow(2, Reason::QueueDelay)), (6, hold(Reason::RunQueueWait))];
    for (wait_percent, expected) in table {
        let (_, memory) = rules.decide(Memory::default(), &LATE, start);
        let risen = View { wait_percent, ..LATE };
        assert_eq!(rules.decide(memory, &risen, start + ms(20)).0, expected);
    }
}

#[test]
fn a_change_is_followed_by_the_cool_down() {
    let rules = rules();
    let start = Instant::now();
    let mut memory = Memory::default();
    let mut changes = Vec::new();
    for at in (0..=260).step_by(10) {
        let (decision, next) = rules.decide(memory, &LATE, start + ms(at));
        memory = next;
        match decision {
            Decision::Grow { .. } => changes.push(at),
            Decision::Hold { reason: Reason::Steady | Reason::CoolDown } => {}
            other => panic!("{other} at {at} ms"),
        }
    }
    assert_eq!(changes, [20, 120, 220]);
}

#[test]
fn bounds_win_over_the_cool_down() {
    let start = Instant::now();
    let (_, memory) = rules().decide(Memory::default(), &LATE, start);
    let (decision, memory) = rules().decide(memory, &LATE, start + ms(20));
    assert_eq!(decision, grow(2, Reason::QueueDelay));
    let (decision, memory) = rules_for(1, 3).decide(memory, &LATE, start + ms(21));
    assert_eq!(decision, shrink(1, Reason::AboveMax));
    let (decision, _) = rules_for(6, 8).decide(memory, &LATE, start + ms(22));
    assert_eq!(decision, grow(2, Reason::BelowMin));
}

#[test]
fn one_good_view_starts_the_windows_again() {
    let rules = rules();
    let start = Instant::now();
    let mut memory = Memory::default();
    for (at, view) in [(0, LATE), (10, LATE), (15, STEADY), (20, LATE), (39, LATE)] {
        let (decision, next) = rules.decide(memory, &view, start + ms(at));
        assert_eq!(decision, hold(Reason::Steady), "at {at} ms");
        memory = next;
    }
    let (decision, _) = rules.decide(memory, &LATE, start + ms(40));
    assert_eq!(decision, grow(2, Reason::QueueDelay));
}

#[test]
fn a_flapping_load_does_not_flap_the_size() {
    for period in [5, 10, 15] {
        let rules = rules();
        let start = Instant::now();
        let mut memory = Memory::default();
        for at in (0..20_000).step_by(5) {
            let view = if (at / period) % 2 == 0 { LATE } else { CALM };
            let (decision, next) = rules.decide(memory, &view, start + ms(at));
            assert_eq!(decision, hold(Reason::Steady), "period {period} ms, at {at} ms");
            memory = next;
        }
    }
}

#[test]
fn shrinking_keeps_what_was_busy_at_the_peak() {
    let rules = Scaling { shrink_step: 8, ..rules() };
    let start = Instant::now();
    let mut memory = Memory::default();
    let mut size = 8;
    for at in (0..5_000).step_by(10) {
        // Three tasks at once, every 100 ms.
        let busy = if at % 100 == 0 { 3 } else { 0 };
        let view = View { size, busy, ..CALM };
        let (decision, next) = rules.decide(memory, &view, start + ms(at));
        (size, memory) = (decision.apply(size), next);
    }
    assert_eq!(size, 3);
}

#[test]
fn a_size_changed_by_other_hands_starts_the_keep_alive_again() {
    let rules = rules();
    let start = Instant::now();
    let (_, memory) = rules.decide(Memory::default(), &CALM, start);
    let smaller = View { size: 3, ..CALM };
    let (decision, memory) = rules.decide(memory, &smaller, start + ms(200));
    assert_eq!(decision, hold(Reason::Steady));
    let (decision, _) = rules.decide(memory, &smaller, start + ms(400));
    assert_eq!(decision, shrink(1, Reason::Idle));
}

#[test]
fn a_clock_that_goes_nowhere_changes_nothing() {
    let earlier = Instant::now();
    let now = earlier + ms(1_000);
    for view in [LATE, CALM] {
        let mut memory = Memory::default();
        for _ in 0..1_000 {
            let (decision, next) = rules().decide(memory, &view, now);
            assert_eq!(decision, hold(Reason::Steady));
            let (decision, _) = rules().decide(next, &view, earlier);
            assert_eq!(decision, hold(Reason::Steady));
            memory = next;
        }
    }
}

#[test]
fn any_course_of_events_keeps_the_bounds_and_the_cool_down() {
    let mut random = xorshift(0x9E37_79B9_7F4A_7C15);
    let mut changes = 0_u32;
    for _ in 0..200 {
        let min = random(4) as usize;
        let max = min + 1 + random(12) as usize;
        let rules = rules_for(min, max);
        let (mut now, mut memory) = (Instant::now(), Memory::default());
        let mut size = min;
        let mut view = CALM;
        let mut last_change: Option<Instant> = None;
        for _ in 0..500 {
            now += ms(random(40));
            if random(20) == 0 {
                view = random_view(&mut random);
            }
            view.size = size;
            let (decision, next) = rules.decide(memory, &view, now);
            memory = next;
            size = decision.apply(size);
            assert!((min..=max).contains(&size), "I1: {decision} to {size}");
            if matches!(decision, Decision::Hold { .. }) {
                continue;
            }
            let pause = last_change.map_or(Duration::MAX, |last| now - last);
            assert!(pause >= ms(100) || decision.reason() == Reason::NoWorker, "I2: {decision}");
            last_change = Some(now);
            changes += 1;
        }
    }
    assert!(changes > 1_000, "{changes} changes are too few to prove anything");
}

fn random_view(random: &mut impl FnMut(u64) -> u64) -> View {
    View {
        size: 0,
        busy: if random(2) == 0 { 0 } else { random(16) as usize },
        blocked: random(4) as usize,
        queued: random(3) as usize * 5,
        queue_delay: ms(random(6)),
        usable: random(20) as usize,
        wait_percent: random(26) as u8,
    }
}

/// A source of numbers below the bound it is given.
fn xorshift(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    }
}
