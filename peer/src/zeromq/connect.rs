//! Making a connection.

use std::future::poll_fn;

use bytes::BytesMut;
use grenache_engine::timeout;
use grenache_transports::zmtp::{Connection, Event, Metadata};

use super::Config;
use crate::channel::{Channel, Received};
use crate::error::Failure;
use crate::http::Target;
use crate::tls::Connector;

/// A connection whose handshake is done.
pub(crate) struct Met {
    pub(crate) channel: Channel,
    pub(crate) connection: Connection,
    /// What has come after the handshake.
    pub(crate) received: Option<Received>,
}

/// Connects and goes through the handshake as a socket with `metadata`, all within [`Config::connect_timeout`]. Dropping the
/// future gives up.
pub(crate) async fn connect(
    to: &Target,
    metadata: Metadata,
    config: &Config,
    tls: Option<&Connector>,
) -> Result<Met, Failure> {
    let limit = config.connect_timeout;
    let met = timeout(limit, async {
        let channel = Channel::connect(to, tls).await?;
        meet(channel, metadata, config).await
    });
    met.await.unwrap_or_else(|_| Err(Failure::Connect(format!("not made within {limit:?}"))))
}

async fn meet(channel: Channel, metadata: Metadata, config: &Config) -> Result<Met, Failure> {
    let mut out = BytesMut::new();
    let refused = |why: &dyn std::fmt::Display| Failure::Connect(why.to_string());
    let mechanism = config.security.mechanism().map_err(|misuse| refused(&misuse))?;
    let mut connection = Connection::new(metadata, mechanism, config.limits(), &mut out);
    loop {
        channel.write(&out.split());
        let received = poll_fn(|context| channel.poll_recv(context)).await;
        let Some(mut received) = received.map_err(|error| Channel::refusal(&error))? else {
            // libzmq says no more to whom it does not like, and nor do others.
            let why = "closed in the middle of the ZMTP handshake: other security, or no ZeroMQ";
            return Err(refused(&why));
        };
        let mut input = &received[..];
        let event = connection.receive(&mut input, &mut out);
        let failure = match event {
            Ok(None) => None,
            Ok(Some(Event::Ready(_))) => {
                channel.write(&out.split());
                let left = input.len();
                received.advance(received.len() - left);
                let received = (left > 0).then_some(received);
                return Ok(Met { channel, connection, received });
            }
            Ok(Some(Event::Refused(reason))) => {
                Some(format!("refused: {}", String::from_utf8_lossy(reason).escape_debug()))
            }
            // Nothing else comes of a client's handshake.
            Ok(Some(_)) => Some("not a ZMTP handshake".into()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(failure) = failure {
            channel.write(&out);
            return Err(refused(&failure));
        }
    }
}
