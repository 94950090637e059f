//! Runs of the command, to their end or interrupted.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard, mpsc};
use std::time::Duration;

use serde_json::Value;

/// How long a test waits for any one run; far more than it takes, and the same on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Held by whoever runs something; for writing by those whose figures nothing else may disturb.
static MACHINE: RwLock<()> = RwLock::new(());

/// Waits until nothing else of this crate's tests runs, and keeps it so.
pub(crate) struct Alone {
    _machine: RwLockWriteGuard<'static, ()>,
}

impl Alone {
    pub(crate) fn wait() -> Self {
        Self { _machine: MACHINE.write().unwrap_or_else(PoisonError::into_inner) }
    }

    /// As [`run`].
    #[track_caller]
    pub(crate) fn run(&self, command: Command) -> Ended {
        run_now(command)
    }

    /// As [`measure`].
    #[track_caller]
    pub(crate) fn measure(&self, arguments: &str) -> Ended {
        run_now(loadgen(&format!("{arguments} --quiet --json -")))
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The document on standard output of a run that must have ended with `code`.
    #[track_caller]
    pub(crate) fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{self:?}");
        let value = serde_json::from_str(&self.out);
        value.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The one line on standard error of a run that must have failed with `code` and printed nothing else.
    #[track_caller]
    pub(crate) fn error(&self, code: i32) -> &str {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err.trim_end()
    }
}

/// A command with these arguments, one string split at blanks, without what the caller's shell has set.
pub(crate) fn loadgen(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(arguments.split_whitespace()).env_remove("GRENACHE_GRAPE").env_remove("NO_COLOR");
    command
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: Command) -> Ended {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    run_now(command)
}

#[track_caller]
fn run_now(mut command: Command) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = child.id();
    let (done, waited) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = waited.recv_timeout(DEADLINE).unwrap_or_else(|_| {
        signal(pid, "KILL");
        panic!("it does not end: {command:?}: {:?}", waited.recv());
    });
    let output = output.expect("its output");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs `loadgen arguments` quietly with its document on standard output.
#[track_caller]
pub(crate) fn measure(arguments: &str) -> Ended {
    run(loadgen(&format!("{arguments} --quiet --json -")))
}

/// Sends a process a signal by its name.
pub(crate) fn signal(pid: u32, name: &str) {
    let status =
        Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "{pid} cannot be sent {name}");
}

/// A run that is on, told of by its lines on standard error. Dropping it kills it.
pub(crate) struct Running {
    child: Option<Child>,
    lines: BufReader<std::process::ChildStderr>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child: Some(child), lines }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("it runs").id(), name);
    }

    /// Awaits the next line.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        assert!(!line.is_empty(), "it has ended");
        line
    }

    /// Awaits the end.
    pub(crate) fn end(mut self) -> Ended {
        let child = self.child.take().expect("it runs");
        let output = child.wait_with_output().expect("its output");
        let code = output.status.code();
        Ended { code, out: String::from_utf8(output.stdout).expect("UTF-8"), err: String::new() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
