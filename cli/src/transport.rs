//! How peers speak to each other.

use clap::ValueEnum;

/// How peers speak to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// HTTP/1.1, or HTTPS with the --tls options, as grenache-nodejs-http
    Http,
    /// WebSocket, as grenache-nodejs-ws
    Ws,
}

impl From<Transport> for grenache_peer::Transport {
    fn from(transport: Transport) -> grenache_peer::Transport {
        match transport {
            Transport::Http => grenache_peer::Transport::Http,
            Transport::Ws => grenache_peer::Transport::WebSocket,
        }
    }
}
