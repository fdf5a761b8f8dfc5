//! How much CPU time the process's cgroups grant it.
//!
//! A group's limit bounds everything below it, so we walk from the process's own group up to the
//! mount point and keep the tightest limit on the way. Both versions are looked at, because a
//! hybrid system mounts both and only one of them has the `cpu` controller.
//!
//! ```text
//!   proc/self/cgroup     0::/app/web                 which group, as its hierarchy names it
//!   proc/self/mountinfo  / -> /sys/fs/cgroup         where that hierarchy is to be seen
//!
//!   /sys/fs/cgroup/app/web/cpu.max   max 100000      no limit
//!   /sys/fs/cgroup/app/cpu.max       150000 100000   1.5 cores   <- the tightest
//!   /sys/fs/cgroup/cpu.max                           the root has none
//! ```
//!
//! | | v2 | v1 |
//! |---|---|---|
//! | line in `cgroup` | `0::/path` | `4:cpu,cpuacct:/path` |
//! | mount | type `cgroup2` | type `cgroup`, option `cpu` |
//! | limit | `cpu.max`: `150000 100000` | `cpu.cfs_quota_us`, `cpu.cfs_period_us` |
//! | no limit | `max` | -1 |

use super::sysfs;
use std::cmp::Ordering;
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// A limit on CPU time: so many microseconds in each period of so many, over all cores together.
///
/// A process that has used its quota up stands still, on every core, until the period is over:
/// more busy threads than [`whole_cores`](Self::whole_cores) buy nothing but such pauses.
///
/// ```
/// use forthwith::sys::topology::Quota;
///
/// let quota = Quota::new(150_000, 100_000).expect("neither is zero");
/// assert_eq!(quota.whole_cores(), 2);
/// assert_eq!(quota.to_string(), "1.50 cores");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    quota_us: u64,
    period_us: u64,
}

impl Quota {
    /// `quota_us` microseconds of CPU time in each `period_us`; `None` if either is zero, which
    /// no kernel grants.
    #[must_use]
    pub const fn new(quota_us: u64, period_us: u64) -> Option<Self> {
        if quota_us == 0 || period_us == 0 {
            return None;
        }
        Some(Self { quota_us, period_us })
    }

    /// Microseconds of CPU time granted in each period.
    #[must_use]
    pub const fn quota_us(self) -> u64 {
        self.quota_us
    }

    /// Length of a period in microseconds; 100 000 unless somebody chose otherwise.
    #[must_use]
    pub const fn period_us(self) -> u64 {
        self.period_us
    }

    /// The quota as a number of cores: 1.5 is one core and half of another.
    #[must_use]
    pub fn cores(self) -> f64 {
        self.quota_us as f64 / self.period_us as f64
    }

    /// The number of threads that can use the quota up: [`cores`](Self::cores) rounded up.
    ///
    /// `std::thread::available_parallelism` rounds down and leaves the fraction unused.
    #[must_use]
    pub fn whole_cores(self) -> usize {
        usize::try_from(self.quota_us.div_ceil(self.period_us)).unwrap_or(usize::MAX)
    }

    /// Which of two grants less, exactly.
    fn compare(&self, other: &Self) -> Ordering {
        let ours = u128::from(self.quota_us) * u128::from(other.period_us);
        ours.cmp(&(u128::from(other.quota_us) * u128::from(self.period_us)))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} cores", self.cores())
    }
}

