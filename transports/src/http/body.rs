//! How long a body is (RFC 9112 section 6): the rules that keep requests from being smuggled.

use super::{Error, Framing, Malformed, Unsupported, syntax};

/// What the headers seen so far say about the length of the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    stated: Option<u64>,
    coding: Coding,
}

/// The transfer codings seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    None,
    /// Some, the last of which is not chunked.
    Open,
    /// Chunked alone.
    Chunked,
    /// Others, then chunked.
    ThenChunked,
}

impl Length {
    pub(super) const fn new() -> Self {
        Self { stated: None, coding: Coding::None }
    }

    /// A Content-Length header.
    pub(super) fn stated(&mut self, value: &[u8]) -> Result<(), Malformed> {
        if self.stated.is_some() {
            return Err(Malformed::ContentLengthRepeated);
        }
        self.stated = Some(syntax::decimal(value).ok_or(Malformed::ContentLength)?);
        Ok(())
    }

    /// A Transfer-Encoding header. Several make one list; empty members, which lists may have elsewhere, are refused.
    pub(super) fn encoded(&mut self, value: &[u8]) -> Result<(), Malformed> {
        for coding in value.split(|&byte| byte == b',').map(syntax::trim) {
            let chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.coding = match self.coding {
                // Nothing may follow chunked, and it may be applied once only.
                Coding::Chunked | Coding::ThenChunked => return Err(Malformed::TransferEncoding),
                _ if coding.is_empty() => return Err(Malformed::TransferEncoding),
                Coding::None if chunked => Coding::Chunked,
                Coding::Open if chunked => Coding::ThenChunked,
                Coding::None | Coding::Open => Coding::Open,
            };
        }
        Ok(())
    }

    /// The verdict over all headers.
    pub(super) fn framing(&self, http11: bool) -> Result<Framing, Error> {
        match (self.coding, self.stated) {
            (Coding::None, None) => Ok(Framing::None),
            (Coding::None, Some(length)) => Ok(Framing::Length(length)),
            (_, Some(_)) => Err(Malformed::LengthAndEncoding.into()),
            _ if !http11 => Err(Malformed::EncodingInHttp10.into()),
            (Coding::Chunked, None) => Ok(Framing::Chunked),
            (Coding::Open, None) => Err(Malformed::TransferEncoding.into()),
            (Coding::ThenChunked, None) => Err(Unsupported::TransferCoding.into()),
        }
    }
}
