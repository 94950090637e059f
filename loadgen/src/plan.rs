//! What a run does: all that its cores need to know.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use grenache_dht::NodeId;
use grenache_engine::{DriverChoice, Idle};
use grenache_peer::envelope::Rids;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::core::{Destination, Group, MakeTalk};
use crate::demand::Demand;
use crate::outcome::{Load, Pace, Service};
use crate::services::Mix;
use crate::talk::{Http, Krpc, Query, Question, Turns, WebSocket, Zmtp, websocket, zmtp};
use crate::what::{Feed, Security, Transport, What};

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is asked.
    pub what: What,
    /// Of whom. Each of these has connections of its own.
    pub targets: Vec<Target>,
    /// How connections are secured.
    pub security: Security,
    /// When.
    pub pace: Pace,
    /// Connections that may be open at once; in a closed loop all are. At least one for each target and core is made.
    pub connections: usize,
    /// Requests in flight on one connection.
    pub in_flight: usize,
    /// Requests after which a connection is made anew.
    pub requests_per_connection: Option<u64>,
    /// What is left out of the figures.
    pub warm_up: Duration,
    /// When it ends.
    pub end: End,
    /// After this a request, or an attempt to connect, is given up.
    pub timeout: Duration,
    /// Threads, each on a CPU of its own from number `first_cpu` on.
    pub cores: usize,
    /// The CPU of the first thread.
    pub first_cpu: usize,
    /// How input and output are done.
    pub driver: DriverChoice,
    /// What a core does while there is nothing to do.
    pub idle: Idle,
    /// Of everything that is drawn at random.
    pub seed: u64,
    /// The process whose CPU time is measured.
    pub server_pid: Option<u32>,
}

/// Services and where they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The services, at least one where services are asked for.
    pub services: Vec<Service>,
    /// All of them are there on each of these, at least one.
    pub addrs: Vec<Address>,
}

/// An address and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub addr: SocketAddr,
    /// The host as it was written: a name or an address.
    pub name: String,
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After this time.
    After(Duration),
    /// After so many requests.
    Requests(u64),
}

impl Plan {
    /// The weight of each target in an open loop.
    pub(crate) fn weights(&self) -> Vec<Service> {
        let weight = |target: &Target| target.services.iter().map(|service| service.weight).sum();
        let of = |target: &Target| Service { name: String::new(), weight: weight(target) };
        self.targets.iter().map(of).collect()
    }

    /// What of `all` goes to target `number`, in proportion to its weight; together it is `all`.
    pub(crate) fn portion(&self, all: u64, number: usize) -> u64 {
        let weights: Vec<f64> = self.weights().iter().map(|target| target.weight).collect();
        let sum: f64 = weights.iter().sum();
        if weights.len() < 2 || sum <= 0.0 {
            return if number == 0 { all } else { 0 };
        }
        let until = |number: usize| {
            (weights[..number].iter().sum::<f64>() / sum * all as f64).round() as u64
        };
        until(number + 1) - until(number)
    }

