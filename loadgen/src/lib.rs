//! The load generator: how anyone checks what a grape, a worker or any other server of the protocols can do.
//!
//! A [`Plan`](plan::Plan) says what is asked, of whom and when; [`run`](run::run) does it on cores of the
//! [engine](grenache_engine), and gives an [`Outcome`](outcome::Outcome).

mod arrivals;
pub mod cli;
mod collector;
mod core;
mod demand;
mod distribution;
mod environment;
pub mod failure;
pub mod knee;
mod lane;
pub mod null_server;
pub mod outcome;
pub mod payload;
pub mod plan;
mod process;
pub mod publisher;
mod recorder;
pub mod report;
pub mod run;
pub mod self_check;
mod services;
mod talk;
mod targets;
#[cfg(test)]
mod tests;
pub mod threshold;
pub mod tick;
pub mod what;
