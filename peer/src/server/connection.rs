//! One connection: reads requests, lets their handlers run, writes the answers.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use grenache_transports::http::response;
use grenache_transports::http::{self, Bodies, Framing, Persistence, Phase, chunk};
use grenache_transports::zmtp::is_zmtp;

use super::Server;
use super::exchange::Exchange;
use super::flow::Outgoing;
use super::owed::{Owed, Sent, What};
use super::patience::{Patience, Wait};
use super::reply::{Answer, Form};
use super::request::Peer;
use super::websocket::Upgrade;
use crate::channel::{Channel, Received};
use crate::outbox::Outbox;

/// A connection of a server. All its handlers run within its task.
pub(super) struct Connection {
    server: Rc<Server>,
    channel: Channel,
    http: http::Connection,
    /// Received, and not looked at because handlers have enough to do.
    rest: Option<Received>,
    exchange: Exchange,
    outbox: Outbox,
    patience: Patience,
    /// Nothing has come yet.
    fresh: bool,
    /// What the connection is to become; nothing of HTTP follows.
    turn: Option<Turn>,
    /// All is said; what is queued has to leave.
    leaving: bool,
    /// It is over, in good order or because of the client.
    over: bool,
}

enum Read {
    /// The client has sent no more.
    Waiting,
    /// There is no room for more.
    Full,
    /// The client sends no more ever.
    End,
    Broken,
}

/// What becomes of a connection that does not stay with HTTP.
pub(super) enum Turn {
    WebSocket(Box<Upgrade>),
    /// It has never been HTTP: what has come is not looked at yet.
    ZeroMq,
}

/// Whether a connection goes on.
enum Next {
    GoOn,
    Over,
}

impl Connection {
    /// `received` is what has come of it so far.
    pub(super) fn new(
        server: Rc<Server>,
        channel: Channel,
        received: Option<Received>,
    ) -> Connection {
        let config = &server.config;
        let settings = http::Config {
            max_head: config.max_head,
            max_body: config.max_body,
            max_discard: config.max_discard,
            bodies: Bodies::StreamChunked,
            ..http::Config::default()
        };
        Connection {
            http: http::Connection::new(settings),
            rest: received,
            exchange: Exchange::new(server.clone(), Peer::new(&channel)),
            outbox: Outbox::new(channel.clone(), config.write_high_water),
            patience: Patience::default(),
            fresh: true,
            turn: None,
            leaving: false,
            over: false,
            channel,
            server,
        }
    }

