//! libzmq: request and reply, and publishing. libzmq adds a thread of its own for I/O to each program.

mod publish;
mod request_reply;

use std::net::{Ipv4Addr, SocketAddr};

use peers::Failure;
use zmq::Socket;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: peer-libzmq server | client <server's address> | publisher | subscriber <publisher's address> | version";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => request_reply::serve(),
        ["client", server] => request_reply::ask(server),
        ["publisher"] => publish::publish(),
        ["subscriber", publisher] => publish::listen(publisher),
        ["version"] => {
            let (major, minor, patch) = zmq::version();
            println!("{major}.{minor}.{patch}");
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

/// Binds to a port that is free.
fn bind(socket: &Socket) -> Result<SocketAddr, Failure> {
    socket.bind(&format!("tcp://{}:*", Ipv4Addr::LOCALHOST))?;
    let endpoint = socket.get_last_endpoint()?.map_err(|_| "an endpoint that is no text")?;
    Ok(endpoint.trim_start_matches("tcp://").parse()?)
}
