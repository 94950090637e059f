//! A WebSocket as it is: messages in, messages out.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use grenache_engine::{Sleep, TcpStream, now, sleep_until, timeout};
use grenache_transports::ws::{self, Close, Deflater, Event, Kind, code, frame};
use grenache_transports::{Due, Heartbeat};

use super::Config;
use super::accept::accept;
use super::connect::{Upgraded, connect};
use super::masks::Masks;
use crate::channel::{Channel, Received};
use crate::error::{Error, Failure};
use crate::http::Target;
use crate::outbox::Outbox;
use crate::tls::{Acceptor, Certificate, ClientTls, Connector};

/// From this length on, a server's message is handed over instead of copied.
const HAND_OVER: usize = 16 * 1024;

/// A WebSocket, its handshake done: for programs that speak something else on it than Grenache's requests. Pings are answered, and
/// a peer that says nothing is pinged, while [`recv`](Self::recv) is waited for. Dropping it
/// closes it with code 1001.
///
/// ```no_run
/// use grenache_peer::websocket::{Config, Socket};
///
/// # async fn on_a_core() -> Result<(), grenache_peer::Error> {
/// let to = "127.0.0.1:9001".parse().unwrap();
/// let mut socket = Socket::connect(to, "/chat", &Config::default(), None).await?;
/// socket.send_text("hello");
/// while let Some(message) = socket.recv().await? {
///     println!("{} bytes", message.data.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Socket {
    channel: Channel,
    decoder: ws::Connection,
    deflater: Option<Deflater>,
    /// A client has them.
    masks: Option<Masks>,
    protocol: bool,
    received: Option<Received>,
    /// What is written while there is more to be read.
    out: BytesMut,
    outbox: Outbox,
    heartbeat: Heartbeat,
    timer: Option<Sleep>,
    pongs: u64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Our close frame is sent.
    Closing,
    /// It has ended in good order.
    Closed,
    Broken,
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Text, which is UTF-8, or any bytes.
    pub kind: Kind,
    /// The bytes.
    pub data: Bytes,
}

impl Socket {
    /// Connects to `to` and asks for `path`, within [`Config::connect_timeout`]; with `tls`, over TLS.
    ///
    /// # Errors
    /// [`Error::Request`] says why there is no connection, or no WebSocket; [`Error::Tls`] if the TLS settings cannot be used.
    pub async fn connect(
        to: SocketAddr,
        path: &str,
        config: &Config,
        tls: Option<&ClientTls>,
    ) -> Result<Socket, Error> {
        let connector = tls.map(Connector::new).transpose()?;
        let target = Target::peer(to, tls.is_some());
        match connect(&target, path, None, config, connector.as_ref()).await {
            Ok(upgraded) => Ok(Socket::new(upgraded, Some(Masks::new()), config)),
            Err(failure) => Err(Error::Request { to, failure }),
        }
    }

    /// Takes a WebSocket on a connection that was accepted, whatever path is asked for, within [`Config::connect_timeout`].
    ///
    /// # Errors
    /// [`Error::Request`] says what else was asked for, or what has broken.
    pub async fn accept(
        stream: TcpStream,
        config: &Config,
        tls: Option<&Acceptor>,
    ) -> Result<Socket, Error> {
        let to = stream.peer_addr();
        let accepted = timeout(config.connect_timeout, async {
            let channel = match tls {
                None => Channel::Plain(stream),
                Some(tls) => {
                    let refused = |error: crate::tls::Error| Failure::Tls(error.to_string());
                    tls.accept(stream).await.map_err(refused)?
                }
            };
            accept(channel, config).await
        });
        match accepted.await {
            Ok(Ok(upgraded)) => Ok(Socket::new(upgraded, None, config)),
            Ok(Err(failure)) => Err(Error::Request { to, failure }),
            Err(_) => {
                let limit = config.connect_timeout;
                Err(Error::Timeout { limit, to: Some(to), may_have_run: false })
            }
        }
    }

    pub(crate) fn new(upgraded: Upgraded, masks: Option<Masks>, config: &Config) -> Socket {
        let Upgraded { channel, decoder, deflater, received, protocol } = upgraded;
        Socket {
            outbox: Outbox::new(channel.clone(), config.send_high_water),
            channel,
            decoder,
            deflater,
            masks,
            protocol,
            received,
            out: BytesMut::new(),
            heartbeat: Heartbeat::new(config.ping_interval, config.ping_timeout, now()),
            timer: None,
            pongs: 0,
            stage: Stage::Open,
        }
    }

    /// The address of the other side.
    pub fn peer_addr(&self) -> SocketAddr {
        self.channel.peer_addr()
    }

