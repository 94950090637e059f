//! Child processes whose lines are events that a test awaits.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::packages;

/// How long a test waits for any one event; far more than it takes, and the same on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running child. Dropping it kills it, and prints what it said if the test fails.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Output>,
    /// How many lines the test has already taken as events.
    seen: usize,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    /// From both streams, in the order they came.
    all: Vec<(Stream, String)>,
    closed: u8,
}

/// Which of a child's streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Process {
    /// Starts `command` with all three streams as pipes.
    pub(crate) fn start(name: &str, mut command: Command) -> Process {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error} ({command:?})"));
        let output = Arc::new(Output::default());
        collect(Stream::Out, child.stdout.take().expect("a pipe"), &output);
        collect(Stream::Err, child.stderr.take().expect("a pipe"), &output);
        let stdin = child.stdin.take();
        Process { name: name.to_string(), child, stdin, output, seen: 0 }
    }

    /// Starts `node script argument` with the script from grape/tests/node.
    pub(crate) fn node(script: &str, argument: &Value) -> Process {
        Process::start(
            &format!("{script} {argument}"),
            node_command(script, &[argument.to_string()]),
        )
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Awaits a line that has not been awaited before and that `wanted` takes; gives what it made of it.
    #[track_caller]
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> T {
        let until = Instant::now() + DEADLINE;
        let mut lines = self.output.lines.lock().unwrap();
        loop {
            while self.seen < lines.all.len() {
                self.seen += 1;
                if let Some(found) = wanted(&lines.all[self.seen - 1].1) {
                    return found;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if lines.closed == 2 || left.is_zero() {
                let why = if lines.closed == 2 { "it ended" } else { "time is up" };
                drop(lines);
                panic!("{}: no {what}: {why}", self.name);
            }
            lines = self.output.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Awaits the next line `{"event": event, ..}`.
    #[track_caller]
    pub(crate) fn wait_for_event(&mut self, event: &str) -> Value {
        self.wait_for(event, |line| {
            let value: Value = serde_json::from_str(line).ok()?;
            (value["event"] == event).then_some(value)
        })
    }

    /// Sends one command to a Node peer.
    #[track_caller]
    pub(crate) fn tell(&mut self, command: &Value) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        writeln!(stdin, "{command}")
            .and_then(|()| stdin.flush())
            .expect("the peer reads its commands");
    }

    /// Sends one command to a Node peer and awaits its answer: the error's text, or the result.
    #[track_caller]
    pub(crate) fn ask(&mut self, command: &Value) -> Result<Value, String> {
        self.tell(command);
        let mut answer = self.wait_for_event("answer");
        match answer["err"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(error.as_str().unwrap_or_default().to_string()),
        }
    }

    /// Awaits the end and gives the status; panics when it takes longer than [`DEADLINE`].
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + DEADLINE;
        let mut lines = self.output.lines.lock().unwrap();
        while lines.closed < 2 {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} does not end", self.name);
            lines = self.output.more.wait_timeout(lines, left).unwrap().0;
        }
        drop(lines);
        self.child.wait().expect("a status")
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_some()
    }

    /// Every line of one stream so far.
    pub(crate) fn lines(&self, stream: Stream) -> Vec<String> {
        let lines = self.output.lines.lock().unwrap();
        lines.all.iter().filter(|(of, _)| *of == stream).map(|(_, line)| line.clone()).collect()
    }

    /// The resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Sends it a signal by its name, as the shell's `kill` does.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &self.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "{} cannot be sent {name}", self.name);
    }

    /// Kills it now.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let lines = self.output.lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            eprintln!("---- {} said:", self.name);
            // The last lines tell the most, and some tests make a grape say very much.
            for (stream, line) in lines.all.iter().skip(lines.all.len().saturating_sub(60)) {
                eprintln!("{stream:?} {}", line.chars().take(300).collect::<String>());
            }
        }
    }
}

fn collect(stream: Stream, pipe: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).into_owned();
            output.lines.lock().unwrap().all.push((stream, line));
            output.more.notify_all();
        }
        output.lines.lock().unwrap().closed += 1;
        output.more.notify_all();
    });
}

/// The folder of the Node programs, which the tests of several crates share.
pub(crate) fn node_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../grape/tests/node")
}

/// `node script arguments`, the script being a path inside grape/tests/node; the packages are installed first.
pub(crate) fn node_command(script: &str, arguments: &[String]) -> Command {
    packages::install();
    let folder = node_folder();
    let mut command = Command::new("node");
    command.arg("-r").arg(folder.join("leash.js")).arg(folder.join(script)).args(arguments);
    // What the caller's shell has set for its own grapes is not meant for these.
    command.env_remove("DEBUG").env_remove("NODE_OPTIONS");
    command
}
