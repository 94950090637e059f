//! `bridge`: workers of one transport, reached over all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::home::Home;
use crate::libzmq::{Libzmq, base64};
use crate::network::{Network, closed_port, deaf};
use crate::node;
use crate::port;
use crate::process::{Ended, Process, await_that, run, signal};

/// Starts `grenache bridge service .. --listen 127.0.0.1:0 ..` and awaits that it is found as `name`; gives its address, too.
#[track_caller]
fn bridge(network: &Network, arguments: &[&str], name: &str) -> (Process, SocketAddr) {
    let mut command = network.command(&["bridge", "--listen", "127.0.0.1:0"]);
    command.args(arguments);
    let process = Process::start(command);
    let part = format!(" as {name} on ");
    let addr = process.wait_for(|line| {
        let (start, addr) = line.split_once(&part)?;
        start.starts_with("bridging ").then(|| addr.parse().ok())?
    });
    (process, addr)
}

/// A worker of Node's with the services of service.js.
fn node_worker(network: &Network, transport: &str, prefix: &str, services: &[&str]) -> Process {
    let port = network.grape.api_addr().port();
    let conf = json!({"transport": transport, "grape": port, "prefix": prefix,
        "services": services, "name": "a", "verbose": true});
    let worker = node::start("service.js", &conf);
    assert_eq!(node::event(&worker, "announced")["err"], Value::Null);
    worker
}

fn ours(network: &Network, transport: &str, service: &str, payload: &str) -> Ended {
    network.run(&["request", service, payload, "--transport", transport, "--retry", "0"])
}

/// One call by a client of Node's: its error and the reply.
fn nodes(client: &mut Process, service: &str, payload: &Value) -> (Value, Value) {
    let call = json!({"call": "request", "service": service, "payload": payload.to_string()});
    client.write(&call.to_string());
    let answer = node::event(client, "answer");
    let reply = answer["result"]["text"].as_str();
    let reply = reply.map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON"));
    (answer["err"].clone(), reply)
}

/// Who asks.
enum Client<'a> {
    /// `grenache request` over this transport.
    Ours(&'a Network, &'static str),
    Node(Process),
    /// A DEALER of libzmq's that asks in this form.
    Libzmq(Libzmq, &'static str),
}

impl Client<'_> {
    /// Node's package for this transport.
    fn node(network: &Network, transport: &str) -> Self {
        let grape = network.grape.api_addr().port();
        let client = node::start("caller.js", &json!({"transport": transport, "grape": grape}));
        node::event(&client, "ready");
        Client::Node(client)
    }

    /// One call: the error and the reply.
    #[track_caller]
    fn ask(&mut self, service: &str, at: SocketAddr, payload: &Value) -> (Value, Value) {
        match self {
            Client::Ours(network, transport) => {
                let ended = ours(network, transport, service, &payload.to_string());
                match ended.code {
                    Some(0) => (Value::Null, serde_json::from_str(&ended.out).expect("JSON")),
                    _ => {
                        let line = ended.error(1);
                        let text = line.strip_prefix("grenache: error: ").expect("an error");
                        (json!(text), Value::Null)
                    }
                }
            }
            Client::Node(client) => nodes(client, service, payload),
            Client::Libzmq(libzmq, form) => {
                let client = libzmq.client(form, at.port(), json!({}));
                libzmq.call(client, service, payload)
            }
        }
    }
}

