//! `grenache sub`: prints what is published.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use grenache_peer::subscribe::Message;
use grenache_peer::{Error, subscribe};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::network::Network;
use crate::output::{self, Output};
use crate::tls::ClientTls;
use crate::topic;
use crate::transport::{Feed, Transport};
use crate::zeromq::ClientZmq;

/// Prints each message that a publisher of the service sends, one a line
///
/// It waits for a publisher, `grenache pub`, Node's PeerPub or a PUB socket of ZeroMQ, and for another one when that is gone.
#[derive(Debug, clap::Args)]
pub(crate) struct Subscribe {
    /// The service
    service: String,

    /// Only messages whose topic begins with this; may be given several times. Node's publishers know no topics
    #[arg(long, value_name = "PREFIX", value_parser = topic::parse)]
    topic: Vec<String>,

    /// Print the topic and a blank before each message
    #[arg(long)]
    show_topic: bool,

    /// Listen to all publishers of the service
    #[arg(short, long)]
    all: bool,

    /// End after so many messages
    #[arg(short = 'n', long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// End when nothing has come for so long, in milliseconds
    #[arg(long, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,

    /// How publishers are listened to
    #[arg(long, value_enum, default_value_t = Feed::Ws)]
    transport: Feed,

    #[command(flatten)]
    tls: ClientTls,

    #[command(flatten)]
    zmq: ClientZmq,
}

/// What the thread that listens tells.
enum Came {
    Publisher,
    Message(Message),
}

#[derive(Serialize)]
struct Line<'a> {
    topic: Option<&'a str>,
    /// A text, or bytes as numbers.
    message: Data<'a>,
    from: String,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

impl Subscribe {
    pub(crate) fn run(&self, network: &Network, output: &Output) -> Result<Exit, Failure> {
        output::log_warnings();
        let transport = Transport::from(self.transport);
        let security = self.zmq.security(transport, output)?;
        let handle = network.subscriber(self.tls.config()?, transport, security)?;
        let mut wanted = subscribe::Subscribe::new(&self.service);
        for topic in &self.topic {
            wanted = wanted.topic(topic);
        }
        if self.all {
            wanted = wanted.all();
        }
        let patience = self.timeout.map(Duration::from_millis);
        let (count, service) = (self.count.unwrap_or(u64::MAX), self.service.clone());
        let (sender, messages) = mpsc::sync_channel(1024);
        // The thread ends with the process.
        std::thread::spawn(move || {
            let messages = match handle.subscribe(wanted).wait() {
                Ok(messages) => messages,
                Err(error) => return drop(sender.send(Err(error))),
            };
            if sender.send(Ok(Came::Publisher)).is_err() {
                return;
            }
            for message in messages {
                if sender.send(Ok(Came::Message(message))).is_err() {
                    return;
                }
            }
        });
        let (mut left, mut found) = (count, false);
        while left > 0 {
            let next = match patience {
                None => messages.recv().unwrap_or(Err(Error::Stopped)),
                Some(limit) => match messages.recv_timeout(limit) {
                    Ok(next) => next,
                    Err(RecvTimeoutError::Disconnected) => Err(Error::Stopped),
                    Err(RecvTimeoutError::Timeout) => {
                        let what =
                            if found { "nothing was published by" } else { "nobody publishes" };
                        let text = format!("{what} '{service}' within {limit:.0?}");
                        return Err(Failure::Told(Exit::TimedOut, text));
                    }
                },
            };
            match next? {
                Came::Publisher => found = true,
                Came::Message(message) => {
                    self.print(&message, output)?;
                    left -= 1;
                }
            }
        }
        Ok(Exit::Done)
    }

    fn print(&self, message: &Message, output: &Output) -> Result<(), Failure> {
        let topic = message.topic.as_deref();
        if output.json {
            let data = message.text().map_or(Data::Binary(&message.data), Data::Text);
            return output.json(&Line { topic, message: data, from: message.from.to_string() });
        }
        let mut line = Vec::with_capacity(message.data.len() + 1);
        if self.show_topic {
            line.extend_from_slice(topic.unwrap_or_default().as_bytes());
            line.push(b' ');
        }
        line.extend_from_slice(&message.data);
        line.push(b'\n');
        output.bytes(&line)
    }
}
