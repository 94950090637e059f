//! What has to be refused, and when: with the first byte that cannot be.

use grenache_transports::ws::{Error, Role, code};

use crate::frames::{
    BINARY, CLOSE, COMPRESSED, CONTINUATION, FIN, PING, PONG, ROLES, TEXT, frame, head, head_as,
};
use crate::replay::{End, Out, Reader};

/// `bytes` are refused when the last of them is there, not before; what came before is said, what comes after is thrown away.
fn refused(role: Role, bytes: &[u8], error: Error) {
    let reader = Reader::new(role);
    let (mut out, end) = reader.everywhere(&bytes[..bytes.len() - 1]);
    assert_ne!(end, End::Finished, "{error:?} too early: {}", bytes.escape_ascii());
    out.push(Out::Error(error));
    let more = [bytes, &frame(role, FIN | TEXT, b"more")].concat();
    for bytes in [bytes, &more] {
        let said = reader.everywhere(bytes);
        assert_eq!(said, (out.clone(), End::Finished), "{role:?}: {}", bytes.escape_ascii());
    }
}

/// The same after whole messages, and within one.
fn refused_anywhere(role: Role, bytes: &[u8], error: Error) {
    refused(role, bytes, error);
    refused(role, &[&frame(role, FIN | TEXT, b"before"), bytes].concat(), error);
    let within = [frame(role, BINARY, b"begun"), frame(role, FIN | PING, b"")].concat();
    refused(role, &[&within, bytes].concat(), error);
}

#[test]
fn reserved_bits_and_opcodes() {
    for role in ROLES {
        for first in 0..=u8::MAX {
            let (bits, opcode) = (first & 0x70, first & 0x0f);
            if bits & 0x30 != 0 {
                refused_anywhere(role, &[first], Error::ReservedBits);
            } else if matches!(opcode, 3..=7 | 11..=15) {
                refused_anywhere(role, &[first], Error::Opcode);
            } else if first & FIN == 0 && opcode >= CLOSE {
                let two = &head(role, first, 0)[..2];
                refused_anywhere(role, two, Error::Control);
            } else if bits != 0 && opcode != CONTINUATION {
                // Nobody has agreed on compression.
                refused(role, &head(role, first, 0), Error::ReservedBits);
                refused(role, &head(role, first, 5), Error::ReservedBits);
            }
        }
        for first in [COMPRESSED, FIN | COMPRESSED] {
            let within = [frame(role, TEXT, b"a"), head(role, first, 0)].concat();
            refused(role, &within, Error::ReservedBits);
        }
    }
}

#[test]
fn masks() {
    for opcode in [TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG] {
        for size in [0, 5, 125] {
            let unmasked = &head(Role::Client, FIN | opcode, size)[..2];
            refused_anywhere(Role::Server, unmasked, Error::Unmasked);
            let masked = &head(Role::Server, FIN | opcode, size)[..2];
            refused_anywhere(Role::Client, masked, Error::Masked);
        }
    }
}

#[test]
fn lengths() {
    for role in ROLES {
        let mask = if role == Role::Server { 4 } else { 0 };
        for (class, length) in [
            (126, 0),
            (126, 1),
            (126, 125),
            (127, 0),
            (127, 125),
            (127, 126),
            (127, 0xffff),
            (127, 1 << 63),
            (127, u64::MAX),
        ] {
            for opcode in [TEXT, BINARY] {
                let bytes = head_as(role, FIN | opcode, class, length);
                refused(role, &bytes[..bytes.len() - mask], Error::Length);
            }
        }
    }
}

#[test]
fn control_frames() {
    for role in ROLES {
        for opcode in [CLOSE, PING, PONG] {
            for length in [126, 127] {
                let long = &head_as(role, FIN | opcode, length, 0)[..2];
                refused_anywhere(role, long, Error::Control);
            }
            refused_anywhere(role, &head(role, opcode, 5)[..2], Error::Control);
        }
    }
}

#[test]
fn fragments() {
    for role in ROLES {
        for first in [CONTINUATION, FIN | CONTINUATION] {
            for length in [0, 3, 200, 70000] {
                let bytes = head(role, first, length);
                refused(role, &bytes, Error::Continuation);
                let after = [frame(role, FIN | TEXT, b"whole"), bytes.clone()].concat();
                refused(role, &after, Error::Continuation);
                let after =
                    [frame(role, TEXT, b"a"), frame(role, FIN, b"b"), bytes.clone()].concat();
                refused(role, &after, Error::Continuation);
            }
        }
        for second in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
            for length in [0, 3, 200, 70000] {
                let bytes = [frame(role, TEXT, b"a"), head(role, second, length)].concat();
                refused(role, &bytes, Error::Interleaved);
                let bytes =
                    [frame(role, BINARY, b""), frame(role, 0, b"b"), head(role, second, length)];
                refused(role, &bytes.concat(), Error::Interleaved);
            }
        }
    }
}

