//! One connection, and the requests under way on it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use grenache_engine::now;
use grenache_transports::http::client::{
    self, Connection as Parser, Event, Expected, Phase, Response, Start, request,
};
use grenache_transports::http::{Framing, Headers};

use super::destination::Place;
use super::{Config, Failed, Outgoing};
use crate::channel::Channel;

/// A body up to this many bytes is copied behind its head, to leave in one piece.
const SMALL: usize = 8 * 1024;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// It says `grc-compress: gzip` of itself.
    pub(crate) gzip: bool,
    pub(crate) body: Bytes,
    connection: Weak<Connection>,
}

impl Answer {
    pub(super) fn from(self, connection: &Rc<Connection>) -> Answer {
        Answer { connection: Rc::downgrade(connection), ..self }
    }

    /// It belongs to another request, so answers and requests of its connection are out of step: ends the connection.
    pub(crate) fn distrust(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.break_off();
        }
    }
}

/// A connection. It is closed when dropped, and its place given back.
pub(super) struct Connection {
    pub(super) channel: Channel,
    pub(super) parser: RefCell<Parser>,
    slots: RefCell<Slots>,
    failed: RefCell<Option<Failed>>,
    /// Leases of it.
    pub(super) users: Cell<usize>,
    /// A request was answered on it before.
    pub(super) used: Cell<bool>,
    /// It is not to be used again, though nothing has failed.
    spent: Cell<bool>,
    /// What the server says of how long it keeps an idle connection.
    keeps: Cell<Duration>,
    max_reply: u64,
    _place: Place,
}

/// The requests under way, in their order. There is more than one with pipelining only.
#[derive(Default)]
struct Slots {
    /// The ticket of the one in front.
    first: u64,
    slots: VecDeque<Slot>,
    /// So many in front have their answers.
    answered: usize,
}

enum Slot {
    Waiting,
    Answered(Answer),
    /// Nobody waits for the answer, or it was taken.
    Left,
}

/// A request under way.
pub(super) struct Ticket {
    number: u64,
    /// What was queued with the request; as long as all of it is, and nothing else, the kernel has taken none.
    queued: usize,
}

impl Connection {
    pub(super) fn new(channel: Channel, config: &Config, place: Place) -> Connection {
        Connection {
            channel,
            parser: RefCell::new(Parser::new(config.http())),
            slots: RefCell::default(),
            failed: RefCell::default(),
            users: Cell::new(0),
            used: Cell::new(false),
            spent: Cell::new(false),
            keeps: Cell::new(Duration::MAX),
            max_reply: config.max_reply,
            _place: place,
        }
    }

    /// Writes a request, but for a body that is not small: the caller [`send`](Self::send)s that.
    pub(super) fn ask(
        &self,
        start: Start<'_>,
        request: &Outgoing<'_>,
        out: &mut BytesMut,
    ) -> Ticket {
        let whole = Self::is_small(request);
        out.clear();
        if whole {
            request::write(out, start, request.fields, &request.body);
        } else {
            let length = Framing::Length(request.body.len() as u64);
            request::write_head(out, start, request.fields, length);
        }
        self.expect(Expected::default());
        let before = self.channel.queued();
        self.channel.write(out);
        let mut slots = self.slots.borrow_mut();
        slots.slots.push_back(Slot::Waiting);
        let number = slots.first + slots.slots.len() as u64 - 1;
        // What others have queued before may leave first and hide that of this nothing has.
        let alone = before == 0 && whole;
        Ticket { number, queued: if alone { self.channel.queued() } else { usize::MAX } }
    }

    pub(super) fn expect(&self, answer: Expected) {
        // Leases are no more than may be outstanding.
        let expected = self.parser.borrow_mut().expect(answer);
        debug_assert!(expected.is_ok());
    }

    /// Whether [`ask`](Self::ask) writes all of a request.
    pub(super) fn is_small(request: &Outgoing<'_>) -> bool {
        request.body.len() <= SMALL
    }

    /// Sends the rest of a large body, as fast as it leaves.
    pub(super) async fn send(&self, request: &Outgoing<'_>, high_water: usize) {
        let mut rest = request.body.clone();
        let piece = (high_water / 4).max(1);
        while !rest.is_empty() {
            self.channel.send(rest.split_to(piece.min(rest.len())));
            if self.channel.drained(high_water).await.is_err() {
                // Whoever reads is told.
                return;
            }
        }
    }

