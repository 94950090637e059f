use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use grenache_transports::http::client::Start;
use grenache_transports::ws::handshake::{Answer, Key, write_request};

/// A connection after its handshake, which does not block.
pub(super) fn shake_hands(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let (host, key) = (addr.to_string(), Key::new([1; 16]));
    let start = Start::new("GET", "/ws", &host).map_err(io::Error::other)?;
    let mut request = BytesMut::new();
    write_request(&mut request, start, &key, false, &[]);
    stream.write_all(&request)?;
    let mut answer = Answer::new(&key, None, false);
    loop {
        // Byte by byte, so that no frame behind the head is taken.
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        if answer.receive(&mut &mut byte[..]).map_err(io::Error::other)?.is_some() {
            stream.set_nonblocking(true)?;
            return Ok(stream);
        }
    }
}
