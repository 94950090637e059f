//! Workers and grapes that die, and some that come back.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use grenache_engine::sleep;
use grenache_grape::Grape;
use grenache_peer::handle::Config;
use grenache_peer::server::{Reply, Request};
use grenache_peer::worker::{self, Worker};
use grenache_peer::{Call, Error, Handle, Json};
use serde_json::{Value, json};

use crate::client::{LONG, call, request, start, start_with, until};
use crate::process::{Process, node_command};
use crate::server::{Connection, Server};

fn grape() -> Grape {
    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    Grape::start(config).expect("a grape")
}

fn url(grape: &Grape) -> String {
    format!("http://127.0.0.1:{}", grape.api_addr().port())
}

/// A client of some grapes.
fn client_of(grapes: Vec<String>) -> Handle {
    let mut config = Config { grapes, ..Config::default() };
    config.link.request_timeout = Duration::from_millis(500);
    start_with(config)
}

/// Calls a service by its name.
fn ask(handle: &Handle, service: &str, payload: &str) -> Result<String, Error> {
    let payload = Json::from_text(payload.to_string()).expect("JSON");
    let answer = handle.request(Call::new(service, payload).timeout(LONG)).wait();
    answer.map(|json| json.as_str().to_string())
}

/// Set in the child that is to be a worker: what it is told, as JSON.
const TOLD: &str = "GRENACHE_FAULTS_WORKER";

/// A worker of ours in a process of its own: this very program, started for the one test that serves.
fn worker_process(grape: &Grape, others: &[String], port: u16) -> (Process, u16) {
    let grapes = [others, &[url(grape)]].concat();
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "death::serve", "--nocapture", "--test-threads=1"]);
    command.env(TOLD, json!({"grapes": grapes, "port": port}).to_string());
    let mut process = Process::start("our worker", command);
    let port = process.wait_for_event("listening")["port"].as_u64().expect("a port") as u16;
    for service in SERVICES {
        wait_for_announced(grape, service, port);
    }
    (process, port)
}

const SERVICES: [&str; 4] = ["death:never", "death:echo", "death:pid", "death:slow"];

/// Awaits that a grape knows a service at a port of this machine.
#[track_caller]
fn wait_for_announced(grape: &Grape, service: &str, port: u16) {
    until(&format!("{service} at {port}"), || {
        let peers = grape.lookup(service).wait().expect("an answer");
        peers.iter().any(|peer| peer.port() == port)
    });
}

/// Not a test but the worker of [`worker_process`]; does nothing unless it is told.
#[test]
fn serve() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let config = worker::Config {
        listen: ([127, 0, 0, 1], told["port"].as_u64().expect("a port") as u16).into(),
        grapes: serde_json::from_value(told["grapes"].clone()).expect("grapes"),
        ..worker::Config::default()
    };
    let worker = Worker::start(config, |_, services| {
        services.add("death:never", async |_| {
            println!("\n{}", json!({"event": "request"}));
            std::future::pending::<Result<Reply, Error>>().await
        });
        services.add("death:echo", async |request: Request| {
            Ok::<_, Error>(Reply::from(request.payload().clone()))
        });
        services.add("death:pid", async |_| Reply::json(&std::process::id()));
        services.add("death:slow", async |request: Request| {
            sleep(Duration::from_millis(request.json()?)).await;
            Reply::json("slow")
        });
    });
    let worker = worker.expect("a worker");
    println!("\n{}", json!({"event": "listening", "port": worker.addr().port()}));
    // Until the test kills it, or ends and with it the pipe.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

#[test]
fn our_worker_is_killed_in_the_middle_of_a_request() {
    let grape = grape();
    let handle = client_of(vec![url(&grape)]);
    let (mut process, _) = worker_process(&grape, &[], 0);
    let asked = handle.request(Call::new("death:never", Json::null()).timeout(LONG));
    process.wait_for_event("request");
    let start = Instant::now();
    process.kill();
    dies_as_it_may(asked.wait().unwrap_err(), start);
}

