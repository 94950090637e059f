//! A ring of buffers that the kernel picks from (io_uring_register_buf_ring(3)).
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

const PAGE: usize = 4096;

/// `count` buffers of `size` bytes, all with the kernel at first.
pub(super) struct Buffers {
    entries: NonNull<BufRingEntry>,
    data: NonNull<u8>,
    count: u16,
    size: usize,
    tail: u16,
}

impl Buffers {
    /// Registers the ring as buffer group `group`. `count` is a power of two.
    pub(super) fn register(
        ring: &IoUring,
        group: u16,
        count: u16,
        size: usize,
    ) -> io::Result<Self> {
        assert!(count.is_power_of_two());
        let mut buffers = Self {
            entries: allocate(Self::entries_layout(count)).cast(),
            data: allocate(Self::data_layout(count, size)),
            count,
            size,
            tail: 0,
        };
        // SAFETY: the entries are page-aligned, as long as `count` says, and outlive the ring: the servers never return.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                buffers.entries.as_ptr() as u64,
                count,
                group,
                0,
            )?
        };
        for id in 0..count {
            buffers.give_back(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    fn entries_layout(count: u16) -> Layout {
        Layout::array::<BufRingEntry>(count.into())
            .and_then(|layout| layout.align_to(PAGE))
            .expect("a small ring")
    }

    fn data_layout(count: u16, size: usize) -> Layout {
        Layout::from_size_align(usize::from(count) * size, PAGE).expect("small buffers")
    }

    /// Where buffer `id` begins.
    pub(super) fn start(&self, id: u16) -> *mut u8 {
        assert!(id < self.count);
        // SAFETY: `id` is below `count`, so the offset is inside the allocation.
        unsafe { self.data.as_ptr().add(usize::from(id) * self.size) }
    }

    /// The first `len` bytes of buffer `id`, which the kernel has handed to us and not got back.
    pub(super) fn filled(&self, id: u16, len: usize) -> &[u8] {
        assert!(len <= self.size);
        // SAFETY: inside one buffer; the kernel writes to it again only after `give_back`.
        unsafe { std::slice::from_raw_parts(self.start(id), len) }
    }

    /// Lets the kernel use buffer `id` again once `publish` is called.
    pub(super) fn give_back(&mut self, id: u16) {
        let (addr, len) = (self.start(id) as u64, self.size as u32);
        let slot = usize::from(self.tail & (self.count - 1));
        // SAFETY: `slot` is below `count`; the kernel does not read an entry at or past the tail we published.
        let entry = unsafe { &mut *self.entries.as_ptr().add(slot) };
        entry.set_addr(addr);
        entry.set_len(len);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Makes everything given back visible to the kernel.
    pub(super) fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry, is 2-aligned, and only this thread writes it.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with these layouts; the rings that used them are gone (see `register`).
        unsafe {
            dealloc(self.entries.as_ptr().cast(), Self::entries_layout(self.count));
            dealloc(self.data.as_ptr(), Self::data_layout(self.count, self.size));
        }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no layout here is empty.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
