//! fastwebsockets on tokio: sends every message back as it came.
//!
//! Its own example takes the connection from hyper, boxed. Here the handshake is made by hand and the frames go straight to the
//! socket, which is the fastest it can be had; the rest is as in the example: one thread, tasks that do not yield on their own.

use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
use peers::Failure;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Failure> {
    peers::current_thread()?.block_on(serve())
}

async fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    peers::listening(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that breaks is its client's affair.
        tokio::spawn(tokio::task::unconstrained(async move { drop(echo(stream).await) }));
    }
}

async fn echo(mut stream: TcpStream) -> Result<(), Failure> {
    shake_hands(&mut stream).await?;
    let socket = WebSocket::after_handshake(stream, Role::Server);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

/// The load driver sends the request at once and nothing after it before the answer.
async fn shake_hands(stream: &mut TcpStream) -> Result<(), Failure> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("closed in the middle of the handshake".into());
        }
    }
    let head = String::from_utf8(head)?;
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let key = key.ok_or("no key")?;
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        STANDARD.encode(digest)
    );
    Ok(stream.write_all(answer.as_bytes()).await?)
}
