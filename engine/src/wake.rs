//! How a core is reached from outside: by the other cores, by foreign threads, by `stop()`.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

use crate::task::TaskId;

/// Interrupts a parked driver.
pub(crate) trait Notify: Send + Sync {
    fn notify(&self);
}

/// Wakes a core, at no cost while the core is awake.
///
/// The core says `parking()`, then looks once more for work, then parks; whoever brings work makes
/// it visible first and rings after. Both sides fence between their two steps, so at least one of
/// them sees the other.
pub(crate) struct Bell {
    parked: AtomicBool,
    notify: Box<dyn Notify>,
}

impl Bell {
    pub(crate) fn new(notify: Box<dyn Notify>) -> Self {
        Self { parked: AtomicBool::new(true), notify }
    }

    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::AcqRel) {
            self.notify.notify();
        }
    }

    pub(crate) fn parking(&self) {
        self.parked.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn awake(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }
}

/// The part of a core that other threads may touch.
pub(crate) struct Home {
    pub(crate) bell: Bell,
    stopped: AtomicBool,
    /// Whether foreign threads have posted messages.
    mail: AtomicBool,
    any_woken: AtomicBool,
    woken: Mutex<Vec<TaskId>>,
}

impl Home {
    pub(crate) fn new(notify: Box<dyn Notify>) -> Arc<Self> {
        Arc::new(Self {
            bell: Bell::new(notify),
            stopped: AtomicBool::new(false),
            mail: AtomicBool::new(false),
            any_woken: AtomicBool::new(false),
            woken: Mutex::new(Vec::new()),
        })
    }

    /// A task of this core was woken by somebody else than this core.
    pub(crate) fn wake(&self, task: TaskId) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        self.any_woken.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(crate) fn any_woken(&self) -> bool {
        self.any_woken.load(Ordering::Acquire)
    }

    pub(crate) fn take_woken(&self) -> Vec<TaskId> {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        self.any_woken.store(false, Ordering::Relaxed);
        std::mem::take(&mut woken)
    }

    /// Called under the lock of the messages.
    pub(crate) fn set_mail(&self, any: bool) {
        self.mail.store(any, Ordering::Release);
    }

    pub(crate) fn has_mail(&self) -> bool {
        self.mail.load(Ordering::Acquire)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}
