//! Sockets for tests.

use super::*;
pub(super) use crate::Backoff;
pub(super) use crate::zeromq::{Settings, Socket, Stats};

/// Settings by which broken connections are noticed and made again at once.
pub(super) fn quick() -> Settings {
    Settings { retry: Backoff::from_millis(5, 20), ..Settings::default() }
}

pub(super) async fn until(socket: &Socket, wanted: impl Fn(&Stats) -> bool) -> Stats {
    let met = timeout(LONG / 2, socket.until(wanted)).await;
    met.unwrap_or_else(|_| panic!("{socket:?}, {:?}", socket.last_error()))
}

pub(super) async fn recv(socket: &Socket) -> Message {
    let received = timeout(LONG / 2, socket.recv()).await;
    received.unwrap_or_else(|_| panic!("nothing comes: {socket:?}")).expect("a message")
}

/// Waits until so many messages have come, taken or not.
pub(super) async fn until_received(socket: &Socket, count: u64) {
    let end = grenache_engine::now() + LONG;
    while socket.stats().received < count {
        assert!(grenache_engine::now() < end, "{socket:?}");
        grenache_engine::sleep(ms(1)).await;
    }
}
