//! Making connections.

use std::time::Duration;

use grenache_engine::timeout;

use super::Failed;
use super::destination::Destination;
use crate::Failure;
use crate::channel::Channel;
use crate::tls::Connector;

/// Connects to a destination within `limit`, its TLS handshake included. Dropping the future gives up.
pub(super) async fn dial(
    to: &Destination,
    tls: Option<&Connector>,
    limit: Duration,
) -> Result<Channel, Failed> {
    match timeout(limit, Channel::connect(to.target(), tls)).await {
        Ok(connected) => connected.map_err(Failed::Failure),
        Err(_) => Err(Failed::Failure(Failure::Connect(format!("not made within {limit:?}")))),
    }
}
