//! `grenache pub`: publishes lines.

use std::io::{self, BufRead, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use grenache_engine::signal::StopSignals;
use grenache_peer::Worker;
use grenache_peer::publish::{self, Publisher};
use grenache_peer::server;
use grenache_peer::worker::Config;
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::network::Network;
use crate::output::{self, Output};
use crate::tls::ServerTls;
use crate::topic;
use crate::transport::Feed;
use crate::zeromq::ServerZmq;

/// A longer line is refused.
const MAX_LINE: u64 = 8 * 1024 * 1024;

/// Lines that are read ahead.
const QUEUED: usize = 1024;

/// How often it is looked whether there are enough subscribers.
const LOOK: Duration = Duration::from_millis(10);

/// Publishes each line of standard input as a message, until that ends
///
/// Subscribers are `grenache sub`, Node's PeerSub, any WebSocket client, and SUB sockets of ZeroMQ. Prints `publishing <service> on <address>` to
/// standard error as soon as the network knows it, and at the end what was published. On SIGINT (Ctrl-C) or SIGTERM it ends
/// as well, when what it has read has left.
#[derive(Debug, clap::Args)]
pub(crate) struct Publish {
    /// The service
    service: String,

    /// The topic of all messages
    #[arg(long, default_value = "", value_parser = topic::parse, conflicts_with = "topics")]
    topic: String,

    /// The first word of each line is its topic, the rest the message
    #[arg(long)]
    topics: bool,

    /// The port to listen on; 0 picks one that is free
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    bind: IpAddr,

    /// Read the first line when so many subscribers are there
    #[arg(long, value_name = "N", default_value_t = 0)]
    wait_for: u64,

    /// Stay when standard input has ended, for subscribers that are slow, until stopped
    #[arg(long)]
    keep: bool,

    /// Bytes that may wait for a subscriber that does not keep up
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024)]
    high_water: usize,

    /// What becomes of messages beyond that
    #[arg(long, value_enum, default_value_t = Overflow::DropOldest)]
    overflow: Overflow,

    /// How subscribers may listen, both on the same port
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Feed::Ws, Feed::Zmq])]
    transport: Vec<Feed>,

    #[command(flatten)]
    tls: ServerTls,

    #[command(flatten)]
    zmq: ServerZmq,
}

/// What becomes of messages for a subscriber that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Overflow {
    /// The oldest that waits is dropped
    DropOldest,
    /// The new one is dropped
    DropNewest,
    /// The subscriber is disconnected
    Disconnect,
}

#[derive(Serialize)]
struct Published {
    published: u64,
    sent: u64,
    dropped: u64,
    disconnected: u64,
}

/// What other threads tell.
enum Event {
    Line(String),
    /// Standard input is not to be read further, and why.
    Bad(String),
    /// It has ended.
    End,
    /// A signal has come.
    Stop,
}

impl Publish {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        output::log_warnings();
        let tls = self.tls.config()?;
        let signals = StopSignals::block()
            .map_err(|error| Failure::failed(format!("signals cannot be blocked: {error}")))?;
        let publisher = Publisher::new(publish::Config {
            high_water: self.high_water,
            overflow: match self.overflow {
                Overflow::DropOldest => publish::Overflow::DropOldest,
                Overflow::DropNewest => publish::Overflow::DropNewest,
                Overflow::Disconnect => publish::Overflow::Disconnect,
            },
            ..publish::Config::default()
        });
        let config = Config {
            listen: SocketAddr::new(self.bind, self.port),
            grapes: network.grapes.clone(),
            tls,
            server: server::Config {
                websocket: self.transport.contains(&Feed::Ws),
                zeromq: self.transport.contains(&Feed::Zmq),
                gate: self.zmq.gate(output)?,
                ..server::Config::default()
            },
            ..Config::default()
        };
        let (service, attached) = (self.service.clone(), publisher.clone());
        let worker =
            Worker::start(config, move |_, services| services.publish(&service, &attached))?;
        let (sender, events) = mpsc::sync_channel(QUEUED);
        let stop = sender.clone();
        signals
            .act(move || drop(stop.send(Event::Stop)))
            .map_err(|error| Failure::failed(format!("no thread for signals: {error}")))?;
        let done = match self.wait(&worker, &publisher, &events, output) {
            true => {
                thread::spawn(move || read_lines(&sender));
                self.publish(&publisher, &events)
            }
            false => Ok(Exit::Done),
        };
        publisher.flush_blocking();
        worker.stop();
        worker.join()?;
        self.tell(&publisher, output)?;
        done
    }

    /// Waits until the network knows the publisher, and enough subscribers are there. False if it is stopped before.
    fn wait(
        &self,
        worker: &Worker,
        publisher: &Publisher,
        events: &Receiver<Event>,
        output: &Output,
    ) -> bool {
        let mut told = false;
        loop {
            if !told && worker.is_announced() {
                output.note(format_args!("publishing {} on {}", self.service, worker.addr()));
                told = true;
            }
            if told && publisher.stats().listening >= self.wait_for {
                return true;
            }
            if events.recv_timeout(LOOK).is_ok() {
                return false;
            }
        }
    }

    fn publish(&self, publisher: &Publisher, events: &Receiver<Event>) -> Result<Exit, Failure> {
        loop {
            match events.recv() {
                Ok(Event::Line(line)) => {
                    let (topic, message) = self.split(&line);
                    publisher.publish_blocking(topic, message)?;
                }
                Ok(Event::Bad(why)) => return Err(Failure::usage(why)),
                Ok(Event::End) if self.keep => {}
                Ok(Event::End | Event::Stop) | Err(_) => return Ok(Exit::Done),
            }
        }
    }

    fn split<'a>(&'a self, line: &'a str) -> (&'a str, &'a str) {
        match self.topics {
            true => line.split_once(' ').unwrap_or((line, "")),
            false => (&self.topic, line),
        }
    }

    fn tell(&self, publisher: &Publisher, output: &Output) -> Result<(), Failure> {
        let stats = publisher.stats();
        let publish::Stats { published, sent, dropped, disconnected, .. } = stats;
        if output.json {
            return output.json(&Published { published, sent, dropped, disconnected });
        }
        output.note(format_args!(
            "{published} published, {sent} sent to subscribers, {dropped} dropped, {disconnected} \
             subscribers disconnected"
        ));
        Ok(())
    }
}

/// Reads standard input to its end.
fn read_lines(events: &SyncSender<Event>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let next = match (&mut input).take(MAX_LINE + 1).read_until(b'\n', &mut line) {
            Ok(0) => Event::End,
            Ok(length) if length as u64 > MAX_LINE => {
                Event::Bad(format!("a line is longer than {MAX_LINE} bytes"))
            }
            Ok(_) => {
                if line.ends_with(b"\n") {
                    line.pop();
                }
                match String::from_utf8(line) {
                    Ok(line) => Event::Line(line),
                    Err(_) => Event::Bad("a line is not UTF-8".into()),
                }
            }
            Err(error) => Event::Bad(format!("standard input cannot be read: {error}")),
        };
        let last = !matches!(next, Event::Line(_));
        if events.send(next).is_err() || last {
            return;
        }
    }
}