/// The tightest limit on the process, as the files under `root` tell it.
///
/// `None` if there is none, or if the files are missing or unintelligible.
pub(super) fn quota(root: &Path) -> Option<Quota> {
    let groups = sysfs::text(&root.join("proc/self/cgroup"))?;
    let mounts = sysfs::text(&root.join("proc/self/mountinfo"))?;
    mounts
        .lines()
        .filter_map(Mount::parse)
        .filter_map(|mount| mount.tightest(root, &groups))
        .min_by(Quota::compare)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    /// The process's group in the hierarchy that has the `cpu` controller.
    fn group(self, groups: &str) -> Option<&str> {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = match self {
                Self::V1 => controllers.split(',').any(|name| name == "cpu"),
                Self::V2 => id == "0" && controllers.is_empty(),
            };
            ours.then_some(path)
        })
    }

    /// The limit of the group at `dir` alone.
    fn limit(self, dir: &Path) -> Option<Quota> {
        match self {
            Self::V1 => Quota::new(
                // No limit is -1, which is no `u64`.
                sysfs::value(&dir.join("cpu.cfs_quota_us"))?,
                sysfs::value(&dir.join("cpu.cfs_period_us"))?,
            ),
            Self::V2 => {
                let text = sysfs::text(&dir.join("cpu.max"))?;
                let mut fields = text.split_whitespace();
                // No limit is `max`, which is no number.
                Quota::new(fields.next()?.parse().ok()?, fields.next()?.parse().ok()?)
            }
        }
    }
}

/// A place where a hierarchy with CPU limits can be seen.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    /// The group that is to be seen at the mount point.
    group: String,
    point: String,
}

impl Mount {
    /// Reads a line of `mountinfo`: `31 23 0:28 /group /point rw,… [tags] - type source options`.
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (group, point) = (unescape(place.next()?), unescape(place.next()?));
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup2" => Version::V2,
            "cgroup" if kind.nth(1)?.split(',').any(|option| option == "cpu") => Version::V1,
            _ => return None,
        };
        Some(Self { version, group, point })
    }

    /// The tightest limit from the process's group up to the mount point.
    fn tightest(&self, root: &Path, groups: &str) -> Option<Quota> {
        let below = Path::new(self.version.group(groups)?).strip_prefix(&self.group).ok()?;
        // `..` means that the group lies outside of what this cgroup namespace can see.
        if below.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let top = root.join(self.point.trim_start_matches('/'));
        let bottom: PathBuf = top.join(below);
        bottom
            .ancestors()
            .take_while(|dir| dir.starts_with(&top))
            .filter_map(|dir| self.version.limit(dir))
            .min_by(Quota::compare)
    }
}

