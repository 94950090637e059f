//! The commands as people run them: real processes against real grapes and workers.
//!
//! One binary, so that the test runner's threads bound how many processes run at once.

mod home;
mod liar;
mod libzmq;
mod network;
mod node;
#[allow(dead_code)] // The tests of the grape need more of it.
#[path = "../../../grape/tests/interop/port.rs"]
mod port;
mod process;
mod pubsub;

mod announce;
mod bridge;
mod compatible;
mod exec;
mod items;
mod keygen;
mod lookup;
mod map;
mod node_peers;
mod request;
mod serve;
mod tls;
mod usage;
mod zeromq;
