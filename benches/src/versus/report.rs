//! What came out of a row, as a line for people or an object for machines.

use std::fmt::Write;

/// The medians of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The row's name.
    pub name: String,
    /// The ratio that was aimed at.
    pub goal: f64,
    /// The ratios that were aimed at against single peers.
    pub goals: Vec<(&'static str, f64)>,
    /// Our median, in nanoseconds an operation.
    pub ours_ns: f64,
    /// The peers' medians.
    pub peers: Vec<(&'static str, f64)>,
    /// The medians of those who are there to compare, and are not peers.
    pub bounds: Vec<(&'static str, f64)>,
    /// How often ours allocates an operation.
    pub allocs_per_op: f64,
}

impl Outcome {
    /// The fastest peer.
    #[must_use]
    pub fn best(&self) -> Option<(&'static str, f64)> {
        self.peers.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The best peer's time over ours: above 1 we are faster.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.best().map_or(f64::NAN, |(_, ns)| ns / self.ours_ns)
    }

    /// The goals against single peers or bounds: who, the ratio reached, the ratio wanted.
    pub fn against(&self) -> impl Iterator<Item = (&'static str, f64, f64)> {
        self.goals.iter().filter_map(|&(who, goal)| {
            let (_, ns) = self.peers.iter().chain(&self.bounds).find(|(peer, _)| *peer == who)?;
            Some((who, ns / self.ours_ns, goal))
        })
    }

    /// Whether the ratios are what we wanted.
    #[must_use]
    pub fn reaches_goal(&self) -> bool {
        self.ratio() >= self.goal && self.against().all(|(_, ratio, goal)| ratio >= goal)
    }

    /// `versus <name> ours=<ns>ns best=<peer>:<ns>ns ratio=<r> goal=<g> ok|LOSES`, and before the
    /// verdict `vs=<peer>:<r>/<g>` for each goal against a single peer, `bound=<name>:<ns>ns` for
    /// each bound.
    #[must_use]
    pub fn line(&self) -> String {
        let (peer, ns) = self.best().unwrap_or(("none", f64::NAN));
        let verdict = if self.reaches_goal() { "ok" } else { "LOSES" };
        let mut line = format!(
            "versus {} ours={:.1}ns best={peer}:{ns:.1}ns ratio={:.2} goal={:.2} ",
            self.name,
            self.ours_ns,
            self.ratio(),
            self.goal
        );
        for (who, ratio, goal) in self.against() {
            // Writing to a string does not fail.
            let _ = write!(line, "vs={who}:{ratio:.2}/{goal:.2} ");
        }
        for (who, ns) in &self.bounds {
            let _ = write!(line, "bound={who}:{ns:.1}ns ");
        }
        line + verdict
    }

    /// The same as one JSON object, with all peers. Names hold no character to escape.
    #[must_use]
    pub fn json(&self) -> String {
        let (peer, ns) = self.best().unwrap_or(("none", 0.0));
        let peers = members(self.peers.iter().copied());
        let bounds = members(self.bounds.iter().copied());
        let goals = members(self.against().map(|(who, _, goal)| (who, goal)));
        format!(
            "{{\"name\":\"{}\",\"ours_ns\":{:.2},\"best_peer\":\"{peer}\",\"best_ns\":{ns:.2},\
             \"ratio\":{:.3},\"goal\":{:.2},\"goals\":{{{goals}}},\"peers\":{{{peers}}},\
             \"bounds\":{{{bounds}}},\"allocs_per_op\":{:.4}}}",
            self.name,
            self.ours_ns,
            self.ratio(),
            self.goal,
            self.allocs_per_op
        )
    }
}

/// The members of a JSON object of numbers.
fn members(numbers: impl Iterator<Item = (&'static str, f64)>) -> String {
    let mut members = String::new();
    for (name, number) in numbers {
        let comma = if members.is_empty() { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(members, "{comma}\"{name}\":{number:.2}");
    }
    members
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn the_json_has_every_key_and_every_peer() {
        let outcome = Outcome {
            name: "lockfree/ring-u64/1t".into(),
            goal: 1.0,
            goals: vec![("a", 2.0)],
            ours_ns: 4.0,
            peers: vec![("a", 5.0), ("b", 4.5)],
            bounds: vec![("c", 3.0)],
            allocs_per_op: 0.0,
        };
        assert_eq!(
            outcome.json(),
            "{\"name\":\"lockfree/ring-u64/1t\",\"ours_ns\":4.00,\"best_peer\":\"b\",\
             \"best_ns\":4.50,\"ratio\":1.125,\"goal\":1.00,\"goals\":{\"a\":2.00},\"peers\":{\"a\":5.00,\"b\":4.50},\
             \"bounds\":{\"c\":3.00},\"allocs_per_op\":0.0000}"
        );
        assert_eq!(
            outcome.line(),
            "versus lockfree/ring-u64/1t ours=4.0ns best=b:4.5ns ratio=1.12 goal=1.00 \
             vs=a:1.25/2.00 bound=c:3.0ns LOSES"
        );
    }
}
