//! Odd payloads. Between ours they pass byte for byte; where Node takes part, as JavaScript reads and prints them.

use crate::caller::{Caller, Options};
use crate::grapes::{SIDES, Side, prefix};
use crate::worker::Plan;

/// What is sent, and what JavaScript makes of it if that is not the same.
fn payloads() -> Vec<(String, Option<String>)> {
    let same = |text: &str| (text.to_string(), None);
    let other = |text: &str, node: &str| (text.to_string(), Some(node.to_string()));
    let mut payloads = vec![
        same("null"),
        same("0"),
        same("\"\""),
        same("false"),
        same("true"),
        same("[]"),
        same("{}"),
        same("[[],{},[{}]]"),
        same("\"\\u0000\\u001f\\\"\\\\\""),
        // Line ends in JavaScript that are none in JSON.
        same("\"\u{2028}\u{2029}\u{feff}\u{7f}\u{85}\""),
        // Halves of surrogate pairs have no form but the escape.
        same(r#""\ud800""#),
        same(r#"["\udc00\ud800","x\udfff"]"#),
        same(r#"{"\ud800":1}"#),
        other(r#""\ud83d\ude00""#, "\"\u{1f600}\""),
        other(r#""\u0041\/""#, "\"A/\""),
        same("9007199254740991"),
        other("9007199254740993", "9007199254740992"),
        other("90071992547409931234567890", "9.007199254740994e+25"),
        other("-0", "0"),
        other("1.10", "1.1"),
        other("1E2", "100"),
        other("0.1e-400", "0"),
        other("1e400", "null"),
        other("[-1e400]", "[null]"),
        other("3.141592653589793238462643383279", "3.141592653589793"),
        other(r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        other(r#"{"2":1,"1":2}"#, r#"{"1":2,"2":1}"#),
        same(r#"{"__proto__":1,"constructor":2,"":3}"#),
        other("{ \"a\" : [ 1 ,\n 2 ] }", r#"{"a":[1,2]}"#),
        same(&format!("{}{}", "[".repeat(1000), "]".repeat(1000))),
        same(&format!("{}1{}", "{\"a\":[".repeat(500), "]}".repeat(500))),
        same(&format!("\"{}\"", "5 MB ".repeat(1_000_000))),
        same(&format!("[{}1]", "1,".repeat(100_000))),
    ];
    // The first, some and the last of every plane.
    for plane in 0..=16_u32 {
        let points = [0x20, 0x100, 0x1234, 0x8000, 0xabcd, 0xd7ff, 0xe000, 0xfffd, 0xfffe, 0xffff];
        let text: String =
            points.into_iter().filter_map(|point| char::from_u32(plane << 16 | point)).collect();
        payloads.push((format!("[\"{text}\"]"), None));
        payloads.push((format!("{{\"{text}\":0}}"), None));
    }
    payloads
}

#[test]
fn odd_payloads() {
    let payloads = payloads();
    for worker in SIDES {
        let prefix = prefix("payloads");
        let _worker = Plan::new(worker, &prefix, &["echo"]).start();
        for caller in SIDES {
            let mut client = Caller::start(caller, Side::Rust, None);
            for compress in [false, true] {
                for (sent, node) in &payloads {
                    let byte_for_byte = worker == Side::Rust && caller == Side::Rust;
                    let expected = node.as_ref().filter(|_| !byte_for_byte).unwrap_or(sent);
                    let options = Options { compress, ..Options::default() };
                    let came = client.request(&format!("{prefix}:echo"), sent, options);
                    // Not `assert_eq`, which would print megabytes.
                    let start = |text: &str| text.chars().take(200).collect::<String>();
                    assert!(
                        came.as_ref() == Ok(expected),
                        "{caller:?} to {worker:?}, gzip {compress}: {} came back as {:?}",
                        start(sent),
                        came.as_deref().map(start),
                    );
                }
            }
        }
    }
}
