//! The same long list of requests to Node's grape and to ours: status and body must be the same to the byte.
//!
//! The list is conformance.jsonl, one request a line, in the order in which they are sent. What is random by nature (node
//! ids, tokens, the order of peers, the grape's own port) is masked. A request that Node dies of says so (`deadly`) and says
//! what ours answers instead; so does one whose answer we mean to differ (`differs`).

use std::thread;

use serde::Deserialize;

use crate::grape::{Grape, Kind};
use crate::http::Connection;
use crate::placeholders::expand;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    name: String,
    #[serde(default = "post")]
    method: String,
    path: String,
    #[serde(default = "http_1_1")]
    version: String,
    #[serde(default)]
    headers: Vec<String>,
    /// Sends the body without telling its length.
    #[serde(default)]
    without_length: bool,
    body: Option<String>,
    hex: Option<String>,
    chunked: Option<Vec<String>>,
    /// Asks the second grape of the ring, which has to ask the first.
    #[serde(default)]
    second: bool,
    /// The answer is an array in any order.
    #[serde(default)]
    sort: bool,
    /// Whether Node dies of it: always, or depending on what it was sent before.
    deadly: Option<Deadly>,
    /// Why our answer is another one.
    differs: Option<String>,
    /// Our status and body, where Node's are not the measure.
    ours: Option<(u16, String)>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Deadly {
    Always,
    Sometimes,
}

fn post() -> String {
    "POST".into()
}

fn http_1_1() -> String {
    "HTTP/1.1".into()
}

fn requests() -> Vec<Request> {
    let lines = include_str!("conformance.jsonl").lines();
    // The other lines are headings for people.
    let requests = lines.filter(|line| !line.starts_with("{\"section\""));
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    requests.map(read).collect()
}

impl Request {
    fn bytes(&self) -> Vec<u8> {
        let mut head =
            format!("{} {} {}\r\nHost: 127.0.0.1\r\n", self.method, self.path, self.version);
        for header in &self.headers {
            head += &format!("{header}\r\n");
        }
        let mut body = match (&self.body, &self.hex) {
            (Some(body), None) => expand(body).into_bytes(),
            (None, Some(hex)) => bytes_of(hex),
            _ => Vec::new(),
        };
        if let Some(chunks) = &self.chunked {
            head += "Transfer-Encoding: chunked\r\n";
            for chunk in chunks.iter().map(|chunk| expand(chunk)) {
                body.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes());
            }
            body.extend(b"0\r\n\r\n");
        } else if (self.body.is_some() || self.hex.is_some()) && !self.without_length {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }

    /// Asks a grape and gives status and masked body.
    fn ask(&self, grape: &Grape) -> (u16, String) {
        let mut connection = Connection::open(grape.api.number);
        connection.send(&self.bytes());
        let Some(answer) = connection.answer(self.method == "HEAD") else {
            return (0, "the grape hung up".into());
        };
        let mut text =
            mask(&answer.text()).replace(&format!(":{}\"", grape.dht.number), ":<dht port>\"");
        if self.sort {
            let mut peers: Vec<String> = serde_json::from_str(&text).expect("an array");
            peers.sort();
            text = format!("{peers:?}");
        }
        (answer.status, text)
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hex"))
        .collect()
}

/// Masks the values of `id` and `token` where they are 40 hex digits.
pub(crate) fn mask(text: &str) -> String {
    let mut text = text.to_string();
    for field in ["\"id\":\"", "\"token\":\""] {
        if let Some(at) = text.find(field) {
            let value = at + field.len()..at + field.len() + 40;
            if text
                .get(value.clone())
                .is_some_and(|value| value.bytes().all(|digit| digit.is_ascii_hexdigit()))
            {
                text.replace_range(value, "<random>");
            }
        }
    }
    text
}

/// Sends all requests to the first grape of a ring of two of a kind; those that Node dies of only to ours.
fn answers(kind: Kind) -> Vec<Option<(u16, String)>> {
    let mut ring = Grape::ring(&[kind, kind]);
    let ours = matches!(kind, Kind::Rust(_));
    let mut answers = Vec::new();
    for request in requests() {
        let asked = ours || request.deadly.is_none();
        answers.push(asked.then(|| request.ask(&ring[usize::from(request.second)])));
        assert!(!ring[0].process.has_ended(), "{kind:?} died of {:?}", request.name);
    }
    for grape in &mut ring {
        assert!(!grape.process.has_ended(), "{kind:?}: a grape of the ring died");
    }
    answers
}

/// What differs between Node's answers and ours.
fn differences(cores: u8) -> Vec<String> {
    let node = thread::spawn(|| answers(Kind::NodeVerifying));
    let ours = answers(Kind::Rust(cores));
    let node = node.join().expect("Node's answers");
    let mut differences = Vec::new();
    for ((request, node), ours) in requests().into_iter().zip(node).zip(ours) {
        let ours = ours.expect("ours is asked everything");
        let expected = match request.ours {
            Some(expected) => {
                if let (Some(why), Some(node)) = (&request.differs, &node) {
                    assert_ne!(
                        *node, expected,
                        "{}: Node answers the same now, so it no longer differs: {why}",
                        request.name
                    );
                }
                expected
            }
            None => node.expect("Node is asked what it survives"),
        };
        if ours != expected {
            differences.push(format!(
                "{}: expected {expected:?}\n    but ours says {ours:?}",
                request.name
            ));
        }
    }
    differences
}

#[track_caller]
fn assert_same(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} of {} answers differ:\n{}",
        differences.len(),
        requests().len(),
        differences.join("\n")
    );
}

#[test]
fn one_core_answers_as_node_does() {
    assert_same(&differences(1));
}

#[test]
fn four_cores_answer_as_node_does() {
    assert_same(&differences(4));
}

/// The notes in the table are true: these requests end Node's process.
#[test]
fn node_dies_of_the_deadly_requests() {
    let mut count = 0;
    for request in requests().iter().filter(|request| request.deadly == Some(Deadly::Always)) {
        let mut ring = Grape::ring(&[Kind::NodeVerifying, Kind::NodeVerifying]);
        let mut connection = Connection::open(ring[0].api.number);
        connection.send(&request.bytes());
        assert_eq!(connection.answer(false), None, "{}", request.name);
        assert!(!ring[0].process.wait().success());
        count += 1;
    }
    assert!(count > 0);
}
