//! Feeds bytes to a connection, in parts, and writes down what comes out.

use grenache_transports::http::{Config, Connection, Error, Event, Head, Persistence, Phase};

/// What came out, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Request(String, Vec<u8>),
    Continue,
    TooLarge(String),
    Head(String),
    Data(Vec<u8>),
    End,
    Error(Error),
}

/// `GET /target 1.1 keep name=value;..`
pub(crate) fn head(head: &Head<'_>) -> String {
    let mut text = format!(
        "{} {} {:?} {:?} {}",
        head.method,
        head.target,
        head.version,
        head.form,
        match head.persistence {
            Persistence::KeepAlive => "keep",
            Persistence::KeepAliveStated => "keep-stated",
            Persistence::Close => "close",
        },
    );
    for (name, value) in head.headers {
        text += &format!(" {name}={}", value.escape_ascii());
    }
    text
}

/// All events of `parts`; adjacent pieces of a body are joined, since where a body is cut is not part of what it says.
pub(crate) fn replay<'i>(
    config: Config,
    parts: impl IntoIterator<Item = &'i [u8]>,
) -> (Vec<Out>, Phase) {
    let mut connection = Connection::new(config);
    let mut out = Vec::new();
    for mut input in parts {
        loop {
            let event = match connection.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(event)) => event,
                Err(error) => {
                    out.push(Out::Error(error));
                    continue;
                }
            };
            let event = match event {
                Event::Request(request) => Out::Request(head(&request), request.body.to_vec()),
                Event::Continue => Out::Continue,
                Event::TooLarge(h) => Out::TooLarge(head(&h)),
                Event::Head(h) => Out::Head(head(&h)),
                Event::Data(data) => Out::Data(data.to_vec()),
                Event::End => Out::End,
            };
            match (out.last_mut(), event) {
                (Some(Out::Data(before)), Out::Data(data)) => before.extend_from_slice(&data),
                (_, event) => out.push(event),
            }
        }
        assert!(input.is_empty(), "nothing may be left over");
    }
    (out, connection.phase())
}

/// The events of `bytes` in one part, after making sure that those cut in two anywhere, cut in three around every line end, or
/// come one by one are the same. How much is thrown away after the end depends on the parts, so the phase given is never
/// `Exhausted`.
pub(crate) fn everywhere(config: Config, bytes: &[u8]) -> (Vec<Out>, Phase) {
    let replay = |parts: &[&[u8]]| match replay(config, parts.iter().copied()) {
        (out, Phase::Exhausted) => (out, Phase::Closing),
        other => other,
    };
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
