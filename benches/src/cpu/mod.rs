//! The rows of `cpu`: `cpu/<operation>/<workers>t`.
//!
//! | file | rows | aim |
//! |---|---|---|
//! | [`storm`] | `storm-extern`, `storm-inside`: many empty tasks | 5 and 2.5 times rayon's speed |
//! | [`wake`] | `wake-idle`, `wake-warm`: from submitting to running | 3.33 times rayon's, idle |
//! | [`roundtrip`] | `roundtrip`: a task and its result | as fast as the best |
//! | [`urgent`] | `urgent-backlog`, `urgent-saturated`: a task before others | 50 times rayon's |
//! | [`region`] | `install-sort`, `install-sum`, `fib`, `install-empty` | within 5 % of rayon |
//! | [`idle`] | `idle`: CPU time while there is nothing to do | none |
//!
//! [`balancer`] is ours, [`peers`] are the others; the work of rows that `threads` has as well is in
//! [`pools`](crate::pools). The aim against the best peer is 1 beside these, but for the rows of
//! percentiles, which are information.

mod balancer;
mod idle;
mod peers;
mod region;
mod roundtrip;
mod storm;
mod urgent;
mod wake;

use crate::versus::Row;

/// Every row of this component.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = storm::rows();
    rows.extend(wake::rows());
    rows.extend(roundtrip::rows());
    rows.extend(urgent::rows());
    rows.extend(region::rows());
    rows.extend(idle::rows());
    rows
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_contender_of_every_row_does_its_operations() {
        for row in super::rows() {
            for contender in row.contenders() {
                let sample = contender.sample(256);
                assert!(!sample.elapsed.is_zero(), "{} {}", row.name, contender.name);
            }
        }
    }

    #[test]
    fn names_are_component_operation_workers_and_differ() {
        let mut names: Vec<String> = super::rows().into_iter().map(|row| row.name).collect();
        for name in &names {
            let parts: Vec<&str> = name.split('/').collect();
            assert!(matches!(parts[..], ["cpu", _, "1t" | "2t"]), "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
