//! Names of other grapes, and their addresses.

use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// First and longest time between two attempts to resolve names that have no address yet.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a grape that starts waits for names. A resolver that is down takes longer for each.
const PATIENCE: Duration = Duration::from_secs(1);

/// Addresses found, and names that have none.
type Found = (Vec<SocketAddrV4>, Vec<String>);

/// Resolves `host:port` names as far as that goes in a second. What is an address needs no resolver.
pub(crate) fn resolve_soon(names: &[String]) -> Found {
    resolve_within(PATIENCE, names, resolve)
}

fn resolve_within(
    patience: Duration,
    names: &[String],
    resolve: impl FnOnce(&[String]) -> Found + Send + 'static,
) -> Found {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        match name.parse() {
            Ok(addr) => known.push(addr),
            Err(_) => unknown.push(name.clone()),
        }
    }
    if unknown.is_empty() {
        return (known, unknown);
    }
    let (tell, told) = mpsc::channel();
    let names = unknown.clone();
    // Nobody can call it back; it ends when the resolver gives up.
    thread::spawn(move || tell.send(resolve(&names)));
    if let Ok((found, still_unknown)) = told.recv_timeout(patience) {
        known.extend(found);
        unknown = still_unknown;
    }
    (known, unknown)
}

/// Resolves `host:port` names. Gives the IPv4 addresses found, and the names that have none.
fn resolve(names: &[String]) -> Found {
    let mut found = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        let addrs = name.to_socket_addrs().into_iter().flatten();
        let ipv4 = addrs.filter_map(|addr| match addr {
            SocketAddr::V4(addr) => Some(addr),
            SocketAddr::V6(_) => None,
        });
        let before = found.len();
        found.extend(ipv4);
        if found.len() == before {
            unknown.push(name.clone());
        }
    }
    (found, unknown)
}

/// Tries the unknown names again, ever more slowly, and hands out all addresses whenever there are
/// more; ends when all are known or `stop` hangs up.
pub(crate) fn keep_resolving(
    mut known: Vec<SocketAddrV4>,
    mut unknown: Vec<String>,
    stop: &Receiver<()>,
    mut tell: impl FnMut(Vec<SocketAddrV4>),
) {
    let (mut wait, longest) = RETRY;
    while !unknown.is_empty() {
        if stop.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        wait = (wait * 2).min(longest);
        let (found, still_unknown) = resolve(&unknown);
        unknown = still_unknown;
        if !found.is_empty() {
            known.extend(found);
            tell(known.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_an_address_are_given_back() {
        let names = ["127.0.0.1:20002".into(), "localhost:7".into(), "no.such.invalid:1".into()];
        let (found, unknown) = resolve(&names);
        assert!(found.contains(&"127.0.0.1:20002".parse().unwrap()));
        assert!(found.contains(&"127.0.0.1:7".parse().unwrap()));
        assert_eq!(unknown, ["no.such.invalid:1"]);
    }

    #[test]
    fn a_resolver_that_is_down_holds_nothing_up() {
        let names = ["127.0.0.1:1".into(), "slow.invalid:2".into()];
        let (_never, ever) = mpsc::channel::<()>();
        let down = move |_: &[String]| {
            let _ = ever.recv();
            (Vec::new(), Vec::new())
        };
        let (found, unknown) = resolve_within(Duration::from_millis(1), &names, down);
        assert_eq!(found, ["127.0.0.1:1".parse().unwrap()]);
        assert_eq!(unknown, ["slow.invalid:2"]);
        let up = |names: &[String]| {
            assert_eq!(names, ["slow.invalid:2"]);
            (vec!["127.0.0.1:2".parse().unwrap()], Vec::new())
        };
        let (found, unknown) = resolve_within(Duration::from_secs(60), &names, up);
        assert_eq!((found.len(), unknown.len()), (2, 0));
    }

    #[test]
    fn names_are_tried_until_they_have_an_address() {
        let (_stop, stopped) = std::sync::mpsc::channel();
        let mut told = Vec::new();
        let known = vec!["127.0.0.1:1".parse().unwrap()];
        keep_resolving(known, vec!["localhost:2".into()], &stopped, |all| told.push(all));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].len(), 2);
    }

    #[test]
    fn stopping_ends_the_attempts_at_once() {
        let (stop, stopped) = std::sync::mpsc::channel();
        drop(stop);
        let names = vec!["no.such.invalid:1".into()];
        keep_resolving(Vec::new(), names, &stopped, |_| unreachable!());
    }
}
