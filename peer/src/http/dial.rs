//! Making connections.

use std::time::Duration;

use grenache_engine::{TcpStream, timeout};

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
    let connected = timeout(limit, async {
        let refused = |error: std::io::Error| Failure::Connect(error.to_string());
        let stream = TcpStream::connect(to.addr()).await.map_err(refused)?;
        match (to.server_name(), tls) {
            (None, _) => Ok(Channel::Plain(stream)),
            (Some(name), Some(tls)) => {
                tls.connect(stream, name).await.map_err(|error| Failure::Tls(error.to_string()))
            }
            (Some(_), None) => Err(Failure::Tls("this side has no settings of TLS".into())),
        }
    });
    match connected.await {
        Ok(connected) => connected.map_err(Failed::Failure),
        Err(_) => Err(Failed::Failure(Failure::Connect(format!("not made within {limit:?}")))),
    }
}
