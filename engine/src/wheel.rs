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
pub struct TimerId {
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

pub struct Wheel {
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
    pub fn new(now: Duration) -> Self {
        Self {
            timers: Slab::new(),
            heads: [NONE; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            tick: tick_of(now),
            sequence: 0,
            due: Vec::new(),
        }
    }

    pub fn insert(&mut self, deadline: Duration, waker: Waker) -> TimerId {
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

    pub fn cancel(&mut self, id: TimerId) {
        if self.timers.get(id.slot as usize).is_some_and(|timer| timer.sequence == id.sequence) {
            self.unlink(id.slot);
            self.timers.remove(id.slot as usize);
        }
    }

    /// Wakes all timers due at `now`, by deadline and then by order of setting.
    pub fn advance(&mut self, now: Duration) {
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
    pub fn next_deadline(&self) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use std::collections::BinaryHeap;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    use super::*;

    struct Note {
        name: u64,
        log: Arc<Mutex<Vec<u64>>>,
    }

    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.log.lock().unwrap().push(self.name);
        }
    }

    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// Runs the wheel and a heap side by side; what is due must come out alike, and the wheel must
    /// never ask to be called later than its next timer.
    fn compare(seed: u64, steps: usize, jump: u64) {
        let mut state = seed;
        let mut now = Duration::from_nanos(random(&mut state) % 1_000_000_000_000);
        let mut wheel = Wheel::new(now);
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut heap: BinaryHeap<std::cmp::Reverse<(Duration, u64)>> = BinaryHeap::new();
        let mut ids = Vec::new();
        for step in 0..steps {
            match random(&mut state) % 4 {
                0 | 1 => {
                    let magnitude = random(&mut state) % 46;
                    let delay = Duration::from_nanos(random(&mut state) % (1 << (magnitude + 1)));
                    let (deadline, name) = (now + delay, ids.len() as u64);
                    let waker = Waker::from(Arc::new(Note { name, log: log.clone() }));
                    ids.push((wheel.insert(deadline, waker), deadline));
                    heap.push(std::cmp::Reverse((deadline, name)));
                }
                2 if !ids.is_empty() => {
                    let name = random(&mut state) % ids.len() as u64;
                    wheel.cancel(ids[name as usize].0);
                    heap.retain(|std::cmp::Reverse((_, other))| *other != name);
                }
                _ => {
                    let magnitude = random(&mut state) % jump;
                    now += Duration::from_nanos(random(&mut state) % (1 << (magnitude + 1)));
                    wheel.advance(now);
                    let mut due = Vec::new();
                    while let Some(std::cmp::Reverse((deadline, name))) = heap.peek()
                        && *deadline <= now
                    {
                        due.push(*name);
                        heap.pop();
                    }
                    assert_eq!(std::mem::take(&mut *log.lock().unwrap()), due, "step {step}");
                }
            }
            let earliest = heap.peek().map(|std::cmp::Reverse((deadline, _))| *deadline);
            match (wheel.next_deadline(), earliest) {
                (None, None) => {}
                (Some(next), Some(earliest)) => assert!(next <= earliest, "step {step}"),
                other => panic!("step {step}: {other:?}"),
            }
            assert_eq!(wheel.timers.len(), heap.len());
        }
        // Following next_deadline fires everything, in few calls per timer.
        let mut calls = 0;
        let timers = heap.len();
        while let Some(next) = wheel.next_deadline() {
            wheel.advance(next);
            calls += 1;
        }
        let order: Vec<u64> = std::iter::from_fn(|| heap.pop()).map(|timer| timer.0.1).collect();
        assert_eq!(*log.lock().unwrap(), order);
        assert!(calls <= timers * LEVELS, "{calls} calls for {timers} timers");
    }

    #[test]
    fn fires_what_a_heap_fires() {
        for seed in 1..200 {
            compare(seed, 500, 20 + seed % 26);
        }
    }

    #[test]
    fn holds_timers_past_its_last_level() {
        let mut wheel = Wheel::new(Duration::from_millis(63));
        let log = Arc::new(Mutex::new(Vec::new()));
        let note = |name| Waker::from(Arc::new(Note { name, log: log.clone() }));
        let far = Duration::from_secs(5 * 365 * 86_400);
        wheel.insert(far, note(1));
        let never = wheel.insert(Duration::MAX, note(2));
        while wheel.next_deadline().is_some_and(|next| next <= far) {
            assert!(log.lock().unwrap().is_empty());
            let next = wheel.next_deadline().unwrap();
            wheel.advance(next);
        }
        assert_eq!(*log.lock().unwrap(), [1]);
        wheel.cancel(never);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn an_update_replaces_the_waker_until_the_timer_fires() {
        let mut wheel = Wheel::new(Duration::ZERO);
        let log = Arc::new(Mutex::new(Vec::new()));
        let note = |name| Waker::from(Arc::new(Note { name, log: log.clone() }));
        let id = wheel.insert(Duration::from_millis(5), note(1));
        assert!(wheel.update(id, &note(2)));
        wheel.advance(Duration::from_millis(5));
        assert_eq!(*log.lock().unwrap(), [2]);
        assert!(!wheel.update(id, &note(3)));
        wheel.cancel(id);
    }
}