    /// The certificate that the other side has shown.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.channel.certificate().map(|certificate| &**certificate)
    }

    /// Whether the server speaks the protocol that was asked for.
    pub(crate) fn has_protocol(&self) -> bool {
        self.protocol
    }

    /// Waits for the next message; `None` is the end in good order. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Error::Request`] if the connection breaks, the other side does not answer a ping, or does not keep to the protocol, of
    /// which it is told.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// As [`recv`](Self::recv), for futures made by hand.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.poll_with(context, |kind, data, _| Message { kind, data: data.into_bytes() })
    }

    /// Waits for the next message, and gives what `read` makes of it: it is shown the message where it lies, and may answer it
    /// at once. `None` is the end in good order.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_with<T>(
        &mut self,
        mut read: impl FnMut(Kind, Data<'_>, &mut Answers<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        poll_fn(|context| self.poll_with(context, &mut read)).await
    }

    fn poll_with<T>(
        &mut self,
        context: &mut Context<'_>,
        mut read: impl FnMut(Kind, Data<'_>, &mut Answers<'_>) -> T,
    ) -> Poll<Result<Option<T>, Error>> {
        loop {
            match self.stage {
                Stage::Closed => return Poll::Ready(Ok(None)),
                Stage::Broken => return Poll::Ready(Err(self.broken("the connection is broken"))),
                Stage::Open | Stage::Closing => {}
            }
            if let Some(mut received) = self.received.take() {
                let mut input = &mut received[..];
                let event = self.decoder.receive(&mut input);
                let mut answers = Answers {
                    out: &mut self.out,
                    outbox: &mut self.outbox,
                    deflater: &mut self.deflater,
                    masks: &self.masks,
                };
                let next = match event {
                    Ok(None) => Step::More,
                    Ok(Some(Event::Message(message))) => {
                        let kind = message.kind;
                        let data = match message.assembled {
                            true => Data::Own(self.decoder.take_message()),
                            false => Data::Here(message.data),
                        };
                        Step::Message(read(kind, data, &mut answers))
                    }
                    Ok(Some(Event::Ping(payload))) => {
                        frame::write_pong(&mut self.out, draw(&self.masks), payload);
                        Step::More
                    }
                    Ok(Some(Event::Pong(_))) => {
                        self.pongs += 1;
                        Step::More
                    }
                    Ok(Some(Event::Close(close))) => Step::Close(close.map(|close| close.code)),
                    Err(error) => Step::Bad(error),
                };
                let left = input.len();
                if left > 0 {
                    received.advance(received.len() - left);
                    self.received = Some(received);
                }
                match next {
                    // Nothing of a message comes after our close frame (section 5.5.1), but it may have been on its way.
                    Step::Message(message) => {
                        self.flush_if(left == 0);
                        return Poll::Ready(Ok(Some(message)));
                    }
                    Step::More => {
                        self.flush_if(left == 0);
                        continue;
                    }
                    Step::Close(code) => {
                        self.close(code.unwrap_or(code::NORMAL), "");
                        self.channel.shutdown();
                        self.stage = Stage::Closed;
                        continue;
                    }
                    Step::Bad(error) => {
                        self.close(error.close_code(), error.text());
                        self.channel.shutdown();
                        self.stage = Stage::Broken;
                        return Poll::Ready(Err(self.malformed(error.text())));
                    }
                }
            }
            // Whoever waits for an answer may have sent much.
            let _ = self.poll_room(context);
            match self.channel.poll_recv(context) {
                Poll::Ready(Ok(Some(received))) => {
                    self.heartbeat.heard(now());
                    self.received = Some(received);
                }
                Poll::Ready(Ok(None)) => {
                    self.stage = Stage::Broken;
                    return Poll::Ready(Err(Error::Closed { to: self.peer_addr() }));
                }
                Poll::Ready(Err(error)) => {
                    self.stage = Stage::Broken;
                    return Poll::Ready(Err(self.broken(&error.to_string())));
                }
                Poll::Pending => {
                    ready!(self.poll_alive(context));
                    self.stage = Stage::Broken;
                    self.channel.abort();
                    return Poll::Ready(Err(self.broken("it does not answer a ping")));
                }
            }
        }
    }

    /// Ready if the other side is taken for dead.
    fn poll_alive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.heartbeat.due(now()) {
                Due::Nothing => {}
                Due::Dead => return Poll::Ready(()),
                Due::Ping => {
                    frame::write_ping(&mut self.out, draw(&self.masks), b"");
                    self.flush_if(true);
                }
            }
            let next = self.heartbeat.next();
            // A timer that comes too early is set again then; so most messages leave it as it is.
            if self.timer.as_ref().is_none_or(|timer| timer.deadline() > next) {
                self.timer = Some(sleep_until(next));
            }
            let timer = self.timer.get_or_insert_with(|| sleep_until(next));
            ready!(Pin::new(timer).poll(context));
            self.timer = None;
        }
    }

    /// Queues a text, which leaves at the end of the turn.
    pub fn send_text(&mut self, text: &str) {
        self.send(Kind::Text, text.as_bytes());
    }

    /// Queues any bytes.
    pub fn send_binary(&mut self, data: &[u8]) {
        self.send(Kind::Binary, data);
    }

    /// Queues a ping. [`pongs`](Self::pongs) counts the answers.
    pub(crate) fn ping(&mut self) {
        if self.stage == Stage::Open {
            frame::write_ping(&mut self.out, draw(&self.masks), b"");
            self.flush_if(true);
        }
    }

    /// Answers to pings that were received.
    pub(crate) fn pongs(&self) -> u64 {
        self.pongs
    }

    fn send(&mut self, kind: Kind, data: &[u8]) {
        if self.stage == Stage::Open {
            let Socket { out, outbox, deflater, masks, .. } = self;
            Answers { out, outbox, deflater, masks }.send(kind, Data::Here(data));
            self.flush_if(true);
        }
    }

    /// Waits while more than [`Config::send_high_water`] bytes are queued. What sends without that keeps everything in memory.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn ready(&mut self) -> Result<(), Error> {
        let ready = poll_fn(|context| self.poll_room(context)).await;
        ready.map_err(|error| self.broken(&error.to_string()))
    }

    /// Lets go what is queued. Ready when there is room.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.outbox.flush();
            if !self.outbox.is_full() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.outbox.poll_room(context))?;
        }
    }

    /// Says that this side sends no more, and why; goes on receiving until the other side has answered that. Later calls do
    /// nothing.
    pub fn close(&mut self, code: u16, reason: &str) {
        if self.stage == Stage::Open {
            frame::write_close(&mut self.out, draw(&self.masks), Some(Close { code, reason }));
            self.flush_if(true);
            self.stage = Stage::Closing;
        }
    }

    /// Hands over what was written, once all that has come is looked at.
    fn flush_if(&mut self, idle: bool) {
        if !(idle || self.out.len() >= HAND_OVER) {
            return;
        }
        if self.out.len() >= HAND_OVER || self.outbox.has_large() {
            self.outbox.push(self.out.split().freeze());
        } else if !self.out.is_empty() {
            self.outbox.small.extend_from_slice(&self.out);
            self.out.clear();
        }
        self.outbox.flush();
    }

    fn broken(&self, why: &str) -> Error {
        Error::Request { to: self.peer_addr(), failure: Failure::Broken(why.into()) }
    }

    fn malformed(&self, why: &str) -> Error {
        Error::Request { to: self.peer_addr(), failure: Failure::Malformed(why.into()) }
    }
}

