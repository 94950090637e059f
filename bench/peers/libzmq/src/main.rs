//! libzmq as grenache-nodejs-zmq used it: a ROUTER that answers the frames rid, key and payload with rid and result, and a
//! DEALER that asks it. libzmq adds a thread of its own for I/O to each.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process;
use std::time::Instant;

use peers::{Failure, Order, Tally};
use zmq::{Context, Message, SNDMORE, Socket, SocketType};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: &str = "rest:bench:rpc";

/// A UUID takes so many characters.
const RID: usize = 36;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server"] => serve(),
        ["client", server] => {
            let socket = socket(SocketType::DEALER)?;
            socket.set_identity(&uuid(process::id().into(), 0))?;
            socket.set_rcvtimeo(peers::TIMEOUT.as_millis() as i32)?;
            socket.connect(&format!("tcp://{server}"))?;
            peers::take_orders(|order| run(order, &socket))
        }
        ["version"] => {
            let (major, minor, patch) = zmq::version();
            println!("{major}.{minor}.{patch}");
            Ok(())
        }
        _ => Err("usage: peer-libzmq server | client <server's address> | version".into()),
    }
}

/// A socket that never waits for the other side to take messages, nor at the end for them to leave.
fn socket(kind: SocketType) -> Result<Socket, Failure> {
    let socket = Context::new().socket(kind)?;
    socket.set_sndhwm(0)?;
    socket.set_rcvhwm(0)?;
    socket.set_linger(0)?;
    Ok(socket)
}

fn serve() -> Result<(), Failure> {
    let socket = socket(SocketType::ROUTER)?;
    socket.bind(&format!("tcp://{}:*", Ipv4Addr::LOCALHOST))?;
    let endpoint = socket.get_last_endpoint()?.map_err(|_| "an endpoint that is no text")?;
    peers::listening(endpoint.trim_start_matches("tcp://").parse()?)?;
    let mut key = Message::new();
    loop {
        let (identity, rid) = (socket.recv_msg(0)?, socket.recv_msg(0)?);
        socket.recv(&mut key, 0)?;
        let payload = socket.recv_msg(0)?;
        if &*key != KEY.as_bytes() || payload.get_more() {
            return Err("a request is rid, key and payload".into());
        }
        socket.send(identity, SNDMORE)?;
        socket.send(rid, SNDMORE)?;
        socket.send(payload, 0)?;
    }
}

fn run(order: Order, socket: &Socket) -> Result<Tally, Failure> {
    let mut tally = Tally::new(order);
    // The rid and time of what is in flight; the end of a rid tells its place here.
    let mut asked = Vec::with_capacity(order.flying);
    for place in 0..order.flying {
        asked.push(ask(socket, 0, place)?);
    }
    let (mut rid, mut result) = (Message::new(), Message::new());
    let (mut count, mut left) = (0, order.flying);
    while left > 0 {
        socket.recv(&mut rid, 0)?;
        socket.recv(&mut result, 0)?;
        let place =
            place(&rid).filter(|&place| asked.get(place).is_some_and(|(id, _)| rid[..] == id[..]));
        let place =
            place.filter(|_| !result.get_more()).ok_or("a reply to nothing that was asked")?;
        peers::check(&result)?;
        if tally.answered(asked[place].1) {
            count += 1;
            asked[place] = ask(socket, count, place)?;
        } else {
            left -= 1;
        }
    }
    Ok(tally)
}

fn ask(socket: &Socket, count: u64, place: usize) -> Result<([u8; RID], Instant), Failure> {
    let (rid, now) = (uuid(count, place), Instant::now());
    socket.send(&rid[..], SNDMORE)?;
    socket.send(KEY, SNDMORE)?;
    socket.send(peers::HELLO, 0)?;
    Ok((rid, now))
}

/// `count` and `place` in the form of a UUID; no two requests in flight have the same.
fn uuid(count: u64, place: usize) -> [u8; RID] {
    let mut text = [0; RID];
    write!(&mut text[..], "{:08x}-0000-4000-8000-{place:012x}", count as u32).expect("it fits");
    text
}

/// The place in a UUID made by [`uuid`].
fn place(rid: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(rid.get(RID - 12..)?).ok()?, 16).ok()
}
