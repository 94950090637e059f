//! Feeds bytes to a client's connection, in parts, and writes down what comes out.

use grenache_transports::http::client::{
    Config, Connection, Error, Event, Expected, Head, Phase, Response,
};

/// What came out, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Response(String, Vec<u8>),
    Head(String),
    Data(Vec<u8>),
    End,
    Error(Error),
}

/// An answer that is to come whole.
pub(crate) const WHOLE: Expected = Expected { to_head: false, stream: false };
/// One in pieces.
pub(crate) const STREAM: Expected = Expected { to_head: false, stream: true };
/// One to HEAD.
pub(crate) const TO_HEAD: Expected = Expected { to_head: true, stream: false };

/// `200 OK Http11 keep name=value ..`
pub(crate) fn head(head: &Head<'_>) -> String {
    let keep = if head.keep_alive { "keep" } else { "close" };
    let mut text =
        format!("{} {} {:?} {keep}", head.status, head.reason.escape_ascii(), head.version);
    for (name, value) in head.headers {
        text += &format!(" {name}={}", value.escape_ascii());
    }
    text
}

/// All events of `parts`, and of the end of input if there is one; adjacent pieces of a body are joined, since where a body is
/// cut is not part of what it says.
pub(crate) fn replay<'i>(
    config: Config,
    expected: &[Expected],
    parts: impl IntoIterator<Item = &'i [u8]>,
    end: bool,
) -> (Vec<Out>, Phase) {
    let mut connection = Connection::new(config);
    for &answer in expected {
        connection.expect(answer).unwrap();
    }
    let mut out = Vec::new();
    for mut input in parts {
        loop {
            let event = match connection.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(event)) => Ok(own(event)),
                Err(error) => Err(error),
            };
            note(&mut out, &mut connection, event);
        }
        assert!(input.is_empty(), "nothing may be left over");
    }
    if end {
        let event = connection.end_of_input().map(|event| event.map(own));
        if let Some(event) = event.transpose() {
            note(&mut out, &mut connection, event);
        }
        assert_eq!(connection.phase(), Phase::Finished);
    }
    (out, connection.phase())
}

fn own(event: Event<'_>) -> (Out, bool) {
    match event {
        Event::Response(Response { head: h, body, assembled }) => {
            (Out::Response(head(&h), body.to_vec()), assembled)
        }
        Event::Head(h) => (Out::Head(head(&h)), false),
        Event::Data(data) => (Out::Data(data.to_vec()), false),
        Event::End => (Out::End, false),
    }
}

fn note(out: &mut Vec<Out>, connection: &mut Connection, event: Result<(Out, bool), Error>) {
    let event = match event {
        Ok((event, assembled)) => {
            if let Out::Response(_, body) = &event {
                // What can be taken is what was shown.
                let expected = if assembled { &body[..] } else { b"" };
                assert_eq!(connection.take_body(), expected);
            }
            event
        }
        Err(error) => Out::Error(error),
    };
    match (out.last_mut(), event) {
        (Some(Out::Data(before)), Out::Data(data)) => before.extend_from_slice(&data),
        (_, event) => out.push(event),
    }
}

/// The events of `bytes` in one part, after making sure that those cut in two anywhere, cut in three around every line end, or
/// come one by one are the same.
pub(crate) fn everywhere(
    config: Config,
    expected: &[Expected],
    bytes: &[u8],
    end: bool,
) -> (Vec<Out>, Phase) {
    let replay = |parts: &[&[u8]]| replay(config, expected, parts.iter().copied(), end);
    let whole = replay(&[bytes]);
    for at in 1..bytes.len() {
        let (a, b) = bytes.split_at(at);
        assert_eq!(replay(&[a, b]), whole, "cut at {at}: {}", bytes.escape_ascii());
        if bytes[at] == b'\n' {
            let (b, c) = b.split_at(1);
            assert_eq!(replay(&[a, b, c]), whole, "cut around {at}");
        }
    }
    let single: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(replay(&single), whole, "one by one: {}", bytes.escape_ascii());
    whole
}
