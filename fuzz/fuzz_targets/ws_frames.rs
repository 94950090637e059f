//! WebSocket frames: bytes say the same however they are cut, limits hold, and what was read is read again when it is written.
#![no_main]

use bytes::BytesMut;
use grenache_transports::ws::{Close, Config, Deflate, Deflater, Kind, Role, frame};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/ws/frames.rs"]
#[allow(dead_code)]
mod frames;
#[path = "../../transports/tests/ws/replay.rs"]
#[allow(dead_code)]
mod replay;

use replay::{End, Out, Reader};

fuzz_target!(|input: &[u8]| {
    let [how, limits, cut, bytes @ ..] = input else { return };
    let role = frames::ROLES[usize::from(how & 1)];
    let deflate = (how & 2 != 0).then(|| Deflate {
        server_no_context_takeover: how & 4 != 0,
        client_no_context_takeover: how & 8 != 0,
        server_max_window_bits: (how & 0x10 != 0).then_some(9),
        client_max_window_bits: (how & 0x20 != 0).then_some(10),
    });
    let config = Config {
        max_frame: [u64::MAX, 1000, 125, 10][usize::from(limits & 3)],
        max_message: [1 << 20, 1000, 300, 10][usize::from(limits >> 2 & 3)],
        keep_buffer: [4096, 100, 0, usize::MAX][usize::from(limits >> 4 & 3)],
    };
    let reader = Reader { role, config, deflate };
    let built = (how & 0x40 != 0).then(|| build(role, deflate, bytes));
    let bytes = built.as_deref().unwrap_or(bytes);

    let whole = reader.replay([bytes]);
    assert_eq!(reader.replay(bytes.chunks(usize::from(cut % 32) + 1)), whole);
    let (front, back) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    assert_eq!(reader.replay([front, back]), whole);

    let (mut out, end) = whole;
    // Nothing comes after the end, and what cannot be written is not there.
    if let Some(Out::Error(_)) = out.last() {
        assert_eq!(end, End::Finished);
        out.pop();
    }
    let last = out.iter().position(|out| matches!(out, Out::Error(_) | Out::Close(_)));
    assert!(last.is_none_or(|at| at + 1 == out.len() && end == End::Finished));
    let config = Config { max_frame: u64::MAX, ..config };
    for deflate in [None, deflate] {
        let mut deflater = deflate.map(|agreed| Deflater::new(other(role), agreed));
        let mut wire = BytesMut::new();
        out.iter().for_each(|out| write(&mut wire, role, deflater.as_mut(), out));
        let again = Reader { config, deflate, role }.replay([&wire[..]]);
        assert_eq!(again.0, out);
    }
});

/// Frames with masks and lengths that are right: a first byte, a length and a payload each. Where nobody may set a bit, the
/// whole is a compressed message.
fn build(role: Role, deflate: Option<Deflate>, mut rest: &[u8]) -> Vec<u8> {
    let mut deflater = deflate.map(|agreed| Deflater::new(other(role), agreed));
    let mut bytes = BytesMut::new();
    while let [first, length, after @ ..] = rest {
        let (payload, after) = after.split_at(usize::from(*length).min(after.len()));
        let kind = if first & 1 == 0 { Kind::Binary } else { Kind::Text };
        match &mut deflater {
            Some(deflater) if first & 0x30 == 0x30 => {
                deflater.write_message(&mut bytes, kind, frames::mask_for(role), payload);
            }
            _ => bytes.extend_from_slice(&frames::frame(role, *first, payload)),
        }
        rest = after;
    }
    bytes.to_vec()
}

fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

fn write(wire: &mut BytesMut, role: Role, deflater: Option<&mut Deflater>, out: &Out) {
    let mask = frames::mask_for(role);
    match out {
        Out::Message(kind, data) => match deflater {
            Some(deflater) => deflater.write_message(wire, *kind, mask, data),
            None => frame::write_message(wire, *kind, mask, data),
        },
        Out::Ping(payload) => frame::write_ping(wire, mask, payload),
        Out::Pong(payload) => frame::write_pong(wire, mask, payload),
        Out::Close(close) => {
            let close = close.as_ref().map(|(code, reason)| Close { code: *code, reason });
            frame::write_close(wire, mask, close);
        }
        Out::Error(_) => unreachable!("it was the last"),
    }
}
