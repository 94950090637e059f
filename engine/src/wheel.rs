//! The timer wheel: setting and cancelling cost the same however many timers there are.
//!
//! Six levels of 64 slots; a slot of level `l` spans `64^l` ticks of a millisecond. A timer lies in
//! the level of the highest digit (base 64) in which its tick differs from the wheel's, and moves
//! down when the wheel reaches its slot. Within a millisecond timers fire by their exact deadline.

use std::task::Waker;
use std::time::Duration;

use slab::Slab;

const LEVELS: usize = 6;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const NONE: u32 = u32::MAX;

/// Names a timer until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId {
    slot: u32,
    sequence: u64,
}

struct Timer {
    deadline: Duration,
    sequence: u64,
    waker: Waker,
    place: u16,
    previous: u32,
    next: u32,
}

pub(crate) struct Wheel {
    timers: Slab<Timer>,
    heads: [u32; LEVELS * SLOTS],
    occupied: [u64; LEVELS],
    /// Everything before this tick has fired; the wheel may hold timers due within it.
    tick: u64,
    sequence: u64,
    due: Vec<(Duration, u64, Waker)>,
}

fn tick_of(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1000).saturating_add(u64::from(time.subsec_millis()))
}

impl Wheel {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            timers: Slab::new(),
            heads: [NONE; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            tick: tick_of(now),
            sequence: 0,
            due: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, deadline: Duration, waker: Waker) -> TimerId {
        self.sequence += 1;
        let sequence = self.sequence;
        let timer = Timer { deadline, sequence, waker, place: 0, previous: NONE, next: NONE };
        let slot = self.timers.insert(timer) as u32;
        self.link(slot);
        TimerId { slot, sequence }
    }

    /// Replaces the waker of a timer; false if it has fired.
    pub(crate) fn update(&mut self, id: TimerId, waker: &Waker) -> bool {
        match self.timers.get_mut(id.slot as usize) {
            Some(timer) if timer.sequence == id.sequence => {
                timer.waker.clone_from(waker);
                true
            }
            _ => false,
        }
    }

    pub(crate) fn cancel(&mut self, id: TimerId) {
        if self.timers.get(id.slot as usize).is_some_and(|timer| timer.sequence == id.sequence) {
            self.unlink(id.slot);
            self.timers.remove(id.slot as usize);
        }
    }

    /// Wakes all timers due at `now`, by deadline and then by order of setting.
    pub(crate) fn advance(&mut self, now: Duration) {
        let target = tick_of(now);
        if self.timers.is_empty() {
            self.tick = self.tick.max(target);
            return;
        }
        loop {
            self.expire(now);
            let Some(next) = self.next_occupied_tick() else {
                self.tick = self.tick.max(target);
                break;
            };
            if next > target {
                self.tick = self.tick.max(target);
                break;
            }
            if next == self.tick {
                break;
            }
            self.tick = next;
            self.cascade();
        }
        // The wheel may have stopped in the middle of a higher slot; that is where cascade starts
        // from next time, as ticks only ever differ in lower digits from here.
        self.due.sort_unstable_by_key(|(deadline, sequence, _)| (*deadline, *sequence));
        for (_, _, waker) in self.due.drain(..) {
            waker.wake();
        }
    }

    /// When to call `advance` next: exact for timers within 64 ms, for later ones the time at which
    /// they come nearer.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        let tick = self.next_occupied_tick()?;
        let start = Duration::from_millis(tick);
        if self.occupied[0] == 0 {
            return Some(start);
        }
        let mut at = self.heads[(tick % SLOTS as u64) as usize];
        let mut earliest: Option<Duration> = None;
        while at != NONE {
            let timer = &self.timers[at as usize];
            earliest = Some(earliest.map_or(timer.deadline, |other| other.min(timer.deadline)));
            at = timer.next;
        }
        Some(earliest.unwrap_or(start))
    }

    /// The tick at which the nearest slot with a timer begins.
    fn next_occupied_tick(&self) -> Option<u64> {
        for level in 0..LEVELS {
            if self.occupied[level] == 0 {
                continue;
            }
            let shift = BITS * level as u32;
            let digit = (self.tick >> shift) % SLOTS as u64;
            let ahead = u64::from(self.occupied[level].rotate_right(digit as u32).trailing_zeros());
            let begin = ((self.tick >> shift) + ahead) << shift;
            return Some(begin.max(self.tick));
        }
        None
    }

    /// Moves the timers of the slots that begin at this tick down to their levels.
    fn cascade(&mut self) {
        for level in (1..LEVELS).rev() {
            let slot = ((self.tick >> (BITS * level as u32)) % SLOTS as u64) as usize;
            if self.occupied[level] & (1 << slot) == 0 {
                continue;
            }
            self.occupied[level] &= !(1 << slot);
            let mut at = std::mem::replace(&mut self.heads[level * SLOTS + slot], NONE);
            while at != NONE {
                let next = self.timers[at as usize].next;
                self.link(at);
                at = next;
            }
        }
    }

    /// Takes what is due out of the slot of this tick.
    fn expire(&mut self, now: Duration) {
        let slot = (self.tick % SLOTS as u64) as usize;
        let mut at = self.heads[slot];
        while at != NONE {
            let timer = &self.timers[at as usize];
            let next = timer.next;
            if timer.deadline <= now {
                self.unlink(at);
                let timer = self.timers.remove(at as usize);
                self.due.push((timer.deadline, timer.sequence, timer.waker));
            }
            at = next;
        }
    }

    fn link(&mut self, slot: u32) {
        let span = 1u64 << (BITS * LEVELS as u32);
        let tick = tick_of(self.timers[slot as usize].deadline);
        // Past the top level a timer waits in its last slot and is placed again from there.
        let tick = tick.clamp(self.tick, self.tick.saturating_add(span - span / SLOTS as u64 - 1));
        let differs = (tick ^ self.tick) >> BITS;
        let mut level = if differs == 0 {
            0
        } else {
            ((u64::BITS - 1 - differs.leading_zeros()) / BITS + 1) as usize
        };
        level = level.min(LEVELS - 1);
        let index = ((tick >> (BITS * level as u32)) % SLOTS as u64) as usize;
        let place = level * SLOTS + index;
        let head = self.heads[place];
        let timer = &mut self.timers[slot as usize];
        timer.place = place as u16;
        timer.previous = NONE;
        timer.next = head;
        if head != NONE {
            self.timers[head as usize].previous = slot;
        }
        self.heads[place] = slot;
        self.occupied[level] |= 1 << index;
    }

    fn unlink(&mut self, slot: u32) {
        let Timer { place, previous, next, .. } = self.timers[slot as usize];
        if next != NONE {
            self.timers[next as usize].previous = previous;
        }
        if previous != NONE {
            self.timers[previous as usize].next = next;
            return;
        }
        let place = usize::from(place);
        self.heads[place] = next;
        if next == NONE {
            self.occupied[place / SLOTS] &= !(1 << (place % SLOTS));
        }
    }
}
