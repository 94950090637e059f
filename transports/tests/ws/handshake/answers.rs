//! What a client makes of answers.

use grenache_transports::ws::Deflate;
use grenache_transports::ws::handshake::{Agreed, Answer, Failure, Key};

use super::{ACCEPT, KEY, NONCE, replay};

/// What a client makes of an answer to a question with `protocol`, and with compression or not; cut everywhere, and with
/// frames behind it.
fn answered(
    answer: &str,
    protocol: Option<&'static str>,
    deflate: bool,
) -> Result<Option<Agreed>, Failure> {
    let read = |parts: &[&[u8]]| {
        let mut answers = Answer::new(&Key::new(NONCE), protocol, deflate);
        replay::answer(&mut answers, parts.iter().copied())
    };
    let (whole, left) = read(&[answer.as_bytes()]);
    assert_eq!(left, 0);
    for at in 1..answer.len() {
        let (a, b) = answer.as_bytes().split_at(at);
        assert_eq!(read(&[a, b]).0, whole, "cut at {at}: {answer}");
    }
    let single: Vec<_> = answer.as_bytes().chunks(1).collect();
    assert_eq!(read(&single).0, whole, "{answer}");
    if matches!(whole, Ok(Some(_))) {
        let frames = b"\x81\x05hello";
        let more = [answer.as_bytes(), frames].concat();
        for at in 0..=more.len() {
            let (a, b) = more.split_at(at);
            assert_eq!(read(&[a, b]), (whole, frames.len()));
        }
    }
    whole
}

/// The least that an answer has, with a field more in front.
fn answer(field: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\n{field}upgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {ACCEPT}\r\n\r\n"
    )
}

#[test]
fn good_answers() {
    let plain = Agreed { protocol: false, deflate: None };
    assert_eq!(answered(&answer(""), None, false), Ok(Some(plain)));
    // Whoever asks need not get it.
    assert_eq!(answered(&answer(""), Some("chat"), true), Ok(Some(plain)));
    for (from, to) in [
        ("upgrade: websocket", "Upgrade: WebSocket"),
        ("connection: Upgrade", "Connection: keep-alive, upgrade"),
        ("Switching Protocols", "Web Socket Protocol Handshake"),
        (" Switching Protocols", ""),
        ("upgrade: websocket", "server: x\r\ndate: y\r\nupgrade: websocket"),
        ("HTTP/1.1 101", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 101"),
        ("HTTP/1.1 101", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 101"),
    ] {
        let usual = answer("");
        assert!(usual.contains(from));
        assert_eq!(answered(&usual.replacen(from, to, 1), None, true), Ok(Some(plain)));
    }
    let chat = "sec-websocket-protocol: chat\r\n";
    let agreed = Agreed { protocol: true, deflate: None };
    assert_eq!(answered(&answer(chat), Some("chat"), false), Ok(Some(agreed)));
    for (value, deflate) in [
        ("permessage-deflate", Deflate::default()),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Deflate {
                server_no_context_takeover: true,
                client_no_context_takeover: true,
                ..Deflate::default()
            },
        ),
        (
            "permessage-deflate;server_max_window_bits=\"8\";client_max_window_bits=9",
            Deflate {
                server_max_window_bits: Some(8),
                client_max_window_bits: Some(9),
                ..Deflate::default()
            },
        ),
    ] {
        let field = format!("sec-websocket-extensions: {value}\r\n");
        let agreed = Agreed { protocol: false, deflate: Some(deflate) };
        assert_eq!(answered(&answer(&field), None, true), Ok(Some(agreed)), "{value}");
        let agreed = Agreed { protocol: true, deflate: Some(deflate) };
        let both = answer(&[&field, chat].concat());
        assert_eq!(answered(&both, Some("chat"), true), Ok(Some(agreed)), "{value}");
    }
}

#[test]
fn bad_answers() {
    let usual = answer("");
    let accept = format!("sec-websocket-accept: {ACCEPT}");
    for (from, to) in [
        ("upgrade: websocket\r\n", String::new()),
        ("upgrade: websocket", "upgrade: h2c".into()),
        ("connection: Upgrade\r\n", String::new()),
        ("connection: Upgrade", "connection: close".into()),
        ("HTTP/1.1", "HTTP/1.0".into()),
        (&format!("{accept}\r\n"), String::new()),
        (&accept, format!("{accept}\r\n{accept}")),
        (ACCEPT, ACCEPT.to_lowercase()),
        (ACCEPT, format!("{ACCEPT}, {ACCEPT}")),
        (ACCEPT, ACCEPT.trim_end_matches('=').into()),
        (ACCEPT, KEY.into()),
    ] {
        assert!(usual.contains(from), "{from}");
        let bad = usual.replacen(from, &to, 1);
        assert_eq!(answered(&bad, None, true), Err(Failure::NotWebSocket), "{bad}");
    }
    for status in [200, 204, 301, 400, 401, 404, 426, 500, 599] {
        let bad = usual.replacen("101", &status.to_string(), 1);
        assert_eq!(answered(&bad, None, true), Err(Failure::Status(status)));
    }
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9) + &usual;
    assert_eq!(answered(&endless, None, true), Err(Failure::Status(100)));
    for bad in ["HTTP/2 101\r\n", "SSH-2.0\r\n", "\x15\x03", "HTTP/1.1 101 a\r\nb c: d\r\n\r\n"] {
        assert!(matches!(answered(bad, None, true), Err(Failure::Http(_))), "{bad}");
    }
    assert_eq!(answered(&usual[..usual.len() - 1], None, true), Ok(None));
    let huge = answer(&format!("x: {}\r\n", "y".repeat(20_000)));
    let mut huge = huge.into_bytes();
    let mut answers = Answer::new(&Key::new([0; 16]), None, false);
    assert!(matches!(answers.receive(&mut &mut huge[..]), Err(Failure::Http(_))));
}

#[test]
fn answers_with_what_nobody_asked_for() {
    let not_asked = Err(Failure::NotAsked);
    let protocol = |value: &str| answer(&format!("sec-websocket-protocol: {value}\r\n"));
    assert_eq!(answered(&protocol("chat"), None, true), not_asked);
    for value in
        ["", "chat2", "CHAT", "chat, chat", "superchat", "chat\r\nsec-websocket-protocol: chat"]
    {
        assert_eq!(answered(&protocol(value), Some("chat"), true), not_asked, "{value}");
    }
    let extension = |value: &str| answer(&format!("sec-websocket-extensions: {value}\r\n"));
    assert_eq!(answered(&extension("permessage-deflate"), None, false), not_asked);
    for value in [
        "",
        "foo",
        "x-webkit-deflate-frame",
        "permessage-deflate, foo",
        "foo, permessage-deflate",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate\r\nsec-websocket-extensions: foo",
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=7",
        // We cannot.
        "permessage-deflate; client_max_window_bits=8",
    ] {
        assert_eq!(answered(&extension(value), None, true), not_asked, "{value}");
    }
}

#[test]
fn failures_are_said_in_one_line() {
    let all =
        [Failure::Status(401), Failure::Status(302), Failure::NotWebSocket, Failure::NotAsked];
    for failure in all {
        let said = failure.to_string();
        assert!(!said.is_empty() && !said.contains('\n'));
    }
    assert!(Failure::Status(302).to_string().contains("302"));
}
