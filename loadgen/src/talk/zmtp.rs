//! ZeroMQ: a DEALER that calls services, and a SUB that listens to a publisher.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_peer::Json;
use grenache_transports::zmtp::{
    Config, Connection, Event, Mechanism, Message, Metadata, Side, SocketType,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::ids::Ids;
use super::question::Turns;
use super::{Answers, Broken, Heard, Talk, Verdict, quote};
use crate::outcome::{Fault, Service};
use crate::payload::MAX_PAYLOAD;
use crate::services::Mix;
use crate::what::{Curve, Form};

/// The property by which a worker says that it takes requests in one part, and its value.
const RPC: (&str, &[u8]) = ("X-Grenache-Rpc", b"array");

/// What is said. One of a core and a destination's group, shared by its connections.
pub(crate) struct Content {
    kind: Messages,
    metadata: Metadata,
    curve: Option<Curve>,
    /// Of ids, and of what CURVE needs: no payload of a load generator is a secret.
    random: RefCell<StdRng>,
}

enum Messages {
    /// `[rid, service, payload]` in one part; right is `[rid, null, ..]`. Of each service its name as JSON.
    Arrays { services: RefCell<Mix>, names: Vec<Json>, payloads: Turns<Json> },
    /// A part each; right is the id and a result that is no error.
    Frames { services: RefCell<Mix>, payloads: Turns<Bytes> },
    /// Nothing, but for the prefixes of topics that are wanted.
    Listen(Vec<String>),
}

impl Content {
    /// Requests to these services. There must be at least one payload.
    pub(crate) fn rpc(
        form: Form,
        services: &[Service],
        payloads: Vec<Json>,
        curve: Option<Curve>,
        seed: u64,
    ) -> Self {
        let name = |service: &Service| Json::of(&service.name).expect("a text has a form in JSON");
        let names = services.iter().map(name).collect();
        let services = RefCell::new(Mix::new(services, seed));
        let kind = match form {
            Form::Array => Messages::Arrays { services, names, payloads: Turns::new(payloads) },
            Form::Frames => {
                let payloads = payloads.iter().map(bare).collect();
                Messages::Frames { services, payloads: Turns::new(payloads) }
            }
        };
        Self::of(kind, SocketType::Dealer, curve, seed)
    }

    /// Subscriptions to prefixes of topics, or to whatever comes.
    pub(crate) fn listen(mut topics: Vec<String>, curve: Option<Curve>, seed: u64) -> Self {
        if topics.is_empty() {
            topics.push(String::new());
        }
        Self::of(Messages::Listen(topics), SocketType::Sub, curve, seed)
    }

    fn of(kind: Messages, socket: SocketType, curve: Option<Curve>, seed: u64) -> Self {
        let random = RefCell::new(StdRng::seed_from_u64(seed));
        Self { kind, metadata: Metadata::new(socket), curve, random }
    }

    fn mechanism(&self) -> Mechanism {
        match &self.curve {
            None => Mechanism::null(Side::Connect),
            Some(Curve { server, keys }) => {
                Mechanism::curve_client(*server, keys.clone(), self.draw())
            }
        }
    }

    fn draw<const COUNT: usize>(&self) -> [u8; COUNT] {
        self.random.borrow_mut().random()
    }
}

/// A text as it is, without quotes, anything else as JSON.
fn bare(payload: &Json) -> Bytes {
    match serde_json::from_slice::<String>(payload.as_bytes()) {
        Ok(text) => text.into(),
        Err(_) => payload.as_bytes().clone(),
    }
}

/// The conversation on one connection.
pub(crate) struct Zmtp {
    content: Rc<Content>,
    connection: Connection,
    is_open: bool,
    ids: Ids,
    heard: Heard,
    /// What is to be said besides requests: the handshake, subscriptions, answers to PINGs.
    out: BytesMut,
    /// Where a request in one part is put together.
    request: Vec<u8>,
}

impl Zmtp {
    pub(crate) fn new(content: Rc<Content>) -> Self {
        let config = Config {
            // An echo of the longest payload with what is around it.
            max_frame: 2 * MAX_PAYLOAD,
            max_message: 2 * MAX_PAYLOAD,
            ..Config::default()
        };
        let mut out = BytesMut::new();
        let (metadata, mechanism) = (content.metadata.clone(), content.mechanism());
        Self {
            connection: Connection::new(metadata, mechanism, config, &mut out),
            is_open: false,
            ids: Ids::new(content.draw()),
            heard: Heard::default(),
            out,
            request: Vec::new(),
            content,
        }
    }

    /// The handshake is over.
    fn begin(&mut self, takes_arrays: bool) -> Result<(), Broken> {
        match &self.content.kind {
            Messages::Arrays { .. } if !takes_arrays => {
                let why = "the worker does not say that it takes requests in one part: call it with --zmq-form frames";
                return Err(Broken { fault: Fault::Wrong, why: why.into() });
            }
            Messages::Arrays { .. } | Messages::Frames { .. } => {}
            Messages::Listen(topics) => {
                for prefix in topics {
                    let done = self.connection.subscribe(prefix.as_bytes(), &mut self.out);
                    debug_assert!(done.is_ok());
                }
            }
        }
        self.is_open = true;
        Ok(())
    }
}

impl Talk for Zmtp {
    fn is_open(&self) -> bool {
        self.is_open
    }

    fn greet(&mut self, _now: Duration, out: &mut BytesMut) {
        out.extend_from_slice(&self.out);
        self.out.clear();
    }

    fn ask(&mut self, number: u64, out: &mut BytesMut) {
        let asked = match &self.content.kind {
            Messages::Arrays { services, names, payloads } => {
                let name = &names[services.borrow_mut().draw()];
                self.ids.write_request(number, name, payloads.take(), &mut self.request);
                self.connection.send(&[&self.request], out)
            }
            Messages::Frames { services, payloads } => {
                let mut services = services.borrow_mut();
                let service = services.draw();
                let name = services.name(service).as_bytes();
                self.connection.send(&[&self.ids.of(number), name, payloads.take()], out)
            }
            Messages::Listen(_) => Ok(()),
        };
        // Nothing is asked before the handshake is over.
        debug_assert!(asked.is_ok());
    }

    fn receive(&mut self, input: &mut [u8], answers: &mut Answers) -> Result<(), Broken> {
        let mut input = &*input;
        loop {
            match self.connection.receive(&mut input, &mut self.out) {
                Ok(None) => return Ok(()),
                Ok(Some(Event::Message(message))) => match &self.content.kind {
                    Messages::Arrays { .. } => match message.parts().next() {
                        Some(part) if message.count == 1 => answers.push(self.ids.judge(part)?),
                        _ => return Err(wrong("an answer of several parts", &message)),
                    },
                    Messages::Frames { .. } => answers.push(judge_parts(&self.ids, &message)?),
                    Messages::Listen(_) => {
                        self.heard.messages += 1;
                        self.heard.bytes +=
                            message.parts().map(|part| part.len() as u64).sum::<u64>();
                    }
                },
                Ok(Some(Event::Ready(peer))) => {
                    let says = peer.properties.get(RPC.0) == Some(RPC.1);
                    self.begin(says)?;
                }
                Ok(Some(Event::Refused(reason))) => {
                    let why = format!("the server refuses this side: {}", quote(reason)).into();
                    return Err(Broken { fault: Fault::Closed, why });
                }
                // It was answered; the others do not come to a side that lets nobody in and publishes nothing.
                Ok(Some(
                    Event::Ping(_) | Event::Credentials(_) | Event::Subscribe(_) | Event::Cancel(_),
                )) => {}
                Err(error) => {
                    return Err(Broken { fault: Fault::Malformed, why: error.text().into() });
                }
            }
        }
    }

    fn heard(&mut self) -> Heard {
        std::mem::take(&mut self.heard)
    }

    fn end(&mut self, _answers: &mut Answers) -> Broken {
        let why = match (self.is_open, &self.content.curve) {
            (true, _) => return Broken::closed(),
            (false, None) => "the server has closed the connection before the handshake was over",
            // libzmq has no other way to say so.
            (false, Some(_)) => {
                "the server has closed the connection before the handshake was over: it may have another key than \
                 --curve-server, or not know ours"
            }
        };
        Broken { fault: Fault::Closed, why: why.into() }
    }

    fn is_multiplexed(&self) -> bool {
        true
    }
}

/// Which request an answer in two parts is for, and how it is answered. That a worker was busy cannot be told from its
/// handler's own errors here.
fn judge_parts(ids: &Ids, message: &Message<'_>) -> Result<(u64, Verdict), Broken> {
    let mut parts = message.parts();
    let (Some(id), Some(result), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("an answer that is not id and result", message));
    };
    let Some(number) = ids.number(id) else {
        return Err(wrong("the answer of another request", message));
    };
    let verdict = match result.starts_with(b"ERR_") {
        true => Verdict::failed(Fault::Remote, quote(result)),
        false => Verdict::Right,
    };
    Ok((number, verdict))
}

fn wrong(why: &str, message: &Message<'_>) -> Broken {
    let said: Vec<&[u8]> = message.parts().collect();
    let why = format!("{why}: {}", quote(&said.join(&b' '))).into();
    Broken { fault: Fault::Wrong, why }
}
