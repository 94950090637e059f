//! Every peer answers right, as the comparison starts and asks it. The programs are those that `cargo build --release
//! --workspace` left next to this test; `cargo xtask ci` builds them before and leaves out the tests of those that cannot be
//! had.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A failing test must not hang.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn hyper() {
    http("peer-hyper");
}

#[test]
fn axum() {
    http("peer-axum");
}

#[test]
fn tonic() {
    request_reply("peer-tonic", None);
}

#[test]
fn libzmq() {
    request_reply("peer-libzmq", None);
}

#[test]
fn nats() {
    let broker = Broker::start();
    request_reply("peer-nats", Some(broker.addr));
}

/// As many messages are heard as are published; an order that is none; the end of the input.
#[test]
fn libzmq_publishes() {
    let mut publisher = Started::new("peer-libzmq", &["publisher"]);
    let said = publisher.line();
    let addr = said.strip_prefix("{\"listening\":\"").and_then(|rest| rest.split('"').next());
    let addr = addr.unwrap_or_else(|| panic!("it said {said:?}")).to_owned();
    let mut subscriber = Started::new("peer-libzmq", &["subscriber", &addr]);
    assert_eq!(subscriber.line(), "{\"ready\":true}\n");
    for bytes in [64, 1024, 64] {
        publisher.say(&format!("feed 100 {bytes}"));
        let published = number(&publisher.line(), "published").expect("a number");
        let line = subscriber.line();
        assert_eq!(number(&line, "heard"), Some(published), "{line}");
        assert!(published > 0 && number(&line, "elapsed") > Some(0), "{line}");
    }
    publisher.say("dance");
    assert!(!publisher.wait(), "a wrong order is an error");
    subscriber.ends();
}

/// Two requests at once, cut within the second's body, and a third on the same connection.
fn http(program: &str) {
    let (server, addr) = listening(program, &["the answer"]);
    let mut stream = TcpStream::connect(addr).expect("it listens");
    stream.set_nodelay(true).expect("an open socket");
    stream.set_read_timeout(Some(LONG)).expect("an open socket");
    let post = "POST /any HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nquestion";
    let (most, rest) = post.split_at(post.len() - 3);
    stream.write_all((post.to_owned() + most).as_bytes()).expect("it reads");
    assert!(answer(&mut stream).ends_with("\r\n\r\nthe answer"));
    stream.write_all(rest.as_bytes()).expect("it reads");
    assert!(answer(&mut stream).ends_with("\r\n\r\nthe answer"));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let last = answer(&mut stream);
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n"), "{last}");
    assert!(last.to_lowercase().contains("\r\ncontent-length: 10\r\n"), "{last}");
    server.ends();
}

/// Up to the end of one answer's body.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"the answer") {
        stream.read_exact(&mut byte).unwrap_or_else(|error| {
            panic!("{error} after {:?}", String::from_utf8_lossy(&text));
        });
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("text")
}

/// Windows with many requests in flight and with one; a wrong order; the end of the input.
fn request_reply(program: &str, broker: Option<SocketAddr>) {
    let broker = broker.map(|addr| addr.to_string());
    let mut arguments = vec!["server"];
    arguments.extend(broker.as_deref());
    let (server, addr) = listening(program, &arguments);
    let addr = addr.to_string();
    let ask = || {
        let mut client = Started::new(program, &["client", &addr]);
        assert_eq!(client.line(), "{\"ready\":true}\n");
        client
    };
    let mut client = ask();
    for flying in [64, 1] {
        let began = Instant::now();
        client.say(&format!("run {flying} 100"));
        let line = client.line();
        let took = began.elapsed();
        let numbers: Vec<u64> = ["requests", "elapsed", "p50", "p99"]
            .map(|key| number(&line, key).unwrap_or_else(|| panic!("no {key} in {line:?}")))
            .into();
        let [requests, elapsed, p50, p99] = numbers[..] else { unreachable!() };
        assert!(requests >= flying, "{line}");
        assert!((100_000_000..=took.as_nanos() as u64).contains(&elapsed), "{line} {took:?}");
        assert!(0 < p50 && p50 <= p99 && p99 <= elapsed + elapsed / 100, "{line}");
        // No more can have been in flight than were asked for (Little's law, with room for the histogram's rounding).
        assert!(requests * p50 / 2 <= elapsed * flying * 101 / 100, "{line}");
    }
    client.ends();
    let mut confused = ask();
    confused.say("dance");
    assert!(!confused.wait(), "a wrong order is an error");
    server.ends();
}

/// The number after `"key":`.
fn number(line: &str, key: &str) -> Option<u64> {
    let (_, rest) = line.split_once(&format!("\"{key}\":"))?;
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

/// A program whose standard input and output are ours; killed in the end.
struct Started {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Started {
    fn new(program: &str, arguments: &[&str]) -> Self {
        let path = folder().join(program);
        let mut command = Command::new(&path);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Self { child, input, output }
    }

    fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it was not closed");
        writeln!(input, "{line}").expect("it listens");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line
    }

    /// True if it ends by itself, and well.
    fn wait(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < LONG {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.success();
            }
            sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }

    /// Closes its input and expects it to end.
    fn ends(mut self) {
        drop(self.input.take());
        assert!(self.wait());
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server and reads where it listens.
fn listening(program: &str, arguments: &[&str]) -> (Started, SocketAddr) {
    let mut server = Started::new(program, arguments);
    let line = server.line();
    let addr = line.trim().strip_prefix("listening ").and_then(|addr| addr.parse().ok());
    (server, addr.unwrap_or_else(|| panic!("{program} said {line:?}")))
}

/// Where the programs are: two folders above this test's own.
fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    test.ancestors().nth(2).expect("target/release").to_owned()
}

/// A NATS server of the system's.
struct Broker {
    child: Child,
    folder: PathBuf,
    addr: SocketAddr,
}

impl Broker {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("peers-nats-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"]).arg(&folder);
        command.arg("-l").arg(folder.join("log"));
        let child = command.spawn().expect("nats-server is installed");
        let addr = Self::addr(&folder.join(format!("nats-server_{}.ports", child.id())));
        Self { child, folder, addr }
    }

    fn addr(file: &Path) -> SocketAddr {
        let began = Instant::now();
        while began.elapsed() < LONG {
            let text = fs::read_to_string(file).unwrap_or_default();
            if let Some((_, rest)) = text.split_once("nats://")
                && let Some((addr, _)) = rest.split_once('"')
            {
                return addr.parse().expect("an address");
            }
            sleep(Duration::from_millis(5));
        }
        panic!("nats-server does not say where it listens");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
