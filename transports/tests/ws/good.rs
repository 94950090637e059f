//! What has to be taken.

use bytes::BytesMut;
use grenache_transports::ws::{Close, Connection, Event, Kind, Role, frame};

use crate::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, ROLES, TEXT, frame, head, mask_for,
};
use crate::replay::{End, Out, Reader};

/// Around every boundary: of the forms of a length, of masks and of what is unmasked at a time.
const SIZES: [usize; 24] = [
    0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 64, 124, 125, 126, 127, 128, 255, 256, 65535, 65536,
    65537, 70000,
];

fn binary(data: &[u8]) -> Out {
    Out::Message(Kind::Binary, data.to_vec())
}

fn text(data: &str) -> Out {
    Out::Message(Kind::Text, data.into())
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn the_examples_of_the_specification() {
    // RFC 6455 section 5.7.
    let client = Reader::new(Role::Client);
    let server = Reader::new(Role::Server);
    let hello = b"\x81\x05\x48\x65\x6c\x6c\x6f";
    assert_eq!(client.everywhere(hello), (vec![text("Hello")], End::Between));
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(server.everywhere(masked), (vec![text("Hello")], End::Between));
    let fragments = b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f";
    assert_eq!(client.everywhere(fragments), (vec![text("Hello")], End::Between));
    let ping = b"\x89\x05\x48\x65\x6c\x6c\x6f";
    assert_eq!(client.everywhere(ping), (vec![Out::Ping(b"Hello".into())], End::Between));
    let pong = b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(server.everywhere(pong), (vec![Out::Pong(b"Hello".into())], End::Between));
    for (head, size) in
        [(&b"\x82\x7e\x01\x00"[..], 256), (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 65536)]
    {
        let data = bytes(size);
        let frame = [head, &data[..]].concat();
        assert_eq!(client.everywhere(&frame), (vec![binary(&data)], End::Between));
    }
}

#[test]
fn messages_of_every_size_as_they_are_written() {
    for role in ROLES {
        for size in SIZES {
            let data = bytes(size);
            let ascii: String = data.iter().map(|byte| (byte & 0x7f) as char).collect();
            let mut wire = BytesMut::new();
            frame::write_message(&mut wire, Kind::Binary, mask_for(role), &data);
            frame::write_message(&mut wire, Kind::Text, mask_for(role), ascii.as_bytes());
            let by_hand =
                [frame(role, FIN | BINARY, &data), frame(role, FIN | TEXT, ascii.as_bytes())];
            assert!(wire == by_hand.concat(), "{size} bytes for {role:?}");
            let (out, end) = Reader::new(role).everywhere(&wire);
            assert!(out == [binary(&data), text(&ascii)], "{size} bytes to {role:?}");
            assert_eq!(end, End::Between);
        }
    }
    let mut wire = BytesMut::new();
    frame::write_message_header(&mut wire, Kind::Text, 300);
    assert_eq!(wire, head(Role::Client, FIN | TEXT, 300));
}

#[test]
fn control_frames_of_every_size_as_they_are_written() {
    for role in ROLES {
        let mask = mask_for(role);
        for size in (0..=125).chain([126, 1000]) {
            let payload = bytes(size);
            let sent = &payload[..size.min(125)];
            let mut wire = BytesMut::new();
            frame::write_ping(&mut wire, mask, &payload);
            frame::write_pong(&mut wire, mask, &payload);
            let by_hand = [frame(role, FIN | PING, sent), frame(role, FIN | PONG, sent)];
            assert_eq!(wire, by_hand.concat());
            let out = vec![Out::Ping(sent.into()), Out::Pong(sent.into())];
            assert_eq!(Reader::new(role).everywhere(&wire), (out, End::Between));
        }
    }
}

#[test]
fn close_frames_as_they_are_written() {
    let long = "\u{20ac}".repeat(41) + "ab";
    for role in ROLES {
        let written = |close: Option<Close<'_>>| {
            let mut wire = BytesMut::new();
            frame::write_close(&mut wire, mask_for(role), close);
            wire
        };
        let said = |wire: &[u8]| {
            let (mut out, end) = Reader::new(role).everywhere(wire);
            assert_eq!((out.len(), end), (1, End::Finished));
            out.pop()
        };
        assert_eq!(written(None), frame(role, FIN | CLOSE, b""));
        assert_eq!(said(&written(None)), Some(Out::Close(None)));
        for reason in ["", "a", "gr\u{fc}\u{df}e", &long[..123]] {
            let wire = written(Some(Close { code: 1000, reason }));
            assert_eq!(wire, frame(role, FIN | CLOSE, &[b"\x03\xe8", reason.as_bytes()].concat()));
            assert_eq!(said(&wire), Some(Out::Close(Some((1000, reason.into())))));
        }
        // A reason that is too long is cut where a character ends.
        for (reason, left) in [(long.clone(), 123), (format!("a{long}"), 121)] {
            let wire = written(Some(Close { code: 1001, reason: &reason }));
            let cut = reason[..left].to_owned();
            assert_eq!(said(&wire), Some(Out::Close(Some((1001, cut)))));
        }
    }
}

#[test]
fn every_code_that_may_be_sent() {
    let valid = (1000..=1003).chain(1007..=1014).chain(3000..=4999);
    for code in valid {
        for role in ROLES {
            let bytes = frame(role, FIN | CLOSE, &u16::to_be_bytes(code));
            let said = (vec![Out::Close(Some((code, String::new())))], End::Finished);
            assert_eq!(Reader::new(role).replay([&bytes[..]]), said);
        }
    }
}

