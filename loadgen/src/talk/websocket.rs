//! WebSocket: RPC, servers that send back what they are sent, and publishers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_peer::Json;
use grenache_transports::http::Field;
use grenache_transports::http::client::Start;
use grenache_transports::ws::handshake::{self, Answer, Key};
use grenache_transports::ws::{Close, Config, Connection, Event, Kind, Role, code, frame};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::ids::Ids;
use super::question::Turns;
use super::{Answers, Broken, Heard, Talk, Verdict, quote};
use crate::outcome::{Fault, Service};
use crate::payload::MAX_PAYLOAD;
use crate::services::Mix;

/// The protocol in which subscribers say which topics they want.
const TOPICS: &str = "grenache.topics";

/// What is said. One of a core and a destination's group, shared by its connections.
pub(crate) struct Content {
    kind: Messages,
    /// Of masks, keys and ids.
    random: RefCell<StdRng>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "there are few of them, and they stay where they are"
)]
enum Messages {
    /// `[rid, service, payload]`; right is `[rid, null, ..]`. Of each service its name as JSON.
    Rpc { services: RefCell<Mix>, names: Vec<Json>, payloads: Turns<Json> },
    /// The same each time; right is the same.
    Echo(Bytes),
    /// Nothing, but for the prefixes of topics that are wanted; without any, all messages come raw.
    Listen(Vec<String>),
}

impl Content {
    /// Requests to these services.
    pub(crate) fn rpc(services: &[Service], payloads: Turns<Json>, seed: u64) -> Self {
        let name = |service: &Service| Json::of(&service.name).expect("a text has a form in JSON");
        let names = services.iter().map(name).collect();
        let services = RefCell::new(Mix::new(services, seed));
        Self::of(Messages::Rpc { services, names, payloads }, seed)
    }

    /// Messages of so many random bytes.
    pub(crate) fn echo(bytes: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let message: Vec<u8> = (0..bytes).map(|_| random.random()).collect();
        Self::of(Messages::Echo(message.into()), seed)
    }

    /// Subscriptions to prefixes of topics, or to whatever comes.
    pub(crate) fn listen(topics: Vec<String>, seed: u64) -> Self {
        Self::of(Messages::Listen(topics), seed)
    }

    fn of(kind: Messages, seed: u64) -> Self {
        Self { kind, random: RefCell::new(StdRng::seed_from_u64(seed)) }
    }

    fn protocol(&self) -> Option<&'static str> {
        match &self.kind {
            Messages::Listen(topics) if !topics.is_empty() => Some(TOPICS),
            _ => None,
        }
    }

    fn draw<const COUNT: usize>(&self) -> [u8; COUNT] {
        self.random.borrow_mut().random()
    }
}

/// The conversation on one connection.
pub(crate) struct WebSocket {
    content: Rc<Content>,
    /// Until the handshake is answered.
    answer: Option<Answer>,
    decoder: Connection,
    ids: Ids,
    /// Of an echo: the number of the message that comes back next.
    next: u64,
    heard: Heard,
    /// What is to be said besides requests: the handshake, pongs, a close frame.
    out: BytesMut,
    /// Where a request is put together.
    request: Vec<u8>,
}

impl WebSocket {
    /// For a connection to `host` (`name:port`).
    pub(crate) fn new(content: Rc<Content>, host: &str) -> Self {
        let key = Key::new(content.draw());
        let mut out = BytesMut::new();
        // The host was checked when the plan was made.
        if let Ok(start) = Start::new("GET", "/ws", host) {
            let name = |name: &'static str| Field::new("sec-websocket-protocol", name.as_bytes());
            let fields: Vec<Field<'_>> = content.protocol().into_iter().flat_map(name).collect();
            handshake::write_request(&mut out, start, &key, false, &fields);
        }
        let config = Config {
            // An echo of the longest payload with what is around it.
            max_frame: 2 * MAX_PAYLOAD as u64,
            max_message: 2 * MAX_PAYLOAD,
            ..Config::default()
        };
        Self {
            answer: Some(Answer::new(&key, content.protocol(), false)),
            decoder: Connection::new(Role::Client, config),
            ids: Ids::new(content.draw()),
            next: 0,
            heard: Heard::default(),
            out,
            request: Vec::new(),
            content,
        }
    }

