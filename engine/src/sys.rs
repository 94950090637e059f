//! The system calls that neither std nor socket2 offer.

// Each is a foreign function; the wrappers here are safe to call.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use crate::config::BpfInstruction;
use crate::wake::Notify;

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A counter that a driver waits for and other threads raise.
pub(crate) struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the call made it, nobody else has it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    fn fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Sets the counter to zero.
    pub(crate) fn clear(&self) {
        let mut value = 0u64;
        // SAFETY: eight writable bytes. Failing means that it was zero.
        unsafe { libc::read(self.fd(), (&raw mut value).cast(), 8) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Notify for EventFd {
    fn notify(&self) {
        let one = 1u64;
        // SAFETY: eight readable bytes. Failing means that the counter is at its end, so the
        // other side is being woken.
        unsafe { libc::write(self.fd(), (&raw const one).cast(), 8) };
    }
}

/// One descriptor's readiness.
pub(crate) struct Event {
    pub(crate) token: u64,
    pub(crate) flags: u32,
}

pub(crate) struct Epoll {
    fd: OwnedFd,
    buffer: Vec<libc::epoll_event>,
    /// Only milliseconds can be waited for.
    coarse: bool,
}

impl Epoll {
    pub(crate) fn new(events: usize) -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let buffer = vec![libc::epoll_event { events: 0, u64: 0 }; events];
        // SAFETY: the call made it, nobody else has it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, buffer, coarse: false })
    }

    /// Watches a descriptor for `flags`; closing it ends that.
    pub(crate) fn add(&self, fd: impl AsFd, token: u64, flags: i32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: flags as u32, u64: token };
        let (epoll, fd) = (self.fd.as_raw_fd(), fd.as_fd().as_raw_fd());
        // SAFETY: the event is read during the call.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits at most `patience`, for ever without one; answers how many events there are.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> usize {
        if !self.coarse {
            let count = self.wait_exactly(patience);
            let error = io::Error::last_os_error().raw_os_error();
            // Linux before 5.11, or a sandbox that is older.
            self.coarse = count < 0 && matches!(error, Some(libc::ENOSYS | libc::EPERM));
            if !self.coarse {
                // An interruption by a signal is a wait without events.
                return count.max(0) as usize;
            }
        }
        let millis = patience.map_or(-1, |patience| {
            i32::try_from(patience.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        let capacity = self.buffer.len() as i32;
        let events = self.buffer.as_mut_ptr();
        // SAFETY: `events` has room for `capacity` events.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), events, capacity, millis) };
        count.max(0) as usize
    }

    fn wait_exactly(&mut self, patience: Option<Duration>) -> i32 {
        let capacity = self.buffer.len() as i32;
        let events = self.buffer.as_mut_ptr();
        let fd = self.fd.as_raw_fd();
        let time = patience.map(timespec);
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `events` has room for `capacity` events, and `time` is null or lives until here.
        unsafe { libc::epoll_pwait2(fd, events, capacity, time, std::ptr::null()) }
    }

    pub(crate) fn event(&self, index: usize) -> Event {
        let event = self.buffer[index];
        Event { token: event.u64, flags: event.events }
    }
}

pub(crate) fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: duration.as_secs().min(i64::MAX as u64) as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// Random bytes of the kernel.
pub(crate) fn fill_random(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        // SAFETY: `rest` is writable for its length.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // The one error that can happen is an interruption by a signal.
        filled += count.max(0) as usize;
    }
}

/// The CPUs this thread may run on.
fn allowed_cpus() -> Vec<usize> {
    // SAFETY: a set of bits for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: `set` is writable for `size` bytes.
    if unsafe { libc::sched_getaffinity(0, size, &raw mut set) } != 0 {
        return Vec::new();
    }
    // SAFETY: the indices are below the size of the set.
    (0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// Pins this thread to the `index`th of the CPUs it may run on, counted round.
pub(crate) fn pin_thread(index: usize) -> io::Result<()> {
    let cpus = allowed_cpus();
    let Some(cpu) = cpus.get(index.checked_rem(cpus.len()).unwrap_or(0)) else { return Ok(()) };
    // SAFETY: a set of bits for which all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the index came out of such a set.
    unsafe { libc::CPU_SET(*cpu, &mut set) };
    // SAFETY: `set` is readable for its size.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })?;
    Ok(())
}

/// `SO_ATTACH_REUSEPORT_CBPF`.
pub(crate) fn attach_reuseport_filter(
    socket: &OwnedFd,
    program: &[BpfInstruction],
) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut code: Vec<libc::sock_filter> = program
        .iter()
        .map(|&BpfInstruction { code, jt, jf, k }| libc::sock_filter { code, jt, jf, k })
        .collect();
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    let size = size_of::<libc::sock_fprog>() as u32;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF);
    let value = (&raw const program).cast();
    // SAFETY: `program` and the code it points to live through the call, which copies them.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, size) })?;
    Ok(())
}

/// Blocks SIGINT and SIGTERM for this thread and those it starts; answers the set of them.
pub(crate) fn block_stop_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: sigemptyset initialises it, and the pointers are valid through the calls.
    let mut set = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGINT);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        set
    };
    // SAFETY: `set` is a set of signals; the old one is not asked for.
    let error =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw mut set, std::ptr::null_mut()) };
    if error == 0 { Ok(set) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Waits for one of the blocked signals; answers its number.
pub(crate) fn wait_for_signal(set: &libc::sigset_t) -> i32 {
    let mut signal = 0;
    // SAFETY: both pointers are valid through the call.
    unsafe { libc::sigwait(set, &raw mut signal) };
    signal
}
