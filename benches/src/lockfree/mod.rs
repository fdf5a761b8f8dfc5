//! The rows of the lock-free primitives, one file a primitive.

mod free_list;
mod queue;
mod record;
mod ticket;

use crate::versus::Row;

/// Every row of this component.
#[must_use]
pub fn rows() -> Vec<Row> {
    let mut rows = queue::rows();
    rows.extend(free_list::rows());
    rows.extend(ticket::rows());
    rows.extend(record::rows());
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
    fn names_are_component_operation_threads_and_differ() {
        let mut names: Vec<String> = super::rows().into_iter().map(|row| row.name).collect();
        assert!(names.iter().all(|name| name.starts_with("lockfree/") && name.ends_with('t')));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
