//! A shell command as a handler: payload on standard input, reply on standard output.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use grenache_peer::Json;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// What a child may print; one that prints more is killed.
const MAX_OUTPUT: u64 = 64 << 20;

/// How much of the end of a child's standard error is kept.
const MAX_ERRORS: usize = 4096;

/// Requests that wait for a child each; more are refused.
const MAX_WAITING: usize = 1024;

/// One request for the command.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) service: String,
    pub(crate) peer: SocketAddr,
    /// SHA-1 of the caller's certificate, if it has shown one.
    pub(crate) fingerprint: Option<String>,
    pub(crate) payload: Json,
}

struct Job {
    call: Call,
    events: Receiver<Event>,
    /// For those who report to `events`.
    reporter: Sender<Event>,
    reply: oneshot::Sender<Result<Json, String>>,
}

/// What a thread waits for while its child runs.
enum Event {
    Output(Vec<u8>),
    Errors(String),
    Ended,
    Cancelled,
}

/// Tells a child's thread that nobody waits for the reply any more.
struct Cancel(Sender<Event>);

impl Drop for Cancel {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Cancelled);
    }
}

/// Where cores leave requests. Clones are of the same queue.
#[derive(Clone)]
pub(crate) struct Queue(SyncSender<Job>);

impl Queue {
    /// Runs the command for `call`, as soon as a thread is free. Dropping the future kills the child.
    ///
    /// # Errors
    /// The text for the error slot.
    pub(crate) async fn run(&self, call: Call) -> Result<Json, String> {
        let (reporter, events) = mpsc::channel();
        let _cancel = Cancel(reporter.clone());
        let (reply, answer) = oneshot::async_channel();
        let job = Job { call, events, reporter, reply };
        self.0.try_send(job).map_err(|_| "ERR_BUSY: too many requests wait".to_string())?;
        answer.await.unwrap_or_else(|_| Err("ERR_STOPPED: the worker stops".into()))
    }
}

/// Threads that run one child at a time each, so that there are never more children than threads.
pub(crate) struct Children {
    threads: Vec<JoinHandle<()>>,
}

impl Children {
    /// Starts `count` threads for `command`, each run of which may take `limit`.
    pub(crate) fn start(command: &str, count: usize, limit: Duration) -> (Children, Queue) {
        let (queue, jobs) = mpsc::sync_channel::<Job>(MAX_WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        let command: Arc<str> = command.into();
        let threads = (0..count).map(|_| {
            let (jobs, command) = (Arc::clone(&jobs), Arc::clone(&command));
            thread::spawn(move || {
                loop {
                    let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { break };
                    if !job.reply.is_closed() {
                        let result = run(&command, limit, &job);
                        let _ = job.reply.send(result);
                    }
                }
            })
        });
        (Children { threads: threads.collect() }, Queue(queue))
    }

    /// Waits until every child has ended; to be called when all queues are dropped.
    pub(crate) fn join(self) {
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

fn run(command: &str, limit: Duration, job: &Job) -> Result<Json, String> {
    let call = &job.call;
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env("GRENACHE_SERVICE", &call.service)
        .env("GRENACHE_PEER", call.peer.to_string())
        .env("GRENACHE_FINGERPRINT", call.fingerprint.as_deref().unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what the shell starts can be killed with it.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("ERR_EXEC: the shell does not start: {error}"))?;
    watch(&mut child, call.payload.clone(), &job.reporter);
    let outcome = wait(&job.events, limit);
    if outcome.is_err() {
        // It is not reaped yet, so the number is still its own.
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait().map_err(|error| format!("ERR_EXEC: no exit status: {error}"))?;
    let (output, errors) = outcome?;
    if !status.success() {
        let last = errors.lines().rev().map(str::trim).find(|line| !line.is_empty());
        return Err(last.map_or_else(|| format!("ERR_EXEC: {status}"), str::to_string));
    }
    if output.trim_ascii().is_empty() {
        return Ok(Json::null());
    }
    Json::from_text(output).map_err(|error| format!("ERR_EXEC: the output is not JSON: {error}"))
}

/// Starts the threads that feed a child, read what it prints and tell when it ends.
fn watch(child: &mut Child, payload: Json, reporter: &Sender<Event>) {
    let pid = Pid::from_child(child);
    let (stdin, ended) = (child.stdin.take(), reporter.clone());
    thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // A child need not read its payload.
            let _ = stdin.write_all(payload.as_bytes());
        }
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let _ = ended.send(Event::Ended);
    });
    let (stdout, printed) = (child.stdout.take(), reporter.clone());
    thread::spawn(move || {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            let _ = stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output);
        }
        let _ = printed.send(Event::Output(output));
    });
    let (stderr, complained) = (child.stderr.take(), reporter.clone());
    thread::spawn(move || {
        let mut errors = Vec::new();
        let mut buffer = [0; MAX_ERRORS];
        if let Some(mut stderr) = stderr {
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                errors.extend_from_slice(&buffer[..length]);
                errors.drain(..errors.len().saturating_sub(MAX_ERRORS));
            }
        }
        let errors = String::from_utf8_lossy(&errors).into_owned();
        let _ = complained.send(Event::Errors(errors));
    });
}

/// Waits until the child has ended and its pipes are closed; gives what it printed on both.
fn wait(events: &Receiver<Event>, limit: Duration) -> Result<(Vec<u8>, String), String> {
    let deadline = Instant::now() + limit;
    let (mut output, mut errors, mut ended) = (None, None, false);
    loop {
        if ended && output.is_some() && errors.is_some() {
            return Ok((output.unwrap_or_default(), errors.unwrap_or_default()));
        }
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Output(bytes)) if bytes.len() as u64 > MAX_OUTPUT => {
                return Err(format!("ERR_EXEC: the output is longer than {MAX_OUTPUT} bytes"));
            }
            Ok(Event::Output(bytes)) => output = Some(bytes),
            Ok(Event::Errors(text)) => errors = Some(text),
            Ok(Event::Ended) => ended = true,
            Ok(Event::Cancelled) => return Err("ERR_EXEC: cancelled".into()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(format!("ERR_EXEC: the command was killed after {limit:?}"));
            }
        }
    }
}
