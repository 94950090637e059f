//! Waiting for a service that nobody announces yet.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use grenache_engine::{now, sleep_until, timeout};

use super::cache::Addresses;
use super::{Config, Link};
use crate::backoff::Random;
use crate::error::Error;
use crate::flight::{Flight, Waiters};

/// How long after somebody began to wait the pauses stay short.
const IMPATIENT: Duration = Duration::from_secs(10);

/// Lookups of one service, one after the other, for all who wait for it.
pub(super) struct Wait {
    flight: Rc<Flight<Result<Addresses, Error>>>,
    progress: Rc<Progress>,
}

struct Progress {
    /// When the last one began to wait: from then on the pauses grow anew.
    since: Cell<Duration>,
    joined: Waiters,
    /// What the last lookup came to.
    last: RefCell<Option<Error>>,
}

impl Wait {
    pub(super) fn start(link: Link, service: String) -> Rc<Wait> {
        let progress = Rc::new(Progress {
            since: Cell::new(now()),
            joined: Waiters::default(),
            last: RefCell::new(None),
        });
        let flight = Flight::start(look_up_until_found(link, service, progress.clone()));
        Rc::new(Wait { flight, progress })
    }

    /// One that another caller began and that still goes on.
    pub(super) fn join(wait: &Weak<Wait>) -> Option<Rc<Wait>> {
        let wait = wait.upgrade().filter(|wait| !wait.flight.has_ended())?;
        wait.progress.since.set(now());
        wait.progress.joined.wake();
        Some(wait)
    }

    /// Waits at most for `limit`; then the error is the one of the last lookup.
    pub(super) async fn found(&self, limit: Duration) -> Result<Addresses, Error> {
        match timeout(limit, self.flight.result()).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Error::Stopped),
            Err(_) => Err(self.progress.last.borrow().clone().unwrap_or(Error::Timeout {
                limit,
                to: None,
                may_have_run: false,
            })),
        }
    }
}

async fn look_up_until_found(
    link: Link,
    service: String,
    progress: Rc<Progress>,
) -> Result<Addresses, Error> {
    loop {
        let began = now();
        match link.lookup_fresh(&service).await {
            Ok(addresses) => return Ok(addresses),
            // The grapes may come up as well.
            Err(error @ (Error::LookupEmpty { .. } | Error::GrapeUnreachable(_))) => {
                *progress.last.borrow_mut() = Some(error);
            }
            Err(error) => return Err(error),
        }
        let since = progress.since.get();
        // If somebody came while the lookup was under way, its answer may be older than what they know.
        if since <= began {
            let pause = pause(link.config(), link.random(), now() - since);
            let joined = progress.joined.until(|| (progress.since.get() != since).then_some(()));
            let _ = timeout(pause, joined).await;
        }
        // However many come, lookups do not follow each other without a pause.
        sleep_until(began + link.config().wait.first).await;
    }
}

/// The pause before the next lookup: an eighth of the time waited so far, within the bounds of the configuration.
fn pause(config: &Config, random: &Random, waited: Duration) -> Duration {
    let longest = if waited < IMPATIENT { config.wait.longest } else { config.wait_longest };
    let pause = (waited / 8).clamp(config.wait.first, longest.max(config.wait.first));
    random.around(pause, 0.1)
}
