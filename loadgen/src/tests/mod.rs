//! Whole runs of one core in virtual time, against servers of every manner.

mod closed;
mod datagrams;
mod faults;
mod open;
mod publications;
mod websocket;
mod zeromq;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::BytesMut;
use grenache_engine::sim::{Host, Network, NodeId, World};
use grenache_engine::{Config, Core, DriverChoice, Idle, TcpStream, now, sleep, spawn_local};
use grenache_peer::Json;
use grenache_transports::http::{self, Connection, Event, date::Date, response};

use crate::collector::Collector;
use crate::core::{self, Report};
use crate::outcome::{Environment, Outcome, Pace, Second, Service};
use crate::payload::Payload;
use crate::plan::{Address, End, Plan, Target};
use crate::what::{Feed, Form, Security, Transport, What};

const SERVER: [u8; 4] = [10, 0, 0, 1];
const CLIENT: [u8; 4] = [10, 0, 0, 2];
const PORT: u16 = 1337;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn addr() -> SocketAddr {
    (SERVER, PORT).into()
}

/// What a server does about a request.
#[derive(Debug, Clone, PartialEq)]
enum Act {
    /// The payload back.
    Echo,
    /// The payload back, but not before then.
    EchoAt(Duration),
    /// This body with this status.
    Say(u16, &'static str),
    /// These bytes, whatever they are.
    Raw(&'static [u8]),
    Never,
    /// Ends the connection in good order.
    Close,
    Reset,
}

/// RPC "hello" in a closed loop for ten seconds, on one connection.
pub(crate) fn plan() -> Plan {
    Plan {
        what: What::Rpc(Payload::Value(Json::of("hello").unwrap()), Transport::Http),
        targets: vec![Target {
            services: vec![Service { name: "rest:test".to_owned(), weight: 1.0 }],
            addrs: vec![Address { addr: addr(), name: "10.0.0.1".to_owned() }],
        }],
        security: Security::Open,
        pace: Pace::Closed,
        connections: 1,
        in_flight: 1,
        requests_per_connection: None,
        warm_up: Duration::ZERO,
        end: End::After(secs(10)),
        timeout: secs(1),
        cores: 1,
        first_cpu: 0,
        driver: DriverChoice::Auto,
        idle: Idle::Park,
        seed: 1,
        server_pid: None,
    }
}

/// A network in which every message takes 100 µs.
fn network() -> Network {
    Network { delay: Duration::from_micros(100)..Duration::from_micros(101), ..Network::default() }
}

/// A world with a server that asks `act` about each request, by its number and its arrival.
fn world(act: impl Fn(u64, Duration) -> Act + 'static) -> (World, NodeId) {
    let mut world = World::new(1, network());
    let (act, requests) = (Rc::new(act), Rc::new(Cell::new(0)));
    let config = Config { tcp: vec![addr()], ..Config::default() };
    let server = world.start(Host::new(SERVER), config, move |core: Core<()>| {
        let (act, requests) = (act.clone(), requests.clone());
        async move {
            while let Ok((stream, _)) = core.listeners[0].accept().await {
                spawn_local(serve(stream, act.clone(), requests.clone()));
            }
        }
    });
    (world, server.unwrap())
}

async fn serve(stream: TcpStream, act: Rc<impl Fn(u64, Duration) -> Act>, requests: Rc<Cell<u64>>) {
    let mut connection = Connection::new(http::Config::default());
    let mut date = Date::new(Duration::ZERO);
    while let Ok(Some(received)) = stream.recv().await {
        let mut input = &received[..];
        while let Some(event) = connection.receive(&mut input).unwrap() {
            let Event::Request(request) = event else { continue };
            let number = requests.get();
            requests.set(number + 1);
            let mut act = act(number, now());
            if let Act::EchoAt(then) = act {
                sleep(then.saturating_sub(now())).await;
                act = Act::Echo;
            }
            let mut out = BytesMut::new();
            let date = date.at(Duration::ZERO);
            match act {
                Act::Echo | Act::EchoAt(_) => {
                    let [rid, _, payload]: [serde_json::Value; 3] =
                        serde_json::from_slice(request.body).unwrap();
                    let body = serde_json::to_vec(&(rid, (), payload)).unwrap();
                    response::write(&mut out, 200, request.persistence, date, &[], &body);
                }
                Act::Say(status, body) => {
                    response::write(
                        &mut out,
                        status,
                        request.persistence,
                        date,
                        &[],
                        body.as_bytes(),
                    );
                }
                Act::Raw(bytes) => out.extend_from_slice(bytes),
                Act::Never => {}
                Act::Close => return,
                Act::Reset => return stream.abort(),
            }
            stream.write(&out);
        }
    }
}

/// Runs the plan in the world; nothing is left when it is over.
fn run(world: &mut World, plan: &Plan) -> Outcome {
    let limit = secs(3600);
    start(world, plan).finish(world, limit)
}

/// A run that is on.
struct Running {
    node: NodeId,
    reports: mpsc::Receiver<(usize, Report)>,
    plan: Plan,
    seconds: Rc<RefCell<Vec<Second>>>,
}

fn start(world: &mut World, plan: &Plan) -> Running {
    let (sender, reports) = mpsc::channel();
    let (own, plan) = (plan.clone(), plan.clone());
    let node = world.start(Host::new(CLIENT), Config::default(), move |_: Core<()>| {
        let (plan, sender) = (own.clone(), sender.clone());
        async move { core::run(&plan, (0, 1), sender, async { Some(now()) }).await }
    });
    Running { node: node.unwrap(), reports, plan, seconds: Rc::default() }
}

impl Running {
    fn finish(self, world: &mut World, limit: Duration) -> Outcome {
        let node = self.node;
        let ended = Cell::new(false);
        while world.now() < limit && !ended.get() {
            world.run_for(ms(100));
            ended.set(!world.is_running(node));
        }
        assert!(ended.get(), "the run does not end");
        assert_eq!((world.tasks_panicked(), world.live_tasks(node)), (0, 0));
        let mut collector = Collector::new(&self.plan);
        for (core, report) in self.reports.try_iter() {
            if let Report::Slice(part) = report {
                let merged = collector.take(core, *part);
                self.seconds
                    .borrow_mut()
                    .extend(merged.iter().map(|one| one.tick().second.clone()));
            }
        }
        assert!(collector.is_done());
        let outcome = collector.outcome(Environment::default(), "simulated".to_owned(), false);
        let requests = &outcome.requests;
        let accounted = requests.answered + requests.failures() + requests.abandoned;
        if outcome.heard.is_none() {
            assert_eq!(requests.sent, accounted, "{requests:?}");
        }
        outcome
    }
}
