//! KRPC messages: whatever parses is within its limits, borrows from the datagram, and a node that gets
//! it does not send more than one answer.
#![no_main]

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use grenache_dht::krpc::{self, Body, MAX_TRANSACTION};
use grenache_dht::{Config, Dht, NodeId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    if let Ok(message) = krpc::parse(datagram) {
        assert!(message.transaction.len() <= MAX_TRANSACTION);
        if let Body::Response(fields) | Body::Query(_, Some(fields)) = &message.body {
            assert!(fields.peers().count() <= datagram.len() / 8);
        }
        for cut in 0..datagram.len().min(300) {
            assert!(krpc::parse(&datagram[..cut]).is_err());
        }
    }
    let mut config = Config::new(NodeId::new([7; 20]), 20001, [1; 32], [2; 32]);
    config.shards = 4;
    let max_answer = config.max_answer;
    let mut dht = Dht::new(config, Duration::ZERO);
    dht.route(datagram);
    dht.receive(Duration::ZERO, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), datagram);
    if let Some(answer) = dht.poll_transmit() {
        assert!(krpc::parse(answer.payload).is_ok());
        assert!(answer.payload.len() <= max_answer);
    }
    assert!(dht.poll_transmit().is_none());
});
