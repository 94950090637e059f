//! Taking a connection that was made to us.

use std::future::poll_fn;

use bytes::BytesMut;
use grenache_engine::timeout;
use grenache_transports::zmtp::{Connection, Event, Metadata};

use super::{Config, Gate, Met};
use crate::channel::Channel;
use crate::error::Failure;

/// Goes through the handshake on a connection that was accepted, within [`Config::connect_timeout`], and lets in whom `gate` does.
/// This side is what `metadata` says. Dropping the future closes the connection.
pub(crate) async fn accept(
    channel: Channel,
    metadata: Metadata,
    gate: &Gate,
    config: &Config,
) -> Result<Met, Failure> {
    let limit = config.connect_timeout;
    let mut out = BytesMut::new();
    let connection = Connection::new(metadata, gate.mechanism(), config.limits(), &mut out);
    let met = timeout(limit, meet(channel, connection, out, gate));
    let late = || Failure::Broken(format!("the ZMTP handshake was not done within {limit:?}"));
    met.await.unwrap_or_else(|_| Err(late()))
}

async fn meet(
    channel: Channel,
    mut connection: Connection,
    mut out: BytesMut,
    gate: &Gate,
) -> Result<Met, Failure> {
    let broken = |why: &dyn std::fmt::Display| Failure::Broken(why.to_string());
    loop {
        channel.write(&out.split());
        let received = poll_fn(|context| channel.poll_recv(context)).await;
        let Some(mut data) = received.map_err(|error| broken(&error))? else {
            return Err(broken(&"closed in the middle of the ZMTP handshake"));
        };
        let mut input = &data[..];
        let failure = loop {
            match connection.receive(&mut input, &mut out) {
                Ok(None) => break None,
                Ok(Some(Event::Credentials(credentials))) => {
                    let verdict = if gate.admits(&credentials) {
                        connection.accept(&mut out)
                    } else {
                        let _ = connection.refuse(&mut out);
                        break Some("its credentials are not good".to_owned());
                    };
                    if let Err(misuse) = verdict {
                        break Some(misuse.to_string());
                    }
                }
                Ok(Some(Event::Ready(_))) => {
                    channel.write(&out.split());
                    let left = input.len();
                    data.advance(data.len() - left);
                    return Ok(Met { channel, connection, received: (left > 0).then_some(data) });
                }
                Ok(Some(Event::Refused(reason))) => {
                    let reason = String::from_utf8_lossy(reason);
                    break Some(format!("it refuses us: {}", reason.escape_debug()));
                }
                Ok(Some(_)) => break Some("not a ZMTP handshake".to_owned()),
                Err(error) => break Some(error.to_string()),
            }
        };
        if let Some(failure) = failure {
            channel.write(&out);
            channel.shutdown();
            return Err(broken(&failure));
        }
    }
}
