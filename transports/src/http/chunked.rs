//! Chunked bodies (RFC 9112 section 7.1).

use super::{Error, Limit, Malformed, syntax};

/// How much a body may have besides its data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extras {
    pub(super) max_extensions: usize,
    pub(super) max_trailers: usize,
}

/// Decodes one chunked body. Extensions and trailers are checked, counted and dropped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoder {
    state: State,
    /// Of the chunk at hand: its size while that is read, then what is left of its data.
    size: u64,
    digits: u8,
    extensions: usize,
    trailers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit.
    Start,
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a trailer line, or of the empty line that ends the body.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

/// A part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'i> {
    Data(&'i [u8]),
    End,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self { state: State::Start, size: 0, digits: 0, extensions: 0, trailers: 0 }
    }

    /// Takes bytes off `input` until there is a piece or no input; `room` is how many bytes the body may still have.
    pub(super) fn decode<'i>(
        &mut self,
        input: &mut &'i [u8],
        room: u64,
        limits: Extras,
    ) -> Result<Option<Piece<'i>>, Error> {
        while let [byte, rest @ ..] = *input {
            if self.state == State::Data {
                let len = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at(len);
                *input = rest;
                self.size -= len as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Some(Piece::Data(data)));
            }
            *input = rest;
            if self.state == State::EndLf {
                return match byte {
                    b'\n' => Ok(Some(Piece::End)),
                    _ => Err(Malformed::BareCr.into()),
                };
            }
            self.state = self.step(*byte, room, limits)?;
        }
        Ok(None)
    }

    /// One byte of what stands around the data.
    fn step(&mut self, byte: u8, room: u64, limits: Extras) -> Result<State, Error> {
        Ok(match (self.state, byte) {
            (State::Size, b';') => self.extension(limits)?,
            (State::Size | State::Extension, b'\r') => State::SizeLf,
            (State::Start | State::Size, _) => self.digit(byte)?,
            (State::Extension, b'\n') => return Err(Malformed::BareLf.into()),
            (State::Extension, _) if syntax::is_value(byte) => self.extension(limits)?,
            (State::Extension, _) => return Err(Malformed::ChunkExtension.into()),
            (State::SizeLf, b'\n') if self.size == 0 => State::Trailer,
            (State::SizeLf, b'\n') if self.size > room => return Err(Limit::Body.into()),
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                (self.size, self.digits) = (0, 0);
                State::Start
            }
            (State::DataCr | State::DataLf, _) => return Err(Malformed::ChunkEnd.into()),
            (State::Trailer, b'\r') => State::EndLf,
            (State::TrailerName, b':') => self.trailer(State::TrailerValue, limits)?,
            (State::Trailer | State::TrailerName, _) if syntax::is_token(byte) => {
                self.trailer(State::TrailerName, limits)?
            }
            (State::TrailerValue, b'\r') => self.trailer(State::TrailerLf, limits)?,
            (State::TrailerValue, b'\n') => return Err(Malformed::BareLf.into()),
            (State::TrailerValue, _) if syntax::is_value(byte) => {
                self.trailer(State::TrailerValue, limits)?
            }
            (State::TrailerLf, b'\n') => self.trailer(State::Trailer, limits)?,
            (State::SizeLf | State::TrailerLf, _) => return Err(Malformed::BareCr.into()),
            // Data and EndLf never come here.
            _ => return Err(Malformed::Trailer.into()),
        })
    }

    /// A digit of a chunk size: at most as many as 64 bits have, so that zeros do not go on for ever.
    fn digit(&mut self, byte: u8) -> Result<State, Malformed> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return Err(Malformed::ChunkSize),
        };
        if self.digits == 16 {
            return Err(Malformed::ChunkSize);
        }
        self.digits += 1;
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size)
    }

    /// Counts a byte of an extension, with its semicolon.
    fn extension(&mut self, limits: Extras) -> Result<State, Limit> {
        self.extensions += 1;
        if self.extensions > limits.max_extensions {
            return Err(Limit::ChunkExtensions);
        }
        Ok(State::Extension)
    }

    /// Counts a byte of the trailer section, with its line ends.
    fn trailer(&mut self, next: State, limits: Extras) -> Result<State, Limit> {
        self.trailers += 1;
        if self.trailers > limits.max_trailers { Err(Limit::Trailers) } else { Ok(next) }
    }
}
