//! The HTTP API's connections.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{TcpListener, TcpStream, now, sleep, spawn_local, timeout, wall_clock};
use grenache_transports::http;
use grenache_transports::http::date;
use grenache_transports::http::{
    Bodies, Connection, Error, Event, Form, Framing, Head, Persistence, Phase, response,
};

use crate::api::{self, Answer};
use crate::config::Limits;
use crate::message::Reply;
use crate::shard::{Pending, Shard};

/// How long a client that was told to go away may take to hang up.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);

/// The HTTP side of one core.
pub(crate) struct Server {
    shard: Rc<Shard>,
    limits: Limits,
    http: http::Config,
    context: api::Context,
    /// The date as answers tell it, and until when it is right.
    date: Cell<([u8; 29], Duration)>,
    connections: Cell<usize>,
    /// Connections that are owed answers.
    busy: Cell<usize>,
}

impl Server {
    pub(crate) fn new(shard: Rc<Shard>, limits: Limits, context: api::Context) -> Rc<Server> {
        let http = http::Config {
            max_body: limits.max_payload as u64,
            bodies: Bodies::Whole,
            ..http::Config::default()
        };
        let date = Cell::new(([0; 29], Duration::ZERO));
        let (connections, busy) = (Cell::new(0), Cell::new(0));
        Rc::new(Server { shard, limits, http, context, date, connections, busy })
    }

    /// Takes connections until the task is dropped.
    pub(crate) async fn accept(self: Rc<Self>, listener: TcpListener) {
        loop {
            // Errors of accept are counted and waited out by the engine.
            let Ok((stream, _)) = listener.accept().await else { continue };
            if self.connections.get() < self.limits.max_connections {
                self.connections.set(self.connections.get() + 1);
                spawn_local(Client::new(self.clone(), stream).run());
            } else {
                tracing::warn!(limit = self.limits.max_connections, "connection refused: limit");
            }
        }
    }

    /// Today's date; the clock is read once a second.
    fn date(&self) -> [u8; 29] {
        let (date, until) = self.date.get();
        if now() < until {
            return date;
        }
        let clock = wall_clock();
        let date = date::format(clock);
        let rest = Duration::from_nanos(1_000_000_000 - u64::from(clock.subsec_nanos()));
        self.date.set((date, now() + rest));
        date
    }

    /// Waits until no answer is owed, to a client or to another core, at most `limit`.
    pub(crate) async fn finish(&self, limit: Duration) {
        let end = now() + limit;
        while (self.busy.get() > 0 || !self.shard.is_idle()) && now() < end {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// One connection.
struct Client {
    server: Rc<Server>,
    stream: TcpStream,
    local: Ipv4Addr,
    answers: VecDeque<Awaited>,
    out: BytesMut,
    body: Vec<u8>,
}

/// An answer that is owed, in the order of the requests.
struct Awaited {
    what: What,
    persistence: Persistence,
    is_head: bool,
}

enum What {
    Reply(Pending),
    Answer(Answer),
    Continue,
    Refusal(Error),
}

impl Drop for Client {
    fn drop(&mut self) {
        self.server.connections.set(self.server.connections.get() - 1);
    }
}

impl Client {
    fn new(server: Rc<Server>, stream: TcpStream) -> Client {
        let local = match stream.local_addr().map(|addr| addr.ip()) {
            Ok(IpAddr::V4(ip)) => ip,
            Ok(IpAddr::V6(ip)) => ip.to_ipv4_mapped().unwrap_or(Ipv4Addr::LOCALHOST),
            Err(_) => Ipv4Addr::LOCALHOST,
        };
        let (answers, out, body) = (VecDeque::new(), BytesMut::new(), Vec::new());
        Client { server, stream, local, answers, out, body }
    }

    async fn run(mut self) {
        let mut connection = Connection::new(self.server.http);
        // When the request that is coming in began, or the wait for the client to hang up.
        let mut began = None;
        loop {
            let mut left = |limit| (*began.get_or_insert(now()) + limit).saturating_sub(now());
            let wait = match connection.phase() {
                Phase::Idle => {
                    began = None;
                    self.server.limits.idle_timeout
                }
                Phase::Head | Phase::Body => left(self.server.limits.request_timeout),
                Phase::Closing => left(CLOSING_TIMEOUT),
                Phase::Exhausted => return,
            };
            match timeout(wait, self.stream.recv()).await {
                Ok(Ok(Some(received))) => self.read(&mut connection, &received),
                Ok(Ok(None) | Err(_)) => return,
                Err(_elapsed) => {
                    if matches!(connection.phase(), Phase::Head | Phase::Body) {
                        self.write(
                            &Answer::text(408, "request not complete in time\n"),
                            Persistence::Close,
                            false,
                        );
                        self.stream.write(&self.out);
                        self.stream.shutdown();
                    }
                    return;
                }
            }
            if !self.answers.is_empty() {
                // What has come of yet another request counts from its own beginning.
                began = None;
            }
            if self.answer().await.is_err() {
                return;
            }
            if matches!(connection.phase(), Phase::Closing | Phase::Exhausted) {
                self.stream.shutdown();
            }
        }
    }

    /// Begins every request that lies in the buffer, so that those sent together run together.
    fn read(&mut self, connection: &mut Connection, mut input: &[u8]) {
        loop {
            let awaited = match connection.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::Request(request))) => {
                    let what = match request.form {
                        // A success would make the connection a tunnel.
                        Form::Authority => What::Answer(Answer::text(405, "no tunnels here\n")),
                        _ => self.begin(request.target.as_bytes(), request.body),
                    };
                    Awaited::to(&request.head, what)
                }
                Ok(Some(Event::TooLarge(head))) => {
                    Awaited::to(&head, What::Answer(Answer::payload_too_large()))
                }
                Ok(Some(Event::Continue)) => Awaited::plain(What::Continue),
                Ok(Some(Event::Head(_) | Event::Data(_) | Event::End)) => {
                    unreachable!("whole bodies were asked for")
                }
                Err(error) => Awaited::plain(What::Refusal(error)),
            };
            self.answers.push_back(awaited);
        }
    }

