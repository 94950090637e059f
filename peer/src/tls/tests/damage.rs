//! Bytes flipped and streams cut on the way, at many places.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use grenache_engine::{TcpListener, TcpStream, spawn_local, timeout};

use super::certificates::mutual;
use super::{HOST, simulate};
use crate::channel::Channel;
use crate::tls::{Acceptor, Connector};

/// What happens to one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    None,
    /// The byte at this place is another.
    Flip(usize),
    /// Nothing from this place on, but the end.
    Cut(usize),
}

/// Passes bytes on, with damage, until the end; says how many.
async fn pass(from: TcpStream, to: TcpStream, damage: Damage) -> usize {
    let mut place = 0;
    while let Ok(Some(bytes)) = from.recv().await {
        let mut bytes = bytes.to_vec();
        let here = place..place + bytes.len();
        place = here.end;
        match damage {
            Damage::Flip(at) if here.contains(&at) => bytes[at - here.start] ^= 0x11,
            Damage::Cut(at) if here.contains(&at) => {
                to.write(&bytes[..at - here.start]);
                break;
            }
            _ => {}
        }
        to.write(&bytes);
    }
    to.shutdown();
    place
}

/// Reads to the end.
async fn rest(channel: &Channel) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(bytes) = channel.recv().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// One question and one answer through the damage. What either side has read to the end, and how many
/// bytes went each way.
async fn converse(
    any: SocketAddr,
    client: &Connector,
    server: &Acceptor,
    [up, down]: [Damage; 2],
) -> ([Option<Vec<u8>>; 2], [usize; 2]) {
    let (near, outer) = super::pair(any).await;
    let listener = TcpListener::bind(any).expect("a free port");
    let inner = TcpStream::connect(listener.local_addr()).await.expect("a connection");
    let (far, _) = listener.accept().await.expect("the other end");
    let passing = [
        spawn_local(pass(outer.clone(), inner.clone(), up)),
        spawn_local(pass(inner, outer, down)),
    ];
    let acceptor = server.clone();
    let answering = spawn_local(async move {
        let channel = acceptor.accept(far).await.ok()?;
        let question = rest(&channel).await.ok()?;
        channel.write(&question);
        channel.shutdown();
        Some(question)
    });
    let asking = async {
        let channel = client.connect(near, HOST).await.ok()?;
        channel.write(&[7; 20_000]);
        channel.shutdown();
        rest(&channel).await.ok()
    };
    let limit = Duration::from_secs(60);
    let answer = timeout(limit, asking).await.unwrap_or_else(|_| panic!("{up:?} {down:?}: hangs"));
    let question = timeout(limit, answering).await.expect("it hangs").expect("no panic");
    let mut bytes = [0; 2];
    for (count, task) in bytes.iter_mut().zip(passing) {
        *count = timeout(limit, task).await.expect("it hangs").expect("no panic");
    }
    ([question, answer], bytes)
}

#[test]
fn damage_is_an_error_and_never_other_bytes() {
    simulate(|any| async move {
        let (client, server) = mutual();
        let server = Acceptor::new(&server).expect("settings");
        // A connector of its own each time: every handshake is a full one.
        let fresh = || Connector::new(&client).expect("settings");
        let whole = Some(vec![7; 20_000]);
        let (said, bytes) = converse(any, &fresh(), &server, [Damage::None; 2]).await;
        assert_eq!(said, [whole.clone(), whole.clone()]);
        let mut refused = 0;
        for (direction, length) in bytes.into_iter().enumerate() {
            let places = (0..length).step_by(13).take(220).chain(length - 30..length);
            for (damage, place) in places.enumerate() {
                let damage = if damage % 3 == 0 { Damage::Cut(place) } else { Damage::Flip(place) };
                let mut both = [Damage::None; 2];
                both[direction] = damage;
                let ([question, answer], _) = converse(any, &fresh(), &server, both).await;
                for said in [&question, &answer] {
                    assert!(said.is_none() || *said == whole, "{both:?}");
                }
                refused += usize::from(question.is_none() || answer.is_none());
            }
        }
        assert!(refused > 400, "only {refused} noticed");
    });
}