    /// A seed for core `index` that no other core has.
    pub(crate) fn seed_of(&self, index: usize) -> u64 {
        self.seed.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The connections of target `number` on core `index` of `cores`.
    fn connections_of(&self, number: usize, (index, cores): (usize, usize)) -> usize {
        let all = self.portion(self.connections as u64, number) as usize;
        (all / cores + usize::from(index < all % cores)).max(1)
    }

    /// All connections that there may be.
    fn planned(&self) -> usize {
        let of = |number| {
            (0..self.cores).map(move |index| self.connections_of(number, (index, self.cores)))
        };
        (0..self.targets.len()).flat_map(of).sum()
    }

    /// What a report says of it.
    pub(crate) fn describe(&self) -> Load {
        let addrs = self.targets.iter().flat_map(|target| &target.addrs);
        Load {
            what: self.what.name().to_owned(),
            transport: self.what.transport(&self.security).to_owned(),
            targets: addrs.map(|address| address.addr.to_string()).collect(),
            services: self.targets.iter().flat_map(|target| target.services.clone()).collect(),
            payload: self.what.payload(),
            pace: self.pace,
            connections: self.planned(),
            in_flight: self.in_flight,
            requests_per_connection: self.requests_per_connection,
            warm_up_s: self.warm_up.as_secs_f64(),
            timeout_s: self.timeout.as_secs_f64(),
            cores: self.cores,
            seed: self.seed,
        }
    }

    /// The targets as core `index` of `cores` sees them, with its share of the connections.
    pub(crate) fn groups(&self, (index, cores): (usize, usize)) -> Vec<Rc<Group>> {
        let group = |(number, target): (usize, &Target)| {
            let seed = self.seed_of(index).wrapping_add(number as u64);
            let destinations = target.addrs.iter().map(|address| Destination {
                addr: address.addr,
                name: address.name.as_str().into(),
                host: host(address).into(),
            });
            Rc::new(Group {
                demand: match self.pace {
                    Pace::Closed => Demand::closed(),
                    Pace::Open { .. } => Demand::due(),
                },
                talk: self.talk(target, seed),
                destinations: destinations.collect(),
                next: Cell::new(index % target.addrs.len()),
                lanes: Cell::new(0),
                max_lanes: self.connections_of(number, (index, cores)),
                stalled: match self.what {
                    What::Listen { stalled, .. } => {
                        let all = self.portion(stalled as u64, number) as usize;
                        all / cores + usize::from(index < all % cores)
                    }
                    _ => 0,
                },
                opening: Cell::new(0),
            })
        };
        self.targets.iter().enumerate().map(group).collect()
    }

    /// What makes conversations with a target.
    fn talk(&self, target: &Target, seed: u64) -> MakeTalk {
        let services = || RefCell::new(Mix::new(&target.services, seed));
        let each = |body: &dyn Fn(&str) -> serde_json::Value| -> Vec<Bytes> {
            let bodies = target.services.iter().map(|service| body(&service.name).to_string());
            bodies.map(Bytes::from).collect()
        };
        let question = match &self.what {
            What::Http { path, body } => Question::Fixed {
                method: if body.is_some() { "POST" } else { "GET" },
                path: path.clone(),
                body: body.clone().unwrap_or_default(),
            },
            What::Rpc(payload, Transport::Ws) => {
                let payloads = Turns::new(payload.sample(seed));
                return over_websocket(websocket::Content::rpc(&target.services, payloads, seed));
            }
            What::Rpc(payload, Transport::Zmq(form)) => {
                let (curve, payloads) = (self.security.curve(), payload.sample(seed));
                let content = zmtp::Content::rpc(*form, &target.services, payloads, curve, seed);
                return over_zmtp(content);
            }
            What::Echo(bytes) => return over_websocket(websocket::Content::echo(*bytes, seed)),
            What::Listen { feed: Feed::Ws, topics, .. } => {
                return over_websocket(websocket::Content::listen(topics.clone(), seed));
            }
            What::Listen { feed: Feed::Zmq, topics, .. } => {
                let curve = self.security.curve();
                return over_zmtp(zmtp::Content::listen(topics.clone(), curve, seed));
            }
            What::Rpc(payload, Transport::Http) => {
                let payloads = Turns::new(payload.sample(seed));
                Question::Rpc { services: services(), payloads, rids: Rids::new() }
            }
            What::GrapeLookup => Question::Lookup {
                services: services(),
                bodies: each(&|service| json!({ "data": service })),
            },
            What::GrapeAnnounce(port) => Question::Announce {
                services: services(),
                bodies: each(&|service| json!({ "data": [service, port] })),
            },
            What::GrapePut(payload) => Question::Put {
                values: Turns::new(payload.sample(seed)),
                random: RefCell::new(StdRng::seed_from_u64(seed)),
            },
            What::GrapeGet(key) => {
                Question::Get { body: json!({ "data": key }).to_string().into() }
            }
            What::DhtGetPeers => return self.query(services(), None, seed),
            What::DhtAnnounce(port) => return self.query(services(), Some(*port), seed),
        };
        let (question, in_flight) = (Rc::new(question), self.in_flight);
        Box::new(move |to| Box::new(Http::new(question.clone(), to.host.clone(), in_flight)))
    }

    fn query(&self, services: RefCell<Mix>, announce: Option<u16>, seed: u64) -> MakeTalk {
        let mut id = [0; 20];
        StdRng::seed_from_u64(seed).fill_bytes(&mut id);
        let query = Rc::new(Query { services, announce, id: NodeId::new(id) });
        Box::new(move |_| Box::new(Krpc::new(query.clone())))
    }
}

fn over_websocket(content: websocket::Content) -> MakeTalk {
    let content = Rc::new(content);
    Box::new(move |to| Box::new(WebSocket::new(content.clone(), &to.host)))
}

fn over_zmtp(content: zmtp::Content) -> MakeTalk {
    let content = Rc::new(content);
    Box::new(move |_| Box::new(Zmtp::new(content.clone())))
}

/// `host:port` for requests; brackets around addresses of IPv6.
fn host(address: &Address) -> String {
    let port = address.addr.port();
    if address.name.contains(':') && !address.name.starts_with('[') {
        format!("[{}]:{port}", address.name)
    } else {
        format!("{}:{port}", address.name)
    }
}