    /// What it has become once it is over, if anything, and what the client has sent since.
    pub(super) fn turned(&mut self) -> Option<(Turn, Option<Received>)> {
        let turn = self.turn.take()?;
        Some((turn, self.rest.take()))
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.server.is_aborting() {
            return Poll::Ready(());
        }
        loop {
            // Idle connections keep no buffer: one serves all connections of a core.
            std::mem::swap(&mut self.outbox.small, &mut self.server.scratch.borrow_mut());
            let next = self.turn(context);
            self.outbox.flush();
            std::mem::swap(&mut self.outbox.small, &mut self.server.scratch.borrow_mut());
            match next {
                Next::GoOn if self.watch(context) => {}
                Next::GoOn if self.over => return Poll::Ready(()),
                Next::GoOn => return Poll::Pending,
                Next::Over => {
                    self.over = true;
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Does all that can be done now.
    fn turn(&mut self, context: &mut Context<'_>) -> Next {
        loop {
            let read = self.read(context);
            self.exchange.poll(context);
            let Ok(freed) = self.settle() else { return Next::Over };
            if self.turn.is_some() {
                return Next::Over;
            }
            match read {
                Read::Broken => {
                    self.exchange.hang_up(context);
                    return Next::Over;
                }
                Read::End => {
                    // Answers that are complete are still sent, to whoever has only ended its own side.
                    self.exchange.hang_up(context);
                    self.exchange.last = true;
                }
                Read::Waiting | Read::Full => {}
            }
            self.outbox.flush();
            if self.outbox.has_moved() {
                self.patience.renew();
            }
            if freed || (matches!(read, Read::Full) && self.can_read()) {
                continue;
            }
            if self.is_done() {
                if !std::mem::replace(&mut self.leaving, true) {
                    self.channel.shutdown();
                }
                return match self.outbox.poll_empty(context) {
                    Poll::Ready(_) => Next::Over,
                    Poll::Pending => Next::GoOn,
                };
            }
            if !self.outbox.is_full() {
                return Next::GoOn;
            }
            match self.outbox.poll_room(context) {
                Poll::Ready(Ok(())) => self.patience.renew(),
                Poll::Ready(Err(_)) => return Next::Over,
                Poll::Pending => return Next::GoOn,
            }
        }
    }

    fn can_read(&self) -> bool {
        !self.exchange.last
            && self.exchange.has_room()
            && !self.outbox.is_full()
            && self.http.phase() != Phase::Exhausted
    }

    /// Begins every request that has come, so that those sent together run together.
    fn read(&mut self, context: &mut Context<'_>) -> Read {
        while self.can_read() {
            let mut received = match self.rest.take() {
                Some(rest) => rest,
                None => match self.channel.poll_recv(context) {
                    Poll::Pending => return Read::Waiting,
                    Poll::Ready(Ok(Some(received))) => {
                        self.patience.renew_by_bytes();
                        received
                    }
                    Poll::Ready(Ok(None)) => return Read::End,
                    Poll::Ready(Err(_)) => return Read::Broken,
                },
            };
            if std::mem::take(&mut self.fresh)
                && self.server.config.zeromq
                && received.first().is_some_and(|first| is_zmtp(*first))
            {
                (self.turn, self.rest) = (Some(Turn::ZeroMq), Some(received));
                return Read::Full;
            }
            let mut input = &received[..];
            while self.exchange.has_room() && !self.exchange.last {
                match self.http.receive(&mut input) {
                    Ok(None) => break,
                    Ok(Some(event)) => {
                        if self.exchange.receive(event, context.waker()) {
                            self.patience.renew();
                        }
                    }
                    Err(error) => self.exchange.refuse(error),
                }
            }
            if !self.exchange.hold(self.http.buffered()) {
                // Nothing more is read, and what has come of it is given up.
                self.http = http::Connection::new(http::Config::default());
                return Read::Full;
            }
            let left = input.len();
            if left > 0 {
                received.advance(received.len() - left);
                self.rest = Some(received);
            }
        }
        Read::Full
    }

    /// Writes the answers that are known. True if a handler can go on because of it.
    fn settle(&mut self) -> Result<bool, Broken> {
        let mut freed = false;
        loop {
            if self.outbox.is_full() {
                self.outbox.flush();
                if self.outbox.is_full() {
                    return Ok(freed);
                }
            }
            match self.exchange.owed.front_mut() {
                None => return Ok(freed),
                Some(owed) if matches!(owed.what, What::Stream { .. }) => match self.stream()? {
                    Streamed::Nothing => return Ok(freed),
                    Streamed::Piece => freed = true,
                    Streamed::All => {
                        self.exchange.owed.pop_front();
                    }
                },
                Some(owed) if owed.is_running() => return Ok(freed),
                Some(_) => match self.exchange.owed.pop_front() {
                    Some(Owed { what: What::Upgrade(upgrade), .. }) => {
                        self.outbox.small.extend_from_slice(&upgrade.answer);
                        self.turn = Some(Turn::WebSocket(upgrade));
                        return Ok(freed);
                    }
                    Some(owed) => self.write(owed),
                    None => {}
                },
            }
        }
    }

    /// Writes an answer that was taken from the front.
    fn write(&mut self, owed: Owed) {
        let date = &self.server.date();
        let body = match owed.what {
            What::Outcome { rid, outcome } => {
                let persistence = self.persistence(owed.persistence, 0);
                Form { persistence, date }.reply(&mut self.outbox.small, &rid, &outcome)
            }
            What::Answer(answer) => {
                let persistence = self.persistence(owed.persistence, 0);
                let form = Form { persistence, date };
                form.answer(&mut self.outbox.small, answer, owed.is_head)
            }
            What::Continue => {
                self.outbox.small.extend_from_slice(response::CONTINUE);
                None
            }
            What::Refusal(error) => {
                response::write_error(&mut self.outbox.small, error, date);
                None
            }
            // These are no answers yet.
            What::Call { .. } | What::Job(_) | What::Stream { .. } | What::Upgrade(_) => None,
        };
        self.outbox.push(body.unwrap_or_default());
    }

    /// Writes the next of the streamed answer at the front.
    fn stream(&mut self) -> Result<Streamed, Broken> {
        let Some(Owed {
            what: What::Stream { stream, work, sent, .. }, persistence, chunked, ..
        }) = self.exchange.owed.front_mut()
        else {
            return Ok(Streamed::Nothing);
        };
        if *sent == Sent::All {
            let ended = work.is_none();
            return Ok(if ended { Streamed::All } else { Streamed::Nothing });
        }
        let first = *sent == Sent::Nothing;
        let next = stream.next(first);
        let (asked, chunked) = (*persistence, *chunked);
        *sent = match next {
            Outgoing::Nothing => return Ok(Streamed::Nothing),
            Outgoing::Broken => {
                self.outbox.flush();
                self.channel.abort();
                return Err(Broken);
            }
            Outgoing::Piece(_) => Sent::Head,
            Outgoing::Whole(_) | Outgoing::End => Sent::All,
        };
        let framing = match &next {
            Outgoing::Whole(pieces) => {
                Framing::Length(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            _ if chunked => Framing::Chunked,
            _ => Framing::None,
        };
        if first {
            // Without chunks it is the end of the connection that ends the body.
            let asked = if framing == Framing::None { Persistence::Close } else { asked };
            let persistence = self.persistence(asked, 1);
            self.exchange.last |= framing == Framing::None;
            let date = &self.server.date();
            response::write_head(&mut self.outbox.small, 200, persistence, date, &[], framing);
        }
        match next {
            Outgoing::Whole(pieces) => pieces.into_iter().for_each(|piece| self.outbox.push(piece)),
            Outgoing::Piece(piece) if chunked => {
                chunk::write_size(&mut self.outbox.small, piece.len());
                self.outbox.push(piece);
                self.outbox.push(Bytes::from_static(chunk::END));
            }
            Outgoing::Piece(piece) => self.outbox.push(piece),
            _ if chunked => self.outbox.push(Bytes::from_static(chunk::LAST)),
            _ => {}
        }
        Ok(Streamed::Piece)
    }

    /// What an answer says of the connection; `owed` answers are owed before the next request's.
    fn persistence(&mut self, asked: Persistence, owed: usize) -> Persistence {
        if self.exchange.owed.len() > owed {
            return asked;
        }
        let between = self.rest.is_none() && self.http.phase() == Phase::Idle;
        if self.exchange.last || (self.server.is_draining() && between) {
            self.exchange.last = true;
            return Persistence::Close;
        }
        asked
    }

    /// Nothing is owed and nothing will be.
    fn is_done(&self) -> bool {
        let closing = matches!(self.http.phase(), Phase::Closing | Phase::Exhausted);
        self.exchange.owed.is_empty() && (self.exchange.last || closing) && !self.outbox.has_large()
    }

    /// Sees to it that no wait lasts for ever. True if something is to be done.
    fn watch(&mut self, context: &mut Context<'_>) -> bool {
        let wait = self.waits_for();
        match wait {
            Some(wait) if self.patience.is_over(wait, &self.server.config, context) => {
                self.expire(wait)
            }
            Some(_) => false,
            None => {
                self.patience.renew();
                false
            }
        }
    }

    fn waits_for(&self) -> Option<Wait> {
        if self.leaving || self.outbox.is_full() {
            return Some(Wait::Reader);
        }
        match self.http.phase() {
            Phase::Idle if !self.exchange.is_idle() || self.rest.is_some() => None,
            Phase::Idle if self.server.is_draining() => Some(Wait::Draining),
            Phase::Idle => Some(Wait::Idle),
            Phase::Body if self.exchange.is_streaming() => {
                self.exchange.is_starving().then_some(Wait::Piece)
            }
            Phase::Head | Phase::Body if self.exchange.has_room() => Some(Wait::Request),
            _ => None,
        }
    }

    /// The time is up. True if something is to be done about it.
    fn expire(&mut self, wait: Wait) -> bool {
        match wait {
            Wait::Idle | Wait::Draining => self.over = true,
            Wait::Reader | Wait::Handshake => {
                self.channel.abort();
                self.over = true;
            }
            Wait::Request => {
                self.server.counters.malformed.add(1);
                let answer = Answer::text(408, "request not complete in time");
                self.exchange.owed.push_back(Owed::plain(What::Answer(answer)));
                self.exchange.last = true;
                return true;
            }
            Wait::Piece => {
                self.exchange.starve(self.server.config.idle_timeout);
                self.exchange.last = true;
                return true;
            }
        }
        false
    }
}

/// The connection is broken off by this side.
struct Broken;

/// What came of writing a streamed answer.
enum Streamed {
    Nothing,
    Piece,
    All,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.over {
            self.channel.abort();
        }
    }
}
