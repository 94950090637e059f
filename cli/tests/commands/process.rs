//! Child processes: run to their end, or watched line by line.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long a test waits for any one event; far more than it takes, and the same on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A command of this crate, without what the caller's shell has set for its own use.
pub(crate) fn command(program: &str) -> Command {
    let path = match program {
        "grenache" => env!("CARGO_BIN_EXE_grenache"),
        "grenache-announce" => env!("CARGO_BIN_EXE_grenache-announce"),
        "grenache-lookup" => env!("CARGO_BIN_EXE_grenache-lookup"),
        "grenache-put" => env!("CARGO_BIN_EXE_grenache-put"),
        "grenache-get" => env!("CARGO_BIN_EXE_grenache-get"),
        "grenache-keygen" => env!("CARGO_BIN_EXE_grenache-keygen"),
        other => panic!("no such program: {other}"),
    };
    let mut command = Command::new(path);
    command.env_remove("GRENACHE_GRAPE").env_remove("HOME").env_remove("NO_COLOR");
    command
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Standard output of a command that must have ended with `code` and said nothing on standard error.
    #[track_caller]
    pub(crate) fn out(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// The one line on standard error of a command that must have failed with `code` and printed nothing.
    #[track_caller]
    pub(crate) fn error(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(code), ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err.trim_end().to_string()
    }
}

/// Runs a command with `input` to its end.
#[track_caller]
pub(crate) fn run_with(mut command: Command, input: &str) -> Ended {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_string();
    std::thread::spawn(move || stdin.write_all(input.as_bytes()));
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

/// Runs `program arguments` to its end, without input.
#[track_caller]
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Ended {
    let mut command = command(program);
    command.args(arguments);
    run_with(command, "")
}

/// Sends a process a signal by its name, as the shell's `kill` does.
pub(crate) fn signal(pid: u32, name: &str) {
    let status =
        Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]).status();
    assert!(status.is_ok_and(|status| status.success()), "{pid} cannot be sent {name}");
}

/// Waits for what no line tells.
#[track_caller]
pub(crate) fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < until, "time is up: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A running child whose lines, of both streams, are events. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let (sender, lines) = mpsc::channel();
        let pipes: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("a pipe")),
            Box::new(child.stderr.take().expect("a pipe")),
        ];
        for pipe in pipes {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        let stdin = child.stdin.take();
        Process { child, stdin, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    pub(crate) fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).expect("it reads");
    }

    /// Awaits a line that `wanted` takes, and gives what it made of it; others are passed over.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut passed = Vec::new();
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => match wanted(&line) {
                    Some(found) => return found,
                    None => passed.push(line),
                },
                Err(RecvTimeoutError::Timeout) => panic!("time is up; it said {passed:#?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended; it said {passed:#?}"),
            }
        }
    }

    /// Whether it has said a line by now, or others before it, which are passed over.
    pub(crate) fn has_said(&self, wanted: &str) -> bool {
        self.lines.try_iter().any(|line| line == wanted)
    }

    /// Awaits the next line.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.wait_for(|line| Some(line.to_string()))
    }

    /// Awaits the end, and gives the status and all lines that were not awaited.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (ExitStatus, Vec<String>) {
        self.stdin = None;
        let until = Instant::now() + DEADLINE;
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; it said {rest:#?}"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        (self.child.wait().expect("a status"), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
