//! A process with libzmq's sockets.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::socket::Builder;

/// How long a test waits for any one thing; far more than it takes, and the same on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Whose libzmq it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
}

impl Language {
    pub(crate) const BOTH: [Self; 2] = [Self::Python, Self::Node];
}

/// A process with any number of sockets; its copies are the same one. It is killed when the last of them and of its sockets is
/// dropped, and says what it said if the test fails.
#[derive(Clone)]
pub(crate) struct Peer(Arc<Process>);

struct Process {
    language: Language,
    child: Mutex<Child>,
    commands: Mutex<ChildStdin>,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    next: u64,
    ready: bool,
    /// How many of its two streams have ended.
    closed: u8,
    /// Answers nobody has taken yet, by their command.
    answers: HashMap<u64, Value>,
    /// Events nobody has taken yet, of all sockets.
    events: VecDeque<Value>,
    /// What is on standard error.
    errors: Vec<String>,
}

impl Peer {
    /// Starts one and waits until it takes commands.
    #[track_caller]
    pub(crate) fn start(language: Language) -> Peer {
        let (program, package) = match language {
            Language::Python => {
                (target().join("zeromq/venv/bin/python"), target().join("zeromq/installed.txt"))
            }
            Language::Node => ("node".into(), programs().join("node_modules/zeromq/package.json")),
        };
        assert!(
            package.is_file(),
            "libzmq for {language:?} is not installed: `cargo xtask setup` does it"
        );
        let mut command = Command::new(program);
        match language {
            Language::Python => command.arg("-B").arg(programs().join("peer.py")),
            Language::Node => command.arg(programs().join("peer.js")).env_remove("NODE_OPTIONS"),
        };
        let child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("{command:?} does not start: {error}; `cargo xtask setup` says what is missing")
        });
        let said = Arc::new(Said::default());
        said.listen(
            child.stdout.take().expect("a pipe"),
            |lines, line| match serde_json::from_slice(line) {
                Ok(line) => lines.take(line),
                Err(_) => lines.errors.push(String::from_utf8_lossy(line).into_owned()),
            },
        );
        said.listen(child.stderr.take().expect("a pipe"), |lines, line| {
            lines.errors.push(String::from_utf8_lossy(line).into_owned());
        });
        let commands = Mutex::new(child.stdin.take().expect("a pipe"));
        let peer = Peer(Arc::new(Process { language, child: Mutex::new(child), commands, said }));
        peer.wait("sign of life", |lines| lines.ready.then_some(()));
        peer
    }

    /// pyzmq's.
    #[track_caller]
    pub(crate) fn python() -> Peer {
        Peer::start(Language::Python)
    }

    /// npm's zeromq.
    #[track_caller]
    pub(crate) fn node() -> Peer {
        Peer::start(Language::Node)
    }

    /// A socket of this type, such as `ROUTER`.
    pub(crate) fn socket(&self, kind: &str) -> Builder {
        Builder::new(self.clone(), kind)
    }

    /// Stops it, so that it neither runs nor ends (SIGSTOP).
    pub(crate) fn stop(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Kills it now (SIGKILL).
    pub(crate) fn kill(&self) {
        self.0.kill();
    }

    /// Gives a command and awaits what comes of it.
    ///
    /// # Panics
    /// The command fails.
    #[track_caller]
    pub(crate) fn ask(&self, mut command: Value) -> Value {
        let id = {
            let mut lines = self.0.said.lines();
            lines.next += 1;
            lines.next
        };
        command["id"] = json!(id);
        let text = format!("{command}\n");
        let mut commands = self.0.commands.lock().unwrap();
        commands.write_all(text.as_bytes()).expect("the peer reads its commands");
        drop(commands);
        let mut answer = self.wait(&command["do"], |lines| lines.answers.remove(&id));
        if let Value::String(error) = &answer["error"] {
            panic!("{:?}: {command}: {error}", self.0.language);
        }
        answer["done"].take()
    }

    /// Takes the next event of a socket that `wanted` takes; those before it, of that socket, are thrown away.
    #[track_caller]
    pub(crate) fn event<T>(
        &self,
        socket: u64,
        what: &str,
        mut wanted: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        self.wait(what, |lines| {
            let mut found = None;
            lines.events.retain(|event| {
                let keep = found.is_some() || event["socket"] != socket;
                if !keep {
                    found = wanted(event);
                }
                keep
            });
            found
        })
    }

    #[track_caller]
    fn wait<T>(
        &self,
        what: impl std::fmt::Display,
        mut look: impl FnMut(&mut Lines) -> Option<T>,
    ) -> T {
        let until = Instant::now() + DEADLINE;
        let mut lines = self.0.said.lines();
        loop {
            if let Some(found) = look(&mut lines) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            if lines.closed == 2 || left.is_zero() {
                let why = if lines.closed == 2 { "it has ended" } else { "time is up" };
                drop(lines);
                panic!("{:?}: no {what}: {why}", self.0.language);
            }
            lines = self.0.said.more.wait_timeout(lines, left).unwrap().0;
        }
    }

    fn signal(&self, name: &str) {
        let kill = ["-c", "kill -s \"$0\" \"$1\"", name, &self.id().to_string()];
        let status = Command::new("sh").args(kill).status();
        assert!(status.is_ok_and(|status| status.success()), "the peer cannot be sent {name}");
    }

    fn id(&self) -> u32 {
        self.0.child.lock().unwrap().id()
    }
}

impl Said {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn listen(self: &Arc<Self>, pipe: impl Read + Send + 'static, take: fn(&mut Lines, &[u8])) {
        let said = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { break };
                take(&mut said.lines(), &line);
                said.more.notify_all();
            }
            said.lines().closed += 1;
            said.more.notify_all();
        });
    }
}

impl Lines {
    fn take(&mut self, line: Value) {
        match line["id"].as_u64() {
            Some(id) => drop(self.answers.insert(id, line)),
            None if line.get("ready").is_some() => self.ready = true,
            None => self.events.push_back(line),
        }
    }
}

impl Process {
    fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            for line in &self.said.lines().errors {
                eprintln!("{:?} said: {line}", self.language);
            }
        }
    }
}

/// Does what blocks on a thread of its own, for a test on a core.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    blocking::unblock(work).await
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zeromq")
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}
