//! Workers of the simulated network: they tell the oracle what runs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grenache_engine::{now, sleep};
use grenache_peer::server::{Reply, Request};
use grenache_peer::worker::{Config, Program};
use serde::{Deserialize, Serialize};

use crate::network;
use crate::oracle::Oracle;
use crate::speech::Speech;

/// How long a worker that is stopped lets handlers go on: less than some of them take.
const DRAIN: Duration = Duration::from_millis(500);

/// What a handler is told to do.
#[derive(Serialize, Deserialize)]
pub(crate) struct Work {
    /// The call's number.
    pub(crate) call: usize,
    /// How long it takes.
    pub(crate) millis: u64,
    /// Whether it fails.
    pub(crate) fail: bool,
    /// Bytes of the reply.
    pub(crate) size: usize,
    pub(crate) filler: String,
}

/// What it answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) call: usize,
    pub(crate) run: usize,
    pub(crate) worker: SocketAddr,
    pub(crate) filler: String,
}

/// The text of a handler's error.
pub(crate) fn failure(call: usize, run: usize) -> String {
    format!("ERR_WORK: call {call} run {run}")
}

/// What runs on the cores of a worker.
pub(crate) fn program(
    worker: usize,
    cores: usize,
    grapes: Vec<String>,
    oracle: Arc<Mutex<Oracle>>,
    speech: Speech,
) -> Program {
    let addr = network::worker_addr(worker);
    let config = Config {
        listen: addr,
        grapes,
        cores,
        drain: DRAIN,
        server: speech.server(),
        ..Config::default()
    };
    let program = Program::new(config, move |_, services| {
        for number in (0..network::SERVICES).filter(|number| network::offers(worker, *number)) {
            let oracle = oracle.clone();
            services.add(&network::service(number), move |request| {
                answer(request, addr, oracle.clone(), speech)
            });
        }
    });
    program.expect("a worker")
}

async fn answer(
    request: Request,
    worker: SocketAddr,
    oracle: Arc<Mutex<Oracle>>,
    speech: Speech,
) -> Result<Reply, String> {
    let work: Work = speech.read(request.payload()).map_err(|error| error.to_string())?;
    let run = oracle.lock().unwrap().run(work.call, worker, now());
    sleep(Duration::from_millis(work.millis)).await;
    if work.fail {
        return Err(failure(work.call, run));
    }
    let filler = filler(work.call, work.size);
    Reply::json(&Done { call: work.call, run, worker, filler }).map_err(|error| error.to_string())
}

/// So many bytes that belong to one call.
pub(crate) fn filler(call: usize, size: usize) -> String {
    (0..size).map(|at| char::from(b'a' + ((call + at) % 26) as u8)).collect()
}
