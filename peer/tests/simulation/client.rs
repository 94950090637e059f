//! Clients of the simulated network: they make calls of all kinds, and look for workers that must be found.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grenache_engine::{Core, fill_random, now, shutdown, sleep, spawn_local, timeout};
use grenache_peer::client::{Call, Client};
use grenache_peer::link::{self, Grape, Link};
use grenache_peer::{Error, Json};

use crate::network;
use crate::oracle::{Kind, Oracle, Outcome};
use crate::speech::Speech;
use crate::worker::{self, Done, Work};

/// What the test tells all clients.
pub(crate) struct Orders {
    /// Whether calls are made.
    pub(crate) calling: Cell<bool>,
    /// Callers per core.
    pub(crate) callers: usize,
    /// What calls go over.
    pub(crate) speech: Speech,
}

/// The longest time a call is given.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// The longest pause between two calls of one caller.
const PAUSE: Duration = Duration::from_millis(400);

/// One core of a client.
pub(crate) async fn run(
    core: Core<()>,
    grapes: Vec<String>,
    oracle: Arc<Mutex<Oracle>>,
    orders: Rc<Orders>,
) {
    let grapes = Grape::list(&grapes.join(",")).expect("grapes");
    let link = Link::new(&grapes, link::Config::default(), None).expect("a link");
    let client = Client::new(link.clone(), orders.speech.client(), None).expect("a client");
    for _ in 0..orders.callers {
        spawn_local(call_again_and_again(client.clone(), oracle.clone(), orders.clone()));
    }
    if core.index == 0 {
        spawn_local(look_again_and_again(link, oracle, orders));
    }
    shutdown().await;
}

/// A number below another.
pub(crate) fn draw(below: u32) -> u32 {
    let mut bytes = [0; 4];
    fill_random(&mut bytes);
    u32::from_le_bytes(bytes) % below
}

fn millis(below: Duration) -> Duration {
    Duration::from_millis(u64::from(draw(below.as_millis() as u32)))
}

async fn call_again_and_again(client: Client, oracle: Arc<Mutex<Oracle>>, orders: Rc<Orders>) {
    loop {
        sleep(millis(PAUSE)).await;
        if orders.calling.get() {
            call(&client, &oracle, orders.speech).await;
        }
    }
}

async fn call(client: &Client, oracle: &Mutex<Oracle>, speech: Speech) {
    let kind = match draw(8) {
        0..4 => Kind::Once,
        4..7 => Kind::Idempotent,
        _ => Kind::Map,
    };
    let limit = match draw(3) {
        0 => Duration::from_millis(50) + millis(Duration::from_secs(1)),
        _ => millis(LONGEST - Duration::from_secs(2)) + Duration::from_secs(2),
    };
    let taking = match draw(10) {
        0 => millis(Duration::from_secs(3)),
        1..5 => millis(Duration::from_millis(50)),
        _ => Duration::ZERO,
    };
    let attempt = (kind == Kind::Idempotent && draw(2) == 0)
        .then(|| Duration::from_millis(200) + millis(limit / 2));
    let id = oracle.lock().unwrap().begin(kind, (limit, attempt), taking, now());
    let work = Work {
        call: id,
        millis: taking.as_millis() as u64,
        fail: draw(10) == 0,
        size: size(),
        filler: worker::filler(id, size()),
    };
    let service = network::service(draw(network::SERVICES as u32) as usize);
    let mut call = Call::new(service, Json::of(&work).expect("JSON")).timeout(limit);
    if kind == Kind::Idempotent {
        call = call.idempotent();
    }
    if let Some(attempt) = attempt {
        call = call.attempt_timeout(attempt);
    }
    if draw(4) == 0 && speech == Speech::Http {
        call = call.gzip();
    }
    if draw(4) == 0 {
        call = call.wait_for_service();
    }
    let patience = if draw(12) == 0 { millis(limit) } else { Duration::MAX };
    let outcome = match kind {
        Kind::Map => timeout(patience, map(client, call, &work, oracle, speech)).await,
        _ => timeout(patience, async { read(client.request(call).await, &work, speech) }).await,
    };
    oracle.lock().unwrap().end(id, outcome.unwrap_or(Outcome::Cancelled), now());
}

/// Bytes of a request or a reply: mostly few, at times more than a window of the network.
fn size() -> usize {
    match draw(32) {
        0 => 100_000,
        1..8 => 3_000,
        _ => draw(200) as usize,
    }
}

async fn map(
    client: &Client,
    call: Call,
    work: &Work,
    oracle: &Mutex<Oracle>,
    speech: Speech,
) -> Outcome {
    let mut replies = match client.map(call, None).await {
        Ok(replies) => replies,
        Err(error) => return Outcome::Failed(error),
    };
    while let Some((worker, result)) = replies.next().await {
        oracle.lock().unwrap().part(work.call, worker, read(result, work, speech), now());
    }
    Outcome::Mapped
}

/// Whether a result is one of this call's.
fn read(result: Result<Json, Error>, work: &Work, speech: Speech) -> Outcome {
    match result {
        Ok(json) => match speech.read::<Done>(&json) {
            Ok(done) if work.fail => Outcome::Nonsense(format!("run {} should fail", done.run)),
            Ok(done) if done.call != work.call => {
                Outcome::Nonsense(format!("has the reply to call {}", done.call))
            }
            Ok(done) if done.filler != worker::filler(work.call, work.size) => {
                Outcome::Nonsense("the reply is not whole".into())
            }
            Ok(done) => Outcome::Reply(done.run),
            Err(error) => Outcome::Nonsense(error.to_string()),
        },
        // It is not told apart from a handler's error there.
        Err(Error::Remote(text)) if speech.has_texts() && text == "ERR_BUSY" => {
            Outcome::Failed(Error::Remote(text))
        }
        Err(Error::Remote(text)) => {
            let run = text.strip_prefix(&worker::failure(work.call, 0)[..]).map(|_| 0);
            let expected = |run: &usize| text == worker::failure(work.call, *run);
            match run.or_else(|| (1..100).find(expected)) {
                Some(run) if work.fail => Outcome::Reply(run),
                _ => Outcome::Nonsense(format!("has the error '{text}'")),
            }
        }
        Err(error) => Outcome::Failed(error),
    }
}

/// Looks up services, and has the oracle check what must be found.
async fn look_again_and_again(link: Link, oracle: Arc<Mutex<Oracle>>, orders: Rc<Orders>) {
    loop {
        sleep(Duration::from_secs(1) + millis(Duration::from_secs(1))).await;
        if !orders.calling.get() {
            continue;
        }
        let number = draw(network::SERVICES as u32) as usize;
        let began = now();
        let expected = oracle.lock().unwrap().must_be_found(began);
        let found = match link.lookup_fresh(&network::service(number)).await {
            Ok(found) => found.to_vec(),
            Err(_) => Vec::new(),
        };
        let mut oracle = oracle.lock().unwrap();
        // What has changed meanwhile counts as well.
        let still = oracle.must_be_found(now());
        for worker in expected.into_iter().filter(|worker| still.contains(worker)) {
            if network::offers(worker, number) {
                let addr = network::worker_addr(worker);
                oracle.found(found.contains(&addr), || {
                    format!("service {number} at {addr} was not found at {began:?}: {found:?}")
                });
            }
        }
    }
}
