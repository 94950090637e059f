//! The two queues shared with the kernel.

// Entering the kernel and handing it addresses.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{IoUring, Submitter, cqueue};

/// The longest wait: the kernel's arithmetic ends early. Whoever wakes too soon waits again.
const PATIENCE: Duration = Duration::from_secs(86_400);

/// What the kernel says of an operation.
#[derive(Clone, Copy)]
pub(super) struct Completion {
    pub(super) user_data: u64,
    pub(super) result: i32,
    flags: u32,
}

impl Completion {
    /// The operation goes on and will complete again.
    pub(super) fn more(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// The buffer it took.
    pub(super) fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
}

pub(super) struct Ring {
    uring: IoUring,
    /// What found no room in the submission queue.
    backlog: VecDeque<Entry>,
    /// Operations that will still complete.
    outstanding: usize,
}

impl Ring {
    /// Fails where the kernel is older than 6.1 or does not allow it.
    pub(super) fn new(entries: u32) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(entries.saturating_mul(4))
            .dontfork()
            .build(entries)?;
        Ok(Self { uring, backlog: VecDeque::new(), outstanding: 0 })
    }

    pub(super) fn submitter(&self) -> Submitter<'_> {
        self.uring.submitter()
    }

    /// Queues an operation; it reaches the kernel with the next [`enter`](Self::enter).
    ///
    /// # Safety
    /// What the entry points to must stay in place until its last completion.
    pub(super) unsafe fn push(&mut self, entry: Entry) {
        self.outstanding += 1;
        if !self.backlog.is_empty() || !self.try_push(&entry) {
            self.backlog.push_back(entry);
        }
    }

    fn try_push(&mut self, entry: &Entry) -> bool {
        // SAFETY: `push` demands what is needed of its caller.
        if unsafe { self.uring.submission().push(entry) }.is_ok() {
            return true;
        }
        // Full: the kernel takes them all now. If it does not, the backlog does.
        let _ = self.uring.submit();
        // SAFETY: as above.
        unsafe { self.uring.submission().push(entry) }.is_ok()
    }

    /// Submits what is queued. Waits for a completion, at most `patience` (for ever without one),
    /// if `wait`; otherwise enters the kernel only if there is something to do there.
    pub(super) fn enter(&mut self, wait: bool, patience: Option<Duration>) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_push(&entry) {
                self.backlog.push_front(entry);
                break;
            }
        }
        let wait = wait && self.uring.completion().is_empty();
        let result = if !wait {
            let submission = self.uring.submission();
            if submission.is_empty() && !submission.taskrun() && !submission.cq_overflow() {
                return;
            }
            drop(submission);
            self.uring.submit()
        } else if let Some(patience) = patience {
            let time = Timespec::from(patience.min(PATIENCE));
            self.uring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time))
        } else {
            self.uring.submit_and_wait(1)
        };
        if let Err(error) = result {
            match error.raw_os_error() {
                // Time is up, a signal, or the kernel wants its completions taken first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => {}
                _ => panic!("io_uring_enter failed: {error}"),
            }
        }
    }

    /// Takes the completions that are there.
    pub(super) fn reap(&mut self, into: &mut Vec<Completion>) {
        for entry in self.uring.completion() {
            let (user_data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            self.outstanding -= usize::from(!cqueue::more(flags));
            into.push(Completion { user_data, result, flags });
        }
    }

    /// Cancels all operations and hands their last completions to `act`. Afterwards the kernel uses
    /// no memory of ours any more.
    pub(super) fn cancel_all(&mut self, mut act: impl FnMut(Completion)) {
        let mut completions = Vec::new();
        while self.outstanding > 0 {
            self.enter(false, None);
            // No match, or no end of one in time, is no concern: this goes on until all have ended.
            let patience = Duration::from_millis(10);
            let all = CancelBuilder::any().all();
            let _ = self.uring.submitter().register_sync_cancel(Some(patience.into()), all);
            self.enter(true, Some(patience));
            self.reap(&mut completions);
            completions.drain(..).for_each(&mut act);
        }
    }
}
