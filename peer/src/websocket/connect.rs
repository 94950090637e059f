//! Making a WebSocket.

use std::future::poll_fn;

use bytes::BytesMut;
use grenache_engine::timeout;
use grenache_transports::http::Field;
use grenache_transports::http::client::Start;
use grenache_transports::ws::handshake::{self, Answer, Key};
use grenache_transports::ws::{self, Deflater, Role};

use super::Config;
use super::masks::Masks;
use crate::channel::{Channel, Received};
use crate::error::Failure;
use crate::http::Target;
use crate::tls::Connector;

/// A WebSocket whose handshake is done.
pub(crate) struct Upgraded {
    pub(crate) channel: Channel,
    pub(crate) decoder: ws::Connection,
    pub(crate) deflater: Option<Deflater>,
    /// What has come after the handshake.
    pub(crate) received: Option<Received>,
    /// The server speaks the protocol that was asked for.
    pub(crate) protocol: bool,
}

/// Connects and asks for a WebSocket on `path` that speaks `protocol`, if the server can, all within
/// [`Config::connect_timeout`]. Dropping the future gives up.
pub(crate) async fn connect(
    to: &Target,
    path: &str,
    protocol: Option<&'static str>,
    config: &Config,
    tls: Option<&Connector>,
) -> Result<Upgraded, Failure> {
    let limit = config.connect_timeout;
    let connected = timeout(limit, async {
        let channel = Channel::connect(to, tls).await?;
        upgrade(channel, to, path, protocol, config).await
    });
    connected.await.unwrap_or_else(|_| Err(Failure::Connect(format!("not made within {limit:?}"))))
}

async fn upgrade(
    channel: Channel,
    to: &Target,
    path: &str,
    protocol: Option<&'static str>,
    config: &Config,
) -> Result<Upgraded, Failure> {
    let unasked = |_| Failure::Connect(format!("'{path}' on '{}' cannot be asked for", to.host));
    let start = Start::new("GET", path, &to.host).map_err(unasked)?;
    let name = protocol.map(|name| Field::new("sec-websocket-protocol", name.as_bytes()));
    let fields: Vec<Field<'_>> = name.into_iter().flatten().collect();
    let key = Key::new(Masks::new().nonce());
    let mut request = BytesMut::new();
    handshake::write_request(&mut request, start, &key, config.deflate, &fields);
    channel.write(&request);
    let mut answer = Answer::new(&key, protocol, config.deflate);
    loop {
        let received = poll_fn(|context| channel.poll_recv(context)).await;
        let Some(mut received) = received.map_err(|error| Channel::refusal(&error))? else {
            return Err(Failure::Connect("closed in the middle of the handshake".into()));
        };
        let mut input = &mut received[..];
        let agreed = match answer.receive(&mut input) {
            Ok(None) => continue,
            Ok(Some(agreed)) => agreed,
            Err(failure) => {
                channel.abort();
                return Err(match failure {
                    // It has as many connections as it takes.
                    handshake::Failure::Status(503) => Failure::Busy,
                    failure => Failure::Connect(failure.to_string()),
                });
            }
        };
        let left = input.len();
        received.advance(received.len() - left);
        let mut decoder = ws::Connection::new(Role::Client, config.limits());
        agreed.deflate.inspect(|agreed| decoder.inflate(*agreed));
        return Ok(Upgraded {
            channel,
            decoder,
            deflater: agreed.deflate.map(|agreed| Deflater::new(Role::Client, agreed)),
            received: (left > 0).then_some(received),
            protocol: agreed.protocol,
        });
    }
}
