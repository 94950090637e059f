use crate::id::NodeId;
use core::net::{Ipv4Addr, SocketAddrV4};

/// A node of the DHT and where it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contact {
    /// The node's id.
    pub id: NodeId,
    /// The UDP address it speaks from.
    pub addr: SocketAddrV4,
}

/// Bytes of a peer in compact form (BEP5): address and port, big-endian.
pub(crate) const COMPACT_PEER: usize = 6;
/// Bytes of a contact in compact form: id, then as a peer.
pub(crate) const COMPACT_CONTACT: usize = NodeId::LEN + COMPACT_PEER;

pub(crate) fn peer_to_compact(addr: SocketAddrV4) -> [u8; COMPACT_PEER] {
    let [a, b, c, d] = addr.ip().octets();
    let [high, low] = addr.port().to_be_bytes();
    [a, b, c, d, high, low]
}

pub(crate) fn peer_from_compact(bytes: [u8; COMPACT_PEER]) -> SocketAddrV4 {
    let [a, b, c, d, high, low] = bytes;
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))
}

/// The contacts in a `nodes` string that could be reached; a torn tail is ignored, as Node does.
pub(crate) fn contacts_from_compact(bytes: &[u8]) -> impl Iterator<Item = Contact> + '_ {
    bytes.as_chunks::<COMPACT_CONTACT>().0.iter().filter_map(|chunk| {
        let (id, peer) = chunk.split_at(NodeId::LEN);
        let addr = peer_from_compact(peer.try_into().ok()?);
        let contact = Contact { id: NodeId::from_slice(id)?, addr };
        is_reachable(addr).then_some(contact)
    })
}

/// Whether a datagram to `addr` could reach one node.
pub(crate) fn is_reachable(addr: SocketAddrV4) -> bool {
    let ip = addr.ip();
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast()
}
