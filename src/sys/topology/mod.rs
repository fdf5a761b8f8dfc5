//! Which CPUs we may use, who shares a core, a cache or a node, and how much of them we are
//! granted.
//!
//! Pools are sized and pinned by this. For the size alone, [`usable_cores`] is enough; take a
//! [`Topology`] to place threads.
//!
//! - Detection never fails: what the platform does not tell becomes one package of equal cores
//!   without a quota.
//! - It reads small files, seven or so for each CPU (0.23 ms measured for two CPUs), and
//!   allocates; keep the result. Lookups make no syscalls and cost a scan of the CPUs, and an
//!   allocation where they return a set.
//! - A `Topology` is a picture of one moment. Masks, quotas and CPUs change while a process runs:
//!   detect again from time to time where that matters.
//!
//! ```text
//!   package 0                               package 1
//!   +-------------------------------------+ +-- …
//!   | node 0                              | |
//!   | +---------------+ +---------------+ | |   Cpu { id: 6, core: 2, package: 0,
//!   | | L3            | | L3            | | |         last_level_cache: 2, node: 0 }
//!   | | core 0 core 1 | | core 2 core 3 | | |
//!   | |  0 4    1 5   | |  2 6    3 7   | | |   a core and a cache are named after their
//!   | +---------------+ +---------------+ | |   lowest CPU
//!   +-------------------------------------+ +-- …
//! ```
//!
//! # Example
//! ```
//! use forthwith::sys::topology::Topology;
//!
//! let machine = Topology::detect();
//! println!("{machine}");
//! for cpu in machine.physical_cores() {
//!     println!("cpu {cpu} shares its cache with {}", machine.sharing_l3(cpu));
//! }
//! ```

mod cgroup;
mod cpu_set;
#[cfg(test)]
mod fixture;
mod sysfs;

pub use cgroup::Quota;
pub use cpu_set::{CpuSet, Iter, ParseCpuSetError};

use super::affinity;
use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

/// How many threads can run at once: the CPUs that we may use, or the cgroup quota if it is
/// tighter (rounded up); at least 1.
///
/// The first call reads the masks and the cgroup files (0.2 ms measured) and allocates; the answer
/// is kept for the life of the process, so that later calls are one load (1 ns). Make the first
/// call before any thread is pinned. [`Topology::detect`] followed by [`Topology::usable_cores`]
/// is the same, read afresh.
///
/// `std::thread::available_parallelism` reads the files again in every call (37 µs measured) and
/// sees one core when called from a thread that is pinned to one.
///
/// ```
/// let workers = forthwith::sys::topology::usable_cores();
/// assert!(workers >= 1);
/// ```
#[must_use]
pub fn usable_cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| {
        let root = Path::new("/");
        grant(&running(root, allowed_cpus()), cgroup::quota(root))
    })
}

/// How many CPUs run in this machine, whoever may use them: as many as a mask can grow to. 0 if unknown, as
/// beyond Linux. Reads a file each time.
#[must_use]
pub fn online_cpus() -> usize {
    sysfs::online(Path::new("/")).map_or(0, |cpus| cpus.len())
}

/// A CPU that we may use and whom it shares what with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Cpu {
    /// Its number, as [`pin_to_core`](super::affinity::pin_to_core) takes it.
    pub id: usize,
    /// Its physical core: the lowest CPU number on that core, allowed or not.
    pub core: usize,
    /// Its package (socket), as the firmware counts them; 0 if unknown.
    pub package: usize,
    /// Its last-level cache, usually an L3: the lowest CPU number that shares it. If unknown, the
    /// lowest allowed CPU of the package.
    pub last_level_cache: usize,
    /// Its NUMA node; 0 if unknown.
    pub node: usize,
}

/// The CPUs that this process may use, with who shares what, and its CPU quota.
///
/// See the [module](self) for the story and an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    allowed: CpuSet,
    /// One for each allowed CPU, in ascending order; never empty.
    cpus: Vec<Cpu>,
    quota: Option<Quota>,
}

impl Topology {
    /// Reads the topology afresh: two syscalls for the masks, then files. Never fails.
    ///
    /// A mask belongs to a thread, not to the process. What counts here is the union of the main
    /// thread's mask and the calling thread's: a CPU that either may use is one that the process
    /// was given, and so a detection from a pinned worker still sees the whole grant. Only if
    /// both are pinned is the grant out of sight: **detect before pinning the main thread**, and
    /// keep the result. To keep a pool on fewer CPUs than the process has, name them to the pool.
    ///
    /// Beyond Linux there is one package of `std::thread::available_parallelism` equal cores.
    #[must_use]
    pub fn detect() -> Self {
        Self::read_from(Path::new("/"), allowed_cpus())
    }

