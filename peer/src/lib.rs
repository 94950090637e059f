//! The Grenache peer library: services find each other through grapes and call each other directly, without a broker.

mod backoff;
mod channel;
pub mod client;
mod envelope;
mod error;
mod fingerprint;
mod gzip;
mod handle;
mod http;
mod json;
pub mod link;
pub mod server;
pub mod tls;
pub mod worker;

pub use backoff::Backoff;
pub use client::{Call, Client, StreamCall};
pub use error::{Error, Failure};
pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use http::Config as PoolConfig;
pub use json::Json;
pub use link::Link;
pub use server::blocking;
pub use worker::Worker;
