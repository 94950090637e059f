//! ZeroMQ against libzmq, as pyzmq and npm's zeromq have it: real processes over real sockets.
//!
//! `cargo xtask setup` installs them; `peer/tests/zeromq` has the programs that run them. [`Peer`](peer::Peer) steers such a
//! process, whose sockets block the thread that uses them: a test on a core has [`apart`](peer::apart) for that.

mod message;
mod ours;
mod peer;
mod rpc;
mod security;
mod socket;

mod drivers;
mod heartbeats;
mod messages;
mod patterns;
mod refusals;
mod sockets;
mod subscriptions;
