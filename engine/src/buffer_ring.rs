//! Receive buffers lent to the kernel (`IORING_REGISTER_PBUF_RING`).

// The memory is shared with the kernel: who may touch a buffer is a protocol that the compiler
// cannot see.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

const PAGE: usize = 4096;
const LINE: usize = 64;
const ENTRIES_MAX: usize = 32 * 1024;

/// Buffers of one size. The kernel takes one per completion; it comes back when its [`Lease`] is
/// dropped.
pub(crate) struct BufferRing {
    memory: NonNull<u8>,
    layout: Layout,
    entries: usize,
    size: usize,
    /// From one buffer to the next.
    stride: usize,
    tail: Cell<u16>,
    leased: Cell<usize>,
}

impl BufferRing {
    /// Makes `entries` buffers (rounded up to a power of two) of `size` bytes and registers them as
    /// group `group` of the ring.
    pub(crate) fn register(
        submitter: &Submitter<'_>,
        group: u16,
        entries: usize,
        size: usize,
    ) -> io::Result<Rc<Self>> {
        let entries = entries.clamp(1, ENTRIES_MAX).next_power_of_two();
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
        // An odd number of cache lines: the first lines of buffers, which are the ones in use, would
        // otherwise compete for a few sets of the cache.
        let stride =
            size.checked_next_multiple_of(2 * LINE).and_then(|size| size.checked_add(LINE));
        let stride = stride.ok_or(io::ErrorKind::InvalidInput)?;
        let bytes = stride.checked_add(size_of::<BufRingEntry>());
        let bytes = bytes.and_then(|each| each.checked_mul(entries)).unwrap_or(usize::MAX);
        let layout = Layout::from_size_align(bytes, PAGE).map_err(invalid)?;
        u32::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the layout is not empty. Zeroed memory comes fresh from the system and costs
        // nothing until it is used.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(layout) };
        let (tail, leased) = (Cell::new(0), Cell::new(0));
        let ring = Rc::new(Self { memory, layout, entries, size, stride, tail, leased });
        let address = ring.memory.as_ptr() as u64;
        // SAFETY: the memory begins on a page with room for the entries. It is freed after the
        // io_uring is gone: the driver holds this until it has closed that.
        unsafe { submitter.register_buf_ring_with_flags(address, entries as u16, group, 0)? };
        for buffer in 0..entries {
            ring.lend(buffer as u16);
        }
        Ok(ring)
    }

    /// Whether so many buffers are out that the next should be copied and come back at once. At
    /// least half of the buffers thus stay with the kernel.
    pub(crate) fn is_short(&self) -> bool {
        (self.leased.get() + 1) * 2 > self.entries
    }

    /// Takes a buffer that the kernel has filled.
    ///
    /// # Safety
    /// A completion of a receive from this group must have named `buffer`, and each completion
    /// leases once.
    pub(crate) unsafe fn lease(self: &Rc<Self>, buffer: u16) -> Lease {
        assert!(usize::from(buffer) < self.entries, "the kernel named a buffer it was not lent");
        self.leased.set(self.leased.get() + 1);
        Lease { ring: self.clone(), buffer }
    }

    fn address(&self, buffer: u16) -> *mut u8 {
        let offset = self.entries * size_of::<BufRingEntry>() + usize::from(buffer) * self.stride;
        // SAFETY: `buffer` is below `entries`, so this is within the memory.
        unsafe { self.memory.as_ptr().add(offset) }
    }

    fn lend(&self, buffer: u16) {
        let tail = self.tail.get();
        let base = self.memory.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is below `entries`. The kernel reads this entry only once the tail has
        // passed it, and no reference to it outlives this function.
        let entry = unsafe { &mut *base.add(usize::from(tail) & (self.entries - 1)) };
        entry.set_addr(self.address(buffer) as u64);
        entry.set_len(self.size as u32);
        entry.set_bid(buffer);
        self.tail.set(tail.wrapping_add(1));
        // SAFETY: the tail lies in the first entry, where the setters above do not write; the
        // kernel only reads it.
        let shared = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()) };
        shared.store(self.tail.get(), Ordering::Release);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; leases and the driver hold the ring, so neither
        // needs it any more.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// A filled buffer. Goes back to the kernel on drop.
pub(crate) struct Lease {
    ring: Rc<BufferRing>,
    buffer: u16,
}

impl Deref for Lease {
    type Target = [u8];

    /// The whole buffer, also what the kernel has not written this time.
    fn deref(&self) -> &[u8] {
        // SAFETY: within the memory, initialised (zeroed at first), and not the kernel's before
        // this lease is dropped.
        unsafe { std::slice::from_raw_parts(self.ring.address(self.buffer), self.ring.size) }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; no other lease is of the same buffer, so nobody else refers to these bytes.
        unsafe { std::slice::from_raw_parts_mut(self.ring.address(self.buffer), self.ring.size) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ring.leased.set(self.ring.leased.get() - 1);
        self.ring.lend(self.buffer);
    }
}
