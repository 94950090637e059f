//! What runs on every core of a grape.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use grenache_dht::Dht;
use grenache_engine::{Core, fill_random, now, shutdown, spawn_local};

use crate::api;
use crate::config::Config;
use crate::debug::Debug;
use crate::identity::Identity;
use crate::message::Message;
use crate::server::Server;
use crate::shard::Shard;

/// How long requests that run may take once the grape is asked to stop.
const GRACE: Duration = Duration::from_millis(500);

/// Longest name of a service that is sent or taken, in bytes.
const MAX_NAME: usize = 8192;

/// Largest datagram taken: an answer with 4,000 peers. Buffers cost memory only where written.
const LARGEST_DATAGRAM: usize = 32 * 1024;

/// What every core of one grape runs; the engine calls [`Node::run`] once on each.
pub struct Node {
    /// The grape's settings.
    pub config: Config,
    /// What its cores share.
    pub identity: Identity,
    /// Addresses of other grapes that are known at the start.
    pub bootstrap: Vec<SocketAddrV4>,
    /// Print Node's debug lines.
    pub verbose: bool,
}

impl Node {
    /// The engine's settings for this grape: its sockets are the first TCP and the first UDP address.
    pub fn engine_config(&self) -> grenache_engine::Config {
        grenache_engine::Config {
            cores: self.config.cores,
            driver: self.config.driver,
            idle: self.config.idle,
            tcp: vec![self.config.api_addr()],
            udp: vec![self.config.dht_addr()],
            steer: (self.config.cores > 1).then(crate::steer::answers_to_their_core),
            name: "grape".into(),
            limits: grenache_engine::Limits {
                // Names of services go out whole, and Node answers with all the peers it has.
                udp_buffer_size: LARGEST_DATAGRAM,
                udp_buffers: 128,
                ..grenache_engine::Limits::default()
            },
            ..grenache_engine::Config::default()
        }
    }

    /// Runs one core until the engine is asked to stop.
    pub fn run(&self, core: Core<Message>) -> impl Future<Output = ()> + use<> {
        let Core { index, cores, mut listeners, mut sockets, mesh, .. } = core;
        let (listener, socket) = (listeners.remove(0), sockets.remove(0));
        let dht_port = socket.local_addr().port();
        let mut random_seed = [0; 32];
        fill_random(&mut random_seed);
        let config = grenache_dht::Config {
            shard: index as u8,
            shards: cores as u8,
            host: self.config.host,
            bootstrap: self.bootstrap.clone(),
            peer_max_age: self.config.peer_max_age,
            node_liveness: self.config.node_liveness,
            concurrency: self.config.dht_concurrency,
            max_tables: self.config.dht_max_tables,
            max_values: self.config.dht_max_values,
            owner_seed: self.identity.owner_seed,
            max_key: MAX_NAME,
            ..grenache_dht::Config::new(
                self.identity.id,
                dht_port,
                self.identity.token_secret,
                random_seed,
            )
        };
        let max_calls = config.max_operations;
        let debug = Debug::new(self.verbose, dht_port);
        let context = api::Context { dht_port, host: self.config.host, local: Ipv4Addr::LOCALHOST };
        let limits = self.config.limits.clone();
        async move {
            if index == 0 {
                debug.event("listening");
            }
            let dht = Dht::new(config, now());
            let shard = Shard::start((index, cores), dht, socket, mesh, max_calls, debug);
            let server = Server::new(shard, limits, context);
            let accepting = spawn_local(Rc::clone(&server).accept(listener));
            shutdown().await;
            accepting.abort();
            server.finish(GRACE).await;
        }
    }
}
