//! After thousands of faults nothing is left of them: no connection, no task, no memory.

use std::process::Command;
use std::time::{Duration, Instant};

use grenache_peer::Handle;

use crate::client::{ask, call, live_tasks, request, small_replies, start_with, until};
use crate::process::Process;
use crate::replies::FAULTS;
use crate::server::Server;

/// Set in the child that counts.
const COUNTING: &str = "GRENACHE_FAULTS_COUNTING";

/// Growth of the memory that is no leak: allocators keep some for themselves.
const SLACK: u64 = 8 << 20;

/// Counts in a process of its own, where nothing else opens files: this very program, started for this test alone.
#[test]
fn nothing_is_left() {
    if std::env::var_os(COUNTING).is_some() {
        return count();
    }
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "leaks::nothing_is_left", "--nocapture", "--test-threads=1"]);
    command.env(COUNTING, "1");
    let mut process = Process::start("the counting test", command);
    let status = process.wait();
    assert!(status.success(), "{status}");
}

fn count() {
    let handle = start_with(small_replies());
    let before = files();
    // The first rounds also fill what is kept for good.
    rounds(&handle, 3);
    let kept = memory();
    let begun = Instant::now();
    rounds(&handle, 30);
    eprintln!("{} faults in {:?}", 30 * FAULTS.len() + 3000, begun.elapsed());
    until("end of open files", || files() == before);
    assert_eq!(live_tasks(&handle), 0);
    let grown = memory().saturating_sub(kept);
    assert!(grown < SLACK, "{grown} bytes more than after the first rounds");
    handle.stop().expect("it stops");
}

/// So many rounds of every fault, of deadlines that pass, of calls that are taken back, and of connections refused.
fn rounds(handle: &Handle, rounds: usize) {
    for &(name, fault, _) in FAULTS {
        let server = Server::start(move |connection| {
            // Connections with a whole answer are used again.
            loop {
                let request = connection.request()?;
                fault(connection, request)?;
            }
        });
        for _ in 0..rounds {
            request(handle, server.addr, call("\"wrong\"")).expect_err(name);
        }
    }
    let silent = Server::start(|connection| connection.hang());
    let addr = silent.addr;
    for _ in 0..rounds {
        let late = call("1").timeout(Duration::from_millis(5));
        let asked: Vec<_> = (0..50).map(|_| ask(handle, addr, late.clone())).collect();
        for one in asked {
            assert_eq!(one.wait().unwrap_err().code(), "ERR_TIMEOUT");
        }
        let asked: Vec<_> = (0..50).map(|_| ask(handle, addr, call("1"))).collect();
        drop(asked);
    }
    until("end of calls", || handle.in_flight() == 0);
    silent.wait_for_silence();
    drop(silent);
    for _ in 0..rounds {
        let error = request(handle, addr, call("1")).unwrap_err();
        assert!(!error.may_have_run(), "{error}");
    }
}

/// How many files this process has open.
fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Its resident memory in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
