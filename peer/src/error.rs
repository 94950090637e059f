//! What can go wrong, by blame.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a call, or something else asked of the network, has failed.
///
/// The text of each begins with the name that Node's Grenache gives it, where it has one; [`code`](Error::code) is that name
/// alone. [`may_have_run`](Error::may_have_run) tells whether repeating the call could do the work twice.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// `ERR_GRAPE_LOOKUP_EMPTY`: nobody announces the service.
    LookupEmpty {
        /// The service.
        service: String,
    },
    /// The grape's own error, as it is: `ERR_GRAPE_SERVICE_PORT`, `No nodes to query`, ...
    Grape(String),
    /// `ERR_GRAPE_UNREACHABLE`: no grape has answered; with what became of each.
    GrapeUnreachable(String),
    /// `ERR_TIMEOUT`: the deadline has passed.
    Timeout {
        /// The time that was given.
        limit: Duration,
        /// The worker that was waited for, if it had come to that.
        to: Option<SocketAddr>,
        /// The request may have reached a worker.
        may_have_run: bool,
    },
    /// `ERR_REQUEST_GENERIC`: the exchange with a worker failed.
    Request {
        /// The worker.
        to: SocketAddr,
        /// What failed.
        failure: Failure,
    },
    /// `ERR_TRANSPORT_CLOSE`: the worker closed the connection instead of a reply.
    Closed {
        /// The worker.
        to: SocketAddr,
    },
    /// `ERR_REPLY_EMPTY`: what the worker answered is no reply.
    ReplyEmpty {
        /// The worker.
        to: SocketAddr,
    },
    /// `ERR_REPLY_RID`: the reply belongs to another request.
    ReplyRid {
        /// The worker.
        to: SocketAddr,
    },
    /// `ERR_REPLY_SIZE`: the reply is over the limit.
    ReplyTooLarge {
        /// The worker.
        to: SocketAddr,
        /// The limit in bytes.
        limit: u64,
    },
    /// `ERR_REPLY_ENCODING_COMPRESSION`: the reply should be gzip and is not.
    ReplyCompression {
        /// The worker.
        to: SocketAddr,
    },
    /// The handler's own error, its text verbatim.
    Remote(String),
    /// `ERR_BUSY`: a limit of this side is reached; says which. Nothing was sent.
    Busy(&'static str),
    /// `ERR_JSON`: a value is not JSON, or not of the type asked for.
    Json(String),
    /// `ERR_ITEM`: an item that cannot be stored, or one whose hash or signature is wrong.
    Item(String),
    /// `ERR_CONFIG`: a setting that cannot be.
    Config(String),
    /// `ERR_TLS`: a key or certificate that cannot be used.
    Tls(String),
    /// `ERR_START`: a port that is taken, a driver that is refused, a thread that is not to be had.
    Start(String),
    /// `ERR_STOPPED`: what should have done it has stopped.
    Stopped,
}

/// What failed in an exchange with a worker.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection: refused, unreachable. The request has not left.
    Connect(String),
    /// No connection because of TLS: a certificate was refused, by us or by the worker. The request has not left, unless
    /// the worker refused ours, which TLS 1.3 tells only later; no handler has seen it then.
    Tls(String),
    /// The connection broke before the reply.
    Broken(String),
    /// An HTTP status other than 200, and the beginning of the body.
    Status(u16, String),
    /// The answer does not keep to the protocol.
    Malformed(String),
    /// The worker has as much to do as its limits allow, and has not begun the request.
    Busy,
}

impl Failure {
    /// Whether the worker may have begun the request.
    pub fn may_have_run(&self) -> bool {
        match self {
            Failure::Connect(_) | Failure::Tls(_) | Failure::Busy => false,
            Failure::Broken(_) | Failure::Status(..) | Failure::Malformed(_) => true,
        }
    }
}

impl Error {
    /// Whether a worker may have begun the request that failed. If not, repeating it is safe.
    pub fn may_have_run(&self) -> bool {
        match self {
            Error::Timeout { may_have_run, .. } => *may_have_run,
            Error::Request { failure, .. } => failure.may_have_run(),
            Error::Closed { .. }
            | Error::ReplyEmpty { .. }
            | Error::ReplyRid { .. }
            | Error::ReplyTooLarge { .. }
            | Error::ReplyCompression { .. }
            | Error::Remote(_)
            | Error::Stopped => true,
            Error::LookupEmpty { .. }
            | Error::Grape(_)
            | Error::GrapeUnreachable(_)
            | Error::Busy(_)
            | Error::Json(_)
            | Error::Item(_)
            | Error::Config(_)
            | Error::Tls(_)
            | Error::Start(_) => false,
        }
    }

