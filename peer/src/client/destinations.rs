//! What a client knows of the workers it has to do with.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::now;
use lru::LruCache;

use super::Config;
use crate::backoff::Random;
use crate::http::Target;

/// What an exchange told about a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers.
    Well,
    /// It takes requests and fails them.
    Ill,
    /// It cannot be connected to.
    Down,
    /// Nothing.
    Unknown,
}

/// One worker.
pub(super) struct Destination {
    pub(super) target: Target,
    in_flight: Cell<usize>,
    /// In a row.
    failures: Cell<u32>,
    /// In a row, how often it was set aside.
    asides: Cell<u32>,
    /// Zero unless it is set aside, or was and must prove itself.
    aside_until: Cell<Duration>,
    /// A request is under way that decides whether it is let in again.
    probing: Cell<bool>,
}

impl Destination {
    fn new(addr: SocketAddr, secure: bool) -> Destination {
        Destination {
            target: Target::peer(addr, secure),
            in_flight: Cell::new(0),
            failures: Cell::new(0),
            asides: Cell::new(0),
            aside_until: Cell::new(Duration::ZERO),
            probing: Cell::new(false),
        }
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.target.addr
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Whether a request may go there: it works, or its time aside is over and nobody else is trying it out.
    pub(super) fn is_available(&self, now: Duration) -> bool {
        let until = self.aside_until.get();
        until.is_zero() || (until <= now && !self.probing.get())
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn begin(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        let aside = !self.aside_until.get().is_zero();
        let probe = aside && !self.probing.replace(true);
        InFlight { destination: self.clone(), probe }
    }

    /// Takes note of how a request went.
    pub(super) fn report(&self, health: Health, config: &Config, random: &Random) {
        let now = now();
        match health {
            Health::Unknown => {}
            Health::Well => {
                self.failures.set(0);
                self.asides.set(0);
                self.aside_until.set(Duration::ZERO);
            }
            // Requests that fail together are one failure.
            Health::Ill | Health::Down if now < self.aside_until.get() => {}
            Health::Ill | Health::Down => {
                self.failures.set(self.failures.get().saturating_add(1));
                let proving = !self.aside_until.get().is_zero();
                let often = self.failures.get() >= config.failures_before_aside;
                if health == Health::Down || proving || often {
                    self.asides.set(self.asides.get().saturating_add(1));
                    let pause = config.aside.pause(self.asides.get(), random);
                    self.aside_until.set(now.saturating_add(pause));
                }
            }
        }
    }
}

/// A request in flight.
pub(super) struct InFlight {
    destination: Rc<Destination>,
    probe: bool,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let destination = &self.destination;
        destination.in_flight.set(destination.in_flight.get() - 1);
        if self.probe {
            destination.probing.set(false);
        }
    }
}

struct Slot {
    destination: Rc<Destination>,
    used: Duration,
}

/// All that are remembered.
pub(super) struct Destinations {
    slots: RefCell<LruCache<SocketAddr, Slot, std::hash::RandomState>>,
    secure: bool,
    age: Duration,
}

impl Destinations {
    pub(super) fn new(config: &Config, secure: bool) -> Destinations {
        // Grows with its content: the limit is no reason to allocate.
        let mut slots = LruCache::unbounded_with_hasher(std::hash::RandomState::new());
        slots.resize(NonZeroUsize::new(config.max_destinations).unwrap_or(NonZeroUsize::MIN));
        Destinations { slots: RefCell::new(slots), secure, age: config.destination_age }
    }

    pub(super) fn get(&self, addr: SocketAddr) -> Rc<Destination> {
        let now = now();
        let mut slots = self.slots.borrow_mut();
        if let Some(slot) = slots.get_mut(&addr) {
            slot.used = now;
            return slot.destination.clone();
        }
        while let Some((_, oldest)) = slots.peek_lru()
            && now - oldest.used >= self.age
        {
            slots.pop_lru();
        }
        let destination = Rc::new(Destination::new(addr, self.secure));
        slots.put(addr, Slot { destination: destination.clone(), used: now });
        destination
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::net::Ipv4Addr;

    use grenache_engine::sim::{Host, Network, World};
    use grenache_engine::{Core, sleep};

    use super::*;

    fn on_a_core<F: Future<Output = ()> + 'static>(main: impl Fn() -> F + 'static) {
        let mut world = World::new(1, Network::default());
        let host = Host::new([10, 0, 0, 1]);
        let node = world.start(host, Default::default(), move |_: Core<()>| main()).unwrap();
        world.run_for(Duration::from_secs(10));
        assert!(!world.is_running(node));
    }

    fn addr(number: u32) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::from_bits(number), 1))
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        on_a_core(|| async {
            let config = Config { max_destinations: 10, ..Config::default() };
            let destinations = Destinations::new(&config, false);
            for number in 0..1000 {
                destinations.get(addr(number));
            }
            assert_eq!(destinations.len(), 10);
        });
    }

    #[test]
    fn what_is_not_used_is_forgotten() {
        on_a_core(|| async {
            let age = Duration::from_secs(1);
            let config = Config { destination_age: age, ..Config::default() };
            let destinations = Destinations::new(&config, false);
            for number in 0..100 {
                destinations.get(addr(number));
            }
            sleep(age).await;
            assert_eq!(destinations.len(), 100);
            destinations.get(addr(7));
            destinations.get(addr(1000));
            assert_eq!(destinations.len(), 2);
        });
    }
}
