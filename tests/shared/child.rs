//! Tests that need a process of their own: they run the test program again, told to play a role. A part of
//! several test crates.

#![allow(dead_code, reason = "each of them uses some of it")]

use std::env;
use std::process::{Command, ExitStatus, Stdio, exit};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "FORTHWITH_TEST_ROLE";

/// Calls `f` in a process of its own, in which nothing else runs, and expects it to succeed: `test` is the name
/// of the calling test.
pub(crate) fn alone(test: &str, f: impl FnOnce()) {
    let (status, errors) = ends(test, f);
    assert!(status.success(), "{status}\n{errors}");
}

/// As `alone`, but returns how the process ended, and what it said.
pub(crate) fn ends(test: &str, f: impl FnOnce()) -> (ExitStatus, String) {
    if env::var_os(ROLE).is_some() {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the limit is borrowed for the call. Nobody wants the core of a child that is to die.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
        f();
        // A success, without whatever else would happen at the end.
        exit(0);
    }
    let mut command = Command::new(env::current_exe().expect("there is one"));
    command.args([test, "--exact", "--test-threads=1", "--nocapture"]).env(ROLE, test);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it ran a moment ago");
    let start = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if start.elapsed() > Duration::from_mins(4) {
            child.kill().expect("a child");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "there is no test {test}");
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}
