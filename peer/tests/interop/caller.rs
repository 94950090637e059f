//! Clients of both sides that do the same things: those of grape/tests/node/caller.js.

use grenache_peer::Transport;
use serde_json::{Value, json};

use crate::grapes::{self, Side};
use crate::pattern;
use crate::process::Process;
use crate::rust_caller;
use crate::secure::ClientSide;
use crate::worker::node;

/// A client. Errors are given by their texts.
pub(crate) struct Caller {
    kind: Kind,
}

enum Kind {
    Rust(rust_caller::Caller),
    Node(Process),
}

/// How to ask.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) compress: bool,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) attempts: Option<u32>,
    pub(crate) limit: Option<usize>,
}

/// A streamed request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upload<'a> {
    pub(crate) action: &'a str,
    pub(crate) args: Value,
    /// Another header.
    pub(crate) header: Option<(&'a str, &'a str)>,
    /// The body: so many bytes of a seed.
    pub(crate) seed: u32,
    pub(crate) length: usize,
}

/// What came back from a streamed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Download {
    pub(crate) length: usize,
    pub(crate) sha256: String,
    /// All of it, if it is short.
    pub(crate) text: Option<String>,
}

impl Caller {
    /// Starts a client of a grape.
    #[track_caller]
    pub(crate) fn start(side: Side, grape: Side, secure: Option<&ClientSide>) -> Caller {
        Caller::over(Transport::Http, side, grape, secure)
    }

    /// Starts a client of a grape that asks over a transport.
    #[track_caller]
    pub(crate) fn over(
        transport: Transport,
        side: Side,
        grape: Side,
        secure: Option<&ClientSide>,
    ) -> Caller {
        let kind = match side {
            Side::Rust => Kind::Rust(rust_caller::Caller::start(transport, grape, secure)),
            Side::Node => {
                let conf = json!({
                    "grape": grapes::api(grape),
                    "transport": node(transport),
                    "secure": secure.map(ClientSide::node),
                    "allow": secure.map(|secure| &secure.allow).filter(|allow| !allow.is_empty()),
                });
                let mut process = Process::node("caller.js", &conf);
                process.wait_for_event("ready");
                Kind::Node(process)
            }
        };
        Caller { kind }
    }

    /// Whose it is.
    pub(crate) fn side(&self) -> Side {
        match self.kind {
            Kind::Rust(_) => Side::Rust,
            Kind::Node(_) => Side::Node,
        }
    }

    /// Asks one worker; the payload is a JSON text, and so is the result.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        service: &str,
        payload: &str,
        options: Options,
    ) -> Result<String, String> {
        match &mut self.kind {
            Kind::Rust(caller) => caller.request(service, payload, options),
            Kind::Node(process) => {
                let command = json!({"call": "request", "service": service, "payload": payload, "opts": options.node()});
                text(process.ask(&command)?)
            }
        }
    }

    /// Asks for all of these at once; gives their numbers and answers in the order in which those come.
    #[track_caller]
    pub(crate) fn many(
        &mut self,
        requests: &[(String, String)],
    ) -> Vec<(usize, Result<String, String>)> {
        match &mut self.kind {
            Kind::Rust(caller) => caller.many(requests),
            Kind::Node(process) => {
                let requests: Vec<Value> = requests
                    .iter()
                    .map(|(service, payload)| json!({"service": service, "payload": payload}))
                    .collect();
                let order =
                    process.ask(&json!({"call": "many", "requests": requests})).expect("answers");
                let order: Vec<(usize, Option<String>, Option<String>)> =
                    serde_json::from_value(order).expect("numbers, errors, results");
                let answer = |(number, error, result): (_, Option<String>, Option<String>)| {
                    (number, error.map_or_else(|| Ok(result.unwrap_or_default()), Err))
                };
                order.into_iter().map(answer).collect()
            }
        }
    }

    /// Asks all workers, or so many. Node fails as a whole if one does.
    #[track_caller]
    pub(crate) fn map(
        &mut self,
        service: &str,
        payload: &str,
        options: Options,
    ) -> Result<Vec<Result<String, String>>, String> {
        match &mut self.kind {
            Kind::Rust(caller) => caller.map(service, payload, options),
            Kind::Node(process) => {
                let command = json!({"call": "map", "service": service, "payload": payload, "opts": options.node()});
                let all: Vec<Value> = serde_json::from_str(&text(process.ask(&command)?)?).unwrap();
                Ok(all.iter().map(|one| Ok(one.to_string())).collect())
            }
        }
    }

    /// Sends a body and takes one, both at once.
    #[track_caller]
    pub(crate) fn stream(
        &mut self,
        service: &str,
        upload: &Upload<'_>,
    ) -> Result<Download, String> {
        match &mut self.kind {
            Kind::Rust(caller) => caller.stream(service, upload),
            Kind::Node(process) => {
                let mut headers = json!({"_a": upload.action, "_ar": upload.args});
                if let Some((name, value)) = upload.header {
                    headers[name] = json!(value);
                }
                let command = json!({
                    "call": "stream",
                    "service": service,
                    "opts": {"headers": headers},
                    "send": {"seed": upload.seed, "length": upload.length},
                });
                let came = process.ask(&command)?;
                Ok(Download {
                    length: came["length"].as_u64().expect("a length") as usize,
                    sha256: came["sha256"].as_str().expect("a digest").to_string(),
                    text: came["text"].as_str().map(str::to_string),
                })
            }
        }
    }

    /// Sends a piece and waits until it has come back, so many times, on one stream.
    #[track_caller]
    pub(crate) fn turns(&mut self, service: &str, turns: u32) -> Result<(), String> {
        match &mut self.kind {
            Kind::Rust(caller) => caller.turns(service, turns),
            Kind::Node(process) => {
                let command = json!({"call": "turns", "service": service, "opts": {"headers": {"_a": "echo"}}, "turns": turns});
                let done = process.ask(&command)?;
                assert_eq!(done["turns"], json!(turns));
                Ok(())
            }
        }
    }

    /// What Node's client has seen of the last worker's certificate: `{"sha1","sha256","subject"}`.
    #[track_caller]
    pub(crate) fn shown(&mut self) -> Value {
        let Kind::Node(process) = &mut self.kind else { panic!("Node's clients only") };
        process.ask(&json!({"call": "certificate"})).expect("a certificate")
    }
}

impl Options {
    fn node(self) -> Value {
        let mut opts = json!({"compress": self.compress});
        let rest = [
            ("timeout", self.timeout_ms.map(Value::from)),
            ("retry", self.attempts.map(Value::from)),
            ("limit", self.limit.map(Value::from)),
        ];
        for (name, value) in rest {
            if let Some(value) = value {
                opts[name] = value;
            }
        }
        opts
    }
}

impl Download {
    /// What it must be if it is made of so many bytes of a seed.
    pub(crate) fn of(seed: u32, length: usize) -> (usize, String) {
        (length, pattern::digest(&pattern::bytes(seed, length)))
    }
}

fn text(result: Value) -> Result<String, String> {
    Ok(result["text"].as_str().expect("a text").to_string())
}
