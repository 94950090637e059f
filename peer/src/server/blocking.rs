//! Work that would hold up a core.

use grenache_engine::{DriverKind, driver_kind};

/// Runs `work` on a thread of its own and gives what it returns, while the core goes on with other requests: for what waits
/// for a disk or another program, or computes for longer than some 100 µs. A shorter computation costs less where it is.
///
/// There are up to 500 such threads in the process, further work waits for one; `BLOCKING_MAX_THREADS` in the environment
/// changes the number. Dropping the future takes back work that has not begun; work that runs cannot be stopped. A panic in it
/// goes on in whoever awaits. In the simulator, which knows no threads, it runs in place and takes no time.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let text = grenache_peer::blocking(|| std::fs::read_to_string("/etc/hosts")).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// Outside of a core.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match driver_kind() {
        DriverKind::Simulated => work(),
        _ => blocking::unblock(work).await,
    }
}
