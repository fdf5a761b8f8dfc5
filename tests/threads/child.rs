//! Tests that need a process of their own: they run the test program again, told to play a role.

use std::env;
use std::process::{Command, Stdio, exit};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "FORTHWITH_TEST_ROLE";

/// Calls `f` in a process of its own, in which nothing else runs: `test` is the name of the calling test.
pub(super) fn alone(test: &str, f: impl FnOnce()) {
    if env::var_os(ROLE).is_some() {
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
        if start.elapsed() > Duration::from_secs(40) {
            child.kill().expect("a child");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("a child");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
}
