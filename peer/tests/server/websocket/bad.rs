//! What is not the protocol: the code that it is closed with.

use std::io::Write;

use crate::client::Client;
use crate::socket::{BINARY, CLOSE, PING, Socket, TEXT, frame, upgrade};
use crate::{on_both, until};

#[test]
fn what_is_not_the_protocol_ends_the_connection() {
    on_both(|rig| {
        let text = |text: &str| frame(TEXT, text);
        let cases: &[(&str, Vec<u8>, u16)] = &[
            ("no mask", vec![0x81, 2, b'[', b']'], 1002),
            ("no mask, of a ping", vec![0x89, 0], 1002),
            ("reserved bit 1", frame(0xc1, "[]"), 1002),
            ("reserved bit 2", frame(0xa1, "[]"), 1002),
            ("reserved bit 3", frame(0x91, "[]"), 1002),
            ("reserved bit of a ping", frame(0xc9, ""), 1002),
            ("opcode 3", frame(0x83, "[]"), 1002),
            ("opcode 15", frame(0x8f, ""), 1002),
            ("a ping in fragments", frame(0x09, ""), 1002),
            ("a ping of 126 bytes", frame(PING, [0; 126]), 1002),
            (
                "a length not in its shortest form",
                [&[0x81, 0xfe, 0, 2][..], b"mask"].concat(),
                1002,
            ),
            ("a length of 64 bits", [&[0x82, 0xff][..], &[0xff; 8], b"mask"].concat(), 1002),
            ("a fragment of nothing", frame(0x80, "[]"), 1002),
            ("a message within another", [frame(0x01, "["), text("]")].concat(), 1002),
            ("a close frame of one byte", frame(CLOSE, [3]), 1002),
            ("a code that is none", frame(CLOSE, 1005_u16.to_be_bytes()), 1002),
            ("a reason that is no text", frame(CLOSE, b"\x03\xe8\xff"), 1007),
            ("no UTF-8", frame(TEXT, b"[\"r\",\"echo\",\"\xff\"]"), 1007),
            ("no UTF-8 at the end", frame(TEXT, b"[\"r\",\"echo\",\"\xe2\x82"), 1007),
            (
                "no UTF-8 in a fragment",
                [frame(0x01, b"[\xe2"), frame(0x00, b"\x28")].concat(),
                1007,
            ),
            ("HTTP", upgrade("").into_bytes(), 1002),
        ];
        for (what, bytes, code) in cases {
            let mut socket = rig.socket();
            // What was asked before is answered before, if it is known.
            let all = [text(r#"["r","echo",1]"#), bytes.clone(), text(r#"["r","slow",1]"#)];
            socket.client.send(all.concat());
            assert_eq!(socket.answer(), r#"["r",null,1]"#, "{what}");
            assert_eq!(socket.closed().0, *code, "{what}");
        }
        until("all are gone", || rig.worker.stats().connections == 0);
        assert_eq!((rig.begun(), rig.worker.stats().malformed), (0, cases.len() as u64));
        // Nothing of this is wrong with bytes.
        let mut socket = rig.socket();
        assert_eq!(socket.send(BINARY, b"\xff").answer(), r#"[null,"ERR_REQUEST_PARSE",null]"#);
    });
}

/// The code arrives though the client still sends.
#[test]
fn the_code_reaches_a_client_in_the_middle_of_much() {
    on_both(|rig| {
        let mut socket = rig.socket();
        socket.client.send([&[0x81, 0xff][..], &(1_u64 << 40).to_be_bytes(), b"mask"].concat());
        let mut sent = 0;
        while sent < 3_000_000 && socket.client.stream.write_all(&[0x55; 10_000]).is_ok() {
            sent += 10_000;
        }
        let frame = socket.next();
        assert_eq!((frame.first, &frame.payload[..2]), (CLOSE, &1009_u16.to_be_bytes()[..]));
    });
}

#[test]
fn half_an_upgrade_is_not_waited_for() {
    let config = grenache_peer::server::Config {
        request_timeout: std::time::Duration::from_millis(150),
        ..Default::default()
    };
    crate::with(config, |rig| {
        let all = upgrade("");
        for cut in [1, 40, all.len() - 2] {
            let mut client: Client = rig.client();
            client.send(&all[..cut]);
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (408, true), "cut at {cut}");
            assert!(client.ends());
        }
        // Nor is one kept whose client has gone.
        let mut client = rig.client();
        client.send(&all[..60]).finish();
        assert!(client.ends());
        assert_eq!(Socket::connect(rig.worker.addr()).ask("[1,\"echo\",1]"), "[1,null,1]");
        assert_eq!(rig.worker.stats().malformed, 3);
    });
}