/// What came out of received bytes.
enum Step<T> {
    More,
    Message(T),
    Close(Option<u16>),
    Bad(ws::Error),
}

/// A message that was received.
pub enum Data<'a> {
    /// In the buffer it was received in.
    Here(&'a [u8]),
    /// Put together of parts.
    Own(Bytes),
}

impl Data<'_> {
    /// The bytes, copied only if they are not their own already.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Data::Here(data) => Bytes::copy_from_slice(data),
            Data::Own(data) => data,
        }
    }
}

impl Deref for Data<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Data::Here(data) => data,
            Data::Own(data) => data,
        }
    }
}

/// Answers that are given while a message is looked at.
pub struct Answers<'a> {
    out: &'a mut BytesMut,
    outbox: &'a mut Outbox,
    deflater: &'a mut Option<Deflater>,
    masks: &'a Option<Masks>,
}

impl Answers<'_> {
    /// Queues a message; text has to be UTF-8.
    pub fn send(&mut self, kind: Kind, data: Data<'_>) {
        let mask = draw(self.masks);
        match (&mut self.deflater, data) {
            (Some(deflater), data) => deflater.write_message(self.out, kind, mask, &data),
            // Unmasked it goes out as it is.
            (None, Data::Own(data)) if mask.is_none() && data.len() >= HAND_OVER => {
                frame::write_message_header(self.out, kind, data.len());
                self.outbox.push(self.out.split().freeze());
                self.outbox.push(data);
            }
            (None, data) => frame::write_message(self.out, kind, mask, &data),
        }
    }
}

fn draw(masks: &Option<Masks>) -> Option<ws::Mask> {
    masks.as_ref().map(Masks::draw)
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("peer", &self.peer_addr()).finish_non_exhaustive()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        match self.stage {
            // What is queued leaves, with the close frame at its end.
            Stage::Open => self.close(code::GOING_AWAY, ""),
            Stage::Closing | Stage::Closed | Stage::Broken => {}
        }
        self.channel.shutdown();
    }
}