    fn begin(&self, target: &[u8], body: &[u8]) -> What {
        let context = api::Context { local: self.local, ..self.server.context };
        match api::read(target, body, context) {
            Err(answer) => What::Answer(answer),
            Ok(call) => What::Reply(self.server.shard.begin(call)),
        }
    }

    /// Writes the answers that are owed, each when it is known, and lets a slow reader catch up.
    async fn answer(&mut self) -> Result<(), Gone> {
        let _busy = Busy::new(&self.server);
        while let Some(awaited) = self.answers.pop_front() {
            match awaited.what {
                What::Reply(mut pending) => {
                    let reply = match pending.now() {
                        Some(reply) => reply,
                        None => {
                            // What is ready must not wait for what is not.
                            self.flush();
                            pending.wait().await
                        }
                    };
                    self.write_reply(&reply, awaited.persistence, awaited.is_head);
                }
                What::Answer(answer) => self.write(&answer, awaited.persistence, awaited.is_head),
                What::Continue => self.out.extend_from_slice(response::CONTINUE),
                What::Refusal(error) if error == http::Limit::Body.into() => {
                    self.write(&Answer::payload_too_large(), Persistence::Close, false);
                }
                What::Refusal(error) => {
                    response::write_error(&mut self.out, error, &self.server.date());
                }
            }
        }
        self.flush();
        self.release();
        if self.stream.queued() > self.server.limits.write_high_water {
            let drained = self.stream.drained(self.server.limits.write_high_water / 2);
            match timeout(self.server.limits.write_timeout, drained).await {
                Ok(Ok(())) => {}
                _ => {
                    self.stream.abort();
                    return Err(Gone);
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            self.stream.write(&self.out);
            self.out.clear();
        }
    }

    /// Gives back what a burst of requests has made large: the connection may stay idle for long.
    fn release(&mut self) {
        let keep = self.server.http.keep_buffer;
        if self.out.capacity() > keep {
            self.out = BytesMut::new();
        }
        self.body.shrink_to(keep);
        self.answers.shrink_to(keep / size_of::<Awaited>());
    }

    fn write_reply(&mut self, reply: &Reply, persistence: Persistence, is_head: bool) {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        let status = api::write(reply, &mut body);
        self.write_parts(status, &body, persistence, is_head);
        self.body = body;
    }

    fn write(&mut self, answer: &Answer, persistence: Persistence, is_head: bool) {
        self.write_parts(answer.status, &answer.body, persistence, is_head);
    }

    fn write_parts(&mut self, status: u16, body: &[u8], persistence: Persistence, is_head: bool) {
        let date = &self.server.date();
        if is_head {
            let framing = Framing::Length(body.len() as u64);
            response::write_head(&mut self.out, status, persistence, date, &[], framing);
        } else {
            response::write(&mut self.out, status, persistence, date, &[], body);
        }
    }
}

/// The client cannot be written to.
struct Gone;

impl Awaited {
    fn to(head: &Head<'_>, what: What) -> Awaited {
        Awaited { what, persistence: head.persistence, is_head: head.is_head() }
    }

    fn plain(what: What) -> Awaited {
        Awaited { what, persistence: Persistence::KeepAlive, is_head: false }
    }
}

/// Counts a connection that is owed answers, for as long as this lives.
struct Busy(Rc<Server>);

impl Busy {
    fn new(server: &Rc<Server>) -> Busy {
        server.busy.set(server.busy.get() + 1);
        Busy(server.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
    }
}
