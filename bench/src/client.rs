//! A client under test: its own process, pinned to one CPU, that takes orders and tells what came of them.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

use serde_json::Value;

use crate::load::Outcome;
use crate::server::Server;

/// The talk with a running client.
pub struct Client {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a client says about a window of requests.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Requests answered, and the time from the first request to the last answer.
    pub outcome: Outcome,
    /// Half of the requests were answered within this.
    pub p50: Duration,
    /// 99 of 100 requests were answered within this.
    pub p99: Duration,
}

impl Client {
    /// Starts `program` on `cpus`, a list as taskset(1) takes it. It takes one order a line and answers each with one line
    /// of JSON; the first line says that it is ready. Dropping the process ends it.
    pub fn start(cpus: &str, program: &Path, arguments: &[String]) -> io::Result<(Server, Self)> {
        let (process, client, _) = Self::greeted(cpus, program, arguments)?;
        Ok((process, client))
    }

    /// As [`start`](Self::start), with what it says first.
    pub fn greeted(
        cpus: &str,
        program: &Path,
        arguments: &[String],
    ) -> io::Result<(Server, Self, Value)> {
        let (process, orders, answers) = Server::talking(cpus, program, arguments)?;
        let mut client = Self { orders, answers };
        let said = client.answer()?;
        Ok((process, client, said))
    }

    /// Keeps `flying` requests in flight for `window`, then takes the answers still out.
    pub fn run(&mut self, flying: usize, window: Duration) -> io::Result<Run> {
        self.order(&format!("run {flying} {}", window.as_millis()))?;
        let said = self.answer()?;
        let number = |key: &str| {
            let value = said.get(key).and_then(Value::as_u64);
            value.ok_or_else(|| io::Error::other(format!("no {key} in {said}")))
        };
        let time = |key: &str| number(key).map(Duration::from_nanos);
        let requests = number("requests")?;
        if requests == 0 {
            return Err(io::Error::other("not one request was answered"));
        }
        let outcome = Outcome { requests, elapsed: time("elapsed")?, ..Outcome::default() };
        Ok(Run { outcome, p50: time("p50")?, p99: time("p99")? })
    }

    /// Has it ask `service`, again and again if nobody announces it; [`found`](Self::found) waits for the answer.
    pub fn find(&mut self, service: &str) -> io::Result<()> {
        self.order(&format!("find {service}"))
    }

    /// The time from the first attempt of [`find`](Self::find) to the reply.
    pub fn found(&mut self) -> io::Result<Duration> {
        let said = self.answer()?;
        let found = said.get("found").and_then(Value::as_u64).map(Duration::from_nanos);
        found.ok_or_else(|| io::Error::other(format!("it said {said}")))
    }

    /// Gives it an order, one line; [`answer`](Self::answer) waits for what came of it.
    pub fn order(&mut self, order: &str) -> io::Result<()> {
        self.orders.write_all(format!("{order}\n").as_bytes())
    }

    /// What the client says to the order before.
    pub fn answer(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the client has ended; what it said stands above"));
        }
        serde_json::from_str(&line).map_err(|error| io::Error::other(format!("{error}: {line}")))
    }
}
