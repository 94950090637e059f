//! With Node's grape, worker and client.

use std::net::TcpStream;

use grenache_grape::{Config, Grape};
use serde_json::{Value, json};

use crate::home::Home;
use crate::network::Network;
use crate::node;
use crate::port;
use crate::process::{Process, await_that, command, run_with};

/// A grape of Node's that has one of ours beside it: alone it stores nothing.
struct NodeGrape {
    url: String,
    _node: Process,
    _ports: [port::Port; 2],
    _ours: Grape,
}

impl NodeGrape {
    fn start() -> NodeGrape {
        let ports = [port::take(), port::take()];
        let [dht, api] = [ports[0].number, ports[1].number];
        let conf =
            json!({"host": "127.0.0.1", "dht_port": dht, "api_port": api, "dht_bootstrap": []});
        let node = node::start("grape.js", &conf);
        let event = |name: &'static str| {
            move |line: &str| line.split_once("grenache:grape ")?.1.ends_with(name).then_some(())
        };
        node.wait_for(event(" ready"));
        let bootstrap = vec![format!("127.0.0.1:{dht}")];
        let ours = Config { dht_port: 0, api_port: 0, bootstrap, ..Config::default() };
        let ours = Grape::start(ours).expect("a grape");
        node.wait_for(event(" node"));
        let url = format!("http://127.0.0.1:{api}");
        // The debug lines do not tell when it listens.
        await_that("it listens", || TcpStream::connect(("127.0.0.1", api)).is_ok());
        NodeGrape { url, _node: node, _ports: ports, _ours: ours }
    }

    fn run(&self, home: &Home, arguments: &[&str]) -> crate::process::Ended {
        let mut command = command("grenache");
        command.env("HOME", &home.path).args(["--grape", &self.url]).args(arguments);
        run_with(command, "")
    }
}

#[test]
fn everything_through_nodes_grape() {
    let (grape, home) = (NodeGrape::start(), Home::with_key());
    let run = |arguments: &[&str]| grape.run(&home, arguments);
    let out = run(&["announce", "rest:größe,1337"]).out();
    assert!(out.starts_with("rest:größe\t1337\t"), "{out}");
    assert_eq!(run(&["lookup", "--all", "rest:größe"]).out(), "127.0.0.1:1337\n");
    run(&["lookup", "nobody"]).error(3);

    let hash = run(&["put", "größe 17"]).out();
    assert_eq!(run(&["get", hash.trim_end()]).out(), "größe 17\n");
    let hash = run(&["put", "-m", "-n", "1", "-s", "foobar", "Hello World!"]).out();
    assert_eq!(hash, "411eba73b6f087ca51a3795d9c8c938d365e32c1\n");
    let hash = hash.trim_end();
    assert_eq!(run(&["get", "-s", "foobar", hash]).out(), "Hello World!\n");
    let newer = run(&["put", "-m", "-n", "2", "-c", "1", "-s", "foobar", "newer"]).out();
    assert_eq!(newer.trim_end(), hash);
    assert_eq!(run(&["get", "-s", "foobar", hash]).out(), "newer\n");
    run(&["get", &"0".repeat(40)]).error(3);
}

#[test]
fn calling_nodes_workers() {
    let network = Network::start();
    let workers: Vec<(Process, port::Port)> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let port = port::take();
            let conf = json!({"transport": "http", "grape": network.grape.api_addr().port(),
                "service": "node", "port": port.number, "name": name});
            let worker = node::start("worker.js", &conf);
            assert_eq!(node::event(&worker, "announced")["err"], Value::Null);
            (worker, port)
        })
        .collect();
    for options in [&[][..], &["--gzip"]] {
        let payload = r#"{"größe":[1,2.5,null]}"#;
        let mut request = network.command(&["request", "node", payload]);
        let out = run_with(
            {
                request.args(options);
                request
            },
            "",
        )
        .out();
        let reply: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&reply["key"], &reply["echo"]["größe"]),
            (&json!("node"), &json!([1, 2.5, null]))
        );
    }
    let error = network.run(&["request", "node", "\"fail\""]).error(1);
    assert_eq!(error, "grenache: error: ERR_FROM_WORKER");
    let out = network.run(&["map", "node", "1", "--json"]).out();
    let mut names: Vec<String> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["reply"]["worker"].to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["\"a\"", "\"b\""]);
    drop(workers);
}

#[test]
fn served_to_nodes_client() {
    let network = Network::start();
    let (_worker, _) = network.serve("ours", &["--exec", "cat"]);
    let port = network.grape.api_addr().port();
    let mut client = node::start("client.js", &json!({"transport": "http", "grape": port}));
    node::event(&client, "ready");
    for (options, payload) in
        [(json!({}), json!({"größe": [1]})), (json!({"compress": true}), json!(0))]
    {
        client.write(
            &json!({"call": "request", "service": "ours", "payload": payload, "opts": options})
                .to_string(),
        );
        let answer = node::event(&client, "answer");
        assert_eq!((&answer["err"], &answer["result"]), (&Value::Null, &payload));
    }
}
