//! The server's side: queries of other nodes, answered as Node answers them.
//!
//! The largest answer to a small query (about 100 bytes) is [`Config::max_answer`](crate::Config::max_answer) plus the name of the
//! transaction for peers, 20 contacts (about 620 bytes) or one item (about 1250 bytes): a spoofed query
//! is amplified at most about 14 times, as in Node and in BitTorrent's DHT.

use crate::bencode::Reader;
use crate::contact::COMPACT_PEER;
use crate::dht::Dht;
use crate::encode::{Reply, write_error, write_response};
use crate::event::Event;
use crate::items::{Signed, Stored};
use crate::key::Key;
use crate::krpc::{Fields, Method};
use crate::signature;
use bytes::Bytes;
use core::net::SocketAddrV4;
use core::time::Duration;

/// Bytes of an answer with peers besides the peers, at most: the frame, a token and a transaction id.
const ANSWER_FRAME: usize = 128;

impl Dht {
    /// Answers a query, or ignores it where Node does: unknown methods and missing ports, tokens,
    /// targets of `get` and values.
    pub(crate) fn answer(
        &mut self,
        now: Duration,
        from: SocketAddrV4,
        transaction: &[u8],
        method: Method,
        fields: &Fields<'_>,
    ) {
        if !crate::contact::is_reachable(from) {
            self.stats.bad_senders += 1;
            return;
        }
        self.take_note(now, fields.node_id(), from, false);
        match method {
            Method::Ping => self.reply(from, transaction, &Reply::default()),
            Method::FindNode => match fields.target {
                Some(target) => self.reply_nodes(from, transaction, target, None),
                None => {
                    let text = "`find_node` missing required `a.target` field";
                    self.refuse(from, transaction, 203, text);
                }
            },
            Method::GetPeers => self.answer_get_peers(now, from, transaction, fields),
            Method::AnnouncePeer => self.answer_announce_peer(now, from, transaction, fields),
            Method::Get => self.answer_get(now, from, transaction, fields),
            Method::Put => self.answer_put(now, from, transaction, fields),
            // BEP5 has error 204 for it; Node is silent, and so are we.
            Method::Unknown => self.stats.ignored += 1,
        }
    }

    fn answer_get_peers(
        &mut self,
        now: Duration,
        from: SocketAddrV4,
        transaction: &[u8],
        fields: &Fields<'_>,
    ) {
        let Some(key) = fields.info_hash else {
            let text = "`get_peers` missing required `a.info_hash` field";
            return self.refuse(from, transaction, 203, text);
        };
        let token = self.tokens.issue(now, *from.ip());
        let mut values = core::mem::take(&mut self.gathered);
        values.clear();
        // A peer in the list is "6:" and its 6 bytes.
        let max = self.config.max_answer.saturating_sub(ANSWER_FRAME) / (COMPACT_PEER + 2);
        self.peers.get(now, key, max.max(1), &mut self.rng, &mut values);
        if values.is_empty() {
            self.reply_nodes(from, transaction, key, Some(&token));
        } else {
            let reply = Reply { token: Some(&token), values: &values, ..Reply::default() };
            self.reply(from, transaction, &reply);
        }
        self.gathered = values;
    }