    fn close(&mut self, code: u16, reason: &str) {
        let mask = Some(self.content.draw());
        frame::write_close(&mut self.out, mask, Some(Close { code, reason }));
    }

    /// Says which topics are wanted, to a publisher that knows of any.
    fn subscribe(&mut self, knows: bool) -> Result<(), Broken> {
        let Messages::Listen(topics) = &self.content.kind else { return Ok(()) };
        if !knows && !topics.is_empty() {
            let why = "the publisher knows no topics: listen without --topic".into();
            return Err(Broken { fault: Fault::Wrong, why });
        }
        for prefix in topics {
            let text = format!("+{prefix}");
            let mask = Some(self.content.draw());
            frame::write_message(&mut self.out, Kind::Text, mask, text.as_bytes());
        }
        Ok(())
    }

    /// Takes what has come after the handshake.
    fn receive_frames(
        &mut self,
        mut input: &mut [u8],
        answers: &mut Answers,
    ) -> Result<(), Broken> {
        loop {
            match self.decoder.receive(&mut input) {
                Ok(None) => return Ok(()),
                Ok(Some(Event::Message(message))) => match &self.content.kind {
                    Messages::Listen(_) => {
                        self.heard.messages += 1;
                        self.heard.bytes += message.data.len() as u64;
                    }
                    Messages::Rpc { .. } => answers.push(self.ids.judge(message.data)?),
                    Messages::Echo(sent) if message.data == sent => {
                        answers.push((self.next, Verdict::Right));
                        self.next += 1;
                    }
                    Messages::Echo(_) => {
                        answers.push((self.next, Verdict::wrong(message.data)));
                        self.next += 1;
                    }
                },
                Ok(Some(Event::Ping(payload))) => {
                    frame::write_pong(&mut self.out, Some(self.content.draw()), payload);
                }
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close(close))) => {
                    let (code, why) = match close {
                        Some(Close { code, reason }) => {
                            let said = quote(reason.as_bytes());
                            (code, format!("the server has closed with {code} {said}").into())
                        }
                        None => (code::NORMAL, "the server has closed without a code".into()),
                    };
                    self.close(code, "");
                    return Err(Broken { fault: Fault::Closed, why });
                }
                Err(error) => {
                    self.close(error.close_code(), error.text());
                    return Err(Broken { fault: Fault::Malformed, why: error.text().into() });
                }
            }
        }
    }
}

impl Talk for WebSocket {
    fn is_open(&self) -> bool {
        self.answer.is_none()
    }

    fn greet(&mut self, _now: Duration, out: &mut BytesMut) {
        out.extend_from_slice(&self.out);
        self.out.clear();
    }

    fn ask(&mut self, number: u64, out: &mut BytesMut) {
        let mask = Some(self.content.draw());
        match &self.content.kind {
            Messages::Rpc { services, names, payloads } => {
                let name = &names[services.borrow_mut().draw()];
                self.ids.write_request(number, name, payloads.take(), &mut self.request);
                frame::write_message(out, Kind::Text, mask, &self.request);
            }
            Messages::Echo(message) => frame::write_message(out, Kind::Binary, mask, message),
            Messages::Listen(_) => {}
        }
    }

    fn receive(&mut self, mut input: &mut [u8], answers: &mut Answers) -> Result<(), Broken> {
        if let Some(answer) = &mut self.answer {
            match answer.receive(&mut input) {
                Ok(None) => return Ok(()),
                Ok(Some(agreed)) => {
                    self.answer = None;
                    self.subscribe(agreed.protocol)?;
                }
                Err(failure) => {
                    let why = failure.to_string().into();
                    return Err(Broken { fault: Fault::Malformed, why });
                }
            }
        }
        self.receive_frames(input, answers)
    }

    fn heard(&mut self) -> Heard {
        std::mem::take(&mut self.heard)
    }

    fn end(&mut self, _answers: &mut Answers) -> Broken {
        Broken::closed()
    }

    fn is_multiplexed(&self) -> bool {
        matches!(self.content.kind, Messages::Rpc { .. })
    }
}