/// Undoes the octal escapes of `mountinfo`, which cannot have a blank in a path otherwise.
fn unescape(field: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    // The backslash comes last: what it uncovers is no escape.
    escapes.iter().fold(field.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Tree;
    use super::*;

    const V2: &str = "30 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
    const V1: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct";
    const V1_MEMORY: &str = "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";

    fn tree(groups: &str, mounts: &[&str]) -> Tree {
        Tree::new().file("proc/self/cgroup", groups).file("proc/self/mountinfo", &mounts.join("\n"))
    }

    fn cores(quota_us: u64) -> Option<Quota> {
        Quota::new(quota_us, 100_000)
    }

    #[test]
    fn v2_takes_the_tightest_limit_of_the_nested_groups() {
        let tree = tree("0::/app/web/api\n", &[V2])
            .file("sys/fs/cgroup/app/web/api/cpu.max", "max 100000\n")
            .file("sys/fs/cgroup/app/web/cpu.max", "150000 100000\n")
            .file("sys/fs/cgroup/app/cpu.max", "400000 100000\n")
            .file("sys/fs/cgroup/other/cpu.max", "1000 100000\n");
        assert_eq!(quota(tree.root()), cores(150_000));
    }

    #[test]
    fn tightness_is_a_matter_of_the_ratio_and_not_of_the_quota() {
        let tree = tree("0::/app/web\n", &[V2])
            .file("sys/fs/cgroup/app/web/cpu.max", "20000 10000\n")
            .file("sys/fs/cgroup/app/cpu.max", "100000 100000\n");
        assert_eq!(quota(tree.root()), cores(100_000));
    }

    #[test]
    fn max_and_minus_one_mean_no_limit() {
        let v2 = tree("0::/\n", &[V2]).file("sys/fs/cgroup/cpu.max", "max 100000\n");
        assert_eq!(quota(v2.root()), None);
        let v1 = tree("3:cpu:/\n", &[V1])
            .file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
            .file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        assert_eq!(quota(v1.root()), None);
    }

    #[test]
    fn v1_finds_its_hierarchy_among_the_others() {
        let tree = tree("5:memory:/mem\n4:cpu,cpuacct:/app\n0::/\n", &[V1_MEMORY, V1])
            .file("sys/fs/cgroup/memory/mem/cpu.cfs_quota_us", "1000\n")
            .file("sys/fs/cgroup/memory/mem/cpu.cfs_period_us", "100000\n")
            .file("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "250000\n")
            .file("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
        assert_eq!(quota(tree.root()), cores(250_000));
    }

    #[test]
    fn cpuacct_and_cpuset_are_not_mistaken_for_cpu() {
        let mount = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpuset";
        let tree = tree("4:cpuacct,cpuset:/\n", &[mount])
            .file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n")
            .file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        assert_eq!(quota(tree.root()), None);
    }

    #[test]
    fn hybrid_systems_are_searched_in_both_hierarchies() {
        let unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let tree = tree("1:cpu:/app\n0::/user\n", &[V1, unified])
            .file("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "300000\n")
            .file("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
        assert_eq!(quota(tree.root()), cores(300_000));
        let tree = tree.file("sys/fs/cgroup/unified/user/cpu.max", "50000 100000\n");
        assert_eq!(quota(tree.root()), cores(50_000));
    }

    #[test]
    fn a_mount_that_shows_a_part_of_the_hierarchy_is_read_relative_to_it() {
        let mount = "30 23 0:27 /box/a\\040b /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
        let tree = tree("0::/box/a b/web\n", &[mount])
            .file("sys/fs/cgroup/web/cpu.max", "300000 100000\n")
            .file("sys/fs/cgroup/cpu.max", "200000 100000\n");
        assert_eq!(quota(tree.root()), cores(200_000));
    }

    #[test]
    fn groups_that_the_mount_does_not_show_are_not_guessed() {
        for group in ["0::/../sibling\n", "0::/elsewhere\n"] {
            let mount = "30 23 0:27 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw";
            let mount = if group.contains("..") { V2 } else { mount };
            let tree = tree(group, &[mount])
                .file("sys/fs/cgroup/cpu.max", "1000 100000\n")
                .file("sys/fs/sibling/cpu.max", "1000 100000\n");
            assert_eq!(quota(tree.root()), None, "{group}");
        }
    }

    #[test]
    fn a_group_that_is_gone_leaves_the_limits_above_it() {
        let tree = tree("0::/app/web (deleted)\n", &[V2])
            .file("sys/fs/cgroup/app/cpu.max", "100000 100000\n");
        assert_eq!(quota(tree.root()), cores(100_000));
    }

    #[test]
    fn garbage_is_no_limit() {
        for garbage in ["", "\n", "nan", "150000", "150000 zero", "0 100000", "1 0", "-5 100000"] {
            let tree = tree("0::/\n", &[V2]).file("sys/fs/cgroup/cpu.max", garbage);
            assert_eq!(quota(tree.root()), None, "{garbage:?}");
        }
        for garbage in ["", "0::", "x", "1:2", " - ", "1 2 3 - cgroup2", "\u{fffd} - cgroup a"] {
            assert_eq!(quota(tree(garbage, &[garbage]).root()), None, "{garbage:?}");
        }
    }

    #[test]
    fn missing_files_are_no_limit() {
        assert_eq!(quota(Tree::new().root()), None);
        assert_eq!(quota(Tree::new().file("proc/self/cgroup", "0::/\n").root()), None);
        assert_eq!(quota(tree("0::/app\n", &[V2]).root()), None);
    }

    #[test]
    fn fractions_of_a_core_are_rounded_up() {
        let whole = |quota_us| Quota::new(quota_us, 100_000).map(Quota::whole_cores);
        assert_eq!(whole(1), Some(1));
        assert_eq!(whole(100_000), Some(1));
        assert_eq!(whole(100_001), Some(2));
        assert!(whole(u64::MAX).is_some());
    }
}
