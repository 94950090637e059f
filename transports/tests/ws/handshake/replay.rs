//! Feeds bytes to either side of a handshake, in parts, and writes down what comes out.

use bytes::BytesMut;
use grenache_transports::http;
use grenache_transports::ws::Deflate;
use grenache_transports::ws::handshake::{Agreed, Answer, Failure, Offer, Refusal, is_asked};

/// What a server makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is not complete.
    Open,
    Http(http::Error),
    /// Another request.
    Other,
    Refused(Refusal),
    Granted {
        protocols: Vec<String>,
        deflate: Option<Deflate>,
        /// With the last of the protocols.
        answer: String,
    },
}

/// What comes of a request in `parts`, and how many bytes are left for what follows.
pub(crate) fn ask<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> (Asked, usize) {
    let mut connection = http::Connection::new(http::Config::default());
    let mut parts = parts.into_iter();
    while let Some(mut input) = parts.next() {
        let asked = match connection.receive(&mut input) {
            Ok(None) => continue,
            Err(error) => return (Asked::Http(error), 0),
            Ok(Some(http::Event::Request(request))) if is_asked(&request.head) => {
                match Offer::read(&request.head) {
                    Ok(offer) => grant(&offer),
                    Err(refusal) => Asked::Refused(refusal),
                }
            }
            Ok(Some(_)) => Asked::Other,
        };
        return (asked, input.len() + parts.map(<[u8]>::len).sum::<usize>());
    }
    (Asked::Open, 0)
}

fn grant(offer: &Offer<'_>) -> Asked {
    let protocols: Vec<_> =
        offer.protocols().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let mut answer = BytesMut::new();
    offer.accept(&mut answer, protocols.last().map(String::as_str), offer.deflate());
    let answer = String::from_utf8(answer.to_vec()).expect("text");
    Asked::Granted { protocols, deflate: offer.deflate(), answer }
}

/// What comes of an answer in `parts`, and how many bytes are left, which are frames.
pub(crate) fn answer<'p>(
    answer: &mut Answer,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> (Result<Option<Agreed>, Failure>, usize) {
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        let mut part = part.to_vec();
        let mut input = &mut part[..];
        match answer.receive(&mut input) {
            Ok(None) => assert!(input.is_empty(), "nothing may be left over"),
            Ok(agreed) => {
                return (Ok(agreed), input.len() + parts.map(<[u8]>::len).sum::<usize>());
            }
            Err(failure) => return (Err(failure), 0),
        }
    }
    (Ok(None), 0)
}
