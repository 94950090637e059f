//! What a grape's answers say.

use std::borrow::Cow;
use std::net::SocketAddr;

use bytes::Bytes;

/// Bytes of a text that is no JSON which are passed on in an error.
const MAX_TEXT: usize = 256;

/// A grape that knows no other says this.
pub(super) const NO_NODES: &str = "No nodes to query";

/// None of the nodes that a grape asked has said that it stored something.
const ALL_FAILED: &str = "All queries failed";

/// What is said of an answer that no grape gives.
const NO_GRAPE: &str = "what answers is no grape";

/// An answer, by what is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told<T> {
    /// What was asked for.
    Answer(T),
    /// No, and no other grape would say anything else.
    Refused(String),
    /// This grape knows no others that it could ask or that would store it; another one may.
    Alone(String),
    /// This grape, or what stands before it, has not taken the question.
    NotTaken(String),
    /// Nothing that a grape says: what became of the question is open.
    Lost(String),
}

/// Sorts an answer out. Errors are JSON strings with status 200, or with another status JSON strings or plain text.
pub(super) fn told<T>(status: u16, body: &Bytes, read: impl Fn(&Bytes) -> Option<T>) -> Told<T> {
    if status == 200 {
        if let Some(answer) = read(body) {
            return Told::Answer(answer);
        }
        return match serde_json::from_slice::<String>(body) {
            Ok(text) if text == NO_NODES || text == ALL_FAILED => Told::Alone(text),
            Ok(text) => Told::Refused(text),
            Err(_) => Told::Lost(NO_GRAPE.into()),
        };
    }
    let text = serde_json::from_slice::<String>(body).unwrap_or_else(|_| {
        let start = &body[..body.len().min(MAX_TEXT)];
        String::from_utf8_lossy(start).trim().to_string()
    });
    let text = if text.is_empty() { format!("HTTP status {status}") } else { text };
    match status {
        429 | 503 => Told::NotTaken(text),
        // Of what stands before a grape.
        502 | 504 => Told::Lost(text),
        _ => Told::Refused(text),
    }
}

/// The addresses in the answer to a lookup, each once, at most `max`. What is no address is left out.
pub(super) fn addresses(body: &Bytes, max: usize) -> Option<Vec<SocketAddr>> {
    let list: Vec<Cow<'_, str>> = serde_json::from_slice(body).ok()?;
    let mut addresses = Vec::with_capacity(list.len().min(max));
    for text in &list {
        match text.parse::<SocketAddr>() {
            Ok(addr) if addr.port() != 0 => addresses.push(addr),
            _ => tracing::debug!("a grape names {text:?} as a worker's address"),
        }
        if addresses.len() == max {
            break;
        }
    }
    // In the order of their addresses, so that a service's list is the same from every grape.
    addresses.sort_unstable();
    addresses.dedup();
    Some(addresses)
}

/// The answer to an announcement: how many nodes have stored it.
pub(super) fn count(body: &Bytes) -> Option<usize> {
    serde_json::from_slice(body).ok()
}

/// The answer to a put: the key of the item.
pub(super) fn key(body: &Bytes) -> Option<[u8; 20]> {
    let text: Cow<'_, str> = serde_json::from_slice(body).ok()?;
    super::item::from_hex(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(status: u16, body: &'static str) -> Told<Vec<SocketAddr>> {
        told(status, &Bytes::from_static(body.as_bytes()), |body| addresses(body, 3))
    }

    #[test]
    fn answers_of_a_lookup() {
        let list = |list: &[&str]| Told::Answer(list.iter().map(|a| a.parse().unwrap()).collect());
        assert_eq!(lookup(200, "[]"), list(&[]));
        let two = list(&["10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(lookup(200, r#"["10.0.0.2:1", "10.0.0.1:1","10.0.0.2:1"]"#), two);
        assert_eq!(
            lookup(200, r#"["nobody","1.2.3.4","1.2.3.4:0","10.0.0.1:1"]"#),
            list(&["10.0.0.1:1"])
        );
        let four = r#"["10.0.0.1:1","10.0.0.2:1","10.0.0.3:1","10.0.0.4:1"]"#;
        assert_eq!(lookup(200, four), list(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]));
    }

    #[test]
    fn errors_as_node_tells_them() {
        let refused = |text: &str| Told::Refused(text.to_string());
        assert_eq!(lookup(200, "\"ERR_GRAPE_LOOKUP\""), refused("ERR_GRAPE_LOOKUP"));
        assert_eq!(lookup(500, "ERR_GRAPE_PAYLOAD_INVALID"), refused("ERR_GRAPE_PAYLOAD_INVALID"));
        assert_eq!(lookup(413, "ERR_GRAPE_PAYLOAD_SIZE"), refused("ERR_GRAPE_PAYLOAD_SIZE"));
        let text = "302 sequence number less than current";
        assert_eq!(lookup(302, "\"302 sequence number less than current\""), refused(text));
        assert_eq!(lookup(404, ""), refused("HTTP status 404"));
        let alone = "No nodes to query";
        assert_eq!(lookup(200, "\"No nodes to query\""), Told::Alone(alone.into()));
        let busy = "ERR_GRAPE_BUSY";
        assert_eq!(lookup(503, "\"ERR_GRAPE_BUSY\""), Told::NotTaken(busy.into()));
        for garbage in ["", "{}", "[1]", "<html>", "null", "3"] {
            assert_eq!(lookup(200, garbage), Told::Lost(NO_GRAPE.into()), "{garbage}");
        }
    }

    #[test]
    fn counts_and_keys() {
        let body = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(count(&body("3")), Some(3));
        assert_eq!((count(&body("-1")), count(&body("\"3\""))), (None, None));
        let hex = "\"0101010101010101010101010101010101010101\"";
        assert_eq!(key(&body(hex)), Some([1; 20]));
        assert_eq!((key(&body("\"01\"")), key(&body("\"ERR_GRAPE_GENERIC\""))), (None, None));
    }
}
