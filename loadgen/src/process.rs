//! What processes and threads have used so far.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What a process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    /// CPU time of all its threads, kernel work included.
    pub(crate) cpu: Duration,
    /// Resident memory, bytes.
    pub(crate) resident: u64,
}

/// What process `pid` has used: the first field of /proc/PID/task/*/schedstat, in nanoseconds, and VmRSS of
/// /proc/PID/status.
///
/// # Errors
/// There is no such process, or it may not be looked at.
pub(crate) fn usage(pid: u32) -> io::Result<Usage> {
    let mut cpu = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while its process is looked at.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let nanos = text.split(' ').next().and_then(|field| field.parse().ok());
        cpu += Duration::from_nanos(nanos.ok_or_else(|| unreadable("schedstat", &text))?);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(Usage { cpu, resident: kib.unwrap_or(0) * 1024 })
}

/// The command line of process `pid`.
///
/// # Errors
/// As [`usage`].
pub(crate) fn command(pid: u32) -> io::Result<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline"))?;
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Ok(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// CPU time of the calling thread so far.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

fn unreadable(file: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{file} reads {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spent_is_seen() {
        let own = std::process::id();
        let (before, thread) = (usage(own).unwrap(), thread_time());
        let mut sum = 0_u64;
        while thread_time() - thread < Duration::from_millis(30) {
            sum = std::hint::black_box(sum + 1);
        }
        let used = usage(own).unwrap().cpu - before.cpu;
        // The kernel adds up what a running thread has used at its ticks, some milliseconds apart.
        assert!(used >= Duration::from_millis(15), "{used:?}");
        assert!(before.resident > 100_000);
        assert!(!command(own).unwrap().is_empty());
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(usage(u32::MAX).is_err());
    }
}
