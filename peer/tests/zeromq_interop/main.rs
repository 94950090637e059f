//! ZeroMQ against libzmq, as pyzmq and npm's zeromq have it: real processes over real sockets.
//!
//! `cargo xtask setup` installs them; `peer/tests/zeromq` has the programs that run them. [`Peer`](peer::Peer) steers such a
//! process, whose sockets block the thread that uses them: a test on a core has [`apart`](peer::apart) for that.

#[path = "../interop/certificates.rs"]
#[allow(dead_code, reason = "the tests of HTTP use all of it")]
mod certificates;
#[path = "../../../grape/tests/interop/packages.rs"]
mod packages;
#[path = "../../../grape/tests/interop/port.rs"]
#[allow(dead_code, reason = "the grape's tests use all of it")]
mod port;
#[path = "../../../grape/tests/interop/process.rs"]
#[allow(dead_code, reason = "the grape's tests use all of it")]
mod process;

mod mechanism;
mod message;
mod ours;
mod peer;
mod rig;
mod rpc;
mod security;
mod socket;

mod client;
mod drivers;
mod heartbeats;
mod messages;
mod patterns;
mod ports;
mod publish;
mod refusals;
mod sockets;
mod subscribe;
mod subscriptions;
mod worker;
