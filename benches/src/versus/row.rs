//! A row: who competes in what, and the rounds.
//!
//! Every contender is calibrated to samples of some milliseconds, then all are sampled in turn, round
//! after round, each round starting with another one. What is kept are the medians.

use super::report::Outcome;
use crate::sample::{COUNTS, Sample};
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Does so many operations, on fresh state, and says what they took.
type Work = Box<dyn Fn(u64) -> Sample>;

/// One operation under one number of threads, by ours and by the peers.
///
/// ```
/// use forthwith::lockfree::Counter;
/// use forthwith_bench::sample::repeat;
/// use forthwith_bench::versus::Row;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
/// use std::time::Duration;
///
/// let counter = Counter::new();
/// let row = Row::new("lockfree/count", 1, move |ops| repeat(ops, || counter.add(1)))
///     .goal(1.5)
///     .peer("one-atomic", |ops| {
///         let atomic = AtomicU64::new(0);
///         repeat(ops, || {
///             atomic.fetch_add(1, Relaxed);
///         })
///     });
/// println!("{}", row.run(3, Duration::from_millis(1)).line());
/// ```
#[derive(Debug)]
pub struct Row {
    /// `component/operation/threads`, such as `lockfree/ring-u64/2t`.
    pub name: String,
    /// The ratio that we want to reach.
    pub goal: f64,
    /// The ratios that we want to reach against single peers.
    pub goals: Vec<(&'static str, f64)>,
    ours: Contender,
    peers: Vec<Contender>,
    bounds: Vec<Contender>,
    ops: Option<u64>,
}

/// One way to do it.
pub struct Contender {
    /// What it is called in reports.
    pub name: &'static str,
    work: Work,
}

impl Contender {
    /// Does `ops` operations.
    #[must_use]
    pub fn sample(&self, ops: u64) -> Sample {
        (self.work)(ops)
    }

    /// Nanoseconds an operation, from one sample.
    fn nanos(&self, ops: u64) -> f64 {
        self.sample(ops).elapsed.as_nanos() as f64 / ops as f64
    }

    /// How many operations take about as long as a sample should.
    fn calibrate(&self, time: Duration) -> u64 {
        let mut ops = 64;
        loop {
            // The better of two: the first may have paid for what is made once.
            let elapsed = self.sample(ops).elapsed.min(self.sample(ops).elapsed);
            if elapsed >= time / 4 {
                let scale = time.as_secs_f64() / elapsed.as_secs_f64();
                return ((ops as f64 * scale) as u64).max(64);
            }
            ops *= 4;
        }
    }
}

impl fmt::Debug for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Row {
    /// A row without peers yet. `work(ops)` does the operations our way.
    pub fn new(name: &str, threads: usize, work: impl Fn(u64) -> Sample + 'static) -> Self {
        let ours = Contender { name: "forthwith", work: Box::new(work) };
        Self {
            name: format!("{name}/{threads}t"),
            goal: 1.0,
            goals: Vec::new(),
            ours,
            peers: Vec::new(),
            bounds: Vec::new(),
            ops: None,
        }
    }

    /// The ratio that we want to reach, if it is not 1.
    #[must_use]
    pub fn goal(mut self, goal: f64) -> Self {
        self.goal = goal;
        self
    }

    /// The ratio that we want to reach against one of the peers, besides that to the best.
    #[must_use]
    pub fn goal_against(mut self, peer: &'static str, goal: f64) -> Self {
        self.goals.push((peer, goal));
        self
    }

    /// Adds a peer that does the same.
    #[must_use]
    pub fn peer(mut self, name: &'static str, work: impl Fn(u64) -> Sample + 'static) -> Self {
        self.peers.push(Contender { name, work: Box::new(work) });
        self
    }

    /// Adds somebody who does less than we do, or a number to stay below: measured and printed, and
    /// never the best peer. A goal against it counts.
    #[must_use]
    pub fn bound(mut self, name: &'static str, work: impl Fn(u64) -> Sample + 'static) -> Self {
        self.bounds.push(Contender { name, work: Box::new(work) });
        self
    }

    /// Every sample is of so many operations, however long they take. For work that does not depend
    /// on how much is asked for.
    #[must_use]
    pub fn ops(mut self, ops: u64) -> Self {
        self.ops = Some(ops);
        self
    }

