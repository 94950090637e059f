//! How many calls a handle has taken, and whether it takes more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use grenache_engine::Poster;

use super::core::Job;
use crate::error::Error;

/// Shared by a handle's clones, its cores and the calls themselves.
pub(super) struct Calls {
    open: RwLock<bool>,
    count: AtomicUsize,
    limit: usize,
}

/// One call's place; dropped with it, wherever that is.
pub(super) struct Place(Arc<Calls>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Calls {
    pub(super) fn new(limit: usize) -> Calls {
        Calls { open: RwLock::new(true), count: AtomicUsize::new(0), limit }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(super) fn begin(self: &Arc<Self>) -> Result<Place, Error> {
        // Taken before it is counted, a place that is one too many goes back by itself.
        let before = self.count.fetch_add(1, Ordering::AcqRel);
        let place = Place(self.clone());
        if before < self.limit {
            Ok(place)
        } else {
            Err(Error::Busy("as many calls as the handle may have run already"))
        }
    }

    /// Gives a job to a core, unless the handle is closed: a core that has ended would keep it for ever.
    pub(super) fn post(&self, poster: &Poster<Job>, core: usize, job: Job) -> Result<(), Error> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if !*open {
            return Err(Error::Stopped);
        }
        poster.post(core, job).map_err(|_| Error::Busy("the core's queue is full"))
    }

    /// From the return on nothing is posted any more.
    pub(super) fn close(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = false;
    }
}
