//! Stands between ZeroMQ's clients and workers: what a REQ or DEALER asks at the front goes to one of the REPs, DEALERs or ROUTERs
//! behind, and the answer back to who has asked.
//!
//! `cargo run --release -p grenache-peer --example zmq_proxy -- 127.0.0.1:5559 127.0.0.1:5560 [--plain USER:PASSWORD]`
//!
//! The first line it prints is `front ADDR back ADDR`. With `--plain`, both sides let in that user alone. It stops by a signal.

use std::net::SocketAddr;
use std::rc::Rc;

use grenache_engine::signal::StopSignals;
use grenache_engine::{Core, Runtime, shutdown, spawn_local};
use grenache_peer::zeromq::{Gate, Settings, Socket, SocketType};

/// As in our binaries.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: zmq_proxy FRONT BACK [--plain USER:PASSWORD]";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let signals = StopSignals::block()?;
    let (mut tcp, mut settings) = (vec![], Settings::default());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--plain" {
            let login = arguments.next().ok_or(USAGE)?;
            let (user, password) = login.split_once(':').ok_or(USAGE)?;
            settings.gate = Gate::Plain([(user.to_owned(), password.to_owned())].into());
        } else {
            tcp.push(argument.parse::<SocketAddr>().map_err(|_| USAGE)?);
        }
    }
    if tcp.len() != 2 {
        return Err(USAGE.into());
    }
    let engine = grenache_engine::Config { tcp, name: "zmq_proxy".into(), ..Default::default() };
    let runtime = Runtime::start(engine, move |core| serve(core, settings.clone()))?;
    let [front, back] = *runtime.tcp_addrs() else { return Err("two addresses are bound".into()) };
    println!("front {front} back {back}");
    signals.stop(runtime.stopper())?;
    runtime.join()?;
    Ok(())
}

async fn serve(core: Core<()>, settings: Settings) {
    let types = [SocketType::Router, SocketType::Dealer];
    let sockets = types.map(|socket| Socket::new(socket, settings.clone()).map(Rc::new));
    let [Ok(front), Ok(back)] = sockets else { unreachable!("they have no identity") };
    for (listener, socket) in core.listeners.into_iter().zip([&front, &back]) {
        socket.bind(listener);
    }
    spawn_local(pass(front.clone(), back.clone()));
    spawn_local(pass(back, front));
    shutdown().await;
}

/// The asker's identity goes along, so that the answer finds the way back. While no worker has room, no more is taken.
async fn pass(from: Rc<Socket>, to: Rc<Socket>) {
    while let Ok(message) = from.recv().await {
        if let Err(error) = to.send(message).await {
            eprintln!("{error}");
        }
    }
}
