//! Workers that answer wrongly.

use std::io::Write;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use grenache_peer::{Error, Failure};

use crate::client::{call, request, small_replies, start, start_with};
use crate::server::{Connection, Request, Server, answer, reply};

/// What a worker does with a request.
pub(crate) type Fault = fn(&mut Connection, Request) -> std::io::Result<()>;

fn kind(error: &Error) -> String {
    match error {
        Error::Request { failure, .. } => match failure {
            Failure::Status(status, _) => format!("status {status}"),
            Failure::Broken(_) => "broken".into(),
            Failure::Malformed(_) => "malformed".into(),
            Failure::Busy => "busy".into(),
            other => format!("{other:?}"),
        },
        other => other.code().to_string(),
    }
}

fn chunked(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

/// Name, fault, and what the caller gets.
pub(crate) const FAULTS: &[(&str, Fault, &str)] = &[
    ("closes at once", |c, _| c.close(""), "ERR_TRANSPORT_CLOSE"),
    ("half a status line", |c, _| c.close("HTTP/1.1 20"), "broken"),
    ("half a head", |c, _| c.close("HTTP/1.1 200 OK\r\ncontent-len"), "broken"),
    ("half a body", |c, _| c.close("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1"), "broken"),
    ("half a chunk", |c, _| c.close(chunked("5\r\nab")), "broken"),
    ("no last chunk", |c, _| c.close(chunked("2\r\nab\r\n")), "broken"),
    ("garbage", |c, _| c.raw("\x01\x02\x03 garbage \u{ff}\r\n\r\n"), "malformed"),
    ("another protocol", |c, _| c.raw("SSH-2.0-OpenSSH_9.6\r\n"), "malformed"),
    ("a request", |c, _| c.raw("POST / HTTP/1.1\r\nhost: a\r\n\r\n"), "malformed"),
    ("a status that is none", |c, _| c.raw("HTTP/1.1 20x OK\r\n\r\n"), "malformed"),
    ("another version", |c, _| c.raw("HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n"), "malformed"),
    (
        "a blank before the colon",
        |c, _| c.raw("HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\n[]"),
        "malformed",
    ),
    (
        "two lengths",
        |c, _| c.raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n[]x"),
        "malformed",
    ),
    (
        "length and chunked",
        |c, _| {
            c.raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        },
        "malformed",
    ),
    (
        "a length that is none",
        |c, _| c.raw("HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n[]"),
        "malformed",
    ),
    (
        "an unknown coding",
        |c, _| c.raw("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n[]"),
        "malformed",
    ),
    ("a chunk size that is none", |c, _| c.raw(chunked("zz\r\n[]\r\n0\r\n\r\n")), "malformed"),
    ("a chunk longer than said", |c, _| c.raw(chunked("1\r\n[]\r\n0\r\n\r\n")), "malformed"),
    (
        "a chunk size beyond 64 bits",
        |c, _| c.raw(chunked("fffffffffffffffff\r\n[]\r\n0\r\n\r\n")),
        "malformed",
    ),
    (
        "a head without end",
        |c, _| {
            c.raw("HTTP/1.1 200 OK\r\n")?;
            loop {
                c.raw("x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")?;
            }
        },
        "malformed",
    ),
    (
        "hints without end",
        |c, _| loop {
            c.raw("HTTP/1.1 100 Continue\r\n\r\n")?
        },
        "malformed",
    ),
    ("an upgrade", |c, _| c.raw("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "malformed"),
    ("an empty body", |c, _| c.answer(200, ""), "ERR_REPLY_EMPTY"),
    ("no content", |c, _| c.raw("HTTP/1.1 204 No Content\r\n\r\n"), "status 204"),
    ("no JSON", |c, _| c.answer(200, "<html>"), "ERR_REPLY_EMPTY"),
    ("null", |c, _| c.answer(200, "null"), "ERR_REPLY_EMPTY"),
    ("an object", |c, _| c.answer(200, "{}"), "ERR_REPLY_EMPTY"),
    ("an empty array", |c, _| c.answer(200, "[]"), "ERR_REPLY_EMPTY"),
    (
        "no UTF-8",
        |c, r| c.answer(200, [b"[", r.rid.as_bytes(), b",null,\"\xff\"]"].concat()),
        "ERR_REPLY_EMPTY",
    ),
    ("two values", |c, r| c.answer(200, format!("[{},null,1] 2", r.rid)), "ERR_REPLY_EMPTY"),
    (
        "another's id",
        |c, _| c.answer(200, r#"["11111111-2222-4333-8444-555555555555",null,1]"#),
        "ERR_REPLY_RID",
    ),
    ("no id", |c, _| c.answer(200, "[null,null,1]"), "ERR_REPLY_RID"),
    ("another's error", |c, _| c.answer(200, r#"["x","ERR_OTHER",null]"#), "ERR_REPLY_RID"),
    ("500", |c, _| c.answer(500, "it broke"), "status 500"),
    ("404", |c, _| c.answer(404, ""), "status 404"),
    (
        "a redirection",
        |c, _| {
            c.raw(
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            )
        },
        "status 302",
    ),
    ("busy", |c, r| c.answer(503, format!(r#"[{},"ERR_BUSY",null]"#, r.rid)), "busy"),
    (
        "too large by its length",
        |c, _| c.raw("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n"),
        "ERR_REPLY_SIZE",
    ),
    (
        "too large, in chunks",
        |c, _| {
            c.raw(chunked(""))?;
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            loop {
                c.raw(&chunk)?;
            }
        },
        "ERR_REPLY_SIZE",
    ),
    (
        "too large, until the end",
        |c, _| {
            c.raw("HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                c.raw([b'x'; 0x10000])?;
            }
        },
        "ERR_REPLY_SIZE",
    ),
];

/// Every fault is what it says, at once, and the next request is answered.
#[test]
fn every_fault_is_a_typed_error() {
    let handle = start_with(small_replies());
    for &(name, fault, expected) in FAULTS {
        let server = faulty(fault);
        let error = request(&handle, server.addr, call("\"wrong\"")).expect_err(name);
        assert_eq!(kind(&error), expected, "{name}: {error}");
        assert_eq!(error.may_have_run(), expected != "busy", "{name}: {error}");
        let next = request(&handle, server.addr, call("\"right\""));
        assert_eq!(next.as_deref(), Ok("\"right\""), "{name}");
        // A connection with a whole answer is kept, unless the answer was another's.
        let kept =
            expected.starts_with("status") || expected == "busy" || expected == "ERR_REPLY_EMPTY";
        assert_eq!(server.accepted(), if kept { 1 } else { 2 }, "{name}: connections");
    }
}

/// A worker whose first request ends in a fault; the others it answers well.
pub(crate) fn faulty(fault: Fault) -> Server {
    Server::start(move |connection| {
        if connection.number == 0 {
            let request = connection.request()?;
            fault(connection, request)?;
        }
        connection.echo()
    })
}

/// Faults of bodies that should be gzip.
#[test]
fn compressed_replies() {
    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }
    let handle = start_with(small_replies());
    let faults: [(&str, Fault, &str); 6] = [
        ("not compressed", |c, r| c.raw(reply(&r.rid, "1")), "ERR_REPLY_ENCODING_COMPRESSION"),
        ("empty", |c, _| c.answer(200, ""), "ERR_REPLY_ENCODING_COMPRESSION"),
        (
            "cut off",
            |c, r| {
                let whole = gzip(format!("[{},null,1]", r.rid).as_bytes());
                c.answer(200, &whole[..whole.len() - 5])
            },
            "ERR_REPLY_ENCODING_COMPRESSION",
        ),
        (
            "a bad checksum",
            |c, r| {
                let mut whole = gzip(format!("[{},null,1]", r.rid).as_bytes());
                let at = whole.len() - 8;
                whole[at] ^= 1;
                c.answer(200, whole)
            },
            "ERR_REPLY_ENCODING_COMPRESSION",
        ),
        ("no reply inside", |c, _| c.answer(200, gzip(b"hello")), "ERR_REPLY_EMPTY"),
        (
            // 100 MB in 100 KB.
            "a bomb",
            |c, r| {
                let spaces = vec![b' '; 100_000_000];
                c.answer(200, gzip(&[b"[", r.rid.as_bytes(), &spaces, b",null,1]"].concat()))
            },
            "ERR_REPLY_SIZE",
        ),
    ];
    for (name, fault, expected) in faults {
        let server = Server::start(move |connection| {
            let request = connection.request()?;
            fault(connection, request)?;
            connection.hang()
        });
        let error = request(&handle, server.addr, call("1").gzip()).expect_err(name);
        assert_eq!(kind(&error), expected, "{name}: {error}");
    }
}

/// Bytes that come before any request was sent belong to nobody.
#[test]
fn an_answer_before_the_request_was_read() {
    let handle = start();
    let server = Server::start(|connection| {
        if connection.number > 0 {
            return connection.echo();
        }
        connection.raw(answer(200, r#"["x",null,"early"]"#))?;
        connection.echo()
    });
    // Whether the answer or the request comes first is a race; either way it is nobody's reply.
    match request(&handle, server.addr, call("1")) {
        Err(error) => {
            let kind = kind(&error);
            assert!(
                ["ERR_REPLY_RID", "malformed", "broken", "ERR_TRANSPORT_CLOSE"].contains(&&*kind),
                "{error}"
            );
        }
        Ok(answer) => assert_eq!((&*answer, server.accepted()), ("1", 2)),
    }
    assert_eq!(request(&handle, server.addr, call("2")).as_deref(), Ok("2"));
}

/// The second answer comes with the first, or a little later: never is it the answer to the next request.
#[test]
fn an_answer_that_comes_twice() {
    let handle = start();
    for together in [true, false] {
        let server = Server::start(move |connection| {
            loop {
                let request = connection.request()?;
                let mut first = reply(&request.rid, &request.payload);
                let second = first.clone();
                if together {
                    first.extend_from_slice(&second);
                    connection.raw(first)?;
                } else {
                    connection.raw(first)?;
                    connection.raw(second)?;
                }
            }
        });
        for number in 0..20 {
            let number = number.to_string();
            match request(&handle, server.addr, call(&number)) {
                Ok(answer) => assert_eq!(answer, number),
                // The second answer may have crossed the next request on its way.
                Err(error) => assert_eq!(kind(&error), "ERR_REPLY_RID", "{error}"),
            }
        }
    }
}

/// An answer to a request that nobody waits for any more.
#[test]
fn an_answer_after_the_deadline() {
    let handle = start();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let server = Server::start(move |connection| {
        if connection.number > 0 {
            return connection.echo();
        }
        let request = connection.request()?;
        let _ = released.lock().unwrap().recv();
        connection.raw(reply(&request.rid, &request.payload))?;
        connection.echo()
    });
    let short = call("\"late\"").timeout(Duration::from_millis(50));
    assert_eq!(request(&handle, server.addr, short).unwrap_err().code(), "ERR_TIMEOUT");
    release.send(()).unwrap();
    for number in 0..5 {
        let answer = request(&handle, server.addr, call(&number.to_string()));
        assert_eq!(answer, Ok(number.to_string()));
    }
}

/// A kept connection that the worker closes between two requests is no error: the next request had not left.
#[test]
fn a_worker_that_closes_idle_connections() {
    let handle = start();
    let server = Server::start(|connection| {
        let request = connection.request()?;
        connection.raw(reply(&request.rid, &request.payload))
    });
    for number in 0..50 {
        let answer = request(&handle, server.addr, call(&number.to_string()));
        assert_eq!(answer, Ok(number.to_string()));
        server.wait_for_silence();
    }
    assert_eq!((server.accepted(), server.requests()), (50, 50));
}

/// `connection: close` means it.
#[test]
fn a_worker_that_says_close() {
    let handle = start();
    let server = Server::start(|connection| {
        let request = connection.request()?;
        let body = format!("[{},null,{}]", request.rid, request.payload);
        let length = body.len();
        connection.raw(format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ))?;
        connection.hang()
    });
    for number in 0..5 {
        let answer = request(&handle, server.addr, call(&number.to_string()));
        assert_eq!(answer, Ok(number.to_string()));
    }
    assert_eq!(server.accepted(), 5);
}

/// Answers cut into single bytes, with interim answers and unknown headers before.
#[test]
fn right_answers_in_odd_forms() {
    let handle = start();
    let forms: [fn(&Request) -> String; 5] = [
        |r| {
            chunked(&format!(
                "1\r\n[\r\n{:x};ext=1\r\n{}\r\n8\r\n,null,7]\r\n0\r\ntrailer: x\r\n\r\n",
                r.rid.len(),
                r.rid
            ))
        },
        |r| {
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n[{},null,7]",
                r.rid.len() + 9,
                r.rid
            )
        },
        |r| {
            format!(
                "HTTP/1.1 200\r\nContent-Length: {}\r\nX-Unknown: \t a b \r\n\r\n[{},null,7]",
                r.rid.len() + 9,
                r.rid
            )
        },
        |r| {
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n{:X}\r\n[{},null,7]\r\n0\r\n\r\n",
                r.rid.len() + 9,
                r.rid
            )
        },
        |r| {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n\n [{} ,\tnull, 7 ]\r\n",
                r.rid.len() + 17,
                r.rid
            )
        },
    ];
    for (at, form) in forms.into_iter().enumerate() {
        for slow in [false, true] {
            let server = Server::start(move |connection| {
                loop {
                    let request = connection.request()?;
                    let answer = form(&request);
                    for piece in answer.as_bytes().chunks(if slow { 1 } else { usize::MAX }) {
                        connection.raw(piece)?;
                    }
                }
            });
            for _ in 0..3 {
                let answer = request(&handle, server.addr, call("1"));
                assert_eq!(answer.as_deref(), Ok("7"), "form {at}, slow {slow}");
            }
            assert_eq!(server.accepted(), 1, "form {at}: the connection is kept");
        }
    }
}
