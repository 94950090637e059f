//! One connection, of either side: bytes in, messages out.

use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::command::{self, Command};
use super::event::{Event, Message, Phase};
use super::frame::{self, COMMAND, MORE, Parts};
use super::greeting::{self, Greeting, Version};
use super::mechanism::curve::Session;
use super::mechanism::{Mechanism, Progress};
use super::metadata::Peer;
use super::subscription::Change;
use super::traffic::{Source, Traffic, Unit};
use super::{Config, Error, Limit, Malformed, Metadata, Misuse, SocketType, Unsupported};
use crate::input::fill;

/// Decodes what the other side sends, and encodes what it is sent.
///
/// A message that lies whole in the receive buffer is handed out as it lies there. Of one that does not, or that was encrypted,
/// what has come so far is kept here and completed by the next receive buffers; this copy is bounded by `max_message` of
/// [`Config`], and once more by `max_frame` where frames are encrypted. What the protocol answers by itself (greeting,
/// handshake, PONG) goes to the `output` that every method which may write takes; it is never longer than what has come, but for
/// the handshake. A caller whose output is not taken by the other side stops receiving.
///
/// ```
/// use bytes::BytesMut;
/// use grenache_transports::zmtp::{Config, Connection, Event, Mechanism, Metadata, Side, SocketType};
///
/// let (mut to_dealer, mut to_router) = (BytesMut::new(), BytesMut::new());
/// let open = |socket, side, output: &mut BytesMut| {
///     Connection::new(Metadata::new(socket), Mechanism::null(side), Config::default(), output)
/// };
/// let mut router = open(SocketType::Router, Side::Bind, &mut to_dealer);
/// let mut dealer = open(SocketType::Dealer, Side::Connect, &mut to_router);
/// // The greetings, the dealer's READY, the router's.
/// assert_eq!(dealer.receive(&mut &to_dealer.split()[..], &mut to_router), Ok(None));
/// let met = to_router.split();
/// assert!(matches!(router.receive(&mut &met[..], &mut to_dealer), Ok(Some(Event::Ready(_)))));
/// let met = to_dealer.split();
/// assert!(matches!(dealer.receive(&mut &met[..], &mut to_router), Ok(Some(Event::Ready(_)))));
///
/// dealer.send(&[b"rid", b"key", b"payload"], &mut to_router).unwrap();
/// let sent = to_router.split();
/// let Ok(Some(Event::Message(message))) = router.receive(&mut &sent[..], &mut to_dealer) else {
///     panic!()
/// };
/// assert!(message.parts().eq([&b"rid"[..], b"key", b"payload"]));
/// ```
#[derive(Debug)]
pub struct Connection {
    config: Config,
    ours: Metadata,
    /// What else this side can be, if the other's type asks for it.
    others: Vec<Metadata>,
    /// Until the handshake is over.
    mechanism: Option<Mechanism>,
    /// After it, if the mechanism encrypts.
    session: Option<Box<Session>>,
    version: Version,
    state: State,
    /// What the peer has said of itself: its greeting, then its metadata.
    peer: Vec<u8>,
    traffic: Traffic,
    pongs: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Handshake,
    /// Somebody looks at the credentials.
    Verdict,
    /// The handshake is over, which is still to be told.
    Met,
    Ready,
    Finished,
}

enum Step<'i> {
    Credentials,
    Ready,
    Unit(Unit<'i>),
    Ping(Duration),
}

impl Connection {
    /// A connection on which nothing has come yet. Writes the greeting.
    pub fn new(
        ours: Metadata,
        mechanism: Mechanism,
        config: Config,
        output: &mut BytesMut,
    ) -> Self {
        Greeting::write(output, mechanism.name(), mechanism.is_server());
        Self {
            config,
            ours,
            others: Vec::new(),
            mechanism: Some(mechanism),
            session: None,
            version: Version::V3_1,
            state: State::Greeting,
            peer: Vec::new(),
            traffic: Traffic::default(),
            pongs: 0,
        }
    }

    /// This side can be that as well: of all it can be, the first that goes with the other side's type. For sides that say what
    /// they are once they know that: one that has bound with NULL, and the servers of PLAIN and CURVE. To be said at first.
    pub fn or(mut self, other: Metadata) -> Self {
        self.others.push(other);
        self
    }

