//! Random traffic written by one side and read by the other, however it is cut.

use bytes::BytesMut;
use core::time::Duration;
use grenache_transports::zmtp::curve::SecretKey;
use grenache_transports::zmtp::{Mechanism, Side, SocketType};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::curve::Pair;
use crate::replay::{Ours, Out};
use crate::wire;

fn mechanisms() -> [[fn() -> Mechanism; 2]; 3] {
    [
        [|| Mechanism::null(Side::Bind), || Mechanism::null(Side::Connect)],
        [Mechanism::plain_server, || Mechanism::plain_client(b"u", b"p").unwrap()],
        [
            || Mechanism::curve_server(SecretKey::new([1; 32]).into(), [3; 96]),
            || {
                let server = SecretKey::new([1; 32]);
                let server = grenache_transports::zmtp::curve::KeyPair::from(server).public;
                Mechanism::curve_client(server, SecretKey::new([2; 32]).into(), [4; 96])
            },
        ],
    ]
}

/// Cuts at random.
fn parts<'i>(rng: &mut StdRng, mut rest: &'i [u8]) -> Vec<&'i [u8]> {
    let largest = [1, 3, 40, 400, 4000][rng.random_range(0..5)];
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rng.random_range(1..=largest.min(rest.len())));
        parts.push(part);
        rest = after;
    }
    parts
}

fn bytes(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; [0, 1, 40, 255, 256, 3000][rng.random_range(0..6)]];
    rng.fill_bytes(&mut bytes);
    bytes
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut rng = StdRng::seed_from_u64(1);
    for round in 0..300 {
        for mechanisms in mechanisms() {
            let sockets = [
                [SocketType::Router, SocketType::Dealer],
                [SocketType::Xpub, SocketType::Xsub],
                [SocketType::Sub, SocketType::Pub],
            ][rng.random_range(0..3)];
            let ours = [0, 1].map(|side: usize| Ours::secured(sockets[side], mechanisms[side]));
            let mut pair = Pair::new(ours.clone());
            pair.run();
            let before = pair.out[0].len();
            let mut expected = Vec::new();
            let (connection, _) = pair.side(1);
            let mut sent = BytesMut::new();
            for _ in 0..rng.random_range(1..20) {
                match rng.random_range(0..4) {
                    0 if sockets[0] == SocketType::Xpub => {
                        let prefix = bytes(&mut rng);
                        connection.subscribe(&prefix, &mut sent).unwrap();
                        expected.push(Out::Subscribe(prefix.clone()));
                        connection.cancel(&prefix, &mut sent).unwrap();
                        expected.push(Out::Cancel(prefix));
                    }
                    1 => {
                        let tenths = rng.random_range(0..=u64::from(u16::MAX));
                        let ttl = Duration::from_millis(tenths * 100);
                        assert_eq!(connection.ping(ttl, &mut sent), Ok(true));
                        expected.push(Out::Ping(ttl));
                    }
                    _ => {
                        let count = [1, 2, 3, 30][rng.random_range(0..4)];
                        // More than one, so that nothing is taken for a subscription.
                        let count = if sockets[0] == SocketType::Xpub { count + 1 } else { count };
                        let message: Vec<_> = (0..count).map(|_| bytes(&mut rng)).collect();
                        let slices: Vec<_> = message.iter().map(|part| &part[..]).collect();
                        connection.send(&slices, &mut sent).unwrap();
                        expected.push(Out::Message(message));
                    }
                }
            }
            let all = [&pair.given[0][..], &sent].concat();
            let out = ours[0].replay(parts(&mut rng, &all)).0;
            assert_eq!(out[before..], expected, "round {round}");
        }
    }
}

#[test]
fn a_broken_byte_gives_the_same_however_it_is_cut() {
    let mut rng = StdRng::seed_from_u64(2);
    let config = grenache_transports::zmtp::Config {
        max_frame: 300,
        max_parts: 4,
        max_message: 400,
        max_command: 60,
        max_properties: 3,
        ..Default::default()
    };
    for round in 0..3000 {
        let publisher = rng.random();
        let (ours, peer) =
            if publisher { (SocketType::Xpub, "SUB") } else { (SocketType::Router, "DEALER") };
        let ours = Ours::bound(ours).with(config);
        let mut said = wire::hello(peer);
        for _ in 0..8 {
            let part = vec![rng.random_range(0..3); [0, 1, 2, 100, 256][rng.random_range(0..5)]];
            said.extend(match rng.random_range(0..6) {
                0 => wire::command("PING", &part[..part.len().min(2)]),
                1 => wire::command("SUBSCRIBE", &part[..part.len().min(40)]),
                2 => wire::frame(1, &part, rng.random()),
                _ => wire::frame(0, &part, rng.random()),
            });
        }
        for _ in 0..rng.random_range(0..3) {
            let at = rng.random_range(0..said.len());
            let byte = b"\0\x01\x02\x04\x05\x08\xff"[rng.random_range(0..7)];
            match rng.random_range(0..3) {
                0 => said[at] = byte,
                1 => said.insert(at, byte),
                _ => drop(said.remove(at)),
            }
        }
        let whole = ours.replay([&said[..]]);
        assert_eq!(ours.replay(said.chunks(1)), whole, "round {round}");
        assert_eq!(ours.replay(parts(&mut rng, &said)), whole, "round {round}");
    }
}
