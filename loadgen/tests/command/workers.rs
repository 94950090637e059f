//! Workers: Node's, and over TLS.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use grenache_peer::server::{self, Reply};
use grenache_peer::tls::{Authorities, Clients, Identity, ServerTls};
use grenache_peer::{Worker, worker};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::process::measure;

#[test]
fn over_tls_with_certificates_on_both_sides() {
    let files = Certificates::make();
    let identity =
        Identity::from_files(files.path("worker.pem"), files.path("worker.key")).unwrap();
    let mut tls = ServerTls::new(identity);
    tls.clients = Clients::Required(Authorities::from_file(files.path("ca.pem")).unwrap());
    let config = worker::Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Some(tls),
        ..worker::Config::default()
    };
    let worker = Worker::start(config, |_, services| {
        services.add("echo", |request| async move {
            Ok::<_, grenache_peer::Error>(Reply::from(request.payload().clone()))
        });
    });
    let worker = worker.unwrap();
    let call = format!("rpc -t {} -S echo --requests 500 -c 4", worker.addr());
    let with = format!(
        "{call} --tls-ca {} --tls-cert {} --tls-key {}",
        files.show("ca.pem"),
        files.show("client.pem"),
        files.show("client.key")
    );
    let report = measure(&with).json(0);
    assert_eq!(
        (&report["requests"]["answered"], &report["load"]["transport"]),
        (&json!(500), &json!("https"))
    );
    // Anew for every ten requests.
    let report = measure(&format!("{with} --requests-per-connection 10")).json(0);
    assert!(report["requests"]["connections"].as_u64() >= Some(45), "{report}");
    assert_eq!(report["requests"]["answered"], 500);
    // Over WebSocket, on the same port.
    let report = measure(&format!("{with} --transport ws -n 16")).json(0);
    assert_eq!(
        (&report["requests"]["answered"], &report["load"]["transport"]),
        (&json!(500), &json!("wss"))
    );
    // Without a certificate of its own nobody is let in, and without TLS nothing is understood.
    let without = measure(&format!("{call} --tls-ca {} --timeout 2s -c 1", files.show("ca.pem")));
    assert_ne!(without.code, Some(0), "{without:?}");
    let plain = measure(&format!("{call} --timeout 2s -c 1 -d 1s").replace("--requests 500", ""));
    assert_eq!(plain.code, Some(1), "{plain:?}");
}

#[test]
fn nodes_worker() {
    let node = Node::start("http", "echo");
    let report =
        measure(&format!("rpc -t {} -S node:echo --requests 1000 -c 8", node.addr)).json(0);
    assert_eq!(report["requests"]["answered"], 1000, "{report}");
    let report =
        measure(&format!("rpc -t {} -S node:echo --rate 500 -d 1s -w 1s", node.addr)).json(0);
    assert!(report["rate"].as_f64() > Some(400.0), "{report}");
    let failing = measure(&format!("rpc -t {} -S node:fail --requests 50", node.addr)).json(1);
    assert_eq!(failing["requests"]["failed"], json!({ "remote": 50 }));
    assert_eq!(failing["requests"]["examples"]["remote"], "'hello'");
}

#[test]
fn nodes_worker_over_websocket() {
    let node = Node::start("ws", "echo");
    let call = format!("rpc -t {} --transport ws", node.addr);
    let report = measure(&format!("{call} -S node:echo --requests 5000 -c 2 -n 64")).json(0);
    assert_eq!(report["requests"]["answered"], 5000, "{report}");
    let report = measure(&format!("{call} -S node:echo --rate 500 -d 1s -w 1s -c 1 -n 100"));
    assert!(report.json(0)["rate"].as_f64() > Some(400.0), "{report:?}");
    let failing = measure(&format!("{call} -S node:fail --requests 50")).json(1);
    assert_eq!(failing["requests"]["failed"], json!({ "remote": 50 }));
    assert_eq!(failing["requests"]["examples"]["remote"], "'hello'");
}

#[test]
fn a_worker_that_is_busy_is_told_from_one_that_fails() {
    let config = worker::Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        server: server::Config { max_in_flight: 4, ..server::Config::default() },
        ..worker::Config::default()
    };
    let worker = Worker::start(config, |_, services| {
        services.add("never", |_| std::future::pending::<Result<Reply, grenache_peer::Error>>());
    });
    let worker = worker.unwrap();
    let call = format!("rpc -t {} -S never --transport ws -c 1 -n 8", worker.addr());
    let report = measure(&format!("{call} --requests 8 --timeout 500ms")).json(1);
    assert_eq!(report["requests"]["failed"], json!({ "busy": 4, "timeout": 4 }), "{report}");
}

/// An authority, and a worker and a client with its certificates, as PEM files.
struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    fn make() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("certificates");
        std::fs::create_dir_all(&folder).expect("a folder");
        let files = Self { folder };
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        files.write("ca.pem", &authority.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(authority, key);
        for side in ["worker", "client"] {
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            files.write(&format!("{side}.pem"), &params.signed_by(&key, &issuer).unwrap().pem());
            files.write(&format!("{side}.key"), &key.serialize_pem());
        }
        files
    }

    fn write(&self, name: &str, pem: &str) {
        std::fs::write(self.path(name), pem).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn show(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// Node's worker, from grape/tests/node. It ends with its standard input.
struct Node {
    addr: String,
    child: Child,
    _grape: grenache_grape::Grape,
}

impl Node {
    /// Starts it with this service under the prefix `node`, over `http` or `ws`.
    fn start(transport: &str, service: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../grape/tests/node");
        assert!(
            folder.join("node_modules/grenache-nodejs-http").exists(),
            "Node's packages are not installed: run `cargo xtask setup`"
        );
        let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
        let grape = grenache_grape::Grape::start(config).expect("a grape");
        let conf = json!({
            "grape": grape.api_addr().port(), "transport": transport, "prefix": "node",
            "services": [service], "name": "a",
        });
        let mut command = Command::new("node");
        command
            .arg("-r")
            .arg(folder.join("leash.js"))
            .arg(folder.join("service.js"))
            .arg(conf.to_string());
        command.env_remove("NODE_OPTIONS").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Node starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            let event: Value = serde_json::from_str(&line).ok()?;
            (event["event"] == "announced").then(|| event["port"].as_u64())?
        });
        let addr = format!("127.0.0.1:{}", port.expect("Node's worker is announced"));
        Self { addr, child, _grape: grape }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
