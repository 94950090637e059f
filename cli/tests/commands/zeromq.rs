//! ZeroMQ on the command line: with each other, with libzmq, and with whom nobody knows.

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::home::Home;
use crate::libzmq::{Libzmq, base64};
use crate::network::Network;
use crate::process::{Ended, Process, command, run_with};

/// Two key pairs and a password, in files.
struct Secrets {
    home: Home,
    server: String,
    client: String,
}

impl Secrets {
    fn new() -> Secrets {
        let home = Home::new();
        let make = |name: &str| {
            let mut keygen = command("grenache");
            keygen.args(["keygen", "--curve", "-o"]).arg(home.path.join(name));
            run_with(keygen, "").out().trim_end().to_string()
        };
        let [server, client] = ["server", "client"].map(make);
        for (name, password) in [("good", "Grenadine, größer\n"), ("bad", "Grenadine\n")] {
            fs::write(home.path.join(name), password).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(home.path.join(name), mode).unwrap();
        }
        Secrets { home, server, client }
    }

    /// Options in which `@name` stands for a file, and `#name` for a public key.
    fn options(&self, line: &str) -> Vec<String> {
        let word = |word: &str| match word {
            "#server" => self.server.clone(),
            "#client" => self.client.clone(),
            _ => match word.strip_prefix('@') {
                Some(file) => self.file(file),
                None => word.to_string(),
            },
        };
        line.split_whitespace().map(word).collect()
    }

    fn file(&self, name: &str) -> String {
        self.home.path.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }
}

fn run(network: &Network, arguments: &[&str], options: &[String]) -> Ended {
    let options = options.iter().map(String::as_str);
    network.run(&arguments.iter().copied().chain(options).collect::<Vec<_>>())
}

/// `grenache serve service --echo ..`.
#[track_caller]
fn serve(network: &Network, service: &str, options: &[String]) -> (Process, SocketAddr) {
    let options: Vec<&str> =
        ["--echo"].into_iter().chain(options.iter().map(String::as_str)).collect();
    network.serve(service, &options)
}

#[test]
fn calls() {
    let network = Network::start();
    let (_all, _) = serve(&network, "all", &[]);
    let (_zmq, _) = serve(&network, "zmq", &["--transport".into(), "zmq".into()]);
    let (_web, _) = serve(&network, "web", &["--transport".into(), "http,ws".into()]);
    for payload in ["null", "{ \"a\" : 1.50 }", "\"größe\\n\"", "12345678901234567890"] {
        for service in ["all", "zmq"] {
            let out = network.run(&["request", service, payload, "--transport", "zmq"]).out();
            assert_eq!(out, format!("{payload}\n"));
        }
    }
    let map = network.run(&["map", "all", "[1]", "--transport", "zmq"]).out();
    assert!(map.ends_with("\t[1]\n"), "{map}");
    let once = ["--retry", "0", "--timeout", "10000"];
    let ask = |service, over| {
        network.run(&[&["request", service, "1", "--transport", over][..], &once].concat())
    };
    let error = ask("zmq", "http").error(1);
    assert!(error.contains("426"), "{error}");
    let error = ask("web", "zmq").error(1);
    assert!(error.contains("ERR_REQUEST_GENERIC"), "{error}");
    let error = network.run(&["request", "all", "1", "--transport", "zmq", "--gzip"]).error(2);
    assert!(error.contains("HTTP's"), "{error}");
    let (_fails, _) = network.serve("fails", &["--exec", "echo 'not \"today\"' >&2; exit 3"]);
    let error = network.run(&["request", "fails", "1", "--transport", "zmq"]).error(1);
    assert_eq!(error, "grenache: error: not \"today\"");
}

