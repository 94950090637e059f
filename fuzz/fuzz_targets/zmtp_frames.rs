//! Frames of ZMTP: they say the same however they are cut, and a message that came through comes through again.
#![no_main]

use bytes::BytesMut;
use grenache_transports::zmtp::{Config, SocketType, frame};
use libfuzzer_sys::fuzz_target;

#[path = "../../transports/tests/zmtp/replay.rs"]
#[allow(dead_code)]
mod replay;
#[path = "../../transports/tests/zmtp/wire.rs"]
#[allow(dead_code)]
mod wire;

use replay::{Ours, Out};

fuzz_target!(|input: &[u8]| {
    let [limits, cut, traffic @ ..] = input else { return };
    let config = Config {
        max_frame: if limits & 1 == 0 { 1000 } else { 20 },
        max_parts: if limits & 2 == 0 { 100 } else { 3 },
        max_message: if limits & 4 == 0 { 2000 } else { 30 },
        max_command: if limits & 8 == 0 { 8192 } else { 50 },
        keep_buffer: if limits & 16 == 0 { 4096 } else { 0 },
        ..Config::default()
    };
    let ours = Ours::bound(SocketType::Router).with(config);
    let hello = wire::hello("DEALER");
    let bytes = [&hello, traffic].concat();
    let whole = ours.replay([&bytes[..]]);
    assert_eq!(ours.replay(bytes.chunks(usize::from(cut % 32) + 1)), whole);
    let (front, back) = bytes.split_at(hello.len() + usize::from(*cut).min(traffic.len()));
    assert_eq!(ours.replay([front, back]), whole);

    let mut again = BytesMut::new();
    let messages: Vec<_> =
        whole.0.into_iter().filter(|out| matches!(out, Out::Message(_))).collect();
    for message in &messages {
        let Out::Message(parts) = message else { continue };
        assert!(parts.len() <= config.max_parts);
        assert!(parts.iter().all(|part| part.len() <= config.max_frame));
        assert!(parts.iter().map(Vec::len).sum::<usize>() <= config.max_message);
        frame::write_message(&mut again, &parts.iter().map(|part| &part[..]).collect::<Vec<_>>());
    }
    let out = ours.replay([&hello[..], &again]).0;
    assert_eq!(out[1..], messages);
});
