//! permessage-deflate: what is written is read, whatever was agreed upon; and what others may send.

use bytes::BytesMut;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use grenache_transports::ws::{Config, Deflate, Deflater, Error, Kind, Role};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use crate::frames::{
    BINARY, COMPRESSED, CONTINUATION, FIN, PING, ROLES, TEXT, frame, head, mask_for,
};
use crate::replay::{End, Out, Reader};

const DEFLATED: u8 = FIN | COMPRESSED;

fn reader(role: Role) -> Reader {
    Reader { deflate: Some(Deflate::default()), ..Reader::new(role) }
}

fn text(data: &str) -> Out {
    Out::Message(Kind::Text, data.into())
}

/// Who reads what `role` writes.
fn other(role: Role) -> Role {
    match role {
        Role::Server => Role::Client,
        Role::Client => Role::Server,
    }
}

/// Everything that can be agreed upon.
fn all_agreements() -> Vec<Deflate> {
    let bits = || (9..=15).map(Some).chain([None]);
    let mut all = Vec::new();
    for (server_max_window_bits, client_max_window_bits) in
        bits().flat_map(|server| bits().map(move |client| (server, client)))
    {
        for forget in 0..4 {
            all.push(Deflate {
                server_no_context_takeover: forget & 1 == 1,
                client_no_context_takeover: forget & 2 == 2,
                server_max_window_bits,
                client_max_window_bits,
            });
        }
    }
    all
}

/// Words that come again at all distances, and bytes that never do.
fn messages() -> Vec<Vec<u8>> {
    let mut rng = StdRng::seed_from_u64(9);
    let words: Vec<String> = (0..2000).map(|word| format!("<{:x}>", word * 7919)).collect();
    let mut sentence = |count: usize| {
        (0..count).map(|_| &*words[rng.random_range(0..words.len())]).collect::<String>()
    };
    let mut all = vec![String::new(), "a".into(), sentence(3), String::new(), sentence(100)];
    all.extend([sentence(6000), "b".repeat(70_000), sentence(100), String::new()]);
    let mut all: Vec<Vec<u8>> = all.into_iter().map(String::into_bytes).collect();
    all.insert(5, (0..3000).map(|_| rng.random()).collect());
    all
}

/// The payloads of frames that are whole.
fn payloads(role: Role, wire: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = wire;
    let mut all = Vec::new();
    while let [first, second, ..] = rest {
        assert_eq!(first & 0xf0, DEFLATED);
        let (length, at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            127 => (u64::from_be_bytes(rest[2..10].try_into().expect("eight")), 10),
            short => (u64::from(short), 2),
        };
        let mask = mask_for(role).unwrap_or_default();
        let at = at + if second & 0x80 == 0 { 0 } else { 4 };
        let (payload, after) = rest[at..].split_at(length as usize);
        let unmasked = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]);
        all.push(unmasked.collect());
        rest = after;
    }
    all
}

#[test]
fn what_is_written_is_read_whatever_was_agreed() {
    let messages = messages();
    let expected: Vec<_> =
        messages.iter().map(|data| Out::Message(Kind::Binary, data.clone())).collect();
    for agreed in all_agreements() {
        for role in ROLES {
            let mut deflater = Deflater::new(role, agreed);
            let mut wire = BytesMut::new();
            for data in &messages {
                let mask = mask_for(other(role));
                deflater.write_message(&mut wire, Kind::Binary, mask, data);
            }
            let reader = Reader { deflate: Some(agreed), ..Reader::new(other(role)) };
            let said = reader.replay([&wire[..]]);
            assert!(said == (expected.clone(), End::Between), "{role:?} with {agreed:?}");
        }
    }
}

/// What a payload says to somebody who knows only so much of what was said before.
fn inflated(payload: &[u8], known: &[u8]) -> Option<Vec<u8>> {
    let mut zlib = Decompress::new(false);
    if !known.is_empty() {
        zlib.set_dictionary(known).expect("a dictionary");
    }
    let mut out = Vec::with_capacity(100_000);
    let payload = [payload, &[0, 0, 0xff, 0xff]].concat();
    zlib.decompress_vec(&payload, &mut out, FlushDecompress::Sync).ok()?;
    assert_eq!(zlib.total_in(), payload.len() as u64);
    Some(out)
}

