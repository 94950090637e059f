//! Ids of requests, and the answers that bear them, where many requests are in flight on one connection.

use bytes::{BufMut, Bytes};
use grenache_peer::{Json, envelope};

use super::{Broken, Verdict, quote};
use crate::outcome::Fault;

/// Ids of one connection's requests: UUIDs of version 4 to the server. The first eight digits are the number of the request and
/// the rest is that of the connection, so an answer finds its request without a table.
pub(super) struct Ids {
    rest: [u8; Ids::REST],
}

impl Ids {
    const NUMBER: usize = 8;
    const REST: usize = 28;
    pub(super) const LEN: usize = Ids::NUMBER + Ids::REST;

    pub(super) fn new(random: [u8; 16]) -> Self {
        let random = u128::from_ne_bytes(random);
        let of = |first: u32, bits: u32| random >> first & ((1 << bits) - 1);
        let (a, b, c, node) = (of(0, 16), of(16, 12), of(28, 12), of(40, 48));
        // Version and variant stand where they belong.
        let rest = format!("-{a:04x}-4{b:03x}-a{c:03x}-{node:012x}").into_bytes();
        Self { rest: rest.try_into().expect("as many digits as in every UUID") }
    }

    /// The id of a request.
    pub(super) fn of(&self, number: u64) -> [u8; Self::LEN] {
        let mut id = [0; Self::LEN];
        for (at, digit) in id[..Self::NUMBER].iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(number >> (28 - 4 * at)) as usize & 0xf];
        }
        id[Self::NUMBER..].copy_from_slice(&self.rest);
        id
    }

    /// Puts a request together: `[rid, service, payload]`.
    pub(super) fn write_request(
        &self,
        number: u64,
        service: &Json,
        payload: &Json,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.put_slice(b"[\"");
        out.put_slice(&self.of(number));
        out.put_slice(b"\",");
        out.put_slice(service.as_bytes());
        out.put_u8(b',');
        out.put_slice(payload.as_bytes());
        out.put_u8(b']');
    }

    /// The lower 32 bits of the number of the request with this id.
    pub(super) fn number(&self, id: &[u8]) -> Option<u64> {
        let (digits, rest) = id.split_first_chunk::<{ Self::NUMBER }>()?;
        let value = |number: u64, digit: &u8| match digit {
            b'0'..=b'9' => Some(number << 4 | u64::from(digit - b'0')),
            b'a'..=b'f' => Some(number << 4 | u64::from(digit - b'a' + 10)),
            _ => None,
        };
        if rest != self.rest {
            return None;
        }
        digits.iter().try_fold(0, value)
    }

    /// Which request a message answers, and how. The usual form is compared as it stands, any other is taken apart.
    pub(super) fn judge(&self, message: &[u8]) -> Result<(u64, Verdict), Broken> {
        if let Some(rest) = message.strip_prefix(b"[\"")
            && let Some((id, rest)) = rest.split_at_checked(Self::LEN)
            && rest.starts_with(b"\",null,")
            && rest.ends_with(b"]")
            && let Some(number) = self.number(id)
        {
            return Ok((number, Verdict::Right));
        }
        let wrong = |why: &str| {
            let why = format!("{why}: {}", quote(message)).into();
            Err(Broken { fault: Fault::Wrong, why })
        };
        let Ok(reply) = envelope::decode_reply(&Bytes::copy_from_slice(message)) else {
            return wrong("a message that is no answer");
        };
        let number = match &reply.rid.as_bytes()[..] {
            [b'"', id @ .., b'"'] => self.number(id),
            _ => None,
        };
        let Some(number) = number else {
            return wrong("the answer of another request");
        };
        let verdict = match reply.outcome {
            Ok(_) => Verdict::Right,
            Err(error) if reply.busy => Verdict::failed(Fault::Busy, error),
            Err(error) => Verdict::failed(Fault::Remote, quote(error.as_bytes())),
        };
        Ok((number, verdict))
    }
}
