//! Names of other grapes, and their addresses.

use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// First and longest time between two attempts to resolve names that have no address yet.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Resolves `host:port` names. Gives the IPv4 addresses found, and the names that have none.
pub(crate) fn resolve(names: &[String]) -> (Vec<SocketAddrV4>, Vec<String>) {
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
