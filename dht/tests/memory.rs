//! What stored peers cost, counted at the allocator.

use core::net::Ipv4Addr;
use core::time::Duration;
use grenache_dht::{Config, Dht, NodeId};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const NOW: Duration = Duration::from_secs(1);
const PEERS: usize = 1_000_000;

/// Bytes on the heap per peer when a million peers are spread over some services.
fn bytes_per_peer(services: usize) -> usize {
    let before = HEAP.current_usage();
    let config = Config::new(NodeId::new([0; 20]), 20001, [1; 32], [2; 32]);
    let max_age = config.peer_max_age;
    let mut dht = Dht::new(config, NOW);
    for n in 0..PEERS {
        let key = format!("rest:service:{:07}", n % services);
        let ip = Ipv4Addr::from_bits(0x0a00_0000 + (n / services) as u32);
        dht.announce(NOW, key, 1337, ip).unwrap();
        while dht.poll_event().is_some() {}
    }
    assert_eq!((dht.stats().peers, dht.stats().services), (PEERS, services));
    let bytes = (HEAP.current_usage() - before) / PEERS;
    // When their time is up it is all given back.
    while let Some(at) = dht.poll_timeout().filter(|&at| at < NOW + 2 * max_age) {
        dht.handle_timeout(at);
    }
    assert_eq!((dht.stats().peers, dht.stats().services), (0, 0));
    assert!(HEAP.current_usage() - before < 1 << 20, "{} left", HEAP.current_usage() - before);
    bytes
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn a_million_peers_take_less_than_250_bytes_each() {
    for services in [10_000, PEERS] {
        let bytes = bytes_per_peer(services);
        println!("{services} services: {bytes} bytes per peer");
        assert!(bytes < 250, "{bytes} bytes per peer in {services} services");
    }
}
