//! Sockets of libzmq's, in the program peer/tests/zeromq/peer.py.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::process::Process;

/// A process with any number of them.
pub(crate) struct Libzmq {
    process: Process,
    asked: u64,
}

/// The number of a socket.
pub(crate) type Socket = u64;

impl Libzmq {
    #[track_caller]
    pub(crate) fn start() -> Libzmq {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = folder.join("target/zeromq/venv/bin/python");
        assert!(Path::new(&python).exists(), "pyzmq is not installed: `cargo xtask setup` does it");
        let mut command = Command::new(python);
        command.arg("-B").arg(folder.join("peer/tests/zeromq/peer.py"));
        let process = Process::start(command);
        process.wait_for(|line| line.contains("\"ready\"").then_some(()));
        Libzmq { process, asked: 0 }
    }

    #[track_caller]
    fn ask(&mut self, mut command: Value) -> Value {
        self.asked += 1;
        command["id"] = json!(self.asked);
        self.process.write(&command.to_string());
        let answer = self.process.wait_for(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["id"] == self.asked).then_some(line)
        });
        assert_eq!(answer["error"], Value::Null, "{command}");
        answer["done"].clone()
    }

    #[track_caller]
    fn socket(&mut self, kind: &str, options: Value, security: Value) -> Socket {
        let command =
            json!({"do": "socket", "type": kind, "options": options, "security": security});
        self.ask(command).as_u64().expect("a number")
    }

    #[track_caller]
    fn bind(&mut self, socket: Socket) -> u16 {
        let port = self.ask(json!({"do": "bind", "socket": socket}));
        port.as_u64().and_then(|port| port.try_into().ok()).expect("a port")
    }

    /// A worker with the services of rpc.py; gives its port. In the array form it says that it takes it.
    #[track_caller]
    pub(crate) fn worker(&mut self, form: &str, security: Value) -> u16 {
        let options = match form {
            "array" => json!({"METADATA": "X-Grenache-Rpc:array"}),
            _ => json!({}),
        };
        let socket = self.socket("ROUTER", options, security);
        let port = self.bind(socket);
        self.ask(json!({"do": "serve", "socket": socket, "form": form}));
        port
    }

    /// A client of the worker at a port.
    #[track_caller]
    pub(crate) fn client(&mut self, form: &str, port: u16, security: Value) -> Socket {
        let socket = self.socket("DEALER", json!({}), security);
        self.ask(json!({"do": "connect", "socket": socket, "port": port}));
        self.ask(json!({"do": "client", "socket": socket, "form": form}));
        socket
    }

    /// One call by a client: the error and the result.
    #[track_caller]
    pub(crate) fn call(
        &mut self,
        client: Socket,
        service: &str,
        payload: &Value,
    ) -> (Value, Value) {
        let command = json!({"do": "ask", "socket": client, "key": service, "payload": payload});
        let answer = self.ask(command);
        (answer[0].clone(), answer[1].clone())
    }

    /// A publisher, and its port.
    #[track_caller]
    pub(crate) fn publisher(&mut self, security: Value) -> (Socket, u16) {
        let socket = self.socket("XPUB", json!({}), security);
        let port = self.bind(socket);
        (socket, port)
    }

    /// A subscriber to a prefix at a port.
    #[track_caller]
    pub(crate) fn subscriber(&mut self, prefix: &str, port: u16, security: Value) -> Socket {
        let socket = self.socket("SUB", json!({}), security);
        self.ask(json!({"do": "connect", "socket": socket, "port": port}));
        self.ask(
            json!({"do": "subscribe", "socket": socket, "prefix": {"base64": base64(prefix)}}),
        );
        socket
    }

    #[track_caller]
    pub(crate) fn send(&mut self, socket: Socket, parts: &[&str]) {
        let parts: Vec<Value> = parts.iter().map(|part| json!({"base64": base64(part)})).collect();
        self.ask(json!({"do": "send", "socket": socket, "parts": parts}));
    }

    /// The next message, in base64.
    #[track_caller]
    pub(crate) fn receive(&mut self, socket: Socket) -> Vec<String> {
        let parts = self.ask(json!({"do": "receive", "socket": socket, "within": 30_000}));
        let parts = parts.as_array().expect("a message in time");
        parts.iter().map(|part| part["base64"].as_str().expect("a short part").into()).collect()
    }
}

/// Bytes as [`receive`](Libzmq::receive) has them.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in bytes.as_ref().chunks(3) {
        let bits =
            part.iter().chain(&[0; 2]).take(3).fold(0, |bits, byte| bits << 8 | *byte as usize);
        for digit in 0..4 {
            out.push(match digit <= part.len() {
                true => DIGITS[bits >> (18 - 6 * digit) & 63].into(),
                false => '=',
            });
        }
    }
    out
}

#[test]
fn base64_is_the_usual_one() {
    let texts = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
    for (text, encoded) in texts {
        assert_eq!(base64(text), encoded);
    }
}
