//! Which CPU each worker is pinned to: decided from the topology, checked before a thread is made.

use crate::sys::affinity::PinError;
use crate::sys::topology::{CpuSet, Topology};

/// Where workers run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Wherever the scheduler puts them, within what the process was given.
    #[default]
    None,
    /// Worker `i` on the `i`-th physical core; when there are more workers than cores, on the cores'
    /// other hardware threads, then from the first core again.
    PhysicalCores,
    /// Worker `i` on the `i`-th of these CPUs, from the first again when there are more workers.
    Cores(Vec<usize>),
}

impl Pinning {
    /// The CPUs in the order in which workers take them; empty if nobody is pinned.
    ///
    /// Fails for a list without CPUs, or with one that is not ours to use.
    pub(super) fn plan(&self, machine: &Topology) -> Result<Vec<usize>, PinError> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::PhysicalCores => Ok(machine.spread()),
            Self::Cores(list) => {
                if list.is_empty() {
                    return Err(PinError::EmptySet);
                }
                // A number that no mask can hold would vanish from the set.
                if let Some(&cpu) = list.iter().find(|&&cpu| cpu >= CpuSet::LIMIT) {
                    return Err(PinError::OutOfRange { cpu, limit: CpuSet::LIMIT });
                }
                let asked: CpuSet = list.iter().copied().collect();
                if asked.is_subset(machine.allowed()) {
                    return Ok(list.clone());
                }
                let granted = asked.intersect(machine.allowed());
                Err(PinError::NotAllowed { asked, granted })
            }
        }
    }
}

/// The CPU of a worker in a plan.
pub(super) fn cpu_of(plan: &[usize], worker: usize) -> Option<usize> {
    (!plan.is_empty()).then(|| plan[worker % plan.len()])
}

#[cfg(test)]
mod tests {
    use super::{Pinning, cpu_of};
    use crate::sys::affinity::PinError;
    use crate::sys::topology::Topology;

    #[test]
    fn workers_wrap_around_the_plan() {
        assert_eq!(cpu_of(&[4, 6], 3), Some(6));
        assert_eq!(cpu_of(&[], 3), None);
    }

    #[test]
    fn a_list_is_checked_against_what_we_may_use() {
        let machine = Topology::detect();
        let ours = machine.cpus()[0].id;
        assert_eq!(Pinning::Cores(vec![ours]).plan(&machine).expect("ours"), [ours]);
        assert!(matches!(Pinning::Cores(vec![]).plan(&machine), Err(PinError::EmptySet)));
        let asked = Pinning::Cores(vec![ours, 40_000]).plan(&machine);
        assert!(matches!(asked, Err(PinError::NotAllowed { .. } | PinError::OutOfRange { .. })));
        let asked = Pinning::Cores(vec![usize::MAX]).plan(&machine);
        assert!(matches!(asked, Err(PinError::OutOfRange { cpu: usize::MAX, .. })));
    }

    #[test]
    fn physical_cores_come_first() {
        let machine = Topology::detect();
        let plan = Pinning::PhysicalCores.plan(&machine).expect("never fails");
        assert_eq!(plan[..machine.physical_cores().len()], machine.physical_cores());
    }
}
