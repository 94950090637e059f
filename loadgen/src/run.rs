//! A whole run: starts the cores, lets them begin together, and takes what they tell until they are done.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use grenache_engine::{Config, Core, Limits, Pinning, Runtime, Stopper, shutdown};

use crate::collector::Collector;
use crate::core::{self, Report};
use crate::failure::{Exit, Failure};
use crate::outcome::{Environment, Outcome};
use crate::payload::MAX_PAYLOAD;
use crate::plan::Plan;
use crate::tick::Tick;

/// From now until the load begins: time for all cores to hear of it.
const SOON: Duration = Duration::from_millis(20);

/// Ends the run that is on, from another thread. Clones do the same.
#[derive(Clone, Default)]
pub struct Interrupt {
    shared: Arc<(Mutex<Interrupted>, Condvar)>,
}

#[derive(Default)]
struct Interrupted {
    yes: bool,
    on: Option<Stopper>,
}

impl Interrupt {
    /// Ends the run that is on, and every one that begins later.
    pub fn interrupt(&self) {
        let mut state = self.lock();
        state.yes = true;
        if let Some(on) = &state.on {
            on.stop();
        }
        self.shared.1.notify_all();
    }

    /// Waits until it is interrupted.
    pub fn wait(&self) {
        let waited = self.shared.1.wait_while(self.lock(), |state| !state.yes);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether it was interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.lock().yes
    }

    fn watch(&self, stopper: Stopper) {
        let mut state = self.lock();
        if state.yes {
            stopper.stop();
        }
        state.on = Some(stopper);
    }

    fn lock(&self) -> MutexGuard<'_, Interrupted> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `plan` and gives what came of it; `observe` is told of every second as it ends.
///
/// # Errors
/// Nobody could be connected to, the engine does not start, or `observe` failed.
pub fn run(
    plan: &Plan,
    interrupt: &Interrupt,
    observe: &mut dyn FnMut(&Tick<'_>) -> io::Result<()>,
) -> Result<Outcome, Failure> {
    let environment = Environment::read(plan.server_pid);
    let config = Config {
        cores: plan.cores,
        driver: plan.driver,
        idle: plan.idle,
        pinning: Pinning::From(plan.first_cpu),
        limits: Limits {
            // Whatever may be in flight on a connection may also wait to leave.
            send_cap: (plan.in_flight.max(1).saturating_mul(MAX_PAYLOAD + 4096)).min(1 << 30),
            udp_recv_queue: 1 << 16,
            udp_send_queue: 1 << 16,
            ..Limits::default()
        },
        name: "loadgen".to_owned(),
        ..Config::default()
    };
    let (reports, received) = mpsc::channel();
    let shared = Arc::new((plan.clone(), Mutex::new(reports)));
    let runtime = Runtime::start(config, move |core: Core<Duration>| {
        let shared = shared.clone();
        async move {
            let (plan, reports) = &*shared;
            let reports = reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let start = started(&core);
            core::run(plan, (core.index, core.cores), reports, start).await;
        }
    });
    let runtime = runtime.map_err(|error| Failure::failed(error.to_string()))?;
    interrupt.watch(runtime.stopper());
    let driver = runtime.driver().to_string();
    let mut collector = Collector::new(plan);
    let done = collect(plan, &runtime, &received, &mut collector, interrupt, observe);
    runtime.stop();
    let joined = runtime.join();
    done?;
    joined.map_err(|error| Failure::failed(format!("a defect of the generator: {error}")))?;
    Ok(collector.outcome(environment, driver, interrupt.is_interrupted()))
}

/// Waits until all cores are to start; none if that will not be.
async fn started(core: &Core<Duration>) -> Option<Duration> {
    let mut start = pin!(core.mesh.recv());
    let mut stop = pin!(shutdown());
    poll_fn(|context| {
        if let Poll::Ready((_, at)) = start.as_mut().poll(context) {
            return Poll::Ready(Some(at));
        }
        stop.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Starts the load once all cores are ready, and takes what they report until they are done.
fn collect(
    plan: &Plan,
    runtime: &Runtime<Duration>,
    received: &mpsc::Receiver<(usize, Report)>,
    collector: &mut Collector,
    interrupt: &Interrupt,
    observe: &mut dyn FnMut(&Tick<'_>) -> io::Result<()>,
) -> Result<(), Failure> {
    let (mut ready, mut latest, mut connections, mut reason) = (0, Duration::ZERO, 0, None);
    // The channel ends when all cores have, be it that one has panicked: then `join` tells.
    while ready < plan.cores
        && let Ok((_, report)) = received.recv()
    {
        if let Report::Ready { now, connected, why_not } = report {
            ready += 1;
            latest = latest.max(now);
            connections += connected;
            reason = reason.or(why_not);
        }
    }
    if connections == 0 && interrupt.is_interrupted() {
        let text = "interrupted before the load began".to_owned();
        return Err(Failure { exit: Exit::Interrupted, text });
    }
    if connections == 0 {
        let reason = reason.unwrap_or_else(|| "it ended before it began".to_owned());
        return Err(Failure::failed(format!("no connection to {reason}")));
    }
    collector.begin(SystemTime::now() + SOON + plan.warm_up);
    for core in 0..plan.cores {
        // An empty ring has room for one message.
        let _ = runtime.post(core, latest + SOON);
    }
    while !collector.is_done()
        && let Ok((core, report)) = received.recv()
    {
        let Report::Slice(part) = report else { continue };
        for merged in collector.take(core, *part) {
            observe(&merged.tick())?;
        }
    }
    Ok(())
}