    /// Takes the answer of a request, or why there is none.
    pub(super) fn take(&self, ticket: &Ticket) -> Option<Result<Answer, Failed>> {
        let taken = self.slots.borrow_mut().take(ticket);
        match taken {
            Some(answer) => Some(Ok(answer)),
            None => self.failed().map(Err),
        }
    }

    /// Leaves a request. True if it still was under way.
    pub(super) fn leave(&self, ticket: &Ticket) -> bool {
        self.slots.borrow_mut().leave(ticket)
    }

    /// Whether it is certain that the kernel has not taken a byte of a request.
    pub(super) fn is_unsent(&self, ticket: &Ticket) -> bool {
        let Slots { first, slots, .. } = &*self.slots.borrow();
        let last = ticket.number + 1 == first + slots.len() as u64;
        last && self.channel.queued() >= ticket.queued
    }

    /// Why the connection cannot go on.
    pub(super) fn failed(&self) -> Option<Failed> {
        self.failed.borrow().clone()
    }

    /// Reads what has come and gives it to those it is for. Pending if nothing has.
    pub(super) fn poll_read(&self, context: &mut Context<'_>) -> Poll<()> {
        match ready!(self.channel.poll_recv(context)) {
            Ok(Some(data)) => self.take_in(&data),
            Ok(None) => self.end(),
            Err(error) => self.fail(self.broken(&error)),
        }
        Poll::Ready(())
    }

    fn take_in(&self, mut input: &[u8]) {
        let mut parser = self.parser.borrow_mut();
        loop {
            match parser.receive(&mut input) {
                Ok(None) => {
                    if parser.phase() == Phase::Finished && self.slots.borrow().are_waiting() {
                        // That was the last answer. Those who wait for another need not wait for the connection's end.
                        self.fail(Failed::Closed);
                    }
                    return;
                }
                Ok(Some(Event::Response(response))) => {
                    let answer = self.answer(&response);
                    let answer = answer
                        .unwrap_or_else(|answer| Answer { body: parser.take_body(), ..answer });
                    self.slots.borrow_mut().answer(answer);
                }
                // Those belong to an `Exchange`, which reads for itself.
                Ok(Some(Event::Head(_) | Event::Data(_) | Event::End)) => {}
                Err(error) => return self.fail_parsing(error),
            }
        }
    }

    /// The answer; without its body if that is better taken than copied.
    fn answer(&self, response: &Response<'_>) -> Result<Answer, Answer> {
        let gzip = self.note(response.headers);
        let copy = !response.assembled || response.body.len() < SMALL;
        let body = if copy { Bytes::copy_from_slice(response.body) } else { Bytes::new() };
        let answer = Answer { status: response.status, gzip, body, connection: Weak::new() };
        if copy { Ok(answer) } else { Err(answer) }
    }

    fn end(&self) {
        let mut parser = self.parser.borrow_mut();
        let ended = match parser.end_of_input() {
            Ok(Some(Event::Response(response))) => {
                let answer = Answer {
                    status: response.status,
                    gzip: self.note(response.headers),
                    body: Bytes::new(),
                    connection: Weak::new(),
                };
                let body = parser.take_body();
                self.slots.borrow_mut().answer(Answer { body, ..answer });
                Failed::Closed
            }
            Ok(_) => Failed::Closed,
            Err(error) => Failed::parsing(error, self.max_reply),
        };
        self.fail(ended);
    }

    /// Notes how long the server keeps the connection; gives whether the body is compressed.
    pub(super) fn note(&self, headers: Headers<'_>) -> bool {
        let mut gzip = false;
        for (name, value) in headers {
            match name.len() {
                10 if name.eq_ignore_ascii_case("keep-alive") => {
                    if let Some(keeps) = keep_alive_timeout(value) {
                        self.keeps.set(keeps);
                    }
                }
                12 if name.eq_ignore_ascii_case("grc-compress") => {
                    gzip = value.eq_ignore_ascii_case(b"gzip");
                }
                _ => {}
            }
        }
        gzip
    }