#[test]
fn every_client_reaches_every_worker() {
    let network = Network::start();
    let mut clients = [
        ("ours over http", Client::Ours(&network, "http")),
        ("ours over ws", Client::Ours(&network, "ws")),
        ("ours over zmq", Client::Ours(&network, "zmq")),
        ("Node's over http", Client::node(&network, "http")),
        ("Node's over ws", Client::node(&network, "ws")),
        ("libzmq's with arrays", Client::Libzmq(Libzmq::start(), "array")),
        ("libzmq's with frames", Client::Libzmq(Libzmq::start(), "frames")),
    ];
    let mut libzmq = Libzmq::start();
    let services = ["echo", "fail"];
    let text = json!("ERR_ODD: größe and \"quotes\": \u{1f600}");
    let mut workers = Vec::new();
    for transport in ["http", "ws", "zmq"] {
        let prefix = format!("ours-{transport}");
        let (echo, _) = network.serve(&format!("{prefix}:echo"), &["--echo"]);
        let fail = format!("echo '{}' >&2; exit 1", text.as_str().unwrap());
        let (fail, _) = network.serve(&format!("{prefix}:fail"), &["--exec", &fail]);
        workers.extend([echo, fail]);
    }
    for transport in ["http", "ws"] {
        let prefix = format!("node-{transport}");
        workers.push(node_worker(&network, transport, &prefix, &services));
    }
    for form in ["array", "frames"] {
        let port = libzmq.worker(form, json!({}));
        services.iter().for_each(|name| network.announce(&format!("{form}-zmq:{name}"), port));
    }
    for (prefix, transport) in [
        ("ours-http", "http"),
        ("ours-ws", "ws"),
        ("ours-zmq", "zmq"),
        ("node-http", "http"),
        ("node-ws", "ws"),
        ("array-zmq", "zmq"),
        ("frames-zmq", "zmq"),
    ] {
        let [echo, fail] = services.map(|name| format!("{prefix}:{name}"));
        let options = [echo.as_str(), &fail, "--transport", transport];
        let [echo, fail] = [echo.clone(), fail.clone()].map(|name| format!("{name}:bridge"));
        let (_bridge, at) = bridge(&network, &options, &fail);
        for (which, client) in &mut clients {
            let which = format!("{which} to {prefix}");
            let payload = json!("größe \u{1f600}");
            assert_eq!(client.ask(&echo, at, &payload), (Value::Null, payload), "{which}");
            assert_eq!(client.ask(&fail, at, &text), (text.clone(), Value::Null), "{which}");
            // Frames are texts.
            if !which.contains("frames") {
                let payload = json!({"größe": [1, 2.5, null, "\u{1f600}"]});
                assert_eq!(client.ask(&echo, at, &payload), (Value::Null, payload), "{which}");
            }
        }
    }
}

#[test]
fn replies_pass_through_untouched() {
    let odd = "{ \"a\" :\t1.50e2 ,\n \"b\":123456789012345678901234567890 }";
    for behind in ["http", "ws", "zmq"] {
        let network = Network::start();
        let (_worker, _) = network.serve("echo", &["--echo"]);
        let (_odd, _) = network.serve("odd", &["--reply", odd]);
        let (_bridge, _) = bridge(&network, &["echo", "odd", "--transport", behind], "odd:bridge");
        for over in ["http", "ws", "zmq"] {
            for payload in
                ["null", "0.10", "\"\"", "[ ]", odd, "\"gr\u{f6}\\u00dfe \\ud83d\\ude00\""]
            {
                let out = ours(&network, over, "echo:bridge", payload).out();
                assert_eq!(out, format!("{payload}\n"), "{over} to {behind}");
            }
            assert_eq!(ours(&network, over, "odd:bridge", "1").out(), format!("{odd}\n"));
        }
    }
}

#[test]
fn a_worker_that_is_killed_is_told_and_another_is_found() {
    for behind in ["http", "ws", "zmq"] {
        let network = Network::start();
        let (first, addr) = network.serve("a", &["--reply", "1"]);
        let (_bridge, _) = bridge(&network, &["a", "--transport", behind], "a:bridge");
        assert_eq!(ours(&network, "ws", "a:bridge", "0").out(), "1\n");
        drop(first);
        let error = ours(&network, "ws", "a:bridge", "0").error(1);
        let start = "grenache: error: ERR_REQUEST_GENERIC: 'a' behind the bridge: ";
        assert!(error.starts_with(start) && error.contains(&addr.to_string()), "{error}");
        let (_second, _) = network.serve("a", &["--reply", "2"]);
        await_that("the new worker is found", || {
            ours(&network, "http", "a:bridge", "0").out == "2\n"
        });
    }
}

