use crate::{Contact, Error, Item, Key, NodeId};
use core::net::SocketAddrV4;

/// A command in flight, unique among the commands of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Op(pub u64);

/// What happened. Each command that began ends with exactly one event that carries its [`Op`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A lookup is done.
    LookupDone {
        /// The command.
        op: Op,
        /// The peers found, without doubles, in no order; at most
        /// [`Config::max_lookup_peers`](crate::Config::max_lookup_peers).
        peers: Vec<SocketAddrV4>,
        /// How many nodes answered.
        nodes: usize,
    },
    /// An announcement is done: how many nodes stored it.
    Announced {
        /// The command.
        op: Op,
        /// How many nodes stored it, at least 1.
        result: Result<usize, Error>,
    },
    /// A put is done: the target that the item is found under.
    PutDone {
        /// The command.
        op: Op,
        /// The target of the item.
        result: Result<[u8; 20], Error>,
    },
    /// A get is done.
    Got {
        /// The command.
        op: Op,
        /// The item, if anyone had a valid one.
        result: Option<Item>,
    },
    /// For the other cores: [`learn`](crate::Dht::learn) this contact.
    Contact(Contact),
    /// For the other cores: [`forget`](crate::Dht::forget) this node.
    ContactGone(NodeId),
    /// Node's `announce`: a peer of this key was stored here.
    Announce {
        /// The name of the service.
        key: Key,
    },
    /// Node's `node`: a contact is new in the table.
    Node,
    /// Node's `warning`: a datagram was no message, or answered nothing that was asked.
    Warning,
    /// Node's `ready`: the bootstrap is done; once, on core 0.
    Ready,
}