    /// As [`detect`](Self::detect), from the files below `root` and with the given mask.
    pub(crate) fn read_from(root: &Path, allowed: CpuSet) -> Self {
        let allowed = running(root, allowed);
        let nodes = sysfs::nodes(root);
        let places: Vec<_> = allowed.iter().map(|id| (id, sysfs::Place::read(root, id))).collect();
        let lowest_of = |package| {
            places.iter().find(|(_, place)| place.package == package).map_or(0, |&(id, _)| id)
        };
        let cpus = places.iter().map(|&(id, place)| Cpu {
            id,
            core: place.core,
            package: place.package,
            last_level_cache: place.last_level_cache.unwrap_or_else(|| lowest_of(place.package)),
            node: nodes.iter().find(|(_, cpus)| cpus.contains(id)).map_or(0, |&(node, _)| node),
        });
        Self { cpus: cpus.collect(), quota: cgroup::quota(root), allowed }
    }

    /// The CPUs that this process may use; at least one.
    #[must_use]
    pub fn allowed(&self) -> &CpuSet {
        &self.allowed
    }

    /// The same CPUs with whom they share what, in ascending order.
    #[must_use]
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// One allowed CPU; `None` if `id` is not among them.
    #[must_use]
    pub fn cpu(&self, id: usize) -> Option<&Cpu> {
        self.cpus.binary_search_by_key(&id, |cpu| cpu.id).ok().map(|index| &self.cpus[index])
    }

    /// The tightest CPU quota of the cgroups that the process is in; `None` if there is none.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.quota
    }

    /// How many threads can run at once: the number of allowed CPUs, or the quota rounded up if
    /// that is less; at least 1.
    ///
    /// With a quota below the number of CPUs, pinning threads one to a CPU only takes the choice
    /// of a free CPU away from the kernel.
    #[must_use]
    pub fn usable_cores(&self) -> usize {
        grant(&self.allowed, self.quota)
    }

    /// One CPU of each physical core (the lowest that is allowed), in ascending order.
    #[must_use]
    pub fn physical_cores(&self) -> Vec<usize> {
        self.cpus.iter().filter(|cpu| self.is_first_of_core(cpu)).map(|cpu| cpu.id).collect()
    }

    /// All allowed CPUs in the order in which to fill them: one of each physical core, then the
    /// CPUs that share a core with one of those.
    #[must_use]
    pub fn spread(&self) -> Vec<usize> {
        let (first, second): (Vec<&Cpu>, Vec<&Cpu>) =
            self.cpus.iter().partition(|cpu| self.is_first_of_core(cpu));
        first.into_iter().chain(second).map(|cpu| cpu.id).collect()
    }

    /// The allowed CPUs on the same physical core, `cpu` among them; empty if `cpu` is not
    /// allowed.
    #[must_use]
    pub fn smt_siblings(&self, cpu: usize) -> CpuSet {
        self.alike(cpu, |cpu| cpu.core)
    }

    /// The allowed CPUs that share the last-level cache, `cpu` among them; empty if `cpu` is not
    /// allowed.
    ///
    /// Where the machine has no L3 or hides it, the highest level that it shows counts, and the
    /// package if it shows none.
    #[must_use]
    pub fn sharing_l3(&self, cpu: usize) -> CpuSet {
        self.alike(cpu, |cpu| cpu.last_level_cache)
    }

    /// The NUMA node of an allowed CPU; `None` if `cpu` is not allowed.
    #[must_use]
    pub fn node_of(&self, cpu: usize) -> Option<usize> {
        self.cpu(cpu).map(|cpu| cpu.node)
    }

    /// The allowed CPUs of a NUMA node; empty if there are none.
    #[must_use]
    pub fn on_node(&self, node: usize) -> CpuSet {
        self.cpus.iter().filter(|cpu| cpu.node == node).map(|cpu| cpu.id).collect()
    }

    /// Whether no lower allowed CPU is on the same core.
    fn is_first_of_core(&self, cpu: &Cpu) -> bool {
        self.cpus.iter().find(|other| other.core == cpu.core).is_some_and(|first| first == cpu)
    }

    /// The allowed CPUs that are in the same group as `id`.
    fn alike(&self, id: usize, group: impl Fn(&Cpu) -> usize) -> CpuSet {
        let Some(like) = self.cpu(id).map(&group) else {
            return CpuSet::new();
        };
        self.cpus.iter().filter(|cpu| group(cpu) == like).map(|cpu| cpu.id).collect()
    }
}