#[test]
fn fragments_and_what_may_stand_between_them() {
    for role in ROLES {
        let piece = |first: u8, payload: &[u8]| frame(role, first, payload);
        let all = [
            piece(BINARY, b""),
            piece(CONTINUATION, b""),
            piece(FIN | CONTINUATION, b""),
            piece(TEXT, b"a"),
            piece(FIN | PING, b"first"),
            piece(CONTINUATION, b""),
            piece(CONTINUATION, b"bc"),
            piece(FIN | PONG, b""),
            piece(FIN | PING, &[7; 125]),
            piece(CONTINUATION, &[b'd'; 130]),
            piece(FIN | CONTINUATION, b"e"),
            piece(BINARY, b"xyz"),
            piece(FIN | CONTINUATION, b""),
            piece(TEXT, b""),
            piece(FIN | CONTINUATION, b"end"),
            piece(FIN | TEXT, b"whole"),
        ];
        let out = vec![
            binary(b""),
            Out::Ping(b"first".into()),
            Out::Pong(vec![]),
            Out::Ping(vec![7; 125]),
            text(&format!("abc{}e", "d".repeat(130))),
            binary(b"xyz"),
            text("end"),
            text("whole"),
        ];
        assert_eq!(Reader::new(role).everywhere(&all.concat()), (out, End::Between));
    }
}

#[test]
fn characters_cut_by_fragments() {
    // Of two, three and four bytes; the first and the last of each length, and around the surrogates.
    let all = "z\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10000}\u{10ffff}";
    for role in ROLES {
        for at in 0..=all.len() {
            let (a, b) = all.as_bytes().split_at(at);
            let whole = [
                frame(role, TEXT, a),
                frame(role, FIN | PING, b"\xff"),
                frame(role, FIN | CONTINUATION, b),
            ];
            let out = vec![Out::Ping(b"\xff".into()), text(all)];
            assert_eq!(Reader::new(role).everywhere(&whole.concat()), (out, End::Between));
        }
        let mut single: Vec<_> =
            all.bytes().map(|byte| frame(role, CONTINUATION, &[byte])).collect();
        single[0] = frame(role, TEXT, b"z");
        single.push(frame(role, FIN | CONTINUATION, b""));
        assert_eq!(Reader::new(role).everywhere(&single.concat()).0, [text(all)]);
    }
}

#[test]
fn a_whole_message_is_where_it_was_received() {
    for role in ROLES {
        let mut wire = frame(role, FIN | BINARY, b"first");
        let after = wire.len();
        wire.extend(frame(role, FIN | BINARY, b"second"));
        let place = wire.as_ptr_range();
        let mut connection = Connection::new(role, Default::default());
        let mut input = &mut wire[..];
        for said in [&b"first"[..], b"second"] {
            let Ok(Some(Event::Message(message))) = connection.receive(&mut input) else {
                panic!("a message")
            };
            assert!(place.contains(&message.data.as_ptr()), "not copied");
            assert_eq!((message.data, message.assembled), (said, false));
            assert!(connection.take_message().is_empty());
            assert_eq!((connection.buffered(), connection.is_within()), (0, false));
        }
        // A header that came before does not matter.
        let mut wire = frame(role, FIN | TEXT, b"first");
        let (mut header, mut rest) = wire.split_at_mut(after - 5);
        assert_eq!(connection.receive(&mut header), Ok(None));
        assert!(connection.is_within());
        let Ok(Some(Event::Message(message))) = connection.receive(&mut rest) else { panic!() };
        assert_eq!((message.data, message.assembled), (&b"first"[..], false));
    }
}

#[test]
fn a_message_in_parts_is_taken_without_a_copy() {
    let mut connection = Connection::new(Role::Client, Default::default());
    let wire = [frame(Role::Client, BINARY, b"abc"), frame(Role::Client, FIN, b"def")].concat();
    for round in 0..3 {
        let mut first = wire[..4].to_vec();
        assert_eq!(connection.receive(&mut &mut first[..]), Ok(None));
        assert_eq!((connection.buffered(), connection.is_within()), (2, true));
        assert!(connection.take_message().is_empty(), "it is not complete");
        let mut second = wire[4..].to_vec();
        let place = match connection.receive(&mut &mut second[..]) {
            Ok(Some(Event::Message(message))) => {
                assert_eq!((message.data, message.assembled), (&b"abcdef"[..], true));
                message.data.as_ptr()
            }
            other => panic!("{other:?}"),
        };
        if round == 1 {
            // One that nobody takes is forgotten.
            assert_eq!(connection.receive(&mut &mut [][..]), Ok(None));
            assert!(connection.take_message().is_empty());
        } else {
            let taken = connection.take_message();
            assert_eq!((&taken[..], taken.as_ptr()), (&b"abcdef"[..], place));
        }
        assert_eq!((connection.buffered(), connection.is_within()), (0, false));
    }
}

#[test]
fn what_comes_after_a_close_frame_is_thrown_away() {
    for role in ROLES {
        for before in [vec![], frame(role, TEXT, b"unfinished")] {
            let bytes = [
                before,
                frame(role, FIN | CLOSE, b"\x03\xe9bye"),
                frame(role, FIN | CLOSE, b""),
                b"\xff\xff".repeat(100),
            ];
            let said = (vec![Out::Close(Some((1001, "bye".into())))], End::Finished);
            assert_eq!(Reader::new(role).everywhere(&bytes.concat()), said);
        }
    }
}
