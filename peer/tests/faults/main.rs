//! What goes wrong in a network, made to go wrong: every fault ends as a typed error, in time, and leaves nothing behind.

#[path = "../../../grape/tests/interop/packages.rs"]
mod packages;
#[path = "../../../grape/tests/interop/process.rs"]
#[allow(dead_code, reason = "the grape's tests use all of it")]
mod process;

mod client;
mod server;

mod deadlines;
mod death;
mod leaks;
mod replies;
