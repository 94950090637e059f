//! As grenache-nodejs-zmq used it: a ROUTER that answers the frames rid, key and payload with rid and result, and a DEALER that
//! asks it.

use std::io::Write;
use std::process;
use std::time::Instant;

use peers::{Failure, Order, Tally};
use zmq::{Context, Message, SNDMORE, Socket, SocketType};

use crate::bind;

const KEY: &str = "rest:bench:rpc";

/// Digits of an id, and those before the place of its request.
const RID: usize = 40;
const PLACE: usize = 28;

/// A socket that never waits for the other side to take messages, nor at the end for them to leave.
fn socket(kind: SocketType) -> Result<Socket, Failure> {
    let socket = Context::new().socket(kind)?;
    socket.set_sndhwm(0)?;
    socket.set_rcvhwm(0)?;
    socket.set_linger(0)?;
    Ok(socket)
}

/// Asks what it is ordered to.
pub(crate) fn ask(server: &str) -> Result<(), Failure> {
    let socket = socket(SocketType::DEALER)?;
    socket.set_identity(&rid(process::id().into(), 0))?;
    socket.set_rcvtimeo(peers::TIMEOUT.as_millis() as i32)?;
    socket.connect(&format!("tcp://{server}"))?;
    peers::take_orders(|order| run(order, &socket))
}

/// Answers.
pub(crate) fn serve() -> Result<(), Failure> {
    let socket = socket(SocketType::ROUTER)?;
    peers::listening(bind(&socket)?)?;
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
        asked.push(send(socket, 0, place)?);
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
            asked[place] = send(socket, count, place)?;
        } else {
            left -= 1;
        }
    }
    Ok(tally)
}

fn send(socket: &Socket, count: u64, place: usize) -> Result<([u8; RID], Instant), Failure> {
    let (rid, now) = (rid(count, place), Instant::now());
    socket.send(&rid[..], SNDMORE)?;
    socket.send(KEY, SNDMORE)?;
    socket.send(peers::HELLO, 0)?;
    Ok((rid, now))
}

/// `count` and `place` in as many digits as an id has; no two requests in flight have the same.
fn rid(count: u64, place: usize) -> [u8; RID] {
    let mut text = [0; RID];
    write!(&mut text[..], "{count:0PLACE$x}{place:0width$x}", width = RID - PLACE)
        .expect("it fits");
    text
}

/// The place in an id made by [`rid`].
fn place(rid: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(rid.get(PLACE..)?).ok()?, 16).ok()
}
