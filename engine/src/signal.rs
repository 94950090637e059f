//! Signals for binaries.

use std::io;

use crate::runtime::Stopper;

/// SIGINT and SIGTERM, kept from killing the process.
pub struct StopSignals {
    set: libc::sigset_t,
}

impl StopSignals {
    /// Blocks the signals. To be called first in `main`: threads started later inherit it, threads
    /// that are there already would still die of a signal.
    ///
    /// # Errors
    /// What the system says.
    pub fn block() -> io::Result<Self> {
        Ok(Self { set: crate::sys::block_stop_signals()? })
    }

    /// Stops the runtime at the first signal and exits the process with status 1 at the second.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn stop(self, stopper: Stopper) -> io::Result<()> {
        self.act(move || stopper.stop())
    }

    /// Calls `act` at the first signal, on a thread of its own, and exits the process with status 1 at the second.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn act(self, act: impl FnOnce() + Send + 'static) -> io::Result<()> {
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            crate::sys::wait_for_signal(&self.set);
            act();
            crate::sys::wait_for_signal(&self.set);
            std::process::exit(1);
        })?;
        Ok(())
    }
}