#[test]
fn who_is_let_in() {
    let (network, secrets) = (Network::start(), Secrets::new());
    let check = |name: &str, server: &str, cases: &[(&str, bool)]| {
        let (_worker, _) = serve(&network, name, &secrets.options(server));
        for (client, works) in cases {
            let call = ["request", name, "[1]", "--retry", "0", "--transport", "zmq"];
            let ended = run(&network, &call, &secrets.options(client));
            assert_eq!(ended.code, Some(if *works { 0 } else { 1 }), "{client}: {ended:?}");
            assert_eq!(ended.out == "[1]\n", *works, "{client}: {ended:?}");
        }
        // Who comes otherwise is another's affair.
        assert_eq!(network.run(&["request", name, "[1]"]).out(), "[1]\n");
    };
    check(
        "curve",
        "--curve-key @server",
        &[
            ("--curve-server #server", true),
            ("--curve-server #server --curve-key @client", true),
            ("--curve-server #client", false),
            ("--zmq-user ann --zmq-password-file @good", false),
            ("", false),
        ],
    );
    check(
        "allow",
        "--curve-key @server --curve-allow #client",
        &[
            ("--curve-server #server --curve-key @client", true),
            ("--curve-server #server --curve-key @server", false),
            ("--curve-server #server", false),
        ],
    );
    check(
        "plain",
        "--zmq-user ann --zmq-password-file @good",
        &[
            ("--zmq-user ann --zmq-password-file @good", true),
            ("--zmq-user ann --zmq-password-file @bad", false),
            ("--zmq-user bob --zmq-password-file @good", false),
            ("--curve-server #server", false),
            ("", false),
        ],
    );
    check("anyone", "", &[("", true), ("--curve-server #server", false)]);
}

#[test]
fn what_cannot_be_is_refused() {
    let (network, secrets) = (Network::start(), Secrets::new());
    for (line, part) in [
        ("request a 1 --curve-server #server", "say --transport zmq"),
        ("request a 1 --transport zmq --curve-server short", "40 characters of Z85"),
        ("request a 1 --transport zmq --curve-key @client", "--curve-server"),
        ("request a 1 --transport zmq --curve-server #server --curve-key @good", "not a secret"),
        ("request a 1 --transport zmq --curve-server #server --curve-key @none", "keygen --curve"),
        ("request a 1 --transport zmq --zmq-user ann", "--zmq-password-file"),
        ("map a 1 --transport zmq --zmq-user ann --zmq-password-file @none", "cannot be read"),
        ("map a 1 --transport zmq --zmq-user ann --zmq-password-file /dev/null", "no password"),
        ("sub a --zmq-user ann --zmq-password-file @good", "say --transport zmq"),
        ("sub a --transport http", "possible values: ws, zmq"),
        ("serve a --port 0 --echo --curve-allow #client", "--curve-key"),
        ("serve a --port 0 --echo --curve-key @none", "there is no key in"),
        ("pub a --curve-key @good", "not a secret CURVE key"),
        ("bridge a --listen 0 --worker-curve-server #server", "say --transport zmq"),
    ] {
        let options = secrets.options(line);
        let ended = run(&network, &[], &options);
        assert!(ended.code == Some(2) && ended.err.contains(part), "{line}: {ended:?}");
    }
    let path = secrets.file("client");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let options = secrets.options("--transport zmq --curve-server #server --curve-key @client");
    let ended = run(&network, &["request", "nobody", "1"], &options);
    assert!(ended.err.contains(&format!("run `chmod 600 {path}`")), "{ended:?}");
}

