//! Tests that need processes of their own: they run the test program again, told to play a role.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio, exit};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "FORTHWITH_JOURNAL_ROLE";
const DIRECTORY: &str = "FORTHWITH_JOURNAL_DIRECTORY";

/// Plays the role in the directory that the parent says, and ends the process; returns at once in the
/// parent.
pub(crate) fn play(test: &str, role: impl FnOnce(&Path)) {
    if env::var_os(ROLE).is_some_and(|it| it == test) {
        let directory = PathBuf::from(env::var_os(DIRECTORY).expect("told by the parent"));
        role(&directory);
        // A success, without whatever else would happen at the end.
        exit(0);
    }
}

/// What runs `test` in a process of its own, for [`play`]. With `through`, it is the last arguments of
/// that command.
pub(crate) fn command(test: &str, directory: &Path, through: &[&str]) -> Command {
    let mut words: Vec<OsString> = through.iter().map(OsString::from).collect();
    words.push(env::current_exe().expect("there is one").into());
    let mut command = Command::new(words.remove(0));
    command.args(words).args([test, "--exact", "--test-threads=1", "--nocapture"]);
    command.env(ROLE, test).env(DIRECTORY, directory).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end, and requires success. What it says must fit into a pipe.
pub(crate) fn succeed(mut command: Command) -> Output {
    let mut child = command.spawn().expect("it ran a moment ago");
    let start = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if start.elapsed() > Duration::from_mins(4) {
            child.kill().expect("a child");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{said}\n{errors}", output.status);
    output
}

/// Whether a command is there and works here.
pub(crate) fn works(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Says that a test cannot be done here, where `--nocapture` and CI show it.
pub(crate) fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}
