//! What handlers refuse, as the other side reads it.

use crate::caller::{Caller, Options};
use crate::grapes::{SIDES, Side, prefix};
use crate::worker::Plan;

#[test]
fn texts_of_handlers_are_the_same_on_both_sides() {
    let texts = [
        "ERR_FROM_WORKER",
        "ERR_ACCOUNT: no such account",
        "größe 服务 \u{1f600} \u{2028}",
        "\"quoted\" \\ and\nlines\ttabs \u{1}",
        "null",
        "0",
    ];
    for worker in SIDES {
        let prefix = prefix("errors");
        let _worker = Plan::new(worker, &prefix, &["fail", "gone"]).start();
        for caller in SIDES {
            let mut client = Caller::start(caller, Side::Rust, None);
            for text in texts {
                let payload = serde_json::to_string(text).unwrap();
                let answer =
                    client.request(&format!("{prefix}:fail"), &payload, Options::default());
                assert_eq!(answer, Err(text.to_string()), "{worker:?} to {caller:?}");
            }
            let long = "ERR_LONG ".repeat(10_000);
            let payload = serde_json::to_string(&long).unwrap();
            let answer = client.request(&format!("{prefix}:fail"), &payload, Options::default());
            assert_eq!(answer, Err(long));
            let answer = client.request(&format!("{prefix}:gone"), "1", Options::default());
            assert_eq!(answer, Err("ERR_SERVICE_NOTFOUND".into()));
        }
    }
}

/// In Node an error whose text is empty does not arrive, whoever asks. Ours arrives.
#[test]
fn an_error_without_text() {
    for (worker, expected) in [(Side::Node, Ok("null")), (Side::Rust, Err("ERR_REMOTE"))] {
        let prefix = prefix("silent");
        let _worker = Plan::new(worker, &prefix, &["fail"]).start();
        for caller in SIDES {
            let mut client = Caller::start(caller, Side::Rust, None);
            let answer = client.request(&format!("{prefix}:fail"), "\"\"", Options::default());
            assert_eq!(
                answer.as_deref().map_err(String::as_str),
                expected,
                "{worker:?} to {caller:?}"
            );
        }
    }
}

/// Handlers in JavaScript can put anything where the text belongs.
#[test]
fn odd_errors_of_node() {
    let prefix = prefix("odd");
    let _worker = Plan::new(Side::Node, &prefix, &["odd"]).start();
    let service = format!("{prefix}:odd");
    let mut node = Caller::start(Side::Node, Side::Rust, None);
    let mut rust = Caller::start(Side::Rust, Side::Rust, None);
    for (payload, in_node, in_rust) in [
        // Not an Error: no error arrives.
        (r#"{"err":"a text","res":5}"#, Ok("5"), Ok("5")),
        (r#"{"err":true}"#, Ok("null"), Ok("null")),
        (r#"{"err":{"message":false},"res":1}"#, Ok("1"), Ok("1")),
        (r#"{"err":{"message":0},"res":1}"#, Ok("1"), Ok("1")),
        (r#"{"err":{"message":7},"res":1}"#, Err("7"), Err("7")),
        // JavaScript makes a text of these; ours shows them as they are.
        (r#"{"err":{"message":{"a":1}}}"#, Err("[object Object]"), Err(r#"{"a":1}"#)),
        (r#"{"err":{"message":[1]}}"#, Err("1"), Err("[1]")),
    ] {
        let ask = |client: &mut Caller| client.request(&service, payload, Options::default());
        assert_eq!(ask(&mut node).as_deref().map_err(String::as_str), in_node, "{payload}");
        assert_eq!(ask(&mut rust).as_deref().map_err(String::as_str), in_rust, "{payload}");
    }
}

#[test]
fn a_panic_in_a_handler_is_its_error_alone() {
    let prefix = prefix("panic");
    let _worker = Plan::new(Side::Rust, &prefix, &["panic", "echo"]).start();
    for caller in SIDES {
        let mut client = Caller::start(caller, Side::Rust, None);
        for _ in 0..3 {
            let answer = client.request(&format!("{prefix}:panic"), "1", Options::default());
            assert_eq!(answer, Err("ERR_HANDLER_PANIC".into()));
            let answer = client.request(&format!("{prefix}:echo"), "1", Options::default());
            assert_eq!(answer.as_deref(), Ok("1"));
        }
    }
}
