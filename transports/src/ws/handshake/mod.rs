//! How a connection begins: a request and an answer of HTTP (RFC 6455 section 4).
//!
//! A server finds the request among those of [`http`](crate::http) by [`is_asked`], reads it by [`Offer::read`], and answers.
//! A client writes it by [`write_request`] and gives what comes back to an [`Answer`].

mod client;
mod server;

pub use client::{Agreed, Answer, Failure, Key, write_request};
pub use server::{Offer, Refusal, is_asked};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The version of the protocol, the only one.
const VERSION: &[u8] = b"13";

/// What a key is joined with (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of an accepted key.
const ACCEPT: usize = 28;

/// What a server makes of a client's key, to show that it has understood (section 4.2.2).
fn accept(key: &[u8]) -> [u8; ACCEPT] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; ACCEPT];
    // 20 bytes are 28 characters.
    let _ = STANDARD.encode_slice(digest, &mut accept);
    accept
}

/// Whether a list of tokens, in one or several fields, has one, in any case of letters.
fn has_token(headers: crate::http::Headers<'_>, name: &str, token: &[u8]) -> bool {
    headers
        .get_all(name)
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_of_the_specification() {
        assert_eq!(&super::accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
