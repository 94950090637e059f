//! A publisher that publishes as fast as its subscribers take it, and a subscriber that counts.
//!
//! The publisher is an XPUB, which is a PUB that is told of its subscribers. It takes orders as `grenache_bench`'s does, `feed <ms>
//! <bytes>`, awaits a subscriber first, and ends a window by an empty message. At its high-water mark it waits instead of
//! dropping, so nothing is lost. The subscriber says how many messages came before each empty one.

use std::ffi::c_int;
use std::io;
use std::time::{Duration, Instant};

use peers::Failure;
use zmq::{Context, Message, Socket, SocketType};

use crate::bind;

/// Messages that wait for the other side at most: a megabyte of small ones. The default, 1000, has threads wake each other for
/// every 500.
const HIGH_WATER: i32 = 16 * 1024;

/// What a subscription begins with; its end is a 0.
const SUBSCRIBED: u8 = 1;

/// Publishes what it is ordered to.
pub(crate) fn publish() -> Result<(), Failure> {
    let mut socket = socket(SocketType::XPUB)?;
    socket.set_rcvtimeo(peers::TIMEOUT.as_millis() as i32)?;
    never_drop(&mut socket)?;
    let addr = bind(&socket)?;
    peers::say(&format!(r#"{{"listening":"{addr}"}}"#))?;
    let mut subscribers = 0;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let ["feed", millis, bytes] = words[..] else {
            return Err(format!("what is {line:?}? An order reads: feed <ms> <bytes>").into());
        };
        let (window, message) =
            (Duration::from_millis(millis.parse()?), vec![b'x'; bytes.parse()?]);
        await_subscriber(&socket, &mut subscribers)?;
        let start = Instant::now();
        let mut published = 0_u64;
        while start.elapsed() < window {
            // A look at the clock for each would be a part of what is measured.
            for _ in 0..16 {
                socket.send(&message[..], 0)?;
                published += 1;
            }
        }
        socket.send(&[][..], 0)?;
        peers::say(&format!(r#"{{"published":{published}}}"#))?;
    }
    Ok(())
}

/// Listens to all, and tells what it has heard.
pub(crate) fn listen(publisher: &str) -> Result<(), Failure> {
    let socket = socket(SocketType::SUB)?;
    socket.set_subscribe(b"")?;
    socket.connect(&format!("tcp://{publisher}"))?;
    peers::end_with_input();
    peers::say(r#"{"ready":true}"#)?;
    let mut message = Message::new();
    loop {
        socket.recv(&mut message, 0)?;
        let (start, mut heard) = (Instant::now(), 0_u64);
        while !message.is_empty() {
            heard += 1;
            socket.recv(&mut message, 0)?;
        }
        let elapsed = start.elapsed().as_nanos();
        peers::say(&format!(r#"{{"heard":{heard},"elapsed":{elapsed}}}"#))?;
    }
}

/// A socket that gives up sending after a while if the other side takes nothing, and waits at the end for nobody.
fn socket(kind: SocketType) -> Result<Socket, Failure> {
    let socket = Context::new().socket(kind)?;
    socket.set_sndhwm(HIGH_WATER)?;
    socket.set_rcvhwm(HIGH_WATER)?;
    socket.set_sndtimeo(peers::TIMEOUT.as_millis() as i32)?;
    socket.set_linger(0)?;
    Ok(socket)
}

/// Has an XPUB wait at its high-water mark, an option that the crate zmq does not have.
fn never_drop(socket: &mut Socket) -> Result<(), Failure> {
    let (on, size): (c_int, _) = (1, size_of::<c_int>());
    let (socket, option) = (socket.as_mut_ptr(), zmq_sys::ZMQ_XPUB_NODROP as c_int);
    // SAFETY: the socket is open as long as it is borrowed, and the value has the size that is given.
    let done = unsafe { zmq_sys::zmq_setsockopt(socket, option, (&raw const on).cast(), size) };
    if done == 0 { Ok(()) } else { Err("libzmq does not know ZMQ_XPUB_NODROP".into()) }
}

/// Takes what was said of subscriptions, and waits while there is none.
fn await_subscriber(socket: &Socket, subscribers: &mut usize) -> Result<(), Failure> {
    loop {
        let flags = if *subscribers == 0 { 0 } else { zmq::DONTWAIT };
        match socket.recv_bytes(flags) {
            Ok(said) if said.first() == Some(&SUBSCRIBED) => *subscribers += 1,
            Ok(_) => *subscribers = subscribers.saturating_sub(1),
            Err(zmq::Error::EAGAIN) if *subscribers > 0 => return Ok(()),
            Err(error) => return Err(format!("nobody subscribes: {error}").into()),
        }
    }
}