#[test]
fn libzmqs_peers_and_ours() {
    let (network, secrets) = (Network::start(), Secrets::new());
    let (server, client) = (secrets.read("server"), secrets.read("client"));
    let (server_key, client_key) = (&secrets.server, &secrets.client);
    let mut libzmq = Libzmq::start();
    for (name, theirs_served, theirs_calling, ours_serving, ours_calling) in [
        ("null", json!({}), json!({}), "", ""),
        (
            "plain",
            json!({"plain_server": {"users": {"ann": "Grenadine, größer"}}}),
            json!({"plain_client": {"user": "ann", "password": "Grenadine, größer"}}),
            "--zmq-user ann --zmq-password-file @good",
            "--zmq-user ann --zmq-password-file @good",
        ),
        (
            "curve",
            json!({"curve_server": {"secret": server, "allowed": [key_base64(client_key)]}}),
            json!({"curve_client": {"server": server_key, "public": client_key, "secret": client}}),
            "--curve-key @server --curve-allow #client",
            "--curve-server #server --curve-key @client",
        ),
    ] {
        // Our commands call their workers, in both forms.
        for (form, payload, reply) in [
            ("array", "{\"a\": [1.5, \"größe\"]}", json!({"a": [1.5, "größe"]})),
            ("frames", "\"größe\"", json!("größe")),
        ] {
            let port = libzmq.worker(form, theirs_served.clone());
            let prefix = format!("{name}:{form}");
            for service in ["echo", "fail"] {
                network.announce(&format!("{prefix}:{service}"), port);
            }
            let options = secrets.options(&format!("--transport zmq --retry 0 {ours_calling}"));
            let echo = format!("{prefix}:echo");
            let out = run(&network, &["request", &echo, payload], &options).out();
            assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), reply, "{name} {form}");
            let fail = format!("{prefix}:fail");
            let error = run(&network, &["request", &fail, "\"ERR_A: größe\""], &options).error(1);
            assert_eq!(error, "grenache: error: ERR_A: größe");
        }
        // Their clients call ours.
        let service = format!("{name}:ours");
        let (_worker, addr) = serve(&network, &service, &secrets.options(ours_serving));
        for form in ["array", "frames"] {
            let client = libzmq.client(form, addr.port(), theirs_calling.clone());
            let answer = libzmq.call(client, &service, &json!("größe"));
            assert_eq!(answer, (Value::Null, json!("größe")), "{name} {form}");
            let answer = libzmq.call(client, "nobody", &json!("größe"));
            assert_eq!(answer, (json!("ERR_SERVICE_NOTFOUND"), Value::Null), "{name} {form}");
        }
        // Theirs publishes, ours listens.
        let (publisher, port) = libzmq.publisher(theirs_served);
        let service = format!("{name}:theirs");
        network.announce(&service, port);
        let options = secrets.options(&format!("--transport zmq {ours_calling}"));
        let mut sub =
            network.command(&["sub", &service, "--topic", "a", "--show-topic", "-n", "1"]);
        sub.args(&options);
        let mut sub = Process::start(sub);
        assert_eq!(libzmq.receive(publisher), [base64("\u{1}a")], "{name}");
        libzmq.send(publisher, &["b", "not asked for"]);
        libzmq.send(publisher, &["ab", "größe"]);
        let (status, said) = sub.end();
        assert_eq!((status.code(), said), (Some(0), vec!["ab größe".to_string()]), "{name}");
        // Ours publishes, theirs listens.
        let options = secrets.options(ours_serving);
        let service = format!("{name}:pub");
        let mut publish = network.command(&["pub", &service, "--bind", "127.0.0.1", "--topics"]);
        publish.args(["--wait-for", "1"]).args(&options);
        let mut publish = Process::start(publish);
        let port = publish.wait_for(|line| {
            line.split_once(" publishing ")?.1.rsplit_once(':')?.1.parse::<u16>().ok()
        });
        let heard = libzmq.subscriber("a", port, theirs_calling);
        publish.write("b not asked for");
        publish.write("ab größe");
        assert_eq!(libzmq.receive(heard), ["ab", "größe"].map(base64), "{name}");
        assert!(publish.end().0.success());
    }
}

fn key_base64(key: &str) -> String {
    let key: grenache_peer::zeromq::PublicKey = key.parse().expect("Z85");
    base64(key.0)
}

#[test]
fn publications() {
    let (network, secrets) = (Network::start(), Secrets::new());
    let mut publish = network.command(&["pub", "ticker", "--bind", "127.0.0.1", "--topics"]);
    publish.args(["--wait-for", "3"]).args(secrets.options("--curve-key @server"));
    let mut publish = Process::start(publish);
    publish.wait_for(|line| line.contains(" publishing ").then_some(()));
    let sub = |options: &str| {
        let mut sub = network.command(&["sub", "ticker", "--show-topic", "-n", "1"]);
        sub.args(secrets.options(options));
        Process::start(sub)
    };
    let curve = "--transport zmq --curve-server #server";
    let mut subs = [
        sub(&format!("{curve} --topic trades.")),
        sub(&format!("{curve} --topic news --topic trades.BTC")),
        sub("--transport ws --topic trades."),
    ];
    // A subscriber that is not let in goes on asking.
    let stranger = sub("--transport zmq");
    stranger.wait_for(|line| line.contains("no publisher").then_some(()));
    for line in ["other 1", "trades.BTCUSD größe 2"] {
        publish.write(line);
    }
    for sub in &mut subs {
        let (status, said) = sub.end();
        assert_eq!((status.code(), said), (Some(0), vec!["trades.BTCUSD größe 2".to_string()]));
    }
    assert!(publish.end().0.success());
}
