//! Runs programs as somebody who is not root, and never waits for one without end.

use crate::tree::Tree;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The user and group `nobody`.
const NOBODY: u32 = 65_534;
/// A program that runs longer has failed.
const TIME_LIMIT: Duration = Duration::from_mins(2);

/// The built example, in a place where nobody may run it.
#[derive(Debug)]
pub(crate) struct Tour {
    program: PathBuf,
    /// Holds the copy of the program.
    _place: Tree,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Tour {
    /// Finds the example that was built beside this test.
    pub(crate) fn new() -> Self {
        let built = built_example();
        assert!(
            built.is_file(),
            "{built:?} is missing: `cargo test` builds it, or `cargo build --example tour`",
        );
        let place = Tree::new();
        let program = place.join("tour");
        std::fs::copy(&built, &program).expect("the example can be copied");
        place.unlock("tour");
        Self { program, _place: place }
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        run(&mut self.command(args))
    }

    /// Runs it to its end, with its standard output elsewhere.
    pub(crate) fn run_into(
        &self,
        stdout: impl Into<Stdio>,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Ended {
        run_into(stdout.into(), &mut self.command(args))
    }

    /// Runs it until `is_enough` says so, then kills it, if it has not ended by itself.
    pub(crate) fn run_until(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        is_enough: impl Fn() -> bool,
    ) {
        let mut command = self.command(args);
        let mut child = start(Stdio::null(), command.stderr(Stdio::null()));
        let started = Instant::now();
        while !is_enough() {
            assert!(started.elapsed() < TIME_LIMIT, "{command:?} has never done enough");
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().and_then(|()| child.wait()).expect("a child can be killed");
    }

    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).stderr(Stdio::piped());
        command
    }
}

impl Ended {
    pub(crate) fn stdout_text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is text")
    }

    pub(crate) fn stderr_text(&self) -> &str {
        std::str::from_utf8(&self.stderr).expect("standard error is text")
    }
}

/// `target/<profile>/examples/tour`; this test is `target/<profile>/deps/tour-…`.
fn built_example() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(Path::parent).expect("two folders above");
    profile.join("examples/tour")
}

/// Runs `command` to its end, with nothing on its standard input.
///
/// # Panics
/// If it takes longer than [`TIME_LIMIT`]; it is killed then.
pub(crate) fn run(command: &mut Command) -> Ended {
    run_into(Stdio::piped(), command.stderr(Stdio::piped()))
}

/// As [`run`], with the standard output elsewhere: then nothing is known of that.
fn run_into(stdout: Stdio, command: &mut Command) -> Ended {
    let mut child = start(stdout, command);
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let code = wait(&mut child, command);
    let [stdout, stderr] = [stdout, stderr].map(|reader| {
        reader.map(|reader| reader.join().expect("reads to the end")).unwrap_or_default()
    });
    Ended { code, stdout, stderr }
}

/// Starts `command` as nobody, if this is root.
fn start(stdout: Stdio, command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(stdout);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    spawn(command)
}

/// Starts `command`, again while its file is busy: a fork of another test's thread may still hold
/// the descriptor through which the program was copied.
fn spawn(command: &mut Command) -> Child {
    let started = Instant::now();
    loop {
        match command.spawn() {
            Ok(child) => return child,
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy
                    && started.elapsed() < TIME_LIMIT =>
            {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

/// Reads `pipe` to its end beside the test, so that the program never waits for a reader.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

/// Waits for the end of `child`, or kills it after [`TIME_LIMIT`].
fn wait(child: &mut Child, command: &Command) -> Option<i32> {
    let started = Instant::now();
    while started.elapsed() < TIME_LIMIT {
        if let Some(status) = child.try_wait().expect("a child can be asked") {
            return status.code();
        }
        thread::sleep(Duration::from_millis(5));
    }
    let killed = child.kill().and_then(|()| child.wait());
    panic!("{command:?} took longer than {TIME_LIMIT:?}, killed: {killed:?}");
}

fn is_root() -> bool {
    // SAFETY: no precondition.
    unsafe { libc::geteuid() == 0 }
}

/// The most memory that any child has had resident that has ended so far.
pub(crate) fn peak_bytes_of_children() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is valid for one `rusage`.
    let status = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a `rusage` is made of integers, for which zeros are valid, and was filled in.
    let usage = unsafe { usage.assume_init() };
    // In KiB, on Linux.
    u64::try_from(usage.ru_maxrss).expect("memory is not negative") << 10
}
