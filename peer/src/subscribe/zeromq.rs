//! Listening to a publisher over ZeroMQ.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use grenache_transports::zmtp::Metadata;

use super::Shared;
use super::feed::Feed;
use super::listener::{Connected, Said, Say};
use super::message::Message;
use crate::error::Error;
use crate::http::Target;
use crate::zeromq::{Incoming, Link, SocketType, connect};

/// Listens as a SUB until the connection ends. Says whether it had been made.
pub(super) async fn listen(shared: &Shared, to: SocketAddr, feed: &Rc<Feed>) -> (bool, Error) {
    let config = &shared.config.zeromq;
    let target = Target::peer(to, shared.tls.is_some());
    let metadata = Metadata::new(SocketType::Sub);
    let mut link = match connect(&target, metadata, config, shared.tls.as_ref()).await {
        Ok(met) => Link::new(met, config),
        Err(failure) => return (false, Error::Request { to, failure }),
    };
    let mut connected = Connected::new(feed);
    let mut said = Said::default();
    let error = poll_fn(|context| {
        loop {
            said.catch_up(feed, |say| match say {
                Say::Add(topic) => link.subscribe(topic.as_bytes()),
                Say::Remove(topic) => link.cancel(topic.as_bytes()),
                Say::Ping => link.ping(),
            });
            let is_paused = feed.poll_room(context).is_pending();
            let incoming = match is_paused {
                true => {
                    link.poll_paused(context);
                    Poll::Pending
                }
                false => link.poll_recv(context),
            };
            if !connected.is_counted() && link.poll_known(context).is_ready() {
                connected.count();
            }
            match incoming {
                Poll::Ready(Ok(Incoming::Message(message))) => {
                    match Message::from_parts(to, message) {
                        Some(message) => feed.push(message),
                        None => feed.malformed(to),
                    }
                }
                // Only publishers are told of subscriptions.
                Poll::Ready(Ok(Incoming::Subscribe(_) | Incoming::Cancel(_))) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    (true, error)
}
