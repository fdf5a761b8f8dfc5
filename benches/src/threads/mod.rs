//! The rows of `threads`: `threads/<operation>/<threads>t`.
//!
//! | file | rows | aim |
//! |---|---|---|
//! | [`execute`] | `execute-1p`, `execute-2p`: many empty tasks, from one or two producers | 3 times the best |
//! | [`submit`] | `submit-1p`: the same with results | 3 times the best |
//! | [`roundtrip`] | `roundtrip`: a task and its result | as fast as the best |
//! | [`wake`] | `wake-idle`: from submitting to running | as fast as the best |
//! | [`overload`] | `overload`: ten times as many tasks as can be done | as fast as the best |
//! | [`idle`] | `idle`: CPU time while there is nothing to do | none |
//!
//! [`pool`] is ours, [`condvar`] and [`peers`] are the others; the work of rows that `cpu` has as well is in
//! [`pools`](crate::pools). Rows of high percentiles are information.

mod condvar;
mod execute;
mod idle;
mod overload;
mod peers;
mod pool;
mod roundtrip;
mod submit;
mod wake;

use crate::versus::Row;

/// Every row of this component.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = execute::rows();
    rows.extend(submit::rows());
    rows.extend(roundtrip::rows());
    rows.extend(wake::rows());
    rows.extend(overload::rows());
    rows.extend(idle::rows());
    rows
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_contender_of_every_row_does_its_operations() {
        for row in super::rows() {
            // Of so few tasks none may have been refused.
            let may_be_none = row.name.contains("refused");
            for contender in row.contenders() {
                let sample = contender.sample(256);
                let is_none = sample.elapsed.is_zero();
                assert!(!is_none || may_be_none, "{} {}", row.name, contender.name);
            }
        }
    }

    #[test]
    fn names_are_component_operation_threads_and_differ() {
        let mut names: Vec<String> = super::rows().into_iter().map(|row| row.name).collect();
        for name in &names {
            let parts: Vec<&str> = name.split('/').collect();
            assert!(matches!(parts[..], ["threads", _, "1t" | "2t"]), "{name}");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