#[test]
fn what_may_have_run_is_not_sent_again() {
    for behind in ["http", "ws", "zmq"] {
        let (network, home) = (Network::start(), Home::new());
        let runs = home.path.join("runs");
        let command = format!("echo >> {}; sleep 30", runs.display());
        let count = || std::fs::read_to_string(&runs).map_or(0, |text| text.lines().count());
        let (first, _) = network.serve("slow", &["--exec", &command]);
        let (_bridge, _) = bridge(&network, &["slow", "--transport", behind], "slow:bridge");
        let mut request = Process::start(network.command(&["request", "slow:bridge", "0"]));
        await_that("the command has begun", || count() == 1);
        let (_second, _) = network.serve("slow", &["--exec", &command]);
        drop(first);
        let (status, said) = request.end();
        assert_eq!(status.code(), Some(1));
        let text = &said[0];
        assert!(text.contains("ERR_") && text.contains("'slow' behind the bridge"), "{text}");
        assert_eq!(count(), 1, "the second worker must not have it as well");
    }
}

#[test]
fn nobody_behind_and_nobody_in_time() {
    let network = Network::start();
    let (_bridge, _) = bridge(&network, &["nobody"], "nobody:bridge");
    let error = ours(&network, "http", "nobody:bridge", "1").error(1);
    assert_eq!(
        error,
        "grenache: error: ERR_GRAPE_LOOKUP_EMPTY: 'nobody' behind the bridge: nobody announces 'nobody'"
    );
    let (_listener, port) = deaf();
    let to = format!("127.0.0.1:{port}");
    let options = ["late", "--to", &to, "--as", "late", "--timeout", "200"];
    let (_bridge, _) = bridge(&network, &options, "late");
    let begun = Instant::now();
    let error = ours(&network, "ws", "late", "1").error(1);
    assert!(begun.elapsed() < Duration::from_secs(10));
    let expected =
        format!("ERR_TIMEOUT: 'late' behind the bridge: no reply from {to} within 200ms");
    assert_eq!(error, format!("grenache: error: {expected}"));
}

#[test]
fn workers_that_are_named_are_not_looked_up() {
    let network = Network::start();
    let (_worker, addr) =
        network.serve("elsewhere", &["--exec", "echo \"\\\"$GRENACHE_SERVICE\\\"\""]);
    // Named, it may have the service's own name; a worker that is down is passed over.
    let (up, down) = (addr.to_string(), format!("localhost:{}", closed_port()));
    let options = ["elsewhere", "--as", "here", "--to", &down, "--to", &up];
    let (_bridge, _) = bridge(&network, &options, "here");
    for _ in 0..4 {
        let out = network.run(&["request", "here", "1", "--transport", "ws"]).out();
        assert_eq!(out, "\"elsewhere\"\n");
    }
}

#[test]
fn a_caller_that_hangs_up_cancels_the_call_behind() {
    let (network, home) = (Network::start(), Home::new());
    let pid = home.path.join("pid");
    let command = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 600", pid.display());
    let (_worker, _) = network.serve("slow", &["--exec", &command]);
    let (_bridge, _) = bridge(&network, &["slow"], "slow:bridge");
    for over in ["http", "ws", "zmq"] {
        let _ = std::fs::remove_file(&pid);
        let request = ["request", "slow:bridge", "0", "--transport", over];
        let request = Process::start(network.command(&request));
        await_that("the command runs", || pid.exists());
        let number = std::fs::read_to_string(&pid).unwrap();
        drop(request);
        let process = std::path::Path::new("/proc").join(number.trim());
        await_that("the command is killed", || !process.exists());
    }
}

#[test]
fn it_stops_politely() {
    let (network, home) = (Network::start(), Home::new());
    let path = home.path.display();
    let command =
        format!("echo > {path}/begun; while [ ! -e {path}/go ]; do sleep 0.01; done; echo 1");
    let (_worker, _) = network.serve("slow", &["--exec", &command]);
    let (mut bridge, addr) = bridge(&network, &["slow"], "slow:bridge");
    let mut request = Process::start(network.command(&["request", "slow:bridge", "0"]));
    await_that("the command has begun", || home.path.join("begun").exists());
    signal(bridge.id(), "TERM");
    await_that("it listens no more", || std::net::TcpStream::connect(addr).is_err());
    std::fs::write(home.path.join("go"), "").unwrap();
    let (status, lines) = request.end();
    assert_eq!((status.code(), lines), (Some(0), vec!["1".to_string()]));
    assert_eq!(bridge.end().0.code(), Some(0));
}

