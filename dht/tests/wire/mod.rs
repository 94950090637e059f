//! Datagrams by hand, for tests of a single node.
#![allow(dead_code)] // Not every test uses all of it.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use grenache_dht::{Config, Dht, Event, NodeId};

pub(crate) const NOW: Duration = Duration::from_secs(1);

/// A response with one peer.
pub(crate) const VALUES: &[u8] = b"6:valuesl6:\x0a\x01\x01\x01\x00\x07e";

pub(crate) fn config() -> Config {
    Config::new(NodeId::new([0; 20]), 20001, [1; 32], [2; 32])
}

pub(crate) fn addr(n: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, n), 1000 + u16::from(n))
}

pub(crate) fn query(id: &[u8], method: &str, arguments: &[u8]) -> Vec<u8> {
    let id = [format!("d1:ad2:id{}:", id.len()).as_bytes(), id].concat();
    let end = format!("e1:q{}:{method}1:t2:aa1:y1:qe", method.len());
    [&id, arguments, end.as_bytes()].concat()
}

pub(crate) fn sent(dht: &mut Dht) -> Vec<(SocketAddrV4, Vec<u8>)> {
    core::iter::from_fn(|| dht.poll_transmit().map(|t| (t.to, t.payload.to_vec()))).collect()
}

pub(crate) fn events(dht: &mut Dht) -> Vec<Event> {
    core::iter::from_fn(|| dht.poll_event()).collect()
}

pub(crate) fn response(id: &[u8], fields: &[u8], transaction: &[u8]) -> Vec<u8> {
    let id = [format!("d1:rd2:id{}:", id.len()).as_bytes(), id].concat();
    let length = format!("e1:t{}:", transaction.len());
    [&id, fields, length.as_bytes(), transaction, b"1:y1:re"].concat()
}
