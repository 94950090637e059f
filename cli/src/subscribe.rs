//! `grenache sub`: prints what is published.

use std::time::{Duration, Instant};

use grenache_peer::subscribe::Message;
use grenache_peer::{Error, subscribe};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::network::Network;
use crate::output::Output;
use crate::tls::ClientTls;

/// Prints each message that a publisher of the service sends, one a line
///
/// It waits for a publisher, `grenache pub` or Node's PeerPub, and for another one when that is gone.
#[derive(Debug, clap::Args)]
pub(crate) struct Subscribe {
    /// The service
    service: String,

    /// Only messages whose topic begins with this; may be given several times. Node's publishers know no topics
    #[arg(long, value_name = "PREFIX")]
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

    #[command(flatten)]
    tls: ClientTls,
}

#[derive(Serialize)]
struct Came<'a> {
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
        let handle = network.handle(self.tls.config()?)?;
        let mut wanted = subscribe::Subscribe::new(&self.service);
        for topic in &self.topic {
            wanted = wanted.topic(topic);
        }
        if self.all {
            wanted = wanted.all();
        }
        let patience = self.timeout.map(Duration::from_millis);
        let (count, service) = (self.count.unwrap_or(u64::MAX), self.service.clone());
        let (sender, messages) = std::sync::mpsc::sync_channel(1024);
        // The thread ends with the process.
        std::thread::spawn(move || {
            let messages = match handle.subscribe(wanted).wait() {
                Ok(messages) => messages,
                Err(error) => return drop(sender.send(Err(error))),
            };
            for message in messages {
                if sender.send(Ok(message)).is_err() {
                    return;
                }
            }
        });
        for _ in 0..count {
            let since = Instant::now();
            let next = match patience {
                None => messages.recv().map_err(|_| Error::Stopped),
                Some(limit) => messages.recv_timeout(limit).map_err(|_| {
                    let limit = since.elapsed().min(limit);
                    Error::Timeout { limit, to: None, may_have_run: false }
                }),
            };
            match next.and_then(|next| next) {
                Ok(message) => self.print(&message, output)?,
                Err(Error::Timeout { limit, .. }) => {
                    let text = format!("nothing was published by '{service}' within {limit:.0?}");
                    return Err(Failure::Told(Exit::TimedOut, text));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Exit::Done)
    }

    fn print(&self, message: &Message, output: &Output) -> Result<(), Failure> {
        let topic = message.topic.as_deref();
        if output.json {
            let data = message.text().map_or(Data::Binary(&message.data), Data::Text);
            return output.json(&Came { topic, message: data, from: message.from.to_string() });
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
