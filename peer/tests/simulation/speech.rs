//! What clients and workers of a simulated network speak with each other, and how both are set up for it.

use std::iter;

use grenache_peer::zeromq::{Gate, KeyPair, SecretKey, Security};
use grenache_peer::{Error, Json, Transport, client, server, zeromq};
use serde::de::DeserializeOwned;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Http,
    WebSocket,
    ZeroMq(Form, Lock),
}

/// How a call stands in a message of ZeroMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Array,
    Frames,
}

/// The mechanism of ZeroMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Null,
    Curve,
}

/// All there is of ZeroMQ.
pub(crate) const ZEROMQ: [Speech; 4] = [
    Speech::ZeroMq(Form::Array, Lock::Null),
    Speech::ZeroMq(Form::Array, Lock::Curve),
    Speech::ZeroMq(Form::Frames, Lock::Null),
    Speech::ZeroMq(Form::Frames, Lock::Curve),
];

impl Lock {
    /// Whom a worker lets in.
    pub(crate) fn gate(self) -> Gate {
        match self {
            Lock::Null => Gate::Null,
            Lock::Curve => {
                let allow = iter::once(client_keys().public).collect();
                Gate::Curve { keys: server_keys(), allow: Some(allow) }
            }
        }
    }

    /// How clients are let in.
    pub(crate) fn security(self) -> Security {
        match self {
            Lock::Null => Security::Null,
            Lock::Curve => Security::Curve { server: server_keys().public, keys: client_keys() },
        }
    }
}

pub(crate) fn server_keys() -> KeyPair {
    SecretKey::new([1; 32]).into()
}

pub(crate) fn client_keys() -> KeyPair {
    SecretKey::new([2; 32]).into()
}

impl Speech {
    pub(crate) fn transport(self) -> Transport {
        match self {
            Speech::Http => Transport::Http,
            Speech::WebSocket => Transport::WebSocket,
            Speech::ZeroMq(..) => Transport::ZeroMq,
        }
    }

    /// Settings of a client's ZeroMQ connections.
    pub(crate) fn zeromq(self) -> zeromq::Config {
        let Speech::ZeroMq(form, lock) = self else { return zeromq::Config::default() };
        let form = match form {
            // A worker of ours says that it takes them.
            Form::Array => zeromq::Form::Told,
            Form::Frames => zeromq::Form::Frames,
        };
        zeromq::Config { form, security: lock.security(), ..zeromq::Config::default() }
    }

    /// Settings of a client.
    pub(crate) fn client(self) -> client::Config {
        client::Config {
            transport: self.transport(),
            zeromq: self.zeromq(),
            ..client::Config::default()
        }
    }

    /// Settings of a worker.
    pub(crate) fn server(self) -> server::Config {
        let gate = match self {
            Speech::ZeroMq(_, lock) => lock.gate(),
            Speech::Http | Speech::WebSocket => Gate::Null,
        };
        server::Config { gate, ..server::Config::default() }
    }

    /// Payloads and results are texts, in which JSON may stand.
    pub(crate) fn has_texts(self) -> bool {
        matches!(self, Speech::ZeroMq(Form::Frames, _))
    }

    /// Reads a payload or a result.
    pub(crate) fn read<T: DeserializeOwned>(self, json: &Json) -> Result<T, Error> {
        match self.has_texts() {
            true => Json::from_text(json.to::<String>()?)?.to(),
            false => json.to(),
        }
    }
}
