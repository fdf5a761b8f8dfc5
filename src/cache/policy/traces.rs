//! Hit ratios over recorded traces. Skipped where the traces, or what decompresses them, are not there.
//!
//! The folder is `FORTHWITH_TRACES`, or `shared/traces` beside the repository.

use super::simulate::{lru, ours_mixed};
use std::path::PathBuf;
use std::process::Command;

/// A trace, how it is decompressed, how its keys are written, and the capacities looked at with the
/// least percentage of hits expected there.
struct Point {
    file: &'static str,
    tool: &'static str,
    keys: fn(&[u8]) -> Vec<u64>,
    least: &'static [(usize, f64)],
}

const POINTS: [Point; 4] = [
    Point {
        file: "lirs_multi3.trace.gz",
        tool: "gzip",
        keys: lines,
        least: &[(500, 40.0), (2000, 59.0)],
    },
    Point { file: "lirs_sprite.trace.gz", tool: "gzip", keys: lines, least: &[(500, 75.5)] },
    Point {
        file: "corda_trace_vaultservice.gz",
        tool: "gzip",
        keys: words::<8>,
        least: &[(500, 32.5)],
    },
    Point {
        file: "cache2k_web07.trace.xz",
        tool: "xz",
        keys: words::<4>,
        least: &[(75, 33.0), (300, 45.0)],
    },
];

/// A number a line.
fn lines(bytes: &[u8]) -> Vec<u64> {
    String::from_utf8_lossy(bytes).lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Big-endian numbers of `N` bytes.
fn words<const N: usize>(bytes: &[u8]) -> Vec<u64> {
    let number =
        |word: &[u8; N]| word.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    bytes.as_chunks::<N>().0.iter().map(number).collect()
}

fn folder() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/traces");
    std::env::var_os("FORTHWITH_TRACES").map_or_else(beside, PathBuf::from)
}

#[test]
fn recorded_traces_hit_as_often_as_they_did() {
    for Point { file, tool, keys, least } in POINTS {
        let path = folder().join(file);
        let unpacked = path.exists().then(|| Command::new(tool).arg("-dc").arg(&path).output());
        let Some(Ok(unpacked)) =
            unpacked.filter(|it| it.as_ref().is_ok_and(|it| it.status.success()))
        else {
            continue;
        };
        let trace = keys(&unpacked.stdout);
        for (capacity, least) in least {
            let share = |hits: usize| 100.0 * hits as f64 / trace.len() as f64;
            let (ours, lru) = (share(ours_mixed(&trace, *capacity)), share(lru(&trace, *capacity)));
            assert!(ours >= *least, "{file} at {capacity}: {ours:.1}, not {least}");
            assert!(ours >= lru - 3.0, "{file} at {capacity}: {ours:.1}, LRU {lru:.1}");
        }
    }
}
