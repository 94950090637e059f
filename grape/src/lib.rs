//! The grape: a node of the Grenache network.
//!
//! A grape is a Kademlia node over UDP (crate `grenache-dht`) with an HTTP API (crate
//! `grenache-transports`) on the cores of the engine (crate `grenache-engine`). Every core has sockets
//! of its own on the grape's two ports and owns a share of the keys; what belongs to another core is
//! moved there once.
//!
//! ```no_run
//! use grenache_grape::{Config, Grape};
//!
//! let grape = Grape::start(Config { dht_port: 0, api_port: 0, ..Config::default() })?;
//! grape.announce("rest:util:net", 1337).wait()?;
//! assert_eq!(grape.lookup("rest:util:net").wait()?.len(), 1);
//! grape.stop()?;
//! # Ok::<(), grenache_grape::Error>(())
//! ```

mod alarm;
pub mod api;
mod asked;
mod bootstrap;
mod calls;
pub mod cli;
mod config;
pub mod debug;
mod grape;
mod identity;
mod message;
mod node;
mod server;
mod shard;
mod steer;

pub use asked::Asked;
pub use config::{Config, Limits};
pub use grape::{Error, Grape};
pub use identity::Identity;
pub use message::{Call, Message, Reply};
pub use node::Node;