    /// The name of the error: `ERR_TIMEOUT` and so on. Of a grape's or a handler's own text it is the first word if that
    /// begins with `ERR_`, otherwise `ERR_GRAPE_GENERIC` or `ERR_REMOTE`.
    pub fn code(&self) -> &str {
        fn named<'a>(text: &'a str, otherwise: &'static str) -> &'a str {
            let word = text.split(|c: char| c == ':' || c.is_whitespace()).next();
            word.filter(|word| word.starts_with("ERR_")).unwrap_or(otherwise)
        }
        match self {
            Error::LookupEmpty { .. } => "ERR_GRAPE_LOOKUP_EMPTY",
            Error::Grape(text) => named(text, "ERR_GRAPE_GENERIC"),
            Error::GrapeUnreachable(_) => "ERR_GRAPE_UNREACHABLE",
            Error::Timeout { .. } => "ERR_TIMEOUT",
            Error::Request { .. } => "ERR_REQUEST_GENERIC",
            Error::Closed { .. } => "ERR_TRANSPORT_CLOSE",
            Error::ReplyEmpty { .. } => "ERR_REPLY_EMPTY",
            Error::ReplyRid { .. } => "ERR_REPLY_RID",
            Error::ReplyTooLarge { .. } => "ERR_REPLY_SIZE",
            Error::ReplyCompression { .. } => "ERR_REPLY_ENCODING_COMPRESSION",
            Error::Remote(text) => named(text, "ERR_REMOTE"),
            Error::Busy(_) => "ERR_BUSY",
            Error::Json(_) => "ERR_JSON",
            Error::Item(_) => "ERR_ITEM",
            Error::Config(_) => "ERR_CONFIG",
            Error::Tls(_) => "ERR_TLS",
            Error::Start(_) => "ERR_START",
            Error::Stopped => "ERR_STOPPED",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Error::Grape(text) | Error::Remote(text) = self {
            return f.write_str(text);
        }
        write!(f, "{}: ", self.code())?;
        match self {
            Error::LookupEmpty { service } => write!(f, "nobody announces '{service}'"),
            Error::Timeout { limit, to: Some(to), .. } => {
                write!(f, "no reply from {to} within {limit:?}")
            }
            Error::Timeout { limit, to: None, .. } => write!(f, "not done within {limit:?}"),
            Error::Request { to, failure } => write!(f, "{to}: {failure}"),
            Error::Closed { to } => write!(f, "{to} closed the connection without a reply"),
            Error::ReplyEmpty { to } => write!(f, "the answer of {to} is no reply"),
            Error::ReplyRid { to } => write!(f, "the reply of {to} belongs to another request"),
            Error::ReplyTooLarge { to, limit } => {
                write!(f, "the reply of {to} is larger than {limit} bytes")
            }
            Error::ReplyCompression { to } => write!(f, "the reply of {to} is not gzip"),
            Error::Busy(what) => f.write_str(what),
            Error::GrapeUnreachable(text)
            | Error::Json(text)
            | Error::Item(text)
            | Error::Config(text)
            | Error::Tls(text)
            | Error::Start(text)
            | Error::Grape(text)
            | Error::Remote(text) => f.write_str(text),
            Error::Stopped => f.write_str("it has been stopped"),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Connect(why) => write!(f, "no connection: {why}"),
            Failure::Tls(why) => write!(f, "TLS: {why}"),
            Failure::Broken(why) => write!(f, "the connection broke before the reply: {why}"),
            Failure::Status(status, body) if body.is_empty() => write!(f, "HTTP status {status}"),
            Failure::Status(status, body) => write!(f, "HTTP status {status}: {body}"),
            Failure::Malformed(what) => {
                write!(f, "the answer does not keep to the protocol: {what}")
            }
            Failure::Busy => f.write_str("the worker is busy"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_begin_with_nodes_names() {
        let to = "127.0.0.1:1337".parse().unwrap();
        for (error, text) in [
            (
                Error::LookupEmpty { service: "rest:a".into() },
                "ERR_GRAPE_LOOKUP_EMPTY: nobody announces 'rest:a'",
            ),
            (
                Error::Timeout {
                    limit: Duration::from_millis(1500),
                    to: Some(to),
                    may_have_run: true,
                },
                "ERR_TIMEOUT: no reply from 127.0.0.1:1337 within 1.5s",
            ),
            (
                Error::Request { to, failure: Failure::Connect("connection refused".into()) },
                "ERR_REQUEST_GENERIC: 127.0.0.1:1337: no connection: connection refused",
            ),
            (Error::Remote("something the handler said".into()), "something the handler said"),
            (Error::Grape("ERR_GRAPE_SERVICE_PORT".into()), "ERR_GRAPE_SERVICE_PORT"),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_foreign_text_gives_its_code() {
        let code = |text: &str| Error::Remote(text.into()).code().to_string();
        assert_eq!(code("ERR_ACCOUNT: no such account"), "ERR_ACCOUNT");
        assert_eq!(code("ERR_ACCOUNT"), "ERR_ACCOUNT");
        assert_eq!(code("no such account"), "ERR_REMOTE");
        assert_eq!(Error::Grape("No nodes to query".into()).code(), "ERR_GRAPE_GENERIC");
    }
}
