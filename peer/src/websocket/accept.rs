//! Taking a WebSocket on a connection on which nothing else is served.

use std::future::poll_fn;

use bytes::BytesMut;
use grenache_engine::wall_clock;
use grenache_transports::http::{self, Event, Persistence, date, response};
use grenache_transports::ws::handshake::{self, Offer};
use grenache_transports::ws::{self, Deflater, Role};

use super::Config;
use super::connect::Upgraded;
use crate::channel::Channel;
use crate::error::Failure;

/// Reads the request, and grants it whatever its path is.
pub(super) async fn accept(channel: Channel, config: &Config) -> Result<Upgraded, Failure> {
    let mut server = http::Connection::new(http::Config { max_body: 0, ..Default::default() });
    let broken = |why: String| Failure::Broken(why);
    loop {
        let received = poll_fn(|context| channel.poll_recv(context)).await;
        let received = received.map_err(|error| broken(error.to_string()))?;
        let Some(mut received) = received else {
            return Err(broken("closed before it asked for anything".into()));
        };
        let mut input = &received[..];
        let (status, text) = match server.receive(&mut input) {
            Ok(None) => continue,
            Ok(Some(Event::Request(request))) if handshake::is_asked(&request.head) => {
                match Offer::read(&request.head) {
                    Ok(offer) => {
                        let deflate = if config.deflate { offer.deflate() } else { None };
                        let mut out = BytesMut::new();
                        offer.accept(&mut out, None, deflate);
                        channel.write(&out);
                        let mut decoder = ws::Connection::new(Role::Server, config.limits());
                        deflate.inspect(|agreed| decoder.inflate(*agreed));
                        let deflater = deflate.map(|agreed| Deflater::new(Role::Server, agreed));
                        let left = input.len();
                        received.advance(received.len() - left);
                        let received = (left > 0).then_some(received);
                        return Ok(Upgraded {
                            channel,
                            decoder,
                            deflater,
                            received,
                            protocol: false,
                        });
                    }
                    Err(refusal) => (refusal.status(), refusal.text()),
                }
            }
            Ok(Some(_)) => (426, "only WebSocket: upgrade"),
            Err(error) => (error.status(), error.text()),
        };
        let mut out = BytesMut::new();
        let date = date::format(wall_clock());
        response::write(&mut out, status, Persistence::Close, &date, &[], text.as_bytes());
        channel.write(&out);
        channel.shutdown();
        return Err(Failure::Malformed(text.into()));
    }
}
