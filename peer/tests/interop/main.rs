//! Our workers and clients against those of the published Node packages, as processes over real sockets.
//!
//! Every scenario that Node's own peers can play with each other is also played by them: that proves what the test expects.

#[path = "../../../grape/tests/interop/packages.rs"]
mod packages;
#[path = "../../../grape/tests/interop/port.rs"]
#[allow(dead_code, reason = "the grape's tests use all of it")]
mod port;
#[path = "../../../grape/tests/interop/process.rs"]
#[allow(dead_code, reason = "the grape's tests use all of it")]
mod process;

mod caller;
mod certificates;
mod grapes;
mod pattern;
mod rust_caller;
mod rust_worker;
mod secure;
mod worker;

mod announcing;
mod errors;
mod gzip;
mod map;
mod payloads;
mod publish;
mod request;
mod stream;
mod tls;
mod websocket;
mod websocket_worker;
