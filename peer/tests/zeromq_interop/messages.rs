//! Messages of any number of parts and any size, both ways.

use grenache_transports::zmtp::{Side, SocketType};

use crate::message::Generated;
use crate::ours::Wire;
use crate::peer::{Language, Peer};
use crate::security::Security;

const MIB: usize = 1024 * 1024;

/// How many parts, and how large.
fn shapes() -> Vec<(usize, usize)> {
    let sizes = [0, 1, 255, 256, 64 * 1024];
    let many = [1, 2, 3, 10, 100].into_iter().flat_map(|parts| sizes.map(|size| (parts, size)));
    // A message has at most 64 MiB, unless it is configured otherwise.
    many.chain([(1, 10 * MIB), (2, 10 * MIB), (3, 10 * MIB)]).collect()
}

#[test]
fn in_clear() {
    both_ways(Security::Null, Side::Connect);
}

#[test]
fn encrypted_by_a_client() {
    both_ways(Security::CurveClient, Side::Connect);
}

#[test]
fn encrypted_by_a_server() {
    both_ways(Security::CurveServer, Side::Bind);
}

fn both_ways(security: Security, side: Side) {
    for language in Language::BOTH {
        let dealer = security.theirs(Peer::start(language).socket("DEALER"));
        let (mut wire, socket) = Wire::open(side, SocketType::Dealer, security.ours(side), dealer);
        for (seed, (parts, size)) in (0..).zip(shapes()) {
            println!("{language:?}: {parts} parts of {size} bytes");
            let generated = Generated { parts, size, seed };
            let made = generated.make();
            socket.send_generated(&[""; 0], generated);
            assert!(wire.receive() == made, "{parts} parts of {size} bytes come as they were");
            wire.send(&made);
            assert_eq!(socket.receive(), made);
        }
    }
}