#[test]
fn written_messages_look_back_no_further_than_the_window() {
    // A word comes again after other words, 26 bytes each, that fill a window or less.
    let mut rng = StdRng::seed_from_u64(8);
    let words: Vec<String> =
        (0..1600).map(|_| format!("{:024x}; ", rng.random::<u128>() >> 32)).collect();
    for bits in (9..=15).map(Some).chain([None]) {
        let window = 1 << bits.unwrap_or(15);
        let agreed = Deflate {
            server_max_window_bits: bits,
            // That of the other side is another thing.
            client_max_window_bits: Some(if bits == Some(9) { 15 } else { 9 }),
            ..Deflate::default()
        };
        let mut deflater = Deflater::new(Role::Server, agreed);
        let mut said = Vec::new();
        let mut looked_back = 0;
        let fit = window / 26;
        for lap in [fit / 3, fit * 3 / 4, fit - 2, fit + 2, fit * 5 / 4] {
            for word in words[..lap].iter().cycle().take(2 * lap) {
                let mut wire = BytesMut::new();
                deflater.write_message(&mut wire, Kind::Binary, None, word.as_bytes());
                let payload = &payloads(Role::Client, &wire)[0];
                let known = &said[said.len().saturating_sub(window)..];
                let word = word.as_bytes();
                assert_eq!(inflated(payload, known).as_deref(), Some(word), "{bits:?}");
                looked_back += usize::from(payload.len() < word.len() / 2);
                said.extend(word);
            }
        }
        assert!(looked_back > 8, "{looked_back} with {bits:?}");
    }
}

