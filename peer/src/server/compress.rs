//! Compressed requests and answers, the large ones off the core.

use bytes::Bytes;

use super::blocking::blocking;
use super::owed::Flight;
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
    /// There is no memory for it now.
    Busy,
}

pub(super) async fn inflate(body: Bytes, limit: u64, flight: &mut Flight) -> Inflated {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let here = limit.min(INFLATE_HERE);
    let mut inflated = Err(Unreadable::TooLarge);
    // A long body may be long work however little comes out of it.
    if body.len() <= INFLATE_HERE {
        inflated = gzip::decompress(&body, here);
    }
    // Room is taken before it is used: for what the body says it needs, and if that was not true, for the most it may.
    for room in [gzip::claimed(&body).min(limit), limit] {
        if inflated != Err(Unreadable::TooLarge) {
            break;
        }
        if !flight.resize(body.len().saturating_add(room)) {
            return Inflated::Busy;
        }
        let body = body.clone();
        inflated = blocking(move || gzip::decompress(&body, room)).await;
    }
    match inflated {
        Ok(plain) => {
            let kept = flight.resize(plain.len());
            if kept { Inflated::Bytes(plain) } else { Inflated::Busy }
        }
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
