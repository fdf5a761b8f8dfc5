//! Tests that need a process of their own: they run the test program again, told to play a role.

use super::comes_true;
use std::env;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const ROLE: &str = "FORTHWITH_TEST_ROLE";

/// The role of this process, if it is such a child.
pub(super) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Runs the test of that name in a process of its own, not for ever; its output.
pub(super) fn again(test: &str, role: &str) -> Output {
    let mut command = Command::new(env::current_exe().expect("there is one"));
    command.args([test, "--exact", "--test-threads=1", "--nocapture"]).env(ROLE, role);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it ran a moment ago");
    if !comes_true(Duration::from_mins(4), || child.try_wait().expect("a child").is_some()) {
        child.kill().expect("a child");
    }
    child.wait_with_output().expect("a child")
}

/// As [`again`], and it must succeed: what it printed.
pub(super) fn succeeds(test: &str, role: &str) -> String {
    let output = again(test, role);
    let utf8 = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, errors) = (utf8(&output.stdout), utf8(&output.stderr));
    assert!(output.status.success(), "{}\n{printed}\n{errors}", output.status);
    printed
}

/// Ends the process, as a success, without whatever else would happen at its end.
pub(super) fn leave() -> ! {
    std::process::exit(0)
}
