//! A server under test: its own process, pinned to one CPU, and what it has used so far.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The CPU that the system under test has for itself.
pub const SERVER_CPU: usize = 0;

/// The CPU of the load, and of what must answer the system under test.
pub const LOAD_CPU: usize = 1;

/// A running server; dropping it ends the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Kept open, so that what the server prints later has somewhere to go.
    _out: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts `program` on `cpus`, a list as taskset(1) takes it; what it prints is dropped. Taskset becomes the program,
    /// so the process is the server itself.
    pub fn start(cpus: &str, program: &Path, arguments: &[String]) -> io::Result<Self> {
        let child = command(cpus, program, arguments).stdout(Stdio::null()).spawn()?;
        Ok(Self { child, _out: None })
    }

    /// The same for a program that prints `listening <address>` first.
    pub fn listening(
        cpus: &str,
        program: &Path,
        arguments: &[String],
    ) -> io::Result<(Self, SocketAddr)> {
        let mut child = command(cpus, program, arguments).stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        let mut line = String::new();
        let read = out.read_line(&mut line);
        let server = Self { child, _out: Some(out) };
        read?;
        let addr = line.trim().strip_prefix("listening ").and_then(|addr| addr.parse().ok());
        let addr = addr.ok_or_else(|| {
            io::Error::other(format!("it said {line:?} instead of where it listens"))
        })?;
        Ok((server, addr))
    }

    /// The same for a program that is talked to: with its standard input and output.
    pub(crate) fn talking(
        cpus: &str,
        program: &Path,
        arguments: &[String],
    ) -> io::Result<(Self, ChildStdin, BufReader<ChildStdout>)> {
        let mut child = command(cpus, program, arguments).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().expect("a pipe was asked for");
        let answers = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Ok((Self { child, _out: None }, orders, answers))
    }

    /// True until the process has ended by itself.
    pub fn alive(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// CPU time of all its threads so far; see [`cpu_time`].
    pub fn cpu_time(&self) -> io::Result<Duration> {
        cpu_time(self.child.id())
    }

    /// CPU time thread by thread, by thread id.
    pub fn threads(&self) -> io::Result<Vec<(u32, Duration)>> {
        threads(self.child.id())
    }

    /// The CPU that thread `id` ran on last (field 39 of proc_pid_stat(5)).
    pub fn last_cpu(&self, id: u32) -> io::Result<usize> {
        let stat = std::fs::read_to_string(format!("/proc/{}/task/{id}/stat", self.child.id()))?;
        // The name in field 2 may hold spaces, but ends with the last parenthesis.
        let after = stat.rsplit(')').next().unwrap_or_default();
        let cpu = after.split_whitespace().nth(39 - 3).and_then(|field| field.parse().ok());
        cpu.ok_or_else(|| io::Error::other(format!("stat reads {stat:?}")))
    }

    /// Resident memory, bytes (VmRSS of /proc/PID/status).
    pub fn resident(&self) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc/PID/status"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it is left after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its standard input is a pipe, which closes when this process ends, however it does: those who care end with us.
fn command(cpus: &str, program: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cpus]).arg(program).args(arguments).stdin(Stdio::piped());
    command
}

/// How many CPUs this machine has at work.
pub fn cpus() -> io::Result<usize> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    Ok(stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count())
}

/// Moves this process, and so every thread it starts from now on, to the CPU of the load.
pub fn pin_load() -> io::Result<()> {
    let id = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["-p", "-c", &LOAD_CPU.to_string(), &id])
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("taskset refused to move the load to its CPU"))
    }
}

/// CPU time that all threads of process `pid` used so far, kernel work included, in nanosecond steps: the first field of
/// /proc/PID/task/*/schedstat (the kernel's documentation, scheduler/sched-stats).
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    Ok(threads(pid)?.into_iter().map(|(_, time)| time).sum())
}

fn threads(pid: u32) -> io::Result<Vec<(u32, Duration)>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path().join("schedstat"))?;
        let time = text.split(' ').next().and_then(|field| field.parse().ok());
        let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let (Some(id), Some(time)) = (id, time) else {
            return Err(io::Error::other(format!("schedstat reads {text:?}")));
        };
        threads.push((id, Duration::from_nanos(time)));
    }
    threads.sort_unstable();
    Ok(threads)
}
