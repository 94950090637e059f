//! Writing answers (RFC 9112 section 4, RFC 9110 section 15).

use bytes::{BufMut, BytesMut};

use super::{Error, Field, Framing, Persistence, field::put_decimal};

/// The answer to an expectation (RFC 9110 section 10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a whole answer; without the body if answers of this status have none.
#[inline]
pub fn write(
    out: &mut BytesMut,
    status: u16,
    persistence: Persistence,
    date: &[u8; 29],
    fields: &[Field<'_>],
    body: &[u8],
) {
    out.reserve(256 + body.len());
    write_head(out, status, persistence, date, fields, Framing::Length(body.len() as u64));
    if has_body(status) {
        out.put_slice(body);
    }
}

/// Appends the answer to an error: its one line of text, and the connection closes.
pub fn write_error(out: &mut BytesMut, error: Error, date: &[u8; 29]) {
    write(out, error.status(), Persistence::Close, date, &[], error.text().as_bytes());
}

/// Appends the head of an answer whose body is written by others, or of one to HEAD, which has none. `framing` is what the
/// head says of the body; 1xx, 204 and 304, which never have one, say nothing of it whatever it is.
pub fn write_head(
    out: &mut BytesMut,
    status: u16,
    persistence: Persistence,
    date: &[u8; 29],
    fields: &[Field<'_>],
    framing: Framing,
) {
    if status == 200 {
        out.put_slice(b"HTTP/1.1 200 OK\r\ndate: ");
    } else {
        out.put_slice(b"HTTP/1.1 ");
        put_decimal(out, u64::from(status));
        out.put_slice(b" ");
        out.put_slice(reason(status).as_bytes());
        out.put_slice(b"\r\ndate: ");
    }
    out.put_slice(date);
    match framing {
        Framing::Length(length) if has_body(status) => {
            out.put_slice(b"\r\ncontent-length: ");
            put_decimal(out, length);
        }
        Framing::Chunked if has_body(status) => {
            out.put_slice(b"\r\ntransfer-encoding: chunked");
        }
        _ => {}
    }
    match persistence {
        Persistence::KeepAlive => {}
        Persistence::KeepAliveStated => out.put_slice(b"\r\nconnection: keep-alive"),
        Persistence::Close => out.put_slice(b"\r\nconnection: close"),
    }
    for field in fields {
        field.put(out);
    }
    out.put_slice(b"\r\n\r\n");
}

/// Whether answers of this status have a body (RFC 9112 section 6.3): bytes after others would be taken for the next answer.
const fn has_body(status: u16) -> bool {
    status >= 200 && !matches!(status, 204 | 304)
}

/// The reason phrase of a status code; empty for those that we have no use for.
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn text(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_answer_as_it_goes_out() {
        assert_eq!(
            text(|out| write(out, 200, Persistence::KeepAlive, DATE, &[], b"[]")),
            "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 2\r\n\r\n[]"
        );
        let field = Field::new("grc-compress", b"gzip").unwrap();
        assert_eq!(
            text(|out| write(out, 500, Persistence::Close, DATE, &[field], b"")),
            "HTTP/1.1 500 Internal Server Error\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             content-length: 0\r\nconnection: close\r\ngrc-compress: gzip\r\n\r\n"
        );
    }

    #[test]
    fn what_a_head_says_of_its_body() {
        let head = |status, framing| {
            text(|out| write_head(out, status, Persistence::KeepAliveStated, DATE, &[], framing))
        };
        assert!(head(200, Framing::Length(u64::MAX)).contains("length: 18446744073709551615\r\n"));
        assert!(head(200, Framing::Chunked).contains("\r\ntransfer-encoding: chunked\r\n"));
        assert!(head(200, Framing::None).ends_with("GMT\r\nconnection: keep-alive\r\n\r\n"));
        for status in [101, 204, 304] {
            for framing in [Framing::Length(5), Framing::Chunked] {
                assert!(head(status, framing).ends_with("GMT\r\nconnection: keep-alive\r\n\r\n"));
            }
            let whole = text(|out| write(out, status, Persistence::KeepAlive, DATE, &[], b"body"));
            assert!(whole.ends_with("GMT\r\n\r\n"), "{whole}");
        }
        // A status without a known reason still has the space after it (RFC 9112 section 4).
        assert!(head(299, Framing::None).starts_with("HTTP/1.1 299 \r\n"));
    }
}
