//! KRPC over UDP (BEP5): what other nodes ask of a grape.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use grenache_dht::NodeId;
use grenache_dht::encode::{Ask, write_query};
use grenache_dht::krpc::{self, Body};

use super::{Answers, Broken, Talk, Verdict, quote};
use crate::outcome::Fault;
use crate::services::Mix;

/// How long a token is used. Nodes take theirs for five minutes at least.
const TOKEN_AGE: Duration = Duration::from_secs(60);

/// How long to wait for a token before asking again.
const TOKEN_PATIENCE: Duration = Duration::from_millis(500);

/// The transaction id of the question for a token: requests have four bytes.
const TOKEN: &[u8] = b"t";

/// What is asked of a node. One of a core, shared by its sockets.
pub(crate) struct Query {
    pub(crate) services: RefCell<Mix>,
    /// Announce this port instead of asking for peers.
    pub(crate) announce: Option<u16>,
    /// The node that asks; the same on all sockets.
    pub(crate) id: NodeId,
}

/// The conversation of one socket with one node. Transaction ids are the numbers of requests.
pub(crate) struct Krpc {
    query: Rc<Query>,
    token: Option<Vec<u8>>,
    /// When the token was last asked for.
    asked: Option<Duration>,
    datagram: Vec<u8>,
}

impl Krpc {
    pub(crate) fn new(query: Rc<Query>) -> Self {
        Self { query, token: None, asked: None, datagram: Vec::new() }
    }

    fn write(&mut self, transaction: &[u8], ask: &Ask<'_>, out: &mut BytesMut) {
        self.datagram.clear();
        write_query(&mut self.datagram, transaction, &self.query.id, ask);
        out.extend_from_slice(&self.datagram);
    }
}

impl Talk for Krpc {
    fn is_open(&self) -> bool {
        self.query.announce.is_none() || self.token.is_some()
    }

    fn greet(&mut self, now: Duration, out: &mut BytesMut) {
        let patience = if self.token.is_some() { TOKEN_AGE } else { TOKEN_PATIENCE };
        let due = self.asked.is_none_or(|asked| now.saturating_sub(asked) >= patience);
        if self.query.announce.is_none() || !due {
            return;
        }
        self.asked = Some(now);
        let query = self.query.clone();
        let services = query.services.borrow();
        let info_hash = services.name(0).as_bytes();
        self.write(TOKEN, &Ask::GetPeers { info_hash }, out);
    }

    fn ask(&mut self, number: u64, out: &mut BytesMut) {
        let query = self.query.clone();
        let mut services = query.services.borrow_mut();
        let service = services.draw();
        let info_hash = services.name(service).as_bytes();
        let transaction = (number as u32).to_be_bytes();
        match query.announce {
            None => self.write(&transaction, &Ask::GetPeers { info_hash }, out),
            Some(port) => {
                let token = self.token.take().unwrap_or_default();
                let ask = Ask::AnnouncePeer { info_hash, port, token: &token };
                self.write(&transaction, &ask, out);
                self.token = Some(token);
            }
        }
    }

    fn receive(&mut self, input: &mut [u8], answers: &mut Answers) -> Result<(), Broken> {
        let Ok(message) = krpc::parse(input) else {
            // It names no request, so the one it should have answered will be missed.
            return Ok(());
        };
        if message.transaction == TOKEN {
            if let Body::Response(fields) = message.body {
                self.token = fields.token.map(<[u8]>::to_vec).or(self.token.take());
            }
            return Ok(());
        }
        let Ok(number) = <[u8; 4]>::try_from(message.transaction) else { return Ok(()) };
        let announced = self.query.announce.is_some();
        let verdict = match message.body {
            // The node wants to know us, too; nodes that do not answer are common.
            Body::Query(..) => return Ok(()),
            Body::Error(code, text) => {
                Verdict::failed(Fault::Remote, format!("error {code} {}", quote(text)))
            }
            Body::Response(_) if announced => Verdict::Right,
            Body::Response(fields) if fields.peers().next().is_some() => Verdict::Right,
            Body::Response(fields) if fields.nodes.is_some() || fields.token.is_some() => {
                Verdict::Empty
            }
            Body::Response(_) => Verdict::wrong(input),
        };
        answers.push((u64::from(u32::from_be_bytes(number)), verdict));
        Ok(())
    }

    fn end(&mut self, _answers: &mut Answers) -> Broken {
        Broken::closed()
    }

    fn is_multiplexed(&self) -> bool {
        true
    }
}
