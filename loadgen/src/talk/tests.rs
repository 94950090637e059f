//! What is written, and what is thought of answers.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::outcome::Service;
use crate::services::Mix;

fn mix(names: &[&str]) -> RefCell<Mix> {
    let service = |name: &&str| Service { name: (*name).to_owned(), weight: 1.0 };
    RefCell::new(Mix::new(&names.iter().map(service).collect::<Vec<_>>(), 1))
}

fn talk(question: Question) -> Http {
    Http::new(Rc::new(question), "127.0.0.1:1".into(), 4)
}

/// The request, and what is thought of this answer to it, whole and cut at every place.
fn ask(question: impl Fn() -> Question, status: u16, body: &str) -> (String, Verdict) {
    let mut answer =
        format!("HTTP/1.1 {status} OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .into_bytes();
    let (mut request, mut verdicts) = (String::new(), Vec::new());
    for cut in 0..answer.len() {
        let mut talk = talk(question());
        let mut out = BytesMut::new();
        talk.ask(0, &mut out);
        request = String::from_utf8(out.to_vec()).unwrap();
        let mut answers = Answers::new();
        assert_eq!(talk.receive(&mut answer[..cut], &mut answers), Ok(()));
        let received = talk.receive(&mut answer[cut..], &mut answers);
        assert_eq!(answers.len(), 1);
        // A wrong answer ends the connection.
        assert_eq!(received.is_err(), fault(answers[0].1.clone()) == Some(Fault::Wrong));
        assert_eq!(answers[0].0, 0);
        verdicts.push(answers.remove(0).1);
    }
    assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]));
    (request, verdicts.remove(0))
}

fn fault(verdict: Verdict) -> Option<Fault> {
    match verdict {
        Verdict::Failed(fault, _) => Some(fault),
        _ => None,
    }
}

#[test]
fn the_api_of_grapes() {
    let lookup = || Question::Lookup {
        services: mix(&["rest:a"]),
        bodies: vec![Bytes::from_static(br#"{"data":"rest:a"}"#)],
    };
    let (request, verdict) = ask(lookup, 200, r#"["127.0.0.1:1337"]"#);
    assert!(request.starts_with("POST /lookup HTTP/1.1\r\nhost: 127.0.0.1:1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"data\":\"rest:a\"}"), "{request}");
    assert_eq!(verdict, Verdict::Right);
    assert_eq!(ask(lookup, 200, "[]").1, Verdict::Empty);
    assert_eq!(fault(ask(lookup, 200, "\"ERR_GRAPE_LOOKUP\"").1), Some(Fault::Remote));
    assert_eq!(fault(ask(lookup, 200, "<html>").1), Some(Fault::Wrong));
    assert_eq!(fault(ask(lookup, 500, "[]").1), Some(Fault::Status));

    let announce = || Question::Announce {
        services: mix(&["rest:a"]),
        bodies: vec![Bytes::from_static(br#"{"data":["rest:a",1]}"#)],
    };
    assert_eq!(ask(announce, 200, "2").1, Verdict::Right);
    for bad in ["", "-1", "[]", "1.5"] {
        assert_eq!(fault(ask(announce, 200, bad).1), Some(Fault::Wrong), "{bad}");
    }

    let get = || Question::Get { body: Bytes::from_static(b"{}") };
    assert_eq!(ask(get, 200, r#"{"v":"1"}"#).1, Verdict::Right);
    assert_eq!(ask(get, 200, "").1, Verdict::Empty);
    assert_eq!(fault(ask(get, 200, "\"ERR_GRAPE_HASH_FORMAT\"").1), Some(Fault::Remote));
}

#[test]
fn every_put_is_of_another_item() {
    let value = grenache_peer::Json::of(&"x".repeat(30)).unwrap();
    let random = RefCell::new(StdRng::seed_from_u64(1));
    let question = Question::Put { values: Turns::new(vec![value]), random };
    let mut talk = talk(question);
    let bodies: Vec<serde_json::Value> = (0..3)
        .map(|number| {
            let mut out = BytesMut::new();
            talk.ask(number, &mut out);
            let text = String::from_utf8(out.to_vec()).unwrap();
            serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap()
        })
        .collect();
    let value = |body: &serde_json::Value| body["data"]["v"].as_str().unwrap().to_owned();
    assert_eq!(value(&bodies[0]).len(), 30);
    assert!(value(&bodies[0]) != value(&bodies[1]) && value(&bodies[1]) != value(&bodies[2]));
    let put = || Question::Put {
        values: Turns::new(vec![grenache_peer::Json::of("x").unwrap()]),
        random: RefCell::new(StdRng::seed_from_u64(1)),
    };
    assert_eq!(ask(put, 200, &format!("\"{}\"", "0a".repeat(20))).1, Verdict::Right);
    assert_eq!(fault(ask(put, 200, "\"No nodes to query\"").1), Some(Fault::Remote));
}

#[test]
fn any_server() {
    let get = || Question::Fixed { method: "GET", path: "/a?b".to_owned(), body: Bytes::new() };
    let (request, verdict) = ask(get, 200, "anything");
    assert_eq!(request, "GET /a?b HTTP/1.1\r\nhost: 127.0.0.1:1\r\n\r\n");
    assert_eq!(verdict, Verdict::Right);
    assert_eq!(fault(ask(get, 404, "").1), Some(Fault::Status));
}

#[test]
fn the_end_of_a_connection() {
    let get = || Question::Fixed { method: "GET", path: "/".to_owned(), body: Bytes::new() };
    let mut answers = Answers::new();
    let mut out = BytesMut::new();
    // Announced: there is no fault in it, and the answer counts.
    let mut announced = talk(get());
    announced.ask(0, &mut out);
    let bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(
        announced.receive(&mut bytes.to_vec(), &mut answers).unwrap_err().fault,
        Fault::Closed
    );
    assert_eq!(answers, [(0, Verdict::Right)]);
    // In the middle of an answer.
    let mut cut = talk(get());
    cut.ask(0, &mut out);
    assert_eq!(cut.receive(&mut b"HTTP/1.1 200 OK\r\n".to_vec(), &mut answers), Ok(()));
    assert_eq!(cut.end(&mut answers).fault, Fault::Closed);
    // A body that ends with the connection.
    answers.clear();
    let mut until = talk(get());
    until.ask(0, &mut out);
    assert_eq!(until.receive(&mut b"HTTP/1.1 200 OK\r\n\r\nabc".to_vec(), &mut answers), Ok(()));
    until.end(&mut answers);
    assert_eq!(answers, [(0, Verdict::Right)]);
    // An answer that nobody asked for.
    let mut unasked = talk(get());
    assert_eq!(
        unasked.receive(&mut b"HTTP/1.1 200 OK\r\n".to_vec(), &mut answers).unwrap_err().fault,
        Fault::Malformed
    );
}

#[test]
fn what_is_quoted_is_short_and_printable() {
    assert_eq!(quote(b"a\x00\xff\n"), "'a\\0\u{fffd}\\n'");
    assert!(quote(&[b'x'; 1000]).len() < 130);
}