#[test]
fn written_messages_stand_alone_if_the_context_is_not_taken_over() {
    let agreed = Deflate { server_no_context_takeover: true, ..Deflate::default() };
    let mut deflater = Deflater::new(Role::Server, agreed);
    let mut wire = BytesMut::new();
    let messages = messages();
    for data in &messages {
        deflater.write_message(&mut wire, Kind::Binary, None, data);
    }
    for (payload, data) in payloads(Role::Client, &wire).iter().zip(&messages) {
        assert!(inflated(payload, b"").as_ref() == Some(data));
    }
    // Nor may the other side look back.
    let first = frame(Role::Client, DEFLATED | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    let second = frame(Role::Client, DEFLATED | TEXT, b"\xf2\x00\x11\x00\x00");
    let bytes = [first.clone(), first, second].concat();
    for (deflate, last) in
        [(Deflate::default(), text("Hello")), (agreed, Out::Error(Error::Compression))]
    {
        let reader = Reader { deflate: Some(deflate), ..Reader::new(Role::Client) };
        assert_eq!(reader.everywhere(&bytes).0, [text("Hello"), text("Hello"), last]);
    }
}

#[test]
fn context_is_taken_over_or_not() {
    let sentence = b"a sentence that is not said for the first time";
    let lengths = |agreed: Deflate| {
        let mut deflater = Deflater::new(Role::Server, agreed);
        [0; 3].map(|_| {
            let mut wire = BytesMut::new();
            deflater.write_message(&mut wire, Kind::Text, None, sentence);
            wire.len()
        })
    };
    let [first, second, third] = lengths(Deflate::default());
    assert!(second < first / 2 && third <= second);
    let forgets = Deflate { server_no_context_takeover: true, ..Deflate::default() };
    assert_eq!(lengths(forgets), [first; 3]);
    let not_ours = Deflate { client_no_context_takeover: true, ..Deflate::default() };
    assert_eq!(lengths(not_ours), [first, second, third]);
}

#[test]
fn the_examples_of_the_specification() {
    // RFC 7692 section 7.2.3; all say the same.
    let hello: [&[&[u8]]; 6] = [
        &[b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"],
        &[b"\x41\x03\xf2\x48\xcd", b"\x80\x04\xc9\xc9\x07\x00"],
        &[b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"],
        &[b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"],
        &[b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"],
        // Two messages, of which the second looks back at the first.
        &[b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", b"\xc1\x05\xf2\x00\x11\x00\x00"],
    ];
    let client = reader(Role::Client);
    for (number, frames) in hello.into_iter().enumerate() {
        let count = if number == 5 { 2 } else { 1 };
        let said = client.everywhere(&frames.concat());
        assert_eq!(said, (vec![text("Hello"); count], End::Between), "{number}");
    }
    let all = hello.concat().concat();
    assert_eq!(client.everywhere(&all), (vec![text("Hello"); 7], End::Between));
    let mut wire = BytesMut::new();
    Deflater::new(Role::Server, Deflate::default()).write_message(
        &mut wire,
        Kind::Text,
        None,
        b"Hello",
    );
    assert_eq!(wire, hello[0].concat());
}

#[test]
fn empty_messages() {
    for role in ROLES {
        let empty = frame(role, DEFLATED | TEXT, b"\x00");
        let mut wire = BytesMut::new();
        let mut deflater = Deflater::new(other(role), Deflate::default());
        deflater.write_message(&mut wire, Kind::Text, mask_for(role), b"");
        assert_eq!(wire, empty);
        let hello = frame(role, DEFLATED | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
        // Some leave out everything.
        let nothing = frame(role, DEFLATED | TEXT, b"");
        let fragments = [
            frame(role, COMPRESSED | TEXT, b""),
            frame(role, CONTINUATION, b"\x00"),
            frame(role, FIN | CONTINUATION, b""),
        ];
        let all = [
            &empty,
            &hello,
            &nothing,
            &empty,
            &empty,
            &hello,
            &fragments.concat(),
            &nothing,
            &nothing,
            &hello,
        ];
        let said = ["", "Hello", "", "", "", "Hello", "", "", "", "Hello"].map(text).to_vec();
        let bytes: Vec<u8> = all.into_iter().flatten().copied().collect();
        assert_eq!(reader(role).everywhere(&bytes), (said, End::Between));
    }
}

#[test]
fn compressed_and_plain_messages_in_turn() {
    let sentence = "what is said once and again, what is said once and again \u{20ac}";
    for role in ROLES {
        let mut deflater = Deflater::new(other(role), Deflate::default());
        let mut wire = BytesMut::new();
        for _ in 0..3 {
            deflater.write_message(&mut wire, Kind::Text, mask_for(role), sentence.as_bytes());
            wire.extend(frame(role, FIN | TEXT, sentence.as_bytes()));
            wire.extend(frame(role, TEXT, b"in "));
            wire.extend(frame(role, FIN | PING, b"\xff"));
            wire.extend(frame(role, FIN | CONTINUATION, b"parts"));
        }
        let round = [text(sentence), text(sentence), Out::Ping(vec![0xff]), text("in parts")];
        let said = (vec![round; 3].concat(), End::Between);
        assert_eq!(reader(role).everywhere(&wire), said);
    }
}

#[test]
fn a_compressed_message_in_fragments_cut_anywhere() {
    let sentence =
        "characters of several lengths: \u{e9}\u{20ac}\u{10ffff}, \u{e9}\u{20ac}\u{10ffff}";
    for role in ROLES {
        let mut wire = BytesMut::new();
        let mut deflater = Deflater::new(Role::Server, Deflate::default());
        deflater.write_message(&mut wire, Kind::Text, None, sentence.as_bytes());
        deflater.write_message(&mut wire, Kind::Text, None, sentence.as_bytes());
        let [first, second] = &payloads(Role::Client, &wire)[..] else { panic!("two") };
        for at in 0..=first.len() {
            let (a, b) = first.split_at(at);
            let frames = [
                frame(role, COMPRESSED | TEXT, a),
                frame(role, FIN | PING, b"between"),
                frame(role, CONTINUATION, b""),
                frame(role, FIN | CONTINUATION, b),
                frame(role, DEFLATED | TEXT, second),
            ];
            let said = vec![Out::Ping(b"between".into()), text(sentence), text(sentence)];
            assert_eq!(reader(role).everywhere(&frames.concat()), (said, End::Between));
        }
        let mut single = vec![frame(role, COMPRESSED | TEXT, b"")];
        single.extend(first.iter().map(|byte| frame(role, CONTINUATION, &[*byte])));
        single.push(frame(role, FIN | CONTINUATION, b""));
        single.push(frame(role, DEFLATED | TEXT, second));
        let said = (vec![text(sentence), text(sentence)], End::Between);
        assert_eq!(reader(role).everywhere(&single.concat()), said);
    }
}

/// A stream that ends.
fn finished(data: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(1000);
    let status = Compress::new(Compression::best(), false).compress_vec(
        data.as_bytes(),
        &mut out,
        FlushCompress::Finish,
    );
    assert_eq!(status.expect("compressed"), Status::StreamEnd);
    out
}

#[test]
fn blocks_that_say_they_are_the_last() {
    let one = finished("one, one, one; ");
    let two = finished("two\u{20ac}");
    for role in ROLES {
        let message = |payload: &[&[u8]]| frame(role, DEFLATED | TEXT, &payload.concat());
        // With the empty block that lacks its tail, as in section 7.2.3.4, or without.
        for end in [&b"\x00"[..], b""] {
            let frames = [
                message(&[&one, end]),
                message(&[&one, &two, end]),
                message(&[&one, b"\x03\x00\x03\x00", &two, end]),
                // Others go on after it.
                message(&[&two, b"\xf2\x48\xcd\xc9\xc9\x07\x00"]),
                message(&[b"\xf2\x00\x11\x00\x00"]),
                message(&[b"\x00"]),
            ];
            let said = [
                "one, one, one; ",
                "one, one, one; two\u{20ac}",
                "one, one, one; two\u{20ac}",
                "two\u{20ac}Hello",
                "Hello",
                "",
            ];
            let said = (said.map(text).to_vec(), End::Between);
            assert_eq!(reader(role).everywhere(&frames.concat()), said);
        }
    }
}

#[test]
fn damage() {
    // A block of no kind, lengths that do not fit, a distance beyond the start, codes that nothing is said by.
    let bad: [&[u8]; 5] = [
        b"\x07",
        b"\x00\x05\x00\xfa\xfe",
        b"\xf2\x00\x11\x00\x00",
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\xff\xff\xff\xff",
        b"\x05\xe0\x81\x08\x00\x00\x00\x00",
    ];
    for role in ROLES {
        for payload in bad {
            for kind in [TEXT, BINARY] {
                let frames =
                    [frame(role, DEFLATED | kind, payload), frame(role, FIN | BINARY, b"not read")];
                let (out, end) = reader(role).everywhere(&frames.concat());
                assert_eq!((out, end), (vec![Out::Error(Error::Compression)], End::Finished));
            }
        }
    }
}

#[test]
fn texts() {
    for role in ROLES {
        for (text, good) in [(&b"ab\xff"[..], false), (b"\xe2\x82", false), (b"\xe2\x82\xac", true)]
        {
            let mut wire = BytesMut::new();
            Deflater::new(other(role), Deflate::default()).write_message(
                &mut wire,
                Kind::Text,
                mask_for(role),
                text,
            );
            let (out, _) = reader(role).everywhere(&wire);
            assert_eq!(out == [Out::Error(Error::Utf8)], !good, "{out:?}");
        }
        // What is wrong first is said, wherever it is cut: a stored block with a bad text, then no block.
        let payload = b"\x00\x02\x00\xfd\xffa\xff\x07";
        let bytes = frame(role, DEFLATED | TEXT, payload);
        let said = (vec![Out::Error(Error::Utf8)], End::Finished);
        assert_eq!(reader(role).everywhere(&bytes), said);
        let config = Config { max_message: 2, ..Config::default() };
        let payload = b"\x00\x05\x00\xfa\xffa\xffcde\x00";
        let bytes = frame(role, DEFLATED | TEXT, payload);
        assert_eq!(Reader { config, ..reader(role) }.everywhere(&bytes), said);
        let config = Config { max_message: 1, ..Config::default() };
        let said = (vec![Out::Error(Error::MessageTooLarge)], End::Finished);
        assert_eq!(Reader { config, ..reader(role) }.everywhere(&bytes), said);
    }
}

#[test]
fn reserved_bits() {
    for role in ROLES {
        for first in [DEFLATED | PING, DEFLATED | CONTINUATION, COMPRESSED | CONTINUATION] {
            let bytes = [frame(role, COMPRESSED | TEXT, b"\x00"), head(role, first, 0)].concat();
            let said = (vec![Out::Error(Error::ReservedBits)], End::Finished);
            assert_eq!(reader(role).everywhere(&bytes), said);
        }
    }
}

#[test]
fn limits() {
    for role in ROLES {
        for size in [1, 10, 255, 256, 257, 4095, 4096, 16384, 100_000] {
            let data = "0123456789".repeat(size / 10 + 1)[..size].to_owned();
            let mut wire = BytesMut::new();
            let mut deflater = Deflater::new(other(role), Deflate::default());
            for _ in 0..2 {
                deflater.write_message(&mut wire, Kind::Text, mask_for(role), data.as_bytes());
            }
            let limited = |max_message: usize| {
                let config = Config { max_message, ..Config::default() };
                Reader { config, ..reader(role) }.everywhere(&wire)
            };
            assert!(limited(size) == (vec![text(&data); 2], End::Between), "{size}");
            let error = vec![Out::Error(Error::MessageTooLarge)];
            assert!(limited(size - 1) == (error, End::Finished), "{size}");
        }
        // A frame is as large as it is sent.
        let bytes = frame(role, DEFLATED | TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00");
        for (max_frame, said) in [(7, text("Hello")), (6, Out::Error(Error::FrameTooLarge))] {
            let config = Config { max_frame, ..Config::default() };
            assert_eq!(Reader { config, ..reader(role) }.everywhere(&bytes).0, [said]);
        }
        // As many fragments as one likes, of which nothing comes.
        let mut frames = vec![frame(role, COMPRESSED | TEXT, b"")];
        frames.extend((0..100).map(|_| frame(role, CONTINUATION, b"\x00\x00\x00\xff\xff")));
        let config = Config { max_message: 0, ..Config::default() };
        let said = Reader { config, ..reader(role) }.everywhere(&frames.concat());
        assert_eq!(said, (vec![], End::Within));
    }
}

#[test]
fn messages_that_cannot_be_made_smaller() {
    let mut data = vec![0; 200_000];
    StdRng::seed_from_u64(10).fill_bytes(&mut data);
    let mut deflater = Deflater::new(Role::Server, Deflate::default());
    for size in [1, 2, 50, 51, 52, 63, 64, 65, 100, 1000, 16_383, 16_384, 65_535, 200_000] {
        let mut wire = BytesMut::new();
        deflater.write_message(&mut wire, Kind::Binary, None, &data[..size]);
        assert!(wire.len() < size + size / 16 + 40, "{size} bytes became {}", wire.len());
    }
    let mut wire = BytesMut::new();
    let mut deflater = Deflater::new(Role::Server, Deflate::default());
    let sizes = || (0..600).chain([16_383, 16_384, 65_535, 200_000]);
    for size in sizes() {
        deflater.write_message(&mut wire, Kind::Binary, None, &data[..size]);
    }
    let expected: Vec<_> =
        sizes().map(|size| Out::Message(Kind::Binary, data[..size].to_vec())).collect();
    assert!(reader(Role::Client).replay([&wire[..]]) == (expected, End::Between));
}