#[test]
fn streams_need_http_behind() {
    let network = Network::start();
    let _worker = node_worker(&network, "http", "h", &["files"]);
    let (_bridge, _) = bridge(&network, &["h:files"], "h:files:bridge");
    let options = ["h:files", "--as", "ws", "--transport", "ws"];
    let (_other, _) = bridge(&network, &options, "ws");
    let grape = network.grape.api_addr().port();
    let mut client = node::start("caller.js", &json!({"grape": grape}));
    node::event(&client, "ready");
    let mut stream = |service: &str| {
        let call = json!({"call": "stream", "service": service,
            "opts": {"headers": {"_a": "early"}}, "send": {"seed": 1, "length": 10}});
        client.write(&call.to_string());
        let answer = node::event(&client, "answer");
        let text = answer["result"]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        serde_json::from_str::<Value>(text).expect("an array")
    };
    assert_eq!(stream("h:files:bridge")[2], json!("world"));
    let error = stream("ws")[1].clone();
    assert!(error.as_str().unwrap().starts_with("ERR_STREAM_HTTP: "), "{error}");
}

#[test]
fn nodes_publications_reach_subscribers_of_the_bridge() {
    let network = Network::start();
    let (grape, port) = (network.grape.api_addr().port(), port::take());
    let conf = json!({"grape": grape, "service": "news", "port": port.number});
    let mut publisher = node::start("publisher.js", &conf);
    publisher.wait_for(|line| line.contains("announced").then_some(()));
    let (_bridge, _) = bridge(&network, &["news", "--publications"], "news:bridge");
    publisher.wait_for(|line| line.contains("\"subscriber\"").then_some(()));
    let ours = Process::start(network.command(&["sub", "news:bridge"]));
    let nodes = node::start("subscriber.js", &json!({"grape": grape, "service": "news:bridge"}));
    node::event(&nodes, "connected");
    // Nobody tells when ours is there: it hears one of many.
    await_that("ours has heard", || {
        publisher.write(&json!({"message": "größe"}).to_string());
        ours.has_said("größe")
    });
    assert_eq!(node::event(&nodes, "message")["message"], json!("größe"));
}

#[test]
fn topics_are_kept() {
    let network = Network::start();
    let mut command = network.command(&["pub", "ticker", "--bind", "127.0.0.1", "--topics"]);
    command.args(["--wait-for", "1"]);
    let mut publisher = Process::start(command);
    publisher.wait_for(|line| line.contains(": publishing ").then_some(()));
    let sub = ["sub", "prices", "--topic", "trades.", "--show-topic"];
    let sub = Process::start(network.command(&sub));
    let options = ["ticker", "--publications", "--as", "prices", "--cores", "2"];
    let (_bridge, _) = bridge(&network, &options, "prices");
    // Nobody tells when it is there: it hears one of many.
    await_that("it has heard", || {
        publisher.write("trades.BTCUSD 1 2");
        publisher.write("news x");
        sub.has_said("trades.BTCUSD 1 2")
    });
    publisher.write("trades.ETHUSD 3");
    let others = |line: &str| (line != "trades.BTCUSD 1 2").then(|| line.to_string());
    assert_eq!(sub.wait_for(others), "trades.ETHUSD 3");
}