    /// Ours, then the peers, then the bounds.
    pub fn contenders(&self) -> impl Iterator<Item = &Contender> {
        std::iter::once(&self.ours).chain(&self.peers).chain(&self.bounds)
    }

    /// Measures every contender `rounds` times for about `time`, interleaved.
    #[must_use]
    pub fn run(&self, rounds: usize, time: Duration) -> Outcome {
        let contenders: Vec<(&Contender, u64)> = self
            .contenders()
            .map(|contender| (contender, self.ops.unwrap_or_else(|| contender.calibrate(time))))
            .collect();
        let mut nanos = vec![Vec::with_capacity(rounds); contenders.len()];
        for round in 0..rounds {
            for turn in 0..contenders.len() {
                let who = (turn + round) % contenders.len();
                let (contender, ops) = contenders[who];
                nanos[who].push(contender.nanos(ops));
            }
        }
        let mut medians =
            contenders.iter().zip(nanos).map(|((who, _), all)| (who.name, median(all)));
        let ours_ns = medians.next().map_or(f64::NAN, |(_, ns)| ns);
        let peers = medians.by_ref().take(self.peers.len()).collect();
        let bounds = medians.collect();
        Outcome {
            name: self.name.clone(),
            goal: self.goal,
            goals: self.goals.clone(),
            ours_ns,
            peers,
            bounds,
            allocs_per_op: self.allocations_per_op(),
        }
    }

    fn allocations_per_op(&self) -> f64 {
        const OPS: u64 = 2_000;
        // Relaxed: the threads of the sample are started afterwards.
        COUNTS.store(true, Relaxed);
        let ops = self.ops.unwrap_or(OPS);
        let sample = self.ours.sample(ops);
        COUNTS.store(false, Relaxed);
        sample.allocations as f64 / ops as f64
    }
}

/// The middle value; the mean of the two middle ones if their number is even.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, median};
    use crate::sample::Sample;
    use std::time::Duration;

    /// Pretends that an operation takes so many nanoseconds.
    fn takes(nanos: u64) -> impl Fn(u64) -> Sample {
        move |ops| Sample { elapsed: Duration::from_nanos(nanos * ops), allocations: 0 }
    }

    #[test]
    fn the_ratio_is_of_the_best_peer_to_ours() {
        let row = Row::new("test/op", 2, takes(10)).peer("slow", takes(40)).peer("fast", takes(25));
        let outcome = row.run(3, Duration::from_millis(1));
        assert_eq!(outcome.name, "test/op/2t");
        assert_eq!(outcome.best(), Some(("fast", 25.0)));
        assert!((outcome.ratio() - 2.5).abs() < 1e-9 && outcome.reaches_goal());
    }

    #[test]
    fn a_row_that_misses_its_goal_says_so() {
        let outcome = Row::new("test/op", 1, takes(10))
            .goal(3.0)
            .peer("peer", takes(20))
            .run(1, Duration::from_millis(10));
        assert!(!outcome.reaches_goal());
        assert!(outcome.line().ends_with("ratio=2.00 goal=3.00 LOSES"), "{}", outcome.line());
    }

    #[test]
    fn a_bound_is_no_peer_but_a_goal_against_it_counts() {
        let row = Row::new("test/op", 1, takes(10)).peer("peer", takes(20)).bound("map", takes(5));
        let outcome = row.goal_against("map", 0.9).run(1, Duration::from_millis(1));
        assert_eq!((outcome.best(), outcome.bounds[0]), (Some(("peer", 20.0)), ("map", 5.0)));
        assert!((outcome.ratio() - 2.0).abs() < 1e-9 && !outcome.reaches_goal());
    }

    #[test]
    fn the_number_of_operations_can_be_given() {
        let exactly = |ops| {
            assert_eq!(ops, 3);
            takes(10)(ops)
        };
        let outcome = Row::new("test/op", 1, exactly).ops(3).run(2, Duration::from_millis(1));
        assert!((outcome.ours_ns - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_median_is_not_moved_by_one_outlier() {
        assert!((median(vec![3.0, 1.0, 900.0]) - 3.0).abs() < 1e-9);
        assert!((median(vec![1.0, 2.0, 3.0, 900.0]) - 2.5).abs() < 1e-9);
    }
}
