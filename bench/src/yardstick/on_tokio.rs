//! Echo on tokio's current-thread runtime.

use std::future::Future;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::LocalSet;

use super::MESSAGE;

fn run(echo: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, echo)
}

pub(super) fn tcp(listener: std::net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    run(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(stream_echo(stream));
        }
    })
}

async fn stream_echo(mut stream: TcpStream) {
    let mut buffer = [0; MESSAGE];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

pub(super) fn udp(socket: std::net::UdpSocket) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    run(async {
        let socket = UdpSocket::from_std(socket)?;
        let mut buffer = [0; MESSAGE];
        loop {
            let (count, from) = socket.recv_from(&mut buffer).await?;
            socket.send_to(&buffer[..count], from).await?;
        }
    })
}
