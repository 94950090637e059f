//! A publisher at work, in its own process.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use grenache_bench::client::Client;
use grenache_bench::server::{SERVER_CPU, Server};
use serde_json::Value;

pub(crate) struct Publisher {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) addr: SocketAddr,
}

impl Publisher {
    /// Starts one that says where it listens.
    pub(crate) fn start(program: &Path, arguments: &[String]) -> io::Result<Self> {
        let (server, client, said) = Client::greeted(&SERVER_CPU.to_string(), program, arguments)?;
        let addr = said.get("listening").and_then(Value::as_str).and_then(|addr| addr.parse().ok());
        let addr = addr.ok_or_else(|| io::Error::other(format!("it said {said}")))?;
        Ok(Self { server, client, addr })
    }
}