#[test]
fn texts_fail_with_the_first_byte_that_cannot_be() {
    // The last byte is the one; most are from Markus Kuhn's decoder test.
    let bad: [&[u8]; 22] = [
        b"\x80",
        b"\xbf",
        b"ab\xc0",
        b"\xc1",
        b"\xc2a",
        b"\xc3\xc3",
        b"\xe0\x80",
        b"\xe0\x9f",
        b"\xe2a",
        b"\xe2\x82a",
        b"\xed\xa0",
        b"\xed\xbf",
        b"\xf0\x80",
        b"\xf0\x8f",
        b"\xf0\x9f\x98a",
        b"\xf4\x90",
        b"\xf5",
        b"\xf8",
        b"\xfc",
        b"\xfe",
        b"\xff",
        "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}\u{d7ff}\u{fffd}\u{10ffff}\u{80}\u{7ff}\u{800}\u{ff}"
            .as_bytes()
            .split_last()
            .expect("bytes")
            .1,
    ];
    for role in ROLES {
        for text in &bad[..bad.len() - 1] {
            // The frame goes on, or is complete but not the message, or both are.
            let mut goes_on = head(role, FIN | TEXT, text.len() as u64 + 20);
            let masked = frame(role, FIN | TEXT, text);
            goes_on.extend(&masked[masked.len() - text.len()..]);
            refused(role, &goes_on, Error::Utf8);
            refused(role, &frame(role, TEXT, text), Error::Utf8);
            refused(role, &masked, Error::Utf8);
            for at in 1..text.len() {
                let (a, b) = text.split_at(at);
                let cut = [
                    frame(role, TEXT, a),
                    frame(role, FIN | PING, b"\xff"),
                    frame(role, CONTINUATION, b),
                ];
                refused(role, &cut.concat(), Error::Utf8);
            }
        }
        // What is cut short is wrong only at the end of its message.
        for text in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98", b"abc\xf4\x8f", bad[21]] {
            refused(role, &frame(role, FIN | TEXT, text), Error::Utf8);
            let open = frame(role, TEXT, text);
            assert_eq!(Reader::new(role).everywhere(&open), (vec![], End::Within));
            refused(role, &[open, frame(role, FIN, b"")].concat(), Error::Utf8);
        }
        // Other bytes are not looked at.
        for data in bad {
            let (out, end) = Reader::new(role).everywhere(&frame(role, FIN | BINARY, data));
            assert!(matches!(out[..], [Out::Message(..)]) && end == End::Between);
        }
    }
}

#[test]
fn close_frames() {
    let valid = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for role in ROLES {
        refused_anywhere(role, &frame(role, FIN | CLOSE, b"\x03"), Error::CloseCode);
        let reader = Reader::new(role);
        for code in (0..=u16::MAX).filter(|&code| !valid(code)) {
            let bytes = frame(role, FIN | CLOSE, &code.to_be_bytes());
            let said = (vec![Out::Error(Error::CloseCode)], End::Finished);
            assert_eq!(reader.replay([&bytes[..]]), said, "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            let payload = [&u16::to_be_bytes(code)[..], b"why"].concat();
            refused_anywhere(role, &frame(role, FIN | CLOSE, &payload), Error::CloseCode);
        }
        for reason in [&b"\x80"[..], b"a\xff", b"\xe2\x82", b"\xed\xa0\x80"] {
            let payload = [b"\x03\xe8", reason].concat();
            refused_anywhere(role, &frame(role, FIN | CLOSE, &payload), Error::Utf8);
        }
    }
}

#[test]
fn what_a_peer_is_told() {
    for (error, code) in [
        (Error::ReservedBits, code::PROTOCOL),
        (Error::Opcode, code::PROTOCOL),
        (Error::Unmasked, code::PROTOCOL),
        (Error::Masked, code::PROTOCOL),
        (Error::Length, code::PROTOCOL),
        (Error::Control, code::PROTOCOL),
        (Error::Continuation, code::PROTOCOL),
        (Error::Interleaved, code::PROTOCOL),
        (Error::Utf8, code::INVALID),
        (Error::CloseCode, code::PROTOCOL),
        (Error::FrameTooLarge, code::TOO_BIG),
        (Error::MessageTooLarge, code::TOO_BIG),
        (Error::Compression, code::PROTOCOL),
    ] {
        assert_eq!(error.close_code(), code);
        assert!(error.text().len() <= 123 && error.to_string() == error.text());
    }
}