/// One line: `cpus 0-7, 4 cores, 2 caches, 1 package, 1 node, quota 1.50 cores`.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |noun, group: fn(&Cpu) -> usize| {
            let mut groups: Vec<_> = self.cpus.iter().map(group).collect();
            groups.sort_unstable();
            groups.dedup();
            format!("{} {noun}{}", groups.len(), if groups.len() == 1 { "" } else { "s" })
        };
        write!(f, "cpus {}, {}, ", self.allowed, count("core", |cpu| cpu.core))?;
        write!(f, "{}, ", count("cache", |cpu| cpu.last_level_cache))?;
        write!(f, "{}, ", count("package", |cpu| cpu.package))?;
        write!(f, "{}, ", count("node", |cpu| cpu.node))?;
        match self.quota {
            Some(quota) => write!(f, "quota {quota}"),
            None => write!(f, "no quota"),
        }
    }
}

/// The CPUs that the process may use; where masks cannot be read, as many as `std` counts.
fn allowed_cpus() -> CpuSet {
    affinity::allowed_to_process().filter(|cpus| !cpus.is_empty()).unwrap_or_else(|| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        (0..count.min(CpuSet::LIMIT)).collect()
    })
}

/// The CPUs out of `allowed` that are running, and never none.
fn running(root: &Path, allowed: CpuSet) -> CpuSet {
    let running = sysfs::online(root).map(|online| online.intersect(&allowed));
    let cpus = running.filter(|cpus| !cpus.is_empty()).unwrap_or(allowed);
    // We run on something, whatever the mask says.
    if cpus.is_empty() { CpuSet::from_iter([0]) } else { cpus }
}

/// How many of `allowed` a quota lets run at once.
fn grant(allowed: &CpuSet, quota: Option<Quota>) -> usize {
    allowed.len().min(quota.map_or(usize::MAX, Quota::whole_cores)).max(1)
}

#[cfg(test)]
mod tests {
    use super::fixture::Tree;
    use super::*;

    const V2: &str = "30 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw";

    fn set(list: &str) -> CpuSet {
        list.parse().expect("a valid list")
    }

    fn read(tree: &Tree, allowed: &str) -> Topology {
        Topology::read_from(tree.root(), set(allowed))
    }

    /// Two packages of two cores of two threads; CPU n and n + 4 share a core.
    fn two_sockets() -> Tree {
        (0..8)
            .fold(Tree::new(), |tree, cpu| {
                let (core, package) = (cpu % 4, cpu % 4 / 2);
                let shared = if package == 0 { "0-1,4-5" } else { "2-3,6-7" };
                tree.cpu(cpu, &format!("{core},{}", core + 4), &package.to_string(), shared)
            })
            .file("sys/devices/system/cpu/online", "0-7\n")
            .file("sys/devices/system/node/node0/cpulist", "0-1,4-5\n")
            .file("sys/devices/system/node/node1/cpulist", "2-3,6-7\n")
    }

    fn with_quota(tree: Tree, quota: &str) -> Tree {
        tree.file("proc/self/cgroup", "0::/app\n")
            .file("proc/self/mountinfo", V2)
            .file("sys/fs/cgroup/app/cpu.max", quota)
    }

