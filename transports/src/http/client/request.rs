//! Writing requests (RFC 9112 sections 3 and 6).

use bytes::{BufMut, BytesMut};

use crate::http::{Field, Framing, field::put_decimal, syntax};

/// What a request begins with, and may be written as it is: the request line and Host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start<'a> {
    method: &'a str,
    target: &'a str,
    host: &'a str,
}

/// A [`Start`] was asked for that is none: written out, it could end the head or mean another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadStart;

impl core::fmt::Display for BadStart {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a method, path and host")
    }
}

impl core::error::Error for BadStart {}

impl<'a> Start<'a> {
    /// Checks a method, a path with or without a query, and `host[:port]`.
    ///
    /// # Errors
    /// The method is not a token, or CONNECT, whose answer would be a tunnel; the target does not begin in a slash or has bytes
    /// besides visible ASCII; the host is none.
    pub fn new(method: &'a str, target: &'a str, host: &'a str) -> Result<Self, BadStart> {
        let token = !method.is_empty() && syntax::token_len(method.as_bytes()) == method.len();
        let path = target.starts_with('/') && target.bytes().all(syntax::is_target);
        if token && method != "CONNECT" && path && syntax::is_host(host.as_bytes()) {
            Ok(Self { method, target, host })
        } else {
            Err(BadStart)
        }
    }

    /// Whether the answer has no body: see [`Expected`](super::Expected).
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// Appends a whole request. GET and HEAD without a body say nothing of it.
#[inline]
pub fn write(out: &mut BytesMut, start: Start<'_>, fields: &[Field<'_>], body: &[u8]) {
    out.reserve(256 + body.len());
    let framing = match start.method {
        "GET" | "HEAD" if body.is_empty() => Framing::None,
        _ => Framing::Length(body.len() as u64),
    };
    write_head(out, start, fields, framing);
    out.put_slice(body);
}

/// Appends the head of a request whose body is written by others, as `framing` says: so many bytes, or
/// [`chunk`](crate::http::chunk)s.
pub fn write_head(out: &mut BytesMut, start: Start<'_>, fields: &[Field<'_>], framing: Framing) {
    out.put_slice(start.method.as_bytes());
    out.put_slice(b" ");
    out.put_slice(start.target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\nhost: ");
    out.put_slice(start.host.as_bytes());
    match framing {
        Framing::None => {}
        Framing::Length(length) => {
            out.put_slice(b"\r\ncontent-length: ");
            put_decimal(out, length);
        }
        Framing::Chunked => out.put_slice(b"\r\ntransfer-encoding: chunked"),
    }
    for field in fields {
        field.put(out);
    }
    out.put_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_request_as_it_goes_out() {
        let post = Start::new("POST", "/lookup", "127.0.0.1:30001").unwrap();
        let field = Field::new("grc-compress", b"gzip").unwrap();
        assert_eq!(
            text(|out| write(out, post, &[field], b"{}")),
            "POST /lookup HTTP/1.1\r\nhost: 127.0.0.1:30001\r\ncontent-length: 2\r\n\
             grc-compress: gzip\r\n\r\n{}"
        );
        assert!(text(|out| write(out, post, &[], b"")).contains("\r\ncontent-length: 0\r\n"));
        let get = Start::new("GET", "/a?b", "[::1]").unwrap();
        let bare = "GET /a?b HTTP/1.1\r\nhost: [::1]\r\n\r\n";
        assert_eq!(text(|out| write(out, get, &[], b"")), bare);
        assert_eq!(
            text(|out| write_head(out, post, &[], Framing::Chunked)),
            "POST /lookup HTTP/1.1\r\nhost: 127.0.0.1:30001\r\ntransfer-encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn what_is_written_is_what_the_server_reads() {
        use crate::http::{Config, Connection, Event};
        let mut out = BytesMut::new();
        let start = Start::new("POST", "/x", "a.example:8").unwrap();
        write(&mut out, start, &[Field::new("_a", b"sum").unwrap()], b"body");
        let mut server = Connection::new(Config::default());
        let mut input = &out[..];
        let Ok(Some(Event::Request(request))) = server.receive(&mut input) else { panic!() };
        assert_eq!((request.method, request.target, request.body), ("POST", "/x", &b"body"[..]));
        assert_eq!(request.headers.get("_a"), Some(&b"sum"[..]));
    }

    #[test]
    fn nothing_but_a_start_is_written() {
        for (method, target, host) in [
            ("", "/", "a"),
            ("GET ", "/", "a"),
            ("CONNECT", "/", "a"),
            ("GET", "", "a"),
            ("GET", "a", "a"),
            ("GET", "/ HTTP/1.1\r\n", "a"),
            ("GET", "/\u{e9}", "a"),
            ("GET", "/", "a\r\nx: y"),
            ("GET", "/", "a/b"),
        ] {
            assert_eq!(Start::new(method, target, host), Err(BadStart), "{method} {target} {host}");
        }
    }
}
