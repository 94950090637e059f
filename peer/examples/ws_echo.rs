//! Sends every WebSocket message back as it came: for conformance suites and for comparing.
//!
//! `cargo run --release -p grenache-peer --example ws_echo -- 127.0.0.1:9001 [--deflate] [--tls-cert FILE --tls-key FILE]`
//!
//! The first line it prints is `listening ADDR`. It stops by a signal.

use std::net::SocketAddr;
use std::rc::Rc;

use grenache_engine::signal::StopSignals;
use grenache_engine::{Core, Limits, Runtime, TcpStream, shutdown, spawn_local};
use grenache_peer::Error;
use grenache_peer::tls::{Acceptor, Identity, ServerTls};
use grenache_peer::websocket::{Config, Socket};

/// As in our binaries.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let signals = StopSignals::block()?;
    let (mut addr, mut certificate, mut key) = (None, None, None);
    // Messages of up to 64 MB, which is the default.
    let mut config = Config::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--deflate" => config.deflate = true,
            "--tls-cert" => certificate = arguments.next(),
            "--tls-key" => key = arguments.next(),
            _ => addr = Some(argument.parse::<SocketAddr>().map_err(|_| usage())?),
        }
    }
    let tls = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Some(Acceptor::new(&ServerTls::new(Identity::from_files(certificate, key)?))?)
        }
        (None, None) => None,
        _ => return Err(usage().into()),
    };
    let tcp = vec![addr.ok_or_else(usage)?];
    // Buffers that hold a message of 16 KiB: those that lie whole in one are sent back from there.
    let limits = Limits { tcp_buffer_size: 32 * 1024, tcp_buffers: 64, ..Limits::default() };
    let engine =
        grenache_engine::Config { tcp, limits, name: "ws_echo".into(), ..Default::default() };
    let runtime = Runtime::start(engine, move |core| serve(core, config.clone(), tls.clone()))?;
    println!("listening {}", runtime.tcp_addrs()[0]);
    signals.stop(runtime.stopper())?;
    runtime.join()?;
    Ok(())
}

fn usage() -> String {
    "usage: ws_echo ADDR [--deflate] [--tls-cert FILE --tls-key FILE]".into()
}

async fn serve(core: Core<()>, config: Config, tls: Option<Acceptor>) {
    let (config, tls) = (Rc::new(config), Rc::new(tls));
    for listener in core.listeners {
        let (config, tls) = (config.clone(), tls.clone());
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, tls) = (config.clone(), tls.clone());
                spawn_local(async move {
                    // The peer has been told, and nobody else needs to know.
                    let _ = echo(stream, &config, tls.as_ref().as_ref()).await;
                });
            }
        });
    }
    shutdown().await;
}

async fn echo(stream: TcpStream, config: &Config, tls: Option<&Acceptor>) -> Result<(), Error> {
    let mut socket = Socket::accept(stream, config, tls).await?;
    // A message is sent back from where it was received.
    while let Some(()) = socket.recv_with(|kind, data, answers| answers.send(kind, data)).await? {
        // Whoever does not read gets no more.
        socket.ready().await?;
    }
    Ok(())
}