    #[test]
    fn two_sockets_with_smt_are_told_apart() {
        let topology = read(&two_sockets(), "0-7");
        assert_eq!(topology.physical_cores(), [0, 1, 2, 3]);
        assert_eq!(topology.spread(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(topology.smt_siblings(6), set("2,6"));
        assert_eq!(topology.sharing_l3(6), set("2-3,6-7"));
        assert_eq!((topology.node_of(5), topology.node_of(6)), (Some(0), Some(1)));
        assert_eq!(topology.on_node(1), set("2-3,6-7"));
        let expected = Cpu { id: 6, core: 2, package: 1, last_level_cache: 2, node: 1 };
        assert_eq!(topology.cpu(6), Some(&expected));
        assert_eq!(
            topology.to_string(),
            "cpus 0-7, 4 cores, 2 caches, 2 packages, 2 nodes, no quota"
        );
    }

    #[test]
    fn siblings_that_are_numbered_side_by_side_come_second_as_well() {
        let tree = (0..4).fold(Tree::new(), |tree, cpu| {
            let core = cpu / 2 * 2;
            tree.cpu(cpu, &format!("{core}-{}", core + 1), "0", "0-3")
        });
        let topology = read(&tree, "0-3");
        assert_eq!(topology.physical_cores(), [0, 2]);
        assert_eq!(topology.spread(), [0, 2, 1, 3]);
    }

    #[test]
    fn one_package_can_have_two_caches() {
        let tree = (0..4).fold(Tree::new(), |tree, cpu| {
            let shared = if cpu < 2 { "0-1" } else { "2-3" };
            tree.cpu(cpu, &cpu.to_string(), "0", shared)
        });
        let topology = read(&tree, "0-3");
        assert_eq!(topology.sharing_l3(0), set("0-1"));
        assert_eq!(topology.sharing_l3(3), set("2-3"));
        assert!(topology.cpus().iter().all(|cpu| cpu.package == 0 && cpu.node == 0));
    }

    #[test]
    fn only_allowed_cpus_are_spoken_of() {
        let topology = read(&two_sockets(), "1,4-6");
        assert_eq!(topology.allowed(), &set("1,4-6"));
        // CPU 4 stands for the core that it shares with CPU 0, which is not ours.
        assert_eq!(topology.physical_cores(), [1, 4, 6]);
        assert_eq!(topology.spread(), [1, 4, 6, 5]);
        assert_eq!(topology.smt_siblings(4), set("4"));
        assert_eq!(topology.sharing_l3(4), set("1,4-5"));
        assert_eq!(topology.usable_cores(), 4);
    }

    #[test]
    fn a_cpu_that_is_not_ours_has_no_relations() {
        let topology = read(&two_sockets(), "0-3");
        for cpu in [4, 8, usize::MAX] {
            assert_eq!(topology.cpu(cpu), None);
            assert_eq!(topology.node_of(cpu), None);
            assert!(topology.smt_siblings(cpu).is_empty());
            assert!(topology.sharing_l3(cpu).is_empty());
        }
        assert!(topology.on_node(7).is_empty());
    }

    #[test]
    fn cpus_that_are_offline_are_left_out() {
        let tree = two_sockets().file("sys/devices/system/cpu/online", "0-2,4\n");
        let topology = read(&tree, "0-7");
        assert_eq!(topology.allowed(), &set("0-2,4"));
        assert_eq!(topology.usable_cores(), 4);
    }

    #[test]
    fn an_online_list_that_contradicts_the_mask_is_not_believed() {
        for online in ["8-9\n", "", "garbage"] {
            let tree = two_sockets().file("sys/devices/system/cpu/online", online);
            assert_eq!(read(&tree, "0-7").allowed(), &set("0-7"), "{online:?}");
        }
    }

    #[test]
    fn without_files_there_is_one_package_of_equal_cores_and_no_quota() {
        let topology = read(&Tree::new(), "2-4");
        let expected =
            [2, 3, 4].map(|id| Cpu { id, core: id, package: 0, last_level_cache: 2, node: 0 });
        assert_eq!(topology.cpus(), expected);
        assert_eq!(topology.quota(), None);
        assert_eq!(topology.usable_cores(), 3);
        assert_eq!(topology.to_string(), "cpus 2-4, 3 cores, 1 cache, 1 package, 1 node, no quota");
    }

    #[test]
    fn an_empty_mask_still_leaves_a_cpu_to_run_on() {
        let topology = read(&Tree::new(), "");
        assert_eq!((topology.allowed(), topology.usable_cores()), (&set("0"), 1));
        assert_eq!(topology.cpus().len(), 1);
    }

    #[test]
    fn the_tighter_of_mask_and_quota_gives_the_usable_cores() {
        for (quota, usable) in
            [("150000 100000", 2), ("1000 100000", 1), ("9900000 100000", 8), ("max 100000", 8)]
        {
            let topology = read(&with_quota(two_sockets(), quota), "0-7");
            assert_eq!(topology.usable_cores(), usable, "{quota}");
        }
        let topology = read(&with_quota(two_sockets(), "150000 100000"), "0-7");
        assert_eq!(topology.quota(), Quota::new(150_000, 100_000));
        assert!(topology.to_string().ends_with("quota 1.50 cores"));
    }
}