    /// Takes bytes off the front of `input` until there is an event or nothing left, and writes what the protocol answers.
    ///
    /// Call it until it returns `None`, with what the last call left of `input`; a caller that stops earlier must come back
    /// with the same rest. After [`accept`](Self::accept) call it too, even if nothing has come.
    ///
    /// # Errors
    /// What came is not ZMTP, or over a limit, or nothing that this side can do with. It comes once; then the connection is
    /// finished, as after [`Event::Refused`]. If there is anything to tell the other side, it was written.
    #[inline]
    pub fn receive<'c, 'i: 'c>(
        &'c mut self,
        input: &mut &'i [u8],
        output: &mut BytesMut,
    ) -> Result<Option<Event<'c>>, Error> {
        match self.step(input, output) {
            Ok(None) => Ok(None),
            Ok(Some(step)) => Ok(self.event(step)),
            Err(error) => {
                *input = &[];
                self.finish();
                self.traffic = Traffic::default();
                Err(error)
            }
        }
    }

    /// The other side's credentials are good. Call [`receive`](Self::receive) next.
    ///
    /// # Errors
    /// [`Misuse::NothingAsked`].
    pub fn accept(&mut self, output: &mut BytesMut) -> Result<(), Misuse> {
        let (State::Verdict, Some(mechanism)) = (self.state, &mut self.mechanism) else {
            return Err(Misuse::NothingAsked);
        };
        let over = mechanism.accept(&self.ours, output);
        self.state = if over { State::Met } else { State::Handshake };
        Ok(())
    }

    /// The other side's credentials are not good: writes so, with libzmq's code for it. The connection is finished.
    ///
    /// # Errors
    /// [`Misuse::NothingAsked`].
    pub fn refuse(&mut self, output: &mut BytesMut) -> Result<(), Misuse> {
        if self.state != State::Verdict {
            return Err(Misuse::NothingAsked);
        }
        write_error(output, b"400");
        self.finish();
        Ok(())
    }

    /// Writes a message of these parts. Nothing if there are none.
    ///
    /// # Errors
    /// [`Misuse::NotReady`].
    #[inline]
    pub fn send(&mut self, parts: &[&[u8]], output: &mut BytesMut) -> Result<(), Misuse> {
        if self.state != State::Ready {
            return Err(Misuse::NotReady);
        }
        let Some(session) = &mut self.session else {
            frame::write_message(output, parts);
            return Ok(());
        };
        let Some((last, before)) = parts.split_last() else { return Ok(()) };
        for part in before {
            session.put(output, MORE, &[part]);
        }
        session.put(output, 0, &[last]);
        Ok(())
    }

    /// Asks for messages that begin with `prefix`; to a PUB or XPUB.
    ///
    /// # Errors
    /// [`Misuse::NotReady`].
    pub fn subscribe(&mut self, prefix: &[u8], output: &mut BytesMut) -> Result<(), Misuse> {
        let (flags, body) = Change::Subscribe(prefix).frame(self.version);
        self.put(flags, &body, output)
    }

    /// Takes back what was asked for with the same bytes, once.
    ///
    /// # Errors
    /// [`Misuse::NotReady`].
    pub fn cancel(&mut self, prefix: &[u8], output: &mut BytesMut) -> Result<(), Misuse> {
        let (flags, body) = Change::Cancel(prefix).frame(self.version);
        self.put(flags, &body, output)
    }

    /// Asks for a sign of life, and to be given up if none goes out from here for `ttl` (in tenths of a second;
    /// zero, or more than 6553.5 s, says nothing). Tells whether it was written: peers of 3.0 do not know it.
    ///
    /// # Errors
    /// [`Misuse::NotReady`].
    pub fn ping(&mut self, ttl: Duration, output: &mut BytesMut) -> Result<bool, Misuse> {
        match self.version {
            Version::V3_0 if self.state == State::Ready => Ok(false),
            _ => self.put(COMMAND, &[b"\x04PING", &command::ttl(ttl)], output).map(|()| true),
        }
    }

    /// Whether messages are encrypted for this peer. If not, what [`frame::write_message`] writes once is good for all of them.
    pub const fn is_encrypted(&self) -> bool {
        self.session.is_some()
    }

    /// The message that came last, without copying it, if it was [`assembled`](Message::assembled); to be called before
    /// [`receive`](Self::receive) is. Empty otherwise. [`Parts::new`] finds its parts, `Bytes::slice_ref` cuts them out.
    pub fn take_message(&mut self) -> Bytes {
        self.traffic.take_message()
    }

    /// What the other side has said of itself, once that was told.
    pub fn peer(&self) -> Option<Peer<'_>> {
        if self.state != State::Ready {
            return None;
        }
        Peer::read(&self.peer, self.version, self.ours.socket(), &self.config).ok()
    }

    /// How many PINGs were answered. Whoever answers has seen all that was sent before.
    pub const fn pongs(&self) -> u64 {
        self.pongs
    }

    /// Bytes kept of what is not complete; those of the last message still count until [`receive`](Self::receive) is called
    /// again.
    pub fn buffered(&self) -> usize {
        self.traffic.buffered()
    }

    /// What the connection waits for.
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Greeting => Phase::Greeting,
            State::Handshake => Phase::Handshake,
            State::Verdict | State::Met => Phase::Verdict,
            State::Ready => Phase::Ready,
            State::Finished => Phase::Finished,
        }
    }

    fn event<'c, 'i: 'c>(&'c self, step: Step<'i>) -> Option<Event<'c>> {
        Some(match step {
            Step::Credentials => Event::Credentials(self.mechanism.as_ref()?.credentials()?),
            Step::Ready => Event::Ready(self.peer()?),
            Step::Ping(ttl) => Event::Ping(ttl),
            Step::Unit(Unit::Message(source, count)) => {
                let frames = self.traffic.message(source);
                if let Some(change) = self.change(frames, count) {
                    return Some(change.into());
                }
                Event::Message(Message { frames, count, assembled: source.is_none() })
            }
            Step::Unit(Unit::Command(source)) => {
                let body = self.traffic.body(source);
                match command::read_error(body).ok()? {
                    Some(reason) => Event::Refused(reason),
                    None => Change::from_command(&Command::read(body).ok()?)?.into(),
                }
            }
        })
    }

    #[inline]
    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut BytesMut,
    ) -> Result<Option<Step<'i>>, Error> {
        loop {
            match self.state {
                State::Ready => {
                    let session = self.session.as_deref_mut();
                    let Some(unit) = self.traffic.next(input, session, &self.config)? else {
                        return Ok(None);
                    };
                    let step = match unit {
                        Unit::Message(source, count) => self.message(source, count)?,
                        Unit::Command(source) => self.command(source, output)?,
                    };
                    if step.is_some() {
                        return Ok(step);
                    }
                }
                State::Greeting => {
                    if !self.greet(input, output)? {
                        return Ok(None);
                    }
                }
                State::Handshake => {
                    let Some(source) = self.traffic.command(input, &self.config)? else {
                        return Ok(None);
                    };
                    if let Some(step) = self.shake_hands(source, output)? {
                        return Ok(Some(step));
                    }
                }
                State::Verdict if input.is_empty() => return Ok(None),
                State::Verdict => return Err(Malformed::UnexpectedCommand.into()),
                State::Met => {
                    self.session = self.mechanism.take().and_then(Mechanism::into_session);
                    self.state = State::Ready;
                    return Ok(Some(Step::Ready));
                }
                State::Finished => {
                    *input = &[];
                    self.traffic = Traffic::default();
                    return Ok(None);
                }
            }
        }
    }

    /// Reads the greeting. Whether it is complete.
    fn greet(&mut self, input: &mut &[u8], output: &mut BytesMut) -> Result<bool, Error> {
        fill(&mut self.peer, greeting::LEN, input);
        let Some(greeting) = Greeting::read(&self.peer)? else { return Ok(false) };
        let Some(mechanism) = &mut self.mechanism else { return Ok(false) };
        if !greeting.is(mechanism.name()) {
            return Err(Unsupported::Mechanism.into());
        }
        // libzmq never says that it is the server, so nothing follows if both say that they are not.
        if greeting.as_server && mechanism.is_server() {
            return Err(Unsupported::BothServers.into());
        }
        self.version = greeting.version;
        self.peer.clear();
        self.state = State::Handshake;
        mechanism.begin(&self.ours, output)?;
        Ok(true)
    }

    /// Takes a command of the handshake.
    fn shake_hands<'i>(
        &mut self,
        source: Source<'i>,
        output: &mut BytesMut,
    ) -> Result<Option<Step<'i>>, Error> {
        let body = self.traffic.body(source);
        if command::read_error(body)?.is_some() {
            self.finish();
            return Ok(Some(Step::Unit(Unit::Command(source))));
        }
        let command = Command::read(body)?;
        let Some(mechanism) = &mut self.mechanism else { return Ok(None) };
        let progress = mechanism.receive(&command, &self.ours, &mut self.peer, output)?;
        if matches!(progress, Progress::Met | Progress::MetAndAsk) {
            let mut met = self.meet(self.ours.socket());
            if met == Err(Unsupported::SocketType.into())
                && let Some(other) =
                    self.others.iter().position(|other| self.meet(other.socket()).is_ok())
            {
                self.ours = self.others.swap_remove(other);
                met = Ok(());
            }
            let refuses = self.mechanism.as_ref().is_some_and(Mechanism::may_refuse);
            if met == Err(Unsupported::SocketType.into()) && refuses {
                write_error(output, b"Invalid socket type");
            }
            met?;
        }
        match progress {
            Progress::Waiting => Ok(None),
            Progress::Met => {
                if let Some(mechanism) = &mut self.mechanism {
                    mechanism.finish(&self.ours, output);
                }
                self.state = State::Met;
                Ok(None)
            }
            Progress::Ask | Progress::MetAndAsk => {
                self.state = State::Verdict;
                Ok(Some(Step::Credentials))
            }
        }
    }

    /// Whether what the peer says of itself goes with a socket of this type.
    fn meet(&self, ours: SocketType) -> Result<(), Error> {
        Peer::read(&self.peer, self.version, ours, &self.config).map(drop)
    }

    /// Decides what a message is, if anything, to this kind of socket.
    #[inline]
    fn message<'i>(&self, source: Source<'i>, count: usize) -> Result<Option<Step<'i>>, Error> {
        let socket = self.ours.socket();
        if socket.publishes() {
            let frames = self.traffic.message(source);
            match self.change(frames, count) {
                Some(Change::Subscribe(prefix) | Change::Cancel(prefix))
                    if prefix.len() >= self.config.max_command =>
                {
                    return Err(Limit::Command.into());
                }
                // Nobody reads from a PUB.
                None if socket == SocketType::Pub => return Ok(None),
                _ => {}
            }
        }
        Ok(Some(Step::Unit(Unit::Message(source, count))))
    }

    /// What a message says about subscriptions.
    #[inline]
    fn change<'a>(&self, frames: &'a [u8], count: usize) -> Option<Change<'a>> {
        if count > 1 || !self.ours.socket().publishes() {
            return None;
        }
        Change::from_part(Parts::new(frames).next()?)
    }

    /// Takes a command after the handshake; those nobody knows say nothing.
    fn command<'i>(
        &mut self,
        source: Source<'i>,
        output: &mut BytesMut,
    ) -> Result<Option<Step<'i>>, Error> {
        let body = self.traffic.body(source);
        if command::read_error(body)?.is_some() {
            self.finish();
            return Ok(Some(Step::Unit(Unit::Command(source))));
        }
        let command = Command::read(body)?;
        match command.name {
            b"PING" => {
                let (ttl, context) = command::read_ping(command.data)?;
                put(&mut self.session, COMMAND, &[b"\x04PONG", context], output);
                Ok(Some(Step::Ping(ttl)))
            }
            b"PONG" => {
                self.pongs += 1;
                Ok(None)
            }
            b"SUBSCRIBE" | b"CANCEL" if self.ours.socket().publishes() => {
                Ok(Some(Step::Unit(Unit::Command(source))))
            }
            b"HELLO" | b"WELCOME" | b"INITIATE" | b"READY" => {
                Err(Malformed::UnexpectedCommand.into())
            }
            _ => Ok(None),
        }
    }

    fn put(&mut self, flags: u8, body: &[&[u8]], output: &mut BytesMut) -> Result<(), Misuse> {
        if self.state != State::Ready {
            return Err(Misuse::NotReady);
        }
        put(&mut self.session, flags, body, output);
        Ok(())
    }

    fn finish(&mut self) {
        self.state = State::Finished;
        self.mechanism = None;
        self.session = None;
    }
}

fn put(session: &mut Option<Box<Session>>, flags: u8, body: &[&[u8]], output: &mut BytesMut) {
    match session {
        None => frame::put(output, flags, body),
        Some(session) => session.put(output, flags, body),
    }
}

/// Writes an ERROR. Its reason has at most 255 bytes.
fn write_error(output: &mut BytesMut, reason: &'static [u8]) {
    frame::put(output, COMMAND, &[b"\x05ERROR", &[reason.len() as u8], reason]);
}
