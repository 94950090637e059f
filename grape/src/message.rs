//! What cores of one grape tell each other.

use bytes::Bytes;
use std::net::{Ipv4Addr, SocketAddrV4};

use grenache_dht::{Contact, Error, Get, Item, NodeId, Put};

/// A message on the mesh. Small, closed, and without a way back inside: an answer is a message of
/// its own that names the ticket it belongs to.
#[derive(Debug)]
pub enum Message {
    /// A datagram that the kernel gave to a core which does not own its key or its query. It is
    /// moved once and answered from where it lands.
    Datagram(Box<(SocketAddrV4, Box<[u8]>)>),
    /// A call whose key the receiver owns.
    Ask(u32, Box<Call>),
    /// The answer to the receiver's ask of that ticket.
    Answer(u32, Box<Reply>),
    /// A contact the sender met.
    Met(Box<Contact>),
    /// A contact the sender found dead.
    Lost(Box<NodeId>),
    /// A call from a thread outside the grape.
    Outside(Box<(Call, oneshot::Sender<Reply>)>),
    /// The addresses of other grapes, once their names are known.
    Bootstrap(Box<Vec<SocketAddrV4>>),
}

// The rings between cores hold thousands of these.
const _: () = assert!(size_of::<Message>() <= 16);

/// Something a grape is asked to do.
#[derive(Debug, Clone)]
pub enum Call {
    /// Find the peers of a service.
    Lookup {
        /// The service's name as bytes, which is the DHT's key.
        key: Bytes,
    },
    /// Store a peer of a service, in the network.
    Announce {
        /// The service's name as bytes.
        key: Bytes,
        /// Port of the peer; its address is the grape's own.
        port: u16,
        /// The grape's address as the announcer reached it.
        local: Ipv4Addr,
    },
    /// Store an item (BEP44).
    Put(Put),
    /// Find an item (BEP44).
    Get(Get),
}

/// What comes of a [`Call`].
#[derive(Debug, Clone)]
pub enum Reply {
    /// Peers of a service, at most 100.
    Peers(Vec<SocketAddrV4>),
    /// How many grapes stored the announcement.
    Announced(Result<usize, Error>),
    /// The key under which an item was stored.
    Stored(Result<[u8; 20], Error>),
    /// An item, or nothing.
    Found(Option<Box<Item>>),
    /// The grape has as much to do as its limits allow, or is stopping.
    Busy,
}
