//! Choosing a destination.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::Choice;
use super::destinations::{Destination, Destinations};
use crate::backoff::Random;

/// One that is available and was not tried yet; none if there is none.
pub(super) fn fresh(
    choice: Choice,
    addresses: &[SocketAddr],
    tried: &[SocketAddr],
    destinations: &Destinations,
    random: &Random,
    now: Duration,
) -> Option<Rc<Destination>> {
    let usable = |addr: &SocketAddr| {
        let destination = (!tried.contains(addr)).then(|| destinations.get(*addr))?;
        destination.is_available(now).then_some(destination)
    };
    let count = addresses.len();
    if count == 0 {
        return None;
    }
    let one = random.below(count);
    // Another one than the first.
    let other = (one + 1 + random.below(count - 1)) % count;
    match (choice, usable(&addresses[one])) {
        (Choice::Random, Some(one)) => return Some(one),
        (Choice::LeastLoaded, Some(one)) => {
            let other = (count > 1).then(|| usable(&addresses[other])).flatten();
            return Some(less_loaded(one, other));
        }
        (Choice::LeastLoaded, None) if count > 1 => {
            if let Some(other) = usable(&addresses[other]) {
                return Some(other);
            }
        }
        (_, None) => {}
    }
    // Some cannot be used: draw among those that can.
    let mut usable: Vec<Rc<Destination>> = addresses.iter().filter_map(usable).collect();
    if usable.is_empty() {
        return None;
    }
    let one = usable.swap_remove(random.below(usable.len()));
    let other = usable.get(random.below(usable.len())).cloned();
    Some(if choice == Choice::Random { one } else { less_loaded(one, other) })
}

/// When none is left that is available and untried: one that is available after all, otherwise any. A service whose workers are
/// all set aside is not given up.
pub(super) fn any(
    addresses: &[SocketAddr],
    destinations: &Destinations,
    random: &Random,
    now: Duration,
) -> Option<Rc<Destination>> {
    let all = || addresses.iter().map(|addr| destinations.get(*addr));
    let available: Vec<_> = all().filter(|destination| destination.is_available(now)).collect();
    let from = if available.is_empty() { all().collect() } else { available };
    from.get(random.below(from.len())).cloned()
}

/// Up to `limit` of the addresses, drawn at random, those first that are available.
pub(super) fn some(
    addresses: &[SocketAddr],
    limit: usize,
    destinations: &Destinations,
    random: &Random,
    now: Duration,
) -> Vec<SocketAddr> {
    let mut drawn = addresses.to_vec();
    for at in 0..drawn.len() {
        let other = at + random.below(drawn.len() - at);
        drawn.swap(at, other);
    }
    drawn.sort_by_key(|addr| !destinations.get(*addr).is_available(now));
    drawn.truncate(limit);
    drawn
}

fn less_loaded(one: Rc<Destination>, other: Option<Rc<Destination>>) -> Rc<Destination> {
    other.filter(|other| other.in_flight() < one.in_flight()).unwrap_or(one)
}