#[test]
fn publications_come_over_zeromq_and_reach_all() {
    let network = Network::start();
    let mut libzmq = Libzmq::start();
    let (publisher, port) = libzmq.publisher(json!({}));
    network.announce("ticker", port);
    let options = ["ticker", "--publications", "--transport", "zmq"];
    let (_bridge, at) = bridge(&network, &options, "ticker:bridge");
    assert_eq!(libzmq.receive(publisher), [base64("\u{1}")], "the bridge asks for everything");
    let theirs = libzmq.subscriber("trades.", at.port(), json!({}));
    let sub = |transport| {
        let options = ["--topic", "trades.", "--show-topic", "--transport", transport];
        Process::start(network.command(&[&["sub", "ticker:bridge"][..], &options].concat()))
    };
    let subs = [sub("ws"), sub("zmq")];
    let grape = network.grape.api_addr().port();
    let node = json!({"grape": grape, "service": "ticker:bridge"});
    let node = node::start("subscriber.js", &node);
    node::event(&node, "connected");
    // Nobody tells when ours are there: they hear one of many.
    for sub in &subs {
        await_that("it has heard", || {
            libzmq.send(publisher, &["news", "not asked for"]);
            libzmq.send(publisher, &["trades.BTCUSD", "größe"]);
            sub.has_said("trades.BTCUSD größe")
        });
    }
    assert_eq!(libzmq.receive(theirs), ["trades.BTCUSD", "größe"].map(base64));
    assert_eq!(node::event(&node, "message")["message"], json!("not asked for"));
    assert_eq!(node::event(&node, "message")["message"], json!("größe"));
}

#[test]
fn curve_on_both_sides() {
    let (network, home) = (Network::start(), Home::new());
    let keys = ["worker", "bridge", "client"].map(|name| {
        let file = home.path.join(name).display().to_string();
        let public = run("grenache", ["keygen", "--curve", "-o", &file]).out();
        (file, public.trim_end().to_string())
    });
    let [(worker, worker_key), (own, own_key), (client, client_key)] = &keys;
    let serve = ["--echo", "--curve-key", worker, "--curve-allow", own_key];
    let (_worker, _) = network.serve("a", &serve);
    let behind = ["--transport", "zmq", "--worker-curve-server", worker_key];
    let front = ["--curve-key", own, "--curve-allow", client_key];
    let knows = ["--worker-curve-key", own];
    let good = [&["a", "--as", "good"][..], &behind, &front, &knows].concat();
    let (_good, _) = bridge(&network, &good, "good");
    let (_bad, _) = bridge(&network, &[&["a", "--as", "bad"][..], &behind].concat(), "bad");
    let call = |name: &str, options: &[&str]| {
        let call = ["request", name, "[1]", "--retry", "0", "--transport", "zmq"];
        network.run(&[&call, options].concat())
    };
    let known = ["--curve-server", own_key, "--curve-key", client];
    assert_eq!(call("good", &known).out(), "[1]\n");
    assert_eq!(call("good", &known[..2]).code, Some(1));
    assert_eq!(ours(&network, "ws", "good", "[1]").out(), "[1]\n");
    let error = call("bad", &[]).error(1);
    assert!(error.contains("ERR_REQUEST_GENERIC: 'a' behind the bridge: "), "{error}");
}

#[test]
fn what_cannot_be_carried_is_refused() {
    let grape = ["--grape", "http://127.0.0.1:1", "bridge", "--listen", "0"];
    for (options, part) in [
        (&["a", "--as", "a"][..], "--as, or its workers by --to"),
        (&["a", "a:bridge"], "would find itself"),
        (&["a", "b", "--as", "c"], "--as is for one SERVICE"),
        (&["a", "b", "--publications"], "one SERVICE"),
        (&["a", "--publications", "--transport", "http"], "nothing is published over HTTP"),
        (&["a", "--to", "nowhere"], "--to nowhere"),
        (&["a", "--tls-ca", "x"], "--tls-cert"),
        (&["a", "--worker-tls-ca", "/no/such/file"], "/no/such/file"),
        (&[], "<SERVICE>"),
    ] {
        let ended = run("grenache", grape.iter().chain(options));
        assert!(ended.code == Some(2) && ended.err.contains(part), "{options:?}: {ended:?}");
    }
    let ended = run("grenache", ["bridge", "a", "--listen", "nowhere"]);
    assert!(ended.err.contains("expected PORT or IP:PORT"), "{ended:?}");
}
