//! What is asked of a service.

use std::time::Duration;

use grenache_transports::http::Field;

use crate::error::Error;
use crate::json::Json;

/// How long a call may take if nothing else is said; as in Node.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Tries of one call if nothing else is said.
const ATTEMPTS: u32 = 3;

/// A call of a service: plain data, made anywhere.
///
/// ```
/// use std::time::Duration;
/// use grenache_peer::{Call, Json};
///
/// let call = Call::new("rest:util:net", Json::of(&["8.8.8.8"])?).timeout(Duration::from_millis(500)).attempts(2);
/// # Ok::<(), grenache_peer::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a call does nothing until a client is asked to make it"]
pub struct Call {
    pub(super) service: String,
    pub(super) payload: Json,
    pub(super) timeout: Duration,
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) attempts: u32,
    pub(super) idempotent: bool,
    pub(super) gzip: bool,
    pub(super) wait: bool,
    pub(super) headers: Vec<(String, String)>,
}

impl Call {
    /// A call with a time-out of 60 s and three tries.
    pub fn new(service: impl Into<String>, payload: Json) -> Call {
        Call {
            service: service.into(),
            payload,
            timeout: TIMEOUT,
            attempt_timeout: None,
            attempts: ATTEMPTS,
            idempotent: false,
            gzip: false,
            wait: false,
            headers: Vec::new(),
        }
    }

    /// The service that is called.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What is asked of it.
    pub fn payload(&self) -> &Json {
        &self.payload
    }

    /// Everything together may take this long: lookup, connecting, retries, reply. 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Call {
        self.timeout = timeout;
        self
    }

    /// Tries, with the first. 3. A request that may have reached a worker is tried again only if the call is
    /// [`idempotent`](Self::idempotent).
    pub fn attempts(mut self, attempts: u32) -> Call {
        self.attempts = attempts.max(1);
        self
    }

    /// The handler may run more than once for this call. So it is tried again also where it may have run, and may share a
    /// connection with others of its kind before their replies are there.
    pub fn idempotent(mut self) -> Call {
        self.idempotent = true;
        self
    }

    /// One try of an [`idempotent`](Self::idempotent) call is given up after this long in favour of the next. Others have no such
    /// limit.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Call {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// Compresses request and reply.
    pub fn gzip(mut self) -> Call {
        self.gzip = true;
        self
    }

    /// Waits for the service if nobody announces it yet, until the time-out.
    pub fn wait_for_service(mut self) -> Call {
        self.wait = true;
        self
    }

    /// Adds a header for the handler. Bad names and values, and those that the transport uses itself, fail the call with
    /// [`Error::Config`].
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Call {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Headers that are ours to set, in lower case.
const RESERVED: [&str; 13] = [
    "host",
    "connection",
    "keep-alive",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "grc-compress",
    "_gr",
    "_a",
    "_ar",
];

/// Whether a header is set by the transport, and not to be given.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Appends a caller's headers.
pub(super) fn add_headers<'a>(
    fields: &mut Vec<Field<'a>>,
    headers: &'a [(String, String)],
) -> Result<(), Error> {
    for (name, value) in headers {
        if is_reserved(name) {
            return Err(Error::Config(format!("the header '{name}' is set by the transport")));
        }
        let field = Field::new(name, value.as_bytes());
        let bad = |_| Error::Config(format!("the header '{}' cannot be sent", name.escape_debug()));
        fields.push(field.map_err(bad)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_cannot_break_the_request() {
        let add = |name: &str, value: &str| {
            let headers = [(name.to_string(), value.to_string())];
            add_headers(&mut Vec::new(), &headers).map_err(|error| error.code().to_string())
        };
        assert_eq!(add("x-trace", "a b\u{fc}"), Ok(()));
        for (name, value) in [
            ("x", "a\r\nhost: b"),
            ("x", "a\0"),
            ("x y", "a"),
            ("", "a"),
            ("x:", "a"),
            ("Content-Length", "1"),
            ("transfer-encoding", "chunked"),
            ("_AR", "1"),
        ] {
            assert_eq!(add(name, value), Err("ERR_CONFIG".into()), "{name}: {value}");
        }
    }
}
