//! Writes KRPC messages (BEP5, BEP44). Keys of dictionaries come in sorted order, as bencode wants and Node does.

use crate::bencode::{write_bytes, write_integer, write_length};
use crate::contact::{COMPACT_CONTACT, COMPACT_PEER, Contact, peer_to_compact};
use crate::id::NodeId;
use crate::krpc::Method;
use crate::store::Put;

/// The fields of a response, written in the order of their names.
#[derive(Default)]
pub struct Reply<'a> {
    pub k: Option<&'a [u8]>,
    pub nodes: Option<&'a [Contact]>,
    pub seq: Option<i64>,
    pub sig: Option<&'a [u8]>,
    pub token: Option<&'a [u8]>,
    pub v: Option<&'a [u8]>,
    pub values: &'a [[u8; COMPACT_PEER]],
}

/// Writes a response of node `id` to the query `transaction`.
pub fn write_response(out: &mut Vec<u8>, transaction: &[u8], id: &NodeId, reply: &Reply<'_>) {
    out.extend_from_slice(b"d1:rd2:id20:");
    out.extend_from_slice(id.as_bytes());
    if let Some(k) = reply.k {
        out.extend_from_slice(b"1:k");
        write_bytes(out, k);
    }
    if let Some(nodes) = reply.nodes {
        out.extend_from_slice(b"5:nodes");
        write_nodes(out, nodes);
    }
    if let Some(seq) = reply.seq {
        out.extend_from_slice(b"3:seq");
        write_integer(out, seq);
    }
    if let Some(sig) = reply.sig {
        out.extend_from_slice(b"3:sig");
        write_bytes(out, sig);
    }
    if let Some(token) = reply.token {
        out.extend_from_slice(b"5:token");
        write_bytes(out, token);
    }
    if let Some(v) = reply.v {
        out.extend_from_slice(b"1:v");
        out.extend_from_slice(v);
    }
    if !reply.values.is_empty() {
        out.extend_from_slice(b"6:valuesl");
        for peer in reply.values {
            out.extend_from_slice(b"6:");
            out.extend_from_slice(peer);
        }
        out.push(b'e');
    }
    out.push(b'e');
    write_end(out, transaction, b'r');
}

fn write_nodes(out: &mut Vec<u8>, nodes: &[Contact]) {
    let bytes = nodes.len() * COMPACT_CONTACT;
    out.reserve(bytes + 8);
    write_length(out, bytes);
    for node in nodes {
        out.extend_from_slice(node.id.as_bytes());
        out.extend_from_slice(&peer_to_compact(node.addr));
    }
}

/// Writes an error in answer to the query `transaction`.
pub(crate) fn write_error(out: &mut Vec<u8>, transaction: &[u8], code: i64, text: &str) {
    out.extend_from_slice(b"d1:el");
    write_integer(out, code);
    write_bytes(out, text.as_bytes());
    out.push(b'e');
    write_end(out, transaction, b'e');
}

fn write_end(out: &mut Vec<u8>, transaction: &[u8], kind: u8) {
    out.extend_from_slice(b"1:t");
    write_bytes(out, transaction);
    out.extend_from_slice(b"1:y1:");
    out.push(kind);
    out.push(b'e');
}

/// What a query asks, with its arguments.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// BEP5: is the node there?
    Ping,
    /// BEP5: contacts close to a target.
    FindNode {
        /// The target.
        target: &'a [u8],
    },
    /// BEP5: peers of a key and a token.
    GetPeers {
        /// The key: the name of a service as it is.
        info_hash: &'a [u8],
    },
    /// BEP5: the sender is a peer of a key. Port 0 stands for the port that the datagram comes from.
    AnnouncePeer {
        /// The key: the name of a service as it is.
        info_hash: &'a [u8],
        /// The peer's port.
        port: u16,
        /// What the node has given in answer to `GetPeers`.
        token: &'a [u8],
    },
    /// BEP44: an item, and a token.
    Get {
        /// The item's key.
        target: &'a [u8],
    },
    /// BEP44: store an item.
    Put {
        /// The item.
        item: &'a Put,
        /// What the node has given in answer to `Get`.
        token: &'a [u8],
    },
}

/// Appends the query `ask` of node `id`.
pub fn write_query(out: &mut Vec<u8>, transaction: &[u8], id: &NodeId, ask: &Ask<'_>) {
    let write_id = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"2:id20:");
        out.extend_from_slice(id.as_bytes());
    };
    out.extend_from_slice(b"d1:ad");
    let method = match ask {
        Ask::Ping => {
            write_id(out);
            Method::Ping
        }
        Ask::FindNode { target } => {
            write_id(out);
            out.extend_from_slice(b"6:target");
            write_bytes(out, target);
            Method::FindNode
        }
        Ask::GetPeers { info_hash } => {
            write_id(out);
            out.extend_from_slice(b"9:info_hash");
            write_bytes(out, info_hash);
            Method::GetPeers
        }
        Ask::AnnouncePeer { info_hash, port, token } => {
            write_id(out);
            out.extend_from_slice(b"12:implied_port");
            write_integer(out, i64::from(*port == 0));
            out.extend_from_slice(b"9:info_hash");
            write_bytes(out, info_hash);
            out.extend_from_slice(b"4:port");
            write_integer(out, i64::from(*port));
            out.extend_from_slice(b"5:token");
            write_bytes(out, token);
            Method::AnnouncePeer
        }
        Ask::Get { target } => {
            write_id(out);
            out.extend_from_slice(b"6:target");
            write_bytes(out, target);
            Method::Get
        }
        Ask::Put { item, token } => {
            let signed = item.mutable.as_ref();
            if let Some(cas) = signed.and_then(|signed| signed.cas) {
                out.extend_from_slice(b"3:cas");
                write_integer(out, cas);
            }
            write_id(out);
            if let Some(signed) = signed {
                out.extend_from_slice(b"1:k");
                write_bytes(out, &signed.k);
                if !signed.salt.is_empty() {
                    out.extend_from_slice(b"4:salt");
                    write_bytes(out, &signed.salt);
                }
                out.extend_from_slice(b"3:seq");
                write_integer(out, signed.seq);
                out.extend_from_slice(b"3:sig");
                write_bytes(out, &signed.sig);
            }
            out.extend_from_slice(b"5:token");
            write_bytes(out, token);
            out.extend_from_slice(b"1:v");
            out.extend_from_slice(&item.v);
            Method::Put
        }
    };
    out.extend_from_slice(b"e1:q");
    write_bytes(out, method.name());
    write_end(out, transaction, b'q');
}
