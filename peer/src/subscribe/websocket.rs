//! Listening to a publisher over WebSocket.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use super::Shared;
use super::feed::Feed;
use super::listener::{Connected, Said, Say};
use super::message::Message;
use crate::error::Error;
use crate::http::Target;
use crate::publish::{PROTOCOL, add_topic, remove_topic};
use crate::websocket::{Masks, Socket, connect};

/// As Node asks for it.
const PATH: &str = "/ws";

/// Listens until the connection ends. Says whether it had been made.
pub(super) async fn listen(shared: &Shared, to: SocketAddr, feed: &Rc<Feed>) -> (bool, Error) {
    let config = &shared.config.websocket;
    let target = Target::peer(to, shared.tls.is_some());
    let connected = connect(&target, PATH, Some(PROTOCOL), config, shared.tls.as_ref()).await;
    let mut socket = match connected {
        Ok(upgraded) => Socket::new(upgraded, Some(Masks::new()), config),
        Err(failure) => return (false, Error::Request { to, failure }),
    };
    let mut connected = Connected::new(feed);
    let topical = socket.has_protocol();
    let mut said = Said::default();
    if !topical {
        connected.count();
    }
    let error = poll_fn(|context| {
        loop {
            if topical {
                said.catch_up(feed, |say| match say {
                    Say::Add(topic) => socket.send_text(&add_topic(topic)),
                    Say::Remove(topic) => socket.send_text(&remove_topic(topic)),
                    Say::Ping => socket.ping(),
                });
            }
            if topical && socket.pongs() > 0 {
                connected.count();
            }
            if feed.poll_room(context).is_pending() {
                return Poll::Pending;
            }
            match socket.poll_recv(context) {
                Poll::Ready(Ok(Some(message))) => {
                    feed.push(Message::read(to, message.kind, message.data, topical));
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(Error::Closed { to }),
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Pending if topical && socket.pongs() > 0 && !connected.is_counted() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    (true, error)
}