#[test]
fn nodes_worker_is_killed_in_the_middle_of_a_request() {
    let grape = grape();
    let handle = client_of(vec![url(&grape)]);
    let mut process = Process::node(
        "service.js",
        &json!({"grape": grape.api_addr().port(), "prefix": "death", "services": ["never"], "verbose": true}),
    );
    process.wait_for_event("announced");
    let asked = handle.request(Call::new("death:never", Json::null()).timeout(LONG));
    process.wait_for_event("request");
    let start = Instant::now();
    process.kill();
    dies_as_it_may(asked.wait().unwrap_err(), start);
}

/// The connection ended, at once, and whether the handler had run nobody knows.
#[track_caller]
fn dies_as_it_may(error: Error, start: Instant) {
    let code = error.code();
    assert!(["ERR_TRANSPORT_CLOSE", "ERR_REQUEST_GENERIC"].contains(&code), "{error}");
    assert!(error.may_have_run(), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// One of two workers is killed: calls that may be repeated do not notice, others do not once its connections are gone.
#[test]
fn one_of_two_workers_is_killed() {
    let grape = grape();
    let handle = client_of(vec![url(&grape)]);
    let (mut first, port) = worker_process(&grape, &[], 0);
    let (second, _) = worker_process(&grape, &[], 0);
    let pids = [first.id(), second.id()].map(|pid| pid.to_string());
    let mut seen = [0; 2];
    for _ in 0..100 {
        let pid = ask(&handle, "death:pid", "null").unwrap();
        seen[pids.iter().position(|known| *known == pid).expect("one of the two")] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    first.kill();
    let pid = || Call::new("death:pid", Json::null()).timeout(LONG);
    for _ in 0..50 {
        let answer = handle.request(pid().idempotent()).wait().unwrap();
        assert_eq!(answer.as_str(), pids[1]);
    }
    gone(port);
    // Nothing of it is left that could take a request.
    for _ in 0..50 {
        let answer = handle.request(pid()).wait().unwrap();
        assert_eq!(answer.as_str(), pids[1]);
    }
}

/// Awaits that nobody listens any more: the kernel closes the sockets of a killed process a little after its end.
#[track_caller]
fn gone(port: u16) {
    until("end of the killed worker", || TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_worker_that_comes_back() {
    let grape = grape();
    let handle = client_of(vec![url(&grape)]);
    let (mut process, port) = worker_process(&grape, &[], 0);
    for _ in 0..3 {
        assert_eq!(ask(&handle, "death:echo", "1").as_deref(), Ok("1"));
        process.kill();
        gone(port);
        let error = ask(&handle, "death:echo", "2").unwrap_err();
        assert_eq!(error.code(), "ERR_REQUEST_GENERIC", "{error}");
        process = worker_process(&grape, &[], port).0;
        // It is probed before long, and then it is as good as any.
        let back = Instant::now();
        while ask(&handle, "death:echo", "3").is_err() {
            assert!(back.elapsed() < Duration::from_secs(10), "it is not found again");
        }
    }
}

/// A client of Node's that dies takes its request with it.
#[test]
fn a_killed_client_cancels_its_handler() {
    struct Told(std::sync::mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let grape = grape();
    let (began, begun) = std::sync::mpsc::channel();
    let (dropped, cancelled) = std::sync::mpsc::channel();
    let config = worker::Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        grapes: vec![url(&grape)],
        ..worker::Config::default()
    };
    let worker = Worker::start(config, move |_, services| {
        let (began, dropped) = (began.clone(), dropped.clone());
        services.add("death:client", move |_| {
            let told = Told(dropped.clone());
            let _ = began.send(());
            async move {
                let _told = told;
                std::future::pending::<Result<Reply, Error>>().await
            }
        });
    });
    let worker = worker.expect("a worker");
    wait_for_announced(&grape, "death:client", worker.addr().port());
    let mut command =
        node_command("caller.js", &[json!({"grape": grape.api_addr().port()}).to_string()]);
    command.env_remove("DEBUG");
    let mut process = Process::start("Node's client", command);
    process.wait_for_event("ready");
    process
        .tell(&json!({"call": "request", "service": "death:client", "payload": "1", "opts": {}}));
    begun.recv_timeout(LONG).expect("a request");
    process.kill();
    cancelled.recv_timeout(LONG).expect("the handler is dropped");
    drop(worker);
}

#[test]
fn a_grape_is_killed_and_the_other_asked() {
    // Two grapes that do not know each other; the worker is announced at both.
    let (first, second) = (grape(), grape());
    let server = Server::echo();
    let handle = client_of(vec![url(&first), url(&second)]);
    for service in ["grapes:a", "grapes:b", "grapes:c"] {
        for grape in [&first, &second] {
            grape.announce(service, server.addr.port()).wait().expect("announced");
        }
    }
    assert_eq!(ask(&handle, "grapes:a", "1").as_deref(), Ok("1"));
    first.stop().expect("it stops");
    let start = Instant::now();
    assert_eq!(ask(&handle, "grapes:b", "2").as_deref(), Ok("2"));
    assert!(start.elapsed() < Duration::from_secs(5));
    second.stop().expect("it stops");
    // What was looked up is still known; what was not, nobody can tell any more.
    assert_eq!(ask(&handle, "grapes:b", "3").as_deref(), Ok("3"));
    let error = ask(&handle, "grapes:c", "4").unwrap_err();
    assert_eq!(error.code(), "ERR_GRAPE_UNREACHABLE", "{error}");
    assert!(!error.may_have_run());
}

/// Grapes that are worse than dead.
#[test]
fn grapes_that_answer_wrongly_are_passed_over() {
    let good = grape();
    let worker = Server::echo();
    good.announce("grapes:odd", worker.addr.port()).wait().expect("announced");
    let faults: [fn(&mut Connection) -> std::io::Result<()>; 6] = [
        |connection| connection.hang(),
        |connection| connection.close(""),
        |connection| {
            connection.raw("garbage\r\n\r\n")?;
            connection.hang()
        },
        |connection| {
            connection.answer(200, "<html>")?;
            connection.hang()
        },
        |connection| {
            connection.answer(502, "<html>")?;
            connection.hang()
        },
        |connection| {
            connection.answer(200, r#"["not an address", 5]"#)?;
            connection.hang()
        },
    ];
    for (at, fault) in faults.into_iter().enumerate() {
        let bad = Server::start(fault);
        let handle = client_of(vec![format!("http://{}", bad.addr), url(&good)]);
        let answer = ask(&handle, "grapes:odd", "1");
        assert_eq!(answer.as_deref(), Ok("1"), "fault {at}");
        assert!(bad.accepted() > 0, "fault {at}: it was asked");
    }
}

/// Whoever is announced at two grapes stays announced when one dies.
#[test]
fn announcing_goes_on_at_the_other_grape() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", dead.local_addr().unwrap());
    drop(dead);
    let grape = grape();
    let (_process, _) = worker_process(&grape, std::slice::from_ref(&nobody), 0);
    assert_eq!(grape.lookup("death:echo").wait().expect("an answer").len(), 1);
    let handle = client_of(vec![nobody, url(&grape)]);
    assert_eq!(ask(&handle, "death:echo", "1").as_deref(), Ok("1"));
}

#[test]
fn a_call_to_a_worker_that_died_is_not_repeated_by_itself() {
    let server = Server::start(|connection| {
        connection.request()?;
        connection.close("")
    });
    let handle = start();
    let error = request(&handle, server.addr, call("1").attempts(3)).unwrap_err();
    assert!(error.may_have_run());
    assert_eq!(server.requests(), 1, "it may have run: it was sent once");
    let error = request(&handle, server.addr, call("1").attempts(3).idempotent()).unwrap_err();
    assert!(error.may_have_run());
    assert_eq!(server.requests(), 4, "it may run twice: it was tried three times more");
}
