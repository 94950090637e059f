//! The thread of one core.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;

use crate::config::{Config, DriverKind, Pinning};
use crate::core::Core;
use crate::driver::clock::Clock;
use crate::driver::{self, Bound};
use crate::executor::{Executor, Parts};
use crate::mesh::Ends;
use crate::runtime::Stopper;
use crate::sys::EventFd;
use crate::task::{self, JoinError};

/// What one core's thread starts with.
pub(crate) struct Seed<M> {
    pub(crate) index: usize,
    pub(crate) config: Arc<Config>,
    pub(crate) driver: DriverKind,
    pub(crate) clock: Clock,
    pub(crate) bell: EventFd,
    pub(crate) ends: Ends<M>,
    pub(crate) tcp: Vec<Bound>,
    pub(crate) udp: Vec<Bound>,
    pub(crate) stopper: Stopper,
}

pub(crate) fn run_core<M, F, Fut>(
    seed: Seed<M>,
    main: &Arc<F>,
    report: mpsc::Sender<io::Result<()>>,
    permitted: &mpsc::Receiver<()>,
) -> Result<(), JoinError>
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let stopper = seed.stopper.clone();
    let stop_others = StopUnless { stopper, fine: Cell::new(false) };
    let (executor, core) = match open_core(seed) {
        Ok(opened) => opened,
        Err(error) => {
            let _ = report.send(Err(error));
            return Ok(());
        }
    };
    let _ = report.send(Ok(()));
    // Should another core panic before it reports, its starter learns that nobody else will.
    drop(report);
    if permitted.recv().is_err() {
        drop(core);
        executor.shut_down();
        return Ok(());
    }
    let main = main.clone();
    let entered = executor.enter();
    let main = task::spawn_on(&executor, async move { main(core).await });
    while !main.is_finished() {
        executor.turn(true);
    }
    let result = main.take_result().unwrap_or(Err(JoinError::Aborted));
    drop(main);
    drop(entered);
    stop_others.fine.set(result.is_ok());
    executor.shut_down();
    result
}

fn open_core<M>(seed: Seed<M>) -> io::Result<(Rc<Executor>, Core<M>)> {
    let limits = &seed.config.limits;
    if let Pinning::From(first) = seed.config.pinning
        && let Err(error) = crate::sys::pin_thread(first.wrapping_add(seed.index))
    {
        tracing::warn!("core {} is not pinned: {error}", seed.index);
    }
    let home = seed.stopper.home(seed.index);
    let executor = Executor::new(Parts {
        index: seed.index,
        driver: driver::open(seed.driver, seed.bell, seed.clock, limits)?,
        home,
        inbound: seed.ends.links(),
        limits: limits.clone(),
        idle: seed.config.idle,
    });
    let core = Core::open(&executor, seed.config.cores, seed.ends, seed.tcp, seed.udp)?;
    Ok((executor, core))
}

/// When a core dies, the others must not wait for it for ever.
struct StopUnless {
    stopper: Stopper,
    fine: Cell<bool>,
}

impl Drop for StopUnless {
    fn drop(&mut self) {
        if !self.fine.get() {
            self.stopper.stop();
        }
    }
}
