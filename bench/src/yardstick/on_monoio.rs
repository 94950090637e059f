//! Echo on monoio, its ring built with SINGLE_ISSUER, COOP_TASKRUN and DEFER_TASKRUN.

use std::future::Future;
use std::io;
use std::rc::Rc;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::udp::UdpSocket;
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};

use super::MESSAGE;

/// Receives kept waiting on the UDP socket: monoio has no multishot receive, so one alone would mean a system call per
/// datagram.
const UDP_RECEIVES: usize = 32;

fn run(echo: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let mut ring = monoio_io_uring::IoUring::builder();
    ring.setup_single_issuer().setup_coop_taskrun().setup_defer_taskrun();
    RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring).build()?.block_on(echo)
}

pub(super) fn tcp(listener: std::net::TcpListener) -> io::Result<()> {
    run(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(stream_echo(stream));
        }
    })
}

async fn stream_echo(mut stream: TcpStream) {
    let mut buffer = Vec::with_capacity(MESSAGE);
    loop {
        let (received, filled) = stream.read(buffer).await;
        let (sent, filled) = match received {
            Ok(1..) => stream.write_all(filled).await,
            _ => return,
        };
        if sent.is_err() {
            return;
        }
        buffer = filled;
        buffer.clear();
    }
}

pub(super) fn udp(socket: std::net::UdpSocket) -> io::Result<()> {
    run(async {
        let socket = Rc::new(UdpSocket::from_std(socket)?);
        for _ in 1..UDP_RECEIVES {
            monoio::spawn(datagram_echo(socket.clone()));
        }
        datagram_echo(socket).await
    })
}

async fn datagram_echo(socket: Rc<UdpSocket>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(MESSAGE);
    loop {
        let (received, filled) = socket.recv_from(buffer).await;
        let (_, from) = received?;
        let (sent, filled) = socket.send_to(filled, from).await;
        sent?;
        buffer = filled;
        buffer.clear();
    }
}
