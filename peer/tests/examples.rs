//! The examples do what they say. `cargo test` has built them.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use grenache_grape::Grape;

/// A run that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// An example at work, ended with this.
struct Example {
    name: &'static str,
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Example {
    fn start(name: &'static str, arguments: &[&str]) -> Example {
        // Tests are in `target/<profile>/deps`, examples beside that.
        let mut path: PathBuf = std::env::current_exe().expect("a path");
        path.pop();
        path.pop();
        path.extend(["examples", name]);
        let child = Command::new(&path).args(arguments).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!(
                "{}: {error}; `cargo build -p grenache-peer --examples` makes it",
                path.display()
            )
        });
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Example { name, child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_string()
    }

    /// Waits for its end and gives what it has printed.
    fn finish(mut self) -> String {
        let pid = self.child.id();
        let (done, is_done) = mpsc::channel::<()>();
        let guard = thread::spawn(move || {
            if is_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                signal(pid, "KILL");
            }
        });
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        let status = self.child.wait().expect("an end");
        drop(done);
        guard.join().unwrap();
        assert!(status.success(), "{} ended with {status} after:\n{text}", self.name);
        text
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.expect("the command `kill`").success());
}

fn output(name: &'static str) -> String {
    Example::start(name, &[]).finish()
}

#[test]
fn quickstart() {
    let output = output("quickstart");
    let (sum, error) = output.split_once('\n').expect("two lines");
    assert_eq!(sum, "the sum is 6.5");
    assert!(error.starts_with("the worker says: ERR_JSON: "), "{output}");
}

#[test]
fn streaming() {
    assert_eq!(
        output("streaming"),
        "10485760 bytes came back in capitals\nthe worker has counted \"9 bytes\"\n"
    );
}

#[test]
fn mutual_tls() {
    let output = output("mutual_tls");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    assert_eq!(lines[0], "alice is let in, and known by the fingerprint: true");
    assert!(lines[1].starts_with("mallory is refused: ERR_"), "{output}");
    assert!(lines[2].starts_with("nobody is refused: ERR_"), "{output}");
}

#[test]
fn from_tokio() {
    assert_eq!(
        output("from_tokio"),
        "the sum of the squares is 338350\na worker says 144\ngiven up\n"
    );
}

#[test]
fn worker_and_client() {
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config).expect("a grape");
    let url = format!("http://{}", grape.api_addr());
    let mut worker = Example::start("worker", &[&url, "2"]);
    let listening = worker.line();
    let port = listening.strip_prefix("listening on 0.0.0.0:").expect("where it listens");
    let port = port.split(' ').next().unwrap().to_string();

    for transport in ["http", "ws", "zmq"] {
        let output = Example::start("client", &[&url, transport]).finish();
        assert_eq!(
            output,
            format!(
                "rest:echo is at 1 worker(s)\n\
                 echo: 0\necho: 1\necho: 2\n\
                 127.0.0.1:{port} says \"all\"\n\
                 [\"again\",\"again\"]\n\
                 rest:fibonacci: 6765\n\
                 rest:fibonacci: the handler says ERR_TOO_LARGE: 40 at most\n\
                 rest:slow: ERR_TIMEOUT (may have run: true)\n\
                 rest:unknown: ERR_GRAPE_LOOKUP_EMPTY (may have run: false)\n"
            )
        );
    }

    signal(worker.child.id(), "TERM");
    assert_eq!(worker.finish(), "stopped\n");
    grape.stop().unwrap();
}

#[test]
fn zmq_proxy() {
    use grenache_engine::{Config as Engine, Core, Runtime, timeout};
    use grenache_peer::zeromq::{Message, Settings, Socket, SocketType};

    let mut proxy = Example::start("zmq_proxy", &["127.0.0.1:0", "127.0.0.1:0"]);
    let line = proxy.line();
    let words: Vec<_> = line.split(' ').collect();
    let [front, back] = [words[1], words[3]].map(|addr| addr.parse().expect("an address"));
    let main = move |_: Core<()>| async move {
        let test = async {
            let [req, rep] = [SocketType::Req, SocketType::Rep]
                .map(|socket| Socket::new(socket, Settings::default()).unwrap());
            req.connect(front);
            rep.connect(back);
            for _ in 0..3 {
                req.send("question").await.unwrap();
                assert_eq!(rep.recv().await, Ok(Message::from("question")));
                rep.send("answer").await.unwrap();
                assert_eq!(req.recv().await, Ok(Message::from("answer")));
            }
        };
        timeout(PATIENCE, test).await.expect("it is passed on");
    };
    Runtime::start(Engine::default(), main).unwrap().join().unwrap();
    signal(proxy.child.id(), "TERM");
    assert_eq!(proxy.finish(), "");
}

#[test]
fn publisher_and_subscriber() {
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config).expect("a grape");
    let url = format!("http://{}", grape.api_addr());
    let mut publisher = Example::start("publisher", &[&url]);
    assert!(publisher.line().starts_with("listening on "));
    let mut all = Example::start("subscriber", &[&url]);
    let mut some = Example::start("subscriber", &[&url, "trades.ETH"]);
    let number = |line: &str| -> u64 {
        let json = line.split_once(": {").expect("a message").1;
        json.trim_end_matches('}').rsplit(':').next().unwrap().parse().expect("a number")
    };
    let first = all.line();
    // One after the other, and under the two topics in turn.
    assert_eq!(number(&all.line()), number(&first) + 1);
    let first = some.line();
    assert!(first.contains(": trades.ETHUSD: "), "{first}");
    assert_eq!(number(&some.line()), number(&first) + 2);
    signal(publisher.child.id(), "TERM");
    assert!(publisher.finish().starts_with("Stats {"));
}
