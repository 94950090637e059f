//! What can be wrong with what a peer sends.

use core::fmt;

use super::close::code;

/// Why a connection cannot go on. It is finished: send [`close_code`](Self::close_code) and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// A reserved bit is set that nothing was agreed for (RFC 6455 section 5.2).
    ReservedBits,
    /// An opcode that has no meaning.
    Opcode,
    /// A client's frame without a mask (section 5.1).
    Unmasked,
    /// A server's frame with a mask.
    Masked,
    /// A length that is not in its shortest form, or of more than 63 bits (section 5.2).
    Length,
    /// A control frame that is fragmented or longer than 125 bytes (section 5.5).
    Control,
    /// A fragment without a beginning (section 5.4).
    Continuation,
    /// A message that begins within another.
    Interleaved,
    /// A text that is not UTF-8 (section 8.1).
    Utf8,
    /// A close frame of one byte, or with a code that is none (section 7.4).
    CloseCode,
    /// A frame over `max_frame`.
    FrameTooLarge,
    /// A message over `max_message`.
    MessageTooLarge,
    /// Compressed data that cannot be decompressed (RFC 7692 section 7.2.2).
    Compression,
}

impl Error {
    /// The code to close with (RFC 6455 section 7.4.1).
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Utf8 => code::INVALID,
            Self::FrameTooLarge | Self::MessageTooLarge => code::TOO_BIG,
            _ => code::PROTOCOL,
        }
    }

    /// One short line, which also fits into a close frame.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bits are set",
            Self::Opcode => "unknown opcode",
            Self::Unmasked => "a client's frame without a mask",
            Self::Masked => "a server's frame with a mask",
            Self::Length => "bad frame length",
            Self::Control => "control frame too long or fragmented",
            Self::Continuation => "a fragment of no message",
            Self::Interleaved => "a message within another",
            Self::Utf8 => "text is not UTF-8",
            Self::CloseCode => "bad close code",
            Self::FrameTooLarge => "frame too large",
            Self::MessageTooLarge => "message too large",
            Self::Compression => "compressed data is damaged",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}
