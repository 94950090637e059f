//! The command `loadgen` against servers of every manner, our own peers, Node's, and other load generators.

mod faults;
mod generators;
mod grapes;
mod many;
mod output;
mod process;
mod publications;
mod server;
mod stall;
mod usage;
mod websocket;
mod workers;
mod zeromq;
