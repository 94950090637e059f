//! Free ports for children that must be told a number.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that was free for TCP and UDP when it was taken, and that no other test takes while this lives.
pub(crate) struct Port {
    /// The number.
    pub(crate) number: u16,
    _lock: File,
}

/// Below the range that the kernel hands out to outgoing connections.
const RANGE: std::ops::Range<u32> = 10_000..30_000;

/// Takes a port. Tests of other processes take theirs from the same files.
pub(crate) fn take() -> Port {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..RANGE.len() {
        // Processes start at different places, so that they seldom meet.
        let at = NEXT
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(std::process::id().wrapping_mul(7919));
        let number = (RANGE.start + at % RANGE.len() as u32) as u16;
        let lock = lock_file(number);
        if lock.try_lock().is_ok() && is_free(number) {
            return Port { number, _lock: lock };
        }
    }
    panic!("no port is free in {RANGE:?}");
}

/// Waits for one particular port to be let go by other tests.
pub(crate) fn lock(number: u16) -> Port {
    let lock = lock_file(number);
    lock.lock().expect("a lock");
    Port { number, _lock: lock }
}

fn lock_file(number: u16) -> File {
    let folder = std::env::temp_dir().join("grenache-test-ports");
    std::fs::create_dir_all(&folder).expect("a folder for port locks");
    File::create(folder.join(number.to_string())).expect("a port lock")
}

fn is_free(number: u16) -> bool {
    TcpListener::bind(("::", number)).is_ok()
        && TcpListener::bind(("127.0.0.1", number)).is_ok()
        && UdpSocket::bind(("0.0.0.0", number)).is_ok()
}
