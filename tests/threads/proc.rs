//! What the system says of this process and its threads.
#![cfg(target_os = "linux")]

use std::fs;
use std::time::Duration;

/// The first word of a line of `/proc/…/status`.
pub(super) fn status(of: &str, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{of}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|line| line.split_whitespace().next()).expect("it is said").to_owned()
}

/// The ids and names of all threads of this process.
pub(super) fn threads() -> Vec<(String, String)> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let ids = tasks.map(|task| task.expect("a directory").file_name());
    ids.filter_map(|id| {
        let id = id.into_string().expect("a number");
        let name = fs::read_to_string(format!("/proc/self/task/{id}/comm")).ok()?;
        Some((id, name.trim_end().to_owned()))
    })
    .collect()
}

/// The names of all threads that begin so, sorted.
pub(super) fn names(start: &str) -> Vec<String> {
    let mut names: Vec<_> = threads().into_iter().map(|(_, name)| name).collect();
    names.retain(|name| name.starts_with(start));
    names.sort();
    names
}

/// Of the threads of these names: name, how often it was scheduled, by itself and not, and its state.
pub(super) fn wake_ups(end: &str) -> Vec<[String; 4]> {
    let mut threads = threads();
    threads.retain(|(_, name)| name.ends_with(end));
    let wakes = |(id, name): (String, String)| {
        let said = |key| status(&format!("self/task/{id}"), key);
        let (own, others) = ("voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:");
        [name, said(own), said(others), said("State:")]
    };
    let mut wakes: Vec<_> = threads.into_iter().map(wakes).collect();
    wakes.sort();
    wakes
}

/// The CPU time that this process has taken.
pub(super) fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a struct of ours to write to.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}
