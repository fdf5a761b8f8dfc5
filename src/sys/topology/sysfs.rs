//! What the kernel tells about each CPU in `sys/devices/system`.
//!
//! | file | what we take from it | when it is missing or makes no sense |
//! |---|---|---|
//! | `cpu/online` | CPUs that can run threads | all that the mask allows |
//! | `cpu/cpuN/topology/core_cpus_list` (`thread_siblings_list` before 5.3) | physical core | a core of its own |
//! | `cpu/cpuN/topology/physical_package_id` | package | 0 |
//! | `cpu/cpuN/cache/index*/{level,shared_cpu_list}` | last-level cache | that of its package |
//! | `node/nodeN/cpulist` | NUMA node | 0 |
//!
//! A group is named after its lowest CPU: ids that firmware invents are unique only within
//! something else, and often are not even that.

use super::CpuSet;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// What the files tell about one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The lowest CPU of the same physical core.
    pub(super) core: usize,
    pub(super) package: usize,
    /// The lowest CPU that shares the last-level cache, if any cache is told of.
    pub(super) last_level_cache: Option<usize>,
}

impl Place {
    /// Reads the place of `cpu`; about seven small files.
    pub(super) fn read(root: &Path, cpu: usize) -> Self {
        let dir = root.join(format!("sys/devices/system/cpu/cpu{cpu}"));
        let topology = dir.join("topology");
        let core = group(&topology.join("core_cpus_list"), cpu)
            .or_else(|| group(&topology.join("thread_siblings_list"), cpu));
        Self {
            core: core.unwrap_or(cpu),
            // Negative where the firmware does not say.
            package: value(&topology.join("physical_package_id")).unwrap_or(0),
            last_level_cache: last_level_cache(&dir.join("cache"), cpu),
        }
    }
}

/// The CPUs that can run threads.
pub(super) fn online(root: &Path) -> Option<CpuSet> {
    value(&root.join("sys/devices/system/cpu/online"))
}

/// The NUMA nodes with their CPUs, in ascending order.
pub(super) fn nodes(root: &Path) -> Vec<(usize, CpuSet)> {
    let mut nodes = numbered(&root.join("sys/devices/system/node"), "node");
    nodes.sort_unstable_by_key(|&(node, _)| node);
    nodes.into_iter().filter_map(|(node, dir)| Some((node, value(&dir.join("cpulist"))?))).collect()
}

/// The contents of a file; what is not UTF-8 in it is replaced, so that the other lines survive.
pub(super) fn text(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The single value in a file.
pub(super) fn value<T: FromStr>(path: &Path) -> Option<T> {
    text(path)?.trim().parse().ok()
}

/// The cache of the highest level that `cpu` has, named after its lowest CPU.
fn last_level_cache(caches: &Path, cpu: usize) -> Option<usize> {
    let (_, last) = numbered(caches, "index")
        .into_iter()
        .filter_map(|(_, dir)| Some((value::<u32>(&dir.join("level"))?, dir)))
        .max_by_key(|&(level, _)| level)?;
    group(&last.join("shared_cpu_list"), cpu)
}

/// The lowest CPU of the list in a file; a list without `cpu` itself is not believed.
fn group(path: &Path, cpu: usize) -> Option<usize> {
    value::<CpuSet>(path).filter(|cpus| cpus.contains(cpu))?.first()
}

/// The entries of `dir` that are called `prefix` and a number, with that number.
fn numbered(dir: &Path, prefix: &str) -> Vec<(usize, std::path::PathBuf)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            Some((name.to_str()?.strip_prefix(prefix)?.parse().ok()?, entry.path()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Tree;
    use super::*;

    const CPU: &str = "sys/devices/system/cpu/cpu5";

    fn place(tree: &Tree) -> Place {
        Place::read(tree.root(), 5)
    }

    #[test]
    fn a_cpu_without_files_is_a_core_of_its_own_in_package_0() {
        let expected = Place { core: 5, package: 0, last_level_cache: None };
        assert_eq!(place(&Tree::new()), expected);
    }

    #[test]
    fn groups_are_named_after_their_lowest_cpu() {
        let tree = Tree::new()
            .file(&format!("{CPU}/topology/core_cpus_list"), "1,5\n")
            .file(&format!("{CPU}/topology/physical_package_id"), "3\n")
            .file(&format!("{CPU}/cache/index0/level"), "1\n")
            .file(&format!("{CPU}/cache/index0/shared_cpu_list"), "1,5\n")
            .file(&format!("{CPU}/cache/index3/level"), "3\n")
            .file(&format!("{CPU}/cache/index3/shared_cpu_list"), "0-7\n");
        assert_eq!(place(&tree), Place { core: 1, package: 3, last_level_cache: Some(0) });
    }

    #[test]
    fn older_kernels_call_the_core_its_thread_siblings() {
        let tree = Tree::new().file(&format!("{CPU}/topology/thread_siblings_list"), "4-5\n");
        assert_eq!(place(&tree).core, 4);
    }

    #[test]
    fn without_an_l3_the_last_level_is_the_highest_there_is() {
        let tree = Tree::new()
            .file(&format!("{CPU}/cache/index1/level"), "1\n")
            .file(&format!("{CPU}/cache/index1/shared_cpu_list"), "5\n")
            .file(&format!("{CPU}/cache/index2/level"), "2\n")
            .file(&format!("{CPU}/cache/index2/shared_cpu_list"), "4-7\n")
            .file(&format!("{CPU}/cache/uevent"), "");
        assert_eq!(place(&tree).last_level_cache, Some(4));
    }

    #[test]
    fn garbage_counts_as_missing() {
        for garbage in ["", "garbage", "-1", "0-", "0-4", "99999999999999999999", "\0\0"] {
            let tree = Tree::new()
                .file(&format!("{CPU}/topology/core_cpus_list"), garbage)
                .file(&format!("{CPU}/topology/physical_package_id"), garbage)
                .file(&format!("{CPU}/cache/index3/level"), "3")
                .file(&format!("{CPU}/cache/index3/shared_cpu_list"), garbage)
                .file(&format!("{CPU}/cache/index9/level"), garbage);
            let expected = Place { core: 5, package: 0, last_level_cache: None };
            assert_eq!(place(&tree), expected, "{garbage:?}");
        }
    }

    #[test]
    fn nodes_come_in_order_and_without_their_neighbours_in_the_folder() {
        let node = "sys/devices/system/node";
        let tree = Tree::new()
            .file(&format!("{node}/node10/cpulist"), "8-9\n")
            .file(&format!("{node}/node2/cpulist"), "\n")
            .file(&format!("{node}/node0/cpulist"), "0-7\n")
            .file(&format!("{node}/node3/cpulist"), "garbage\n")
            .file(&format!("{node}/possible"), "0-10\n");
        let found: Vec<_> =
            nodes(tree.root()).into_iter().map(|(node, cpus)| (node, cpus.to_string())).collect();
        let expected = [(0, "0-7".to_owned()), (2, String::new()), (10, "8-9".to_owned())];
        assert_eq!(found, expected);
        assert!(nodes(Tree::new().root()).is_empty());
    }
}
