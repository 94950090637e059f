//! Grapes against the published Node packages, as processes over real sockets.
//!
//! Every scenario that Node's own grape can play is also run through Node's grape: that proves what the test expects.
//! One binary, so that the test runner's threads bound how many processes run at once.

mod grape;
mod http;
mod packages;
mod port;
mod process;

mod bad_input;
mod command_line;
mod conformance;
mod items;
mod placeholders;
mod rings;
mod rpc;
