//! Connections with any number of requests under way on each, whose answers come in any order: WebSocket and ZeroMQ.
//!
//! What a transport says, byte for byte, is its [`Wire`]; how its connections are made, its [`Dial`]. Everything else is here, once
//! for all of them: which connection a request takes, what waits for room, whose answer has come, and when a connection is over.

mod backlog;
mod connection;
mod pending;
mod pool;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

pub(crate) use pool::Pool;
pub(crate) use wire::{Bounds, Dial, Dialled, Said, Wire};
