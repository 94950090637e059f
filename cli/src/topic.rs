//! Topics on the command line.

use grenache_peer::publish::MAX_TOPIC;

/// A topic, or a prefix of topics.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    match text.len() {
        ..=MAX_TOPIC => Ok(text.to_string()),
        length => Err(format!("a topic has at most {MAX_TOPIC} bytes, and this {length}")),
    }
}
