//! A TLS connection.

use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::{RecvBuf, TcpStream, timeout};

use super::{Certificate, Error};

/// Plaintext handed to the session at once, so that only so much of it is in memory as records
/// beside the engine's queue.
const PIECE: usize = 64 * 1024;
/// A connection keeps the buffer of its last plaintext for the next up to this many bytes.
const KEEP: usize = 4 * 1024;

/// A connection whose handshake is done. Clones are the same connection; when the last one is
/// dropped, the peer is told so (`close_notify`) before it closes.
///
/// At most one receive buffer and one record are in memory as plaintext: the next bytes are decrypted
/// when the last are asked for, so a reader that rests holds up the peer as on plain connections.
#[derive(Clone)]
pub struct Stream {
    shared: Rc<Shared>,
}

struct Shared {
    tcp: TcpStream,
    session: RefCell<Session>,
    certificate: Option<Rc<Certificate>>,
}

impl Stream {
    /// Goes through the handshake on a connection of which nothing but `received` was read, within `limit`.
    pub(super) async fn handshake(
        tcp: TcpStream,
        session: rustls::Connection,
        received: Option<RecvBuf>,
        limit: Duration,
    ) -> Result<Self, Error> {
        let mut session = Session::new(session);
        match timeout(limit, session.handshake(&tcp, received)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                // The alert leaves first, so that the peer can say why, too.
                session.flush(&tcp);
                tcp.shutdown();
                return Err(error);
            }
            Err(_) => {
                tcp.abort();
                return Err(Error::Timeout(limit));
            }
        }
        let shown = session.tls.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(|der| Rc::new(Certificate::new(der.clone())));
        let session = RefCell::new(session);
        Ok(Self { shared: Rc::new(Shared { tcp, session, certificate }) })
    }

    pub(crate) fn poll_recv(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<BytesMut>>> {
        let Shared { tcp, session, .. } = &*self.shared;
        loop {
            let mut session = session.borrow_mut();
            if let Some(plaintext) = session.take_plaintext() {
                return Poll::Ready(Ok(Some(plaintext)));
            }
            if let Some(error) = &session.failed {
                return Poll::Ready(Err(error.clone().into()));
            }
            if session.peer_closed {
                return Poll::Ready(Ok(None));
            }
            match ready!(tcp.poll_recv(context))? {
                Some(data) => {
                    let outcome = session.receive(&data);
                    session.flush(tcp);
                    if let Err(error) = outcome {
                        session.failed = Some(error);
                        tcp.shutdown();
                    }
                }
                None => session.failed = Some(Error::Truncated),
            }
        }
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        self.shared.session.borrow_mut().write(bytes, &self.shared.tcp);
    }

    pub(crate) fn shutdown(&self) {
        self.shared.session.borrow_mut().close(&self.shared.tcp);
        self.shared.tcp.shutdown();
    }

    /// # Errors
    /// Why the session has ended before its time.
    pub(crate) fn intact(&self) -> io::Result<()> {
        let failed = self.shared.session.borrow().failed.clone();
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.shared.tcp
    }

    pub(crate) fn certificate(&self) -> Option<&Rc<Certificate>> {
        self.shared.certificate.as_ref()
    }

    /// Whether the handshake took up an earlier session.
    #[cfg(test)]
    pub(crate) fn resumed(&self) -> bool {
        self.shared.session.borrow().tls.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.session.get_mut().close(&self.tcp);
    }
}

/// The session and what it has decrypted.
struct Session {
    tls: rustls::Connection,
    plaintext: BytesMut,
    peer_closed: bool,
    closed: bool,
    failed: Option<Error>,
}

impl Session {
    fn new(mut tls: rustls::Connection) -> Self {
        // What is written is handed to the engine at once, which has bounds of its own.
        tls.set_buffer_limit(None);
        let plaintext = BytesMut::new();
        Self { tls, plaintext, peer_closed: false, closed: false, failed: None }
    }

    async fn handshake(&mut self, tcp: &TcpStream, received: Option<RecvBuf>) -> Result<(), Error> {
        if let Some(data) = received {
            self.receive(&data)?;
        }
        loop {
            self.flush(tcp);
            if !self.tls.is_handshaking() {
                return Ok(());
            }
            match tcp.recv().await {
                Ok(Some(data)) => self.receive(&data)?,
                Ok(None) => return Err(Error::Truncated),
                Err(error) => return Err(Error::Broken(error.kind(), error.to_string())),
            }
        }
    }

    /// Takes bytes from the connection; their plaintext is added to `plaintext`.
    fn receive(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() && !self.peer_closed {
            let taken =
                self.tls.read_tls(&mut data).map_err(|error| Error::Protocol(error.to_string()))?;
            let outcome = self.tls.process_new_packets();
            let mut reader = self.tls.reader();
            while let Ok(chunk) = reader.fill_buf()
                && !chunk.is_empty()
            {
                self.plaintext.extend_from_slice(chunk);
                let length = chunk.len();
                reader.consume(length);
            }
            match outcome {
                Ok(state) => self.peer_closed = state.peer_has_closed(),
                Err(error) => return Err(Error::explain(error, &self.tls)),
            }
            if taken == 0 && !self.peer_closed {
                return Err(Error::Protocol("a record of an impossible length".into()));
            }
        }
        Ok(())
    }

    fn take_plaintext(&mut self) -> Option<BytesMut> {
        if self.plaintext.is_empty() {
            return None;
        }
        if self.plaintext.capacity() > KEEP {
            return Some(std::mem::take(&mut self.plaintext));
        }
        Some(self.plaintext.split())
    }

    fn write(&mut self, bytes: &[u8], tcp: &TcpStream) {
        if self.closed || self.failed.is_some() {
            return;
        }
        for piece in bytes.chunks(PIECE) {
            // It refuses only when the session has failed: then bytes vanish as on plain connections.
            if self.tls.writer().write_all(piece).is_err() {
                return;
            }
            self.flush(tcp);
        }
    }

    fn close(&mut self, tcp: &TcpStream) {
        if !self.closed && self.failed.is_none() {
            self.closed = true;
            self.tls.send_close_notify();
            self.flush(tcp);
        }
    }

    /// Hands the records that are ready to the engine.
    fn flush(&mut self, tcp: &TcpStream) {
        while self.tls.wants_write() {
            let Ok(1..) = self.tls.write_tls(&mut Wire(tcp)) else { return };
        }
    }
}

/// Where records go: straight into the engine's queue.
struct Wire<'a>(&'a TcpStream);

impl Write for Wire<'_> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.write(record);
        Ok(record.len())
    }

    fn write_vectored(&mut self, records: &[io::IoSlice<'_>]) -> io::Result<usize> {
        records.iter().try_fold(0, |sum, record| Ok(sum + self.write(record)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
