//! The DHT of Grenache: BEP5 and BEP44 over KRPC, as a pure state machine.
//!
//! [`Dht`] has no clock, socket, thread or ambient randomness. Whoever drives it hands in datagrams
//! ([`Dht::receive`]) and the time ([`Dht::handle_timeout`]), and takes out datagrams
//! ([`Dht::poll_transmit`]), events ([`Dht::poll_event`]) and the time of the next call
//! ([`Dht::poll_timeout`]). Time is a [`core::time::Duration`] since an origin of the driver's choice,
//! the same one for all cores of a grape.
//!
//! It speaks the dialect of bittorrent-dht 10.0.0 as Node's grape uses it: an info_hash is the raw
//! name of a service, of any length, so [`Key`] and [`NodeId`] are different types.
#![warn(missing_docs)]

mod answers;
pub mod bencode;
mod bootstrap;
mod bucket;
mod commands;
mod config;
mod contact;
mod deadlines;
mod dht;
#[doc(hidden)] // Open to the benches and the load generator.
pub mod encode;
mod error;
mod event;
mod id;
mod items;
mod jobs;
mod key;
pub mod krpc;
mod liveness;
mod lookup;
mod outbox;
mod peers;
mod queries;
mod responses;
mod seeded;
pub mod signature;
mod stats;
mod store;
mod table;
mod token;
mod token_cache;
mod transaction;

pub use config::Config;
pub use contact::Contact;
pub use dht::{Dht, Route};
pub use error::{CommandError, Error};
pub use event::{Event, Op};
pub use id::NodeId;
pub use items::Item;
pub use key::{Distance, Key};
pub use outbox::Transmit;
pub use stats::Stats;
pub use store::{Get, Mutable, Put};
