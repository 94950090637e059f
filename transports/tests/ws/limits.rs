//! Every limit: at it is fine, one over is refused.

use grenache_transports::ws::{Config, Error, Kind, Role};

use crate::frames::{BINARY, CONTINUATION, FIN, PING, ROLES, TEXT, frame, head};
use crate::replay::{End, Out, Reader};

fn limited(role: Role, max_frame: u64, max_message: usize) -> Reader {
    let config = Config { max_frame, max_message, ..Config::default() };
    Reader { config, ..Reader::new(role) }
}

fn message(size: usize) -> (Vec<Out>, End) {
    (vec![Out::Message(Kind::Text, vec![b'a'; size])], End::Between)
}

/// The last header alone is enough.
fn refused(reader: Reader, before: &[Vec<u8>], length: u64, first: u8, error: Error) {
    let bytes = [before.concat(), head(reader.role, first, length)].concat();
    assert_eq!(reader.everywhere(&bytes), (vec![Out::Error(error)], End::Finished));
}

#[test]
fn frames() {
    for role in ROLES {
        for size in [0, 1, 125, 126, 300, 0xffff, 0x1_0000] {
            let reader = limited(role, size as u64, 1 << 20);
            let whole = frame(role, FIN | TEXT, &vec![b'a'; size]);
            assert!(reader.everywhere(&whole) == message(size));
            let (first, second) = (frame(role, TEXT, b""), vec![b'a'; size]);
            let second = frame(role, FIN | CONTINUATION, &second);
            assert!(reader.everywhere(&[first.clone(), second].concat()) == message(size));
            let over = size as u64 + 1;
            refused(reader, &[], over, FIN | TEXT, Error::FrameTooLarge);
            refused(reader, &[], over, TEXT, Error::FrameTooLarge);
            refused(reader, &[first], over, FIN | CONTINUATION, Error::FrameTooLarge);
        }
        // A control frame is always let through.
        let ping = frame(role, FIN | PING, &[1; 125]);
        let said = (vec![Out::Ping(vec![1; 125])], End::Between);
        assert_eq!(limited(role, 0, 0).everywhere(&ping), said);
    }
}

#[test]
fn messages() {
    for role in ROLES {
        for size in [0, 1, 125, 126, 300, 0xffff, 0x1_0000] {
            let reader = limited(role, u64::MAX, size);
            let data = vec![b'a'; size];
            assert!(reader.everywhere(&frame(role, FIN | TEXT, &data)) == message(size));
            for at in [0, size / 3, size] {
                let (a, b) = data.split_at(at);
                let parts = [frame(role, TEXT, a), frame(role, FIN | CONTINUATION, b)];
                assert!(reader.everywhere(&parts.concat()) == message(size));
                let before = [frame(role, TEXT, a)];
                let over = (b.len() + 1) as u64;
                refused(reader, &before, over, CONTINUATION, Error::MessageTooLarge);
            }
            refused(reader, &[], size as u64 + 1, FIN | BINARY, Error::MessageTooLarge);
            refused(reader, &[], i64::MAX as u64, BINARY, Error::MessageTooLarge);
            // It counts anew for each message.
            let twice = frame(role, FIN | TEXT, &data).repeat(2);
            let (out, end) = reader.everywhere(&twice);
            assert!(out == [message(size).0, message(size).0].concat() && end == End::Between);
        }
    }
}

#[test]
fn what_a_header_promises_is_not_kept_room_for() {
    for role in ROLES {
        let mut connection = limited(role, u64::MAX, usize::MAX).connection();
        let mut bytes = head(role, FIN | BINARY, i64::MAX as u64);
        bytes.extend([0; 10]);
        assert_eq!(connection.receive(&mut &mut bytes[..]), Ok(None));
        assert_eq!((connection.buffered(), connection.is_within()), (10, true));
    }
}

#[test]
fn the_defaults() {
    let config = Config::default();
    let limits = (config.max_frame, config.max_message, config.keep_buffer);
    assert_eq!(limits, (64 << 20, 64 << 20, 4096));
}