    fn answer_announce_peer(
        &mut self,
        now: Duration,
        from: SocketAddrV4,
        transaction: &[u8],
        fields: &Fields<'_>,
    ) {
        let port = match fields.port {
            _ if fields.implied_port => Some(from.port()),
            port => port.and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0),
        };
        let (Some(port), Some(key), Some(token)) = (port, fields.info_hash, fields.token) else {
            self.stats.ignored += 1;
            return;
        };
        if !self.tokens.accepts(now, *from.ip(), token) {
            self.stats.bad_tokens += 1;
            let text = "cannot `announce_peer` with bad token";
            return self.refuse(from, transaction, 203, text);
        }
        let peer = SocketAddrV4::new(*from.ip(), port);
        if self.store_peer(now, &Key::from(Bytes::copy_from_slice(key)), peer) {
            self.reply(from, transaction, &Reply::default());
        } else {
            self.refuse(from, transaction, 202, "no room for more peers");
        }
    }

    /// Stores a peer, if there is room.
    pub(crate) fn store_peer(&mut self, now: Duration, key: &Key, peer: SocketAddrV4) -> bool {
        let fits = key.as_bytes().len() <= self.config.max_key
            && self.peers.insert(now, key.as_bytes(), peer).is_ok();
        if fits {
            self.notice(Event::Announce { key: key.clone() });
        } else {
            self.stats.over_limit += 1;
        }
        fits
    }

    fn answer_get(
        &mut self,
        now: Duration,
        from: SocketAddrV4,
        transaction: &[u8],
        fields: &Fields<'_>,
    ) {
        let Some(target) = fields.target else {
            self.stats.ignored += 1;
            return;
        };
        let token = self.tokens.issue(now, *from.ip());
        let Some(stored) = self.items.get(target).cloned() else {
            return self.reply_nodes(from, transaction, target, Some(&token));
        };
        let signed = stored.signed.as_ref();
        let reply = Reply {
            k: signed.map(|signed| &signed.k[..]),
            seq: signed.map(|signed| signed.seq),
            sig: signed.map(|signed| &signed.sig[..]),
            token: Some(&token),
            v: Some(&stored.v),
            ..Reply::default()
        };
        self.reply(from, transaction, &reply);
    }

    /// Where Node is silent about a bad signature this sends BEP44's error 206, so that the sender
    /// need not wait for its time-out; likewise 207 for a salt that is too long.
    fn answer_put(
        &mut self,
        now: Duration,
        from: SocketAddrV4,
        transaction: &[u8],
        fields: &Fields<'_>,
    ) {
        // For Node the number 0 is no value.
        let v = fields.v.filter(|&v| v != b"i0e");
        let (Some(v), Some(_), Some(token)) = (v, fields.id, fields.token) else {
            self.stats.ignored += 1;
            return;
        };
        if !self.tokens.accepts(now, *from.ip(), token) {
            self.stats.bad_tokens += 1;
            return self.refuse(from, transaction, 203, "cannot `put` with bad token");
        }
        if value_size(v) > self.config.max_value {
            self.stats.over_limit += 1;
            return self.refuse(from, transaction, 205, "data payload too large");
        }
        if fields.k.is_none() && fields.sig.is_none() {
            let item = Stored { v: Bytes::copy_from_slice(v), signed: None, mine: false };
            let _ = self.items.put(signature::immutable_target(v), item, None);
            return self.reply(from, transaction, &Reply::default());
        }
        let salt = fields.salt.unwrap_or_default();
        if salt.len() > self.config.max_salt {
            self.stats.over_limit += 1;
            return self.refuse(from, transaction, 207, "salt too large");
        }
        let k: Option<[u8; 32]> = fields.k.and_then(|k| k.try_into().ok());
        let (seq, sig) = (fields.seq.unwrap_or(0), fields.sig.unwrap_or_default());
        let Some(k) = k.filter(|k| signature::verify(k, sig, seq, salt, v)) else {
            self.stats.bad_signatures += 1;
            return self.refuse(from, transaction, 206, "invalid signature");
        };
        let signed = Some(Signed { k, sig: Bytes::copy_from_slice(sig), seq });
        let item = Stored { v: Bytes::copy_from_slice(v), signed, mine: false };
        match self.items.put(signature::mutable_target(&k, salt), item, fields.cas) {
            Ok(()) => self.reply(from, transaction, &Reply::default()),
            Err(conflict) => {
                let (code, text) = conflict.error();
                self.refuse(from, transaction, i64::from(code), text);
            }
        }
    }

    /// Sends the contacts closest to `key`.
    fn reply_nodes(
        &mut self,
        to: SocketAddrV4,
        transaction: &[u8],
        key: &[u8],
        token: Option<&[u8]>,
    ) {
        let mut found = core::mem::take(&mut self.found);
        self.table.closest(key, self.config.k, true, &mut found);
        self.reply(to, transaction, &Reply { nodes: Some(&found), token, ..Reply::default() });
        self.found = found;
    }

    fn reply(&mut self, to: SocketAddrV4, transaction: &[u8], reply: &Reply<'_>) {
        self.stats.answered += 1;
        let id = self.config.id;
        self.send(to, |out| write_response(out, transaction, &id, reply));
    }

    fn refuse(&mut self, to: SocketAddrV4, transaction: &[u8], code: i64, text: &str) {
        self.stats.answered += 1;
        self.send(to, |out| write_error(out, transaction, code, text));
    }

    pub(crate) fn send(&mut self, to: SocketAddrV4, write: impl FnOnce(&mut Vec<u8>)) {
        if self.outbox.len() >= self.config.max_transmits {
            self.stats.untransmitted += 1;
            return;
        }
        self.outbox.push(to, write);
    }
}

/// What Node counts against the limit of a value: the bytes of a string, without its length.
pub(crate) fn value_size(v: &[u8]) -> usize {
    Reader::new(v).bytes().map_or(v.len(), <[u8]>::len)
}
