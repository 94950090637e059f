//! Connections with requests in any number at a time, answered in whatever order handlers are done; and those of subscribers.

mod calls;
mod connection;
mod wire;

pub(super) use connection::Connection;
pub(super) use wire::{Event, Leave, Ready, Wire};
