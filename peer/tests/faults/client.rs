//! Our client against one address.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grenache_peer::handle::Config;
use grenache_peer::{Asked, Call, Error, Handle, Json};

/// A time-out that no test reaches unless it waits for it.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A client that needs no grape.
pub(crate) fn start() -> Handle {
    start_with(Config::default())
}

pub(crate) fn start_with(config: Config) -> Handle {
    Handle::start(config).expect("a handle")
}

/// Settings of a client that takes no more than 1 MB from a worker.
pub(crate) fn small_replies() -> Config {
    let mut config = Config::default();
    config.client.pool.max_reply = 1 << 20;
    config.client.max_inflated = 1 << 20;
    config
}

/// A call that is tried once.
pub(crate) fn call(payload: &str) -> Call {
    let payload = Json::from_text(payload.to_string()).expect("JSON");
    Call::new("faults", payload).attempts(1).timeout(LONG)
}

/// Asks the worker at an address.
pub(crate) fn ask(handle: &Handle, to: SocketAddr, call: Call) -> Asked<Json> {
    handle.run(async move |context| context.client.request_at(to, call).await)
}

/// Asks and waits.
pub(crate) fn request(handle: &Handle, to: SocketAddr, call: Call) -> Result<String, Error> {
    ask(handle, to, call).wait().map(|json| json.as_str().to_string())
}

/// How many tasks of the handle's core are alive, without the one that asks and the one that sweeps the pools.
pub(crate) fn live_tasks(handle: &Handle) -> usize {
    let tasks = handle.run(async |_| Ok(grenache_engine::live_tasks()));
    tasks.wait().expect("it runs").saturating_sub(2)
}

/// Asks until something holds that sends no event.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "no {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
