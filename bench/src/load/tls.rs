use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, version};

use super::{Outcome, Post, STALL};

/// A client of TLS 1.3 that trusts `ca.pem` of `folder` alone and shows the certificate there, `cert.pem` and `key.pem`.
pub fn client_config(folder: &Path, resume: bool) -> io::Result<Arc<ClientConfig>> {
    let pem = |error| io::Error::other(format!("{}: {error}", folder.display()));
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(folder.join("ca.pem")).map_err(pem)?;
    roots.add(authority).map_err(io::Error::other)?;
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).map_err(pem)?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).map_err(pem)?;
    let mut config = ClientConfig::builder_with_protocol_versions(&[&version::TLS13])
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// Makes a TLS session of a connection that blocks.
pub(super) fn handshake(
    stream: &mut (impl Read + Write),
    addr: SocketAddr,
    config: &Arc<ClientConfig>,
) -> io::Result<ClientConnection> {
    let name = ServerName::from(addr.ip());
    let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(stream)?;
    }
    Ok(session)
}

/// Opens one TLS connection after another for `window`, with one request on each; how many there were, and how many of
/// them resumed a session.
pub fn handshakes(
    addr: SocketAddr,
    config: &Arc<ClientConfig>,
    post: &Post,
    window: Duration,
) -> io::Result<(Outcome, u64)> {
    let start = Instant::now();
    let (mut outcome, mut resumed) = (Outcome::default(), 0);
    let mut answer = [0; 16 * 1024];
    while start.elapsed() < window {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = Awake(stream);
        let mut session = handshake(&mut stream, addr, config)?;
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        tls.write_all(&post.request)?;
        let mut length = 0;
        while post.answered_by(&answer[..length])?.is_none() {
            match tls.read(&mut answer[length..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => length += count,
            }
        }
        outcome.requests += 1;
        resumed += u64::from(session.handshake_kind() == Some(HandshakeKind::Resumed));
        session.send_close_notify();
        session.write_tls(&mut stream)?;
    }
    outcome.elapsed = start.elapsed();
    Ok((outcome, resumed))
}

/// A socket that is asked again and again instead of waited for, so that the server has nobody to wake.
struct Awake(TcpStream);

impl Awake {
    fn insist(
        &mut self,
        mut attempt: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let start = Instant::now();
        loop {
            match attempt(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && start.elapsed() < STALL => {}
                done => return done,
            }
        }
    }
}

impl Read for Awake {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.insist(|stream| stream.read(into))
    }
}

impl Write for Awake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.insist(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, plain or with TLS.
pub(super) struct Stream {
    socket: mio::net::TcpStream,
    session: Option<Box<ClientConnection>>,
}

impl Stream {
    pub(super) fn new(socket: mio::net::TcpStream, session: Option<ClientConnection>) -> Self {
        Self { socket, session: session.map(Box::new) }
    }

    pub(super) fn socket(&mut self) -> &mut mio::net::TcpStream {
        &mut self.socket
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            Some(session) => rustls::Stream::new(&mut **session, &mut self.socket).read(into),
            None => self.socket.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            Some(session) => rustls::Stream::new(&mut **session, &mut self.socket).write(bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