    /// What it means that the connection broke.
    pub(super) fn broken(&self, error: &std::io::Error) -> Failed {
        let waiting = self.parser.borrow().phase() == Phase::Waiting;
        Failed::broken(error, waiting, self.used.get())
    }

    pub(super) fn fail_parsing(&self, error: client::Error) {
        self.fail(Failed::parsing(error, self.max_reply));
    }

    pub(super) fn fail(&self, failed: Failed) {
        self.failed.borrow_mut().get_or_insert(failed);
    }

    /// Has it closed when nobody uses it any more.
    pub(super) fn spend(&self) {
        self.spent.set(true);
    }

    /// Ends it at once. What is queued does not leave.
    pub(super) fn break_off(&self) {
        self.spend();
        self.channel.abort();
    }

    /// Requests that are under way or about to be sent, those included that nobody waits for any more.
    pub(super) fn load(&self) -> usize {
        let slots = self.slots.borrow();
        let unanswered = slots.slots.iter().skip(slots.answered);
        self.users.get() + unanswered.filter(|slot| matches!(slot, Slot::Left)).count()
    }

    /// Whether another request may be sent while others are under way.
    pub(super) fn is_open(&self) -> bool {
        self.failed.borrow().is_none()
            && !self.spent.get()
            && self.parser.borrow().phase() != Phase::Finished
    }

    /// Whether it is as a new one.
    pub(super) fn is_free(&self) -> bool {
        self.is_open()
            && self.parser.borrow().phase() == Phase::Idle
            && self.slots.borrow().slots.is_empty()
            && self.channel.queued() == 0
    }

    /// Whether an idle connection still is what it was: the server has neither ended it nor sent anything.
    pub(super) fn is_quiet(&self) -> bool {
        self.channel.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// When it is to be closed if it stays idle from now on.
    pub(super) fn idle_until(&self, idle_timeout: Duration) -> Duration {
        now().saturating_add(idle_timeout.min(self.keeps.get()))
    }
}

impl Slots {
    fn at(&mut self, ticket: &Ticket) -> Option<&mut Slot> {
        let at = usize::try_from(ticket.number.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(at)
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(slot) = self.slots.get_mut(self.answered) {
            self.answered += 1;
            if matches!(slot, Slot::Waiting) {
                *slot = Slot::Answered(answer);
            } else {
                self.forget();
            }
        }
    }

    fn take(&mut self, ticket: &Ticket) -> Option<Answer> {
        let slot = self.at(ticket).filter(|slot| matches!(slot, Slot::Answered(_)))?;
        let Slot::Answered(answer) = std::mem::replace(slot, Slot::Left) else { return None };
        self.forget();
        Some(answer)
    }

    fn leave(&mut self, ticket: &Ticket) -> bool {
        let Some(slot) = self.at(ticket) else { return false };
        let under_way = !matches!(slot, Slot::Left);
        *slot = Slot::Left;
        self.forget();
        under_way
    }

    /// Whether an answer is still to come.
    fn are_waiting(&self) -> bool {
        self.answered < self.slots.len()
    }

    /// Drops those in front that are over.
    fn forget(&mut self) {
        while self.answered > 0 && matches!(self.slots.front(), Some(Slot::Left)) {
            self.slots.pop_front();
            self.answered -= 1;
            self.first += 1;
        }
    }
}

/// `Keep-Alive: timeout=5, max=100`, as Node sends it, less one second for what is on its way.
fn keep_alive_timeout(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    let seconds: u32 = seconds.trim().parse().ok()?;
    let margin = Duration::from_secs(1);
    let told = Duration::from_secs(seconds.into());
    Some(if told > margin { told - margin } else { told / 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_of_idle_connections() {
        let millis = |text: &str| keep_alive_timeout(text.as_bytes()).map(|time| time.as_millis());
        assert_eq!(millis("timeout=5"), Some(4000));
        assert_eq!(millis("max=100, timeout= 61 "), Some(60_000));
        assert_eq!(millis("timeout=1"), Some(500));
        assert_eq!(millis("timeout=0"), Some(0));
        for bad in ["", "5", "timeout", "timeout=", "timeout=-1", "timeout=x", "xtimeout=5"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
