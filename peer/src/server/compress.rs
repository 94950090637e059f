//! Compressed requests and answers, the large ones off the core.

use bytes::Bytes;

use super::blocking::blocking;
use crate::gzip::{self, Unreadable};

/// Up to this many bytes, decompressed, a body is worked on where it is: this takes about as long as getting another thread to
/// do it.
const INFLATE_HERE: usize = 64 * 1024;
const DEFLATE_HERE: usize = 8 * 1024;

/// The body of a request that says it is compressed.
pub(super) enum Inflated {
    /// As Node does, a body that is not compressed in spite of what it says is taken as it is.
    Bytes(Bytes),
    TooLarge,
}

pub(super) async fn inflate(body: Bytes, limit: u64) -> Inflated {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let here = limit.min(INFLATE_HERE);
    let inflated = match gzip::decompress(&body, here) {
        Err(Unreadable::TooLarge) if here < limit => {
            let body = body.clone();
            blocking(move || gzip::decompress(&body, limit)).await
        }
        inflated => inflated,
    };
    match inflated {
        Ok(plain) => Inflated::Bytes(plain),
        Err(Unreadable::TooLarge) => Inflated::TooLarge,
        Err(Unreadable::Malformed | Unreadable::Truncated) => Inflated::Bytes(body),
    }
}

pub(super) async fn deflate(body: Bytes) -> Bytes {
    match body.len() {
        ..=DEFLATE_HERE => gzip::compress(&body),
        _ => blocking(move || gzip::compress(&body)).await,
    }
}
