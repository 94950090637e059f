//! The `--tls-..` options: who trusts whom.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

use crate::home::Home;
use crate::network::Network;
use crate::process::Process;

/// A folder with an authority, its certificates for two peers on 127.0.0.1, and one from somebody else.
struct Papers {
    home: Home,
}

impl Papers {
    fn new() -> Papers {
        let papers = Papers { home: Home::new() };
        for (authority, peers) in [("ca", &["server", "client"][..]), ("other-ca", &["other"])] {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer =
                CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            papers.write(authority, "pem", &issuer.pem());
            for peer in peers {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::new(vec!["worker.test".into()]).unwrap();
                if *peer != "other" {
                    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
                }
                let certificate = params.signed_by(&key, &issuer).unwrap();
                papers.write(peer, "pem", &certificate.pem());
                papers.write(peer, "key", &key.serialize_pem());
                let print = grenache_peer::Fingerprint::sha256(certificate.der()).to_string();
                papers.write(peer, "sha256", &print);
                let print = grenache_peer::Fingerprint::sha1(certificate.der()).to_string();
                papers.write(peer, "sha1", &print);
            }
        }
        papers
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.home.path.join(format!("{name}.{kind}"))
    }

    fn write(&self, name: &str, kind: &str, text: &str) {
        fs::write(self.path(name, kind), text).unwrap();
    }

    /// Options in which `@name.kind` stands for a file, and `#name.kind` for what is in it.
    fn options(&self, line: &str) -> Vec<String> {
        let part = |part: &str| match (part.strip_prefix('@'), part.strip_prefix('#')) {
            (Some(file), _) => self.home.path.join(file).display().to_string(),
            (_, Some(file)) => fs::read_to_string(self.home.path.join(file)).unwrap(),
            _ => part.to_string(),
        };
        let word = |word: &str| word.split(',').map(part).collect::<Vec<_>>().join(",");
        line.split_whitespace().map(word).collect()
    }
}

#[test]
fn who_trusts_whom() {
    let (network, papers) = (Network::start(), Papers::new());
    let server = "--tls-cert @server.pem --tls-key @server.key";
    let client = "--tls-cert @client.pem --tls-key @client.key";
    let other = "--tls-cert @other.pem --tls-key @other.key";
    let mut count = 0;
    let mut check = |serve: &str, cases: &[(&str, bool)]| {
        count += 1;
        let service = format!("tls:{count}");
        let serve = papers.options(&format!("--echo {serve}"));
        let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
        let (_worker, _) = network.serve(&service, &serve);
        for (options, works) in cases {
            let options = papers.options(options);
            let mut arguments = vec!["request", &service, "[1]", "--retry", "0"];
            arguments.extend(options.iter().map(String::as_str));
            let ended = network.run(&arguments);
            assert_eq!(ended.code, Some(if *works { 0 } else { 1 }), "{arguments:?}: {ended:?}");
            assert_eq!(ended.out == "[1]\n", *works, "{arguments:?}: {ended:?}");
        }
    };
    // The server alone shows a certificate.
    check(
        server,
        &[
            ("--tls-ca @ca.pem", true),
            ("--tls-ca @ca.pem --tls-name worker.test", true),
            ("--tls-ca @ca.pem --tls-name else.test", false),
            ("--tls-ca @other-ca.pem", false),
            ("--tls", false),
            ("", false),
            ("--tls-allow #server.sha256", true),
            ("--tls-allow #client.sha256,#server.sha1", true),
            ("--tls-allow #client.sha1", false),
            ("--tls-ca @ca.pem --tls-allow #client.sha256", false),
        ],
    );
    // Another name in the certificate, checked or not.
    check(
        other,
        &[
            ("--tls-ca @other-ca.pem", false),
            ("--tls-ca @other-ca.pem --tls-name worker.test", true),
            ("--tls-ca @other-ca.pem --tls-no-name-check", true),
            ("--tls-ca @ca.pem --tls-no-name-check", false),
        ],
    );
    // Clients show one, too.
    check(
        &format!("{server} --tls-ca @ca.pem"),
        &[
            (&format!("--tls-ca @ca.pem {client}"), true),
            (&format!("--tls-ca @ca.pem {other}"), false),
            ("--tls-ca @ca.pem", false),
        ],
    );
    // Any transport goes through it.
    check(
        server,
        &[
            ("--tls-ca @ca.pem --transport ws", true),
            ("--tls-ca @ca.pem --transport zmq", true),
            ("--tls-ca @other-ca.pem --transport zmq", false),
            ("--transport zmq", false),
        ],
    );
    check(
        &format!("{server} --tls-allow #client.sha1"),
        &[
            (&format!("--tls-ca @ca.pem {client}"), true),
            (&format!("--tls-ca @ca.pem {other}"), false),
            ("--tls-ca @ca.pem", false),
        ],
    );
}

#[test]
fn the_command_learns_who_calls() {
    let (network, papers) = (Network::start(), Papers::new());
    let serve = "--tls-cert @server.pem --tls-key @server.key --tls-ca @ca.pem";
    let mut serve = papers.options(serve);
    serve.extend(["--exec".into(), r#"echo "\"$GRENACHE_FINGERPRINT\"""#.into()]);
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let (_worker, _) = network.serve("who", &serve);
    let options = papers.options("--tls-ca @ca.pem --tls-cert @client.pem --tls-key @client.key");
    let mut arguments = vec!["request", "who", "0"];
    arguments.extend(options.iter().map(String::as_str));
    let print = fs::read_to_string(papers.path("client", "sha1")).unwrap();
    assert_eq!(network.run(&arguments).out(), format!("\"{print}\"\n"));
}

#[test]
fn a_bridge_has_tls_on_both_sides() {
    let (network, papers) = (Network::start(), Papers::new());
    let server = "--tls-cert @server.pem --tls-key @server.key --tls-ca @ca.pem";
    let serve = papers.options(&format!("--echo {server}"));
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let (_worker, _) = network.serve("inner", &serve);
    let start = |name: &str, options: &str| {
        let options = papers.options(&format!("{server} {options}"));
        let mut command = network.command(&["bridge", "inner", "--as", name]);
        command.args(["--listen", "127.0.0.1:0"]).args(&options);
        let bridge = Process::start(command);
        bridge.wait_for(|line| line.starts_with("bridging inner as ").then_some(()));
        bridge
    };
    let worker = "--worker-tls-cert @client.pem --worker-tls-key @client.key";
    let _good = start("good", &format!("--worker-tls-ca @ca.pem {worker} --transport ws"));
    let _wrong = start("wrong", &format!("--worker-tls-ca @other-ca.pem {worker}"));
    let _plain = start("plain", "");
    let request = |name: &str, options: &str| {
        let options = papers.options(options);
        let mut arguments = vec!["request", name, "[1]", "--retry", "0"];
        arguments.extend(options.iter().map(String::as_str));
        network.run(&arguments)
    };
    let client = "--tls-ca @ca.pem --tls-cert @client.pem --tls-key @client.key";
    assert_eq!(request("good", client).out(), "[1]\n");
    assert_eq!(request("good", "--tls-ca @ca.pem").code, Some(1));
    for name in ["wrong", "plain"] {
        let error = request(name, client).error(1);
        assert!(error.contains("'inner' behind the bridge"), "{error}");
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let (network, papers) = (Network::start(), Papers::new());
    for (options, part) in [
        ("--tls-ca /no/such/file", "/no/such/file"),
        ("--tls-ca @client.key", "no certificate"),
        ("--tls-ca @ca.pem --tls-cert @client.pem --tls-key @server.key", "does not belong"),
    ] {
        let options = papers.options(options);
        let mut arguments = vec!["request", "a", "0"];
        arguments.extend(options.iter().map(String::as_str));
        let error = network.run(&arguments).error(2);
        assert!(error.contains("ERR_TLS") && error.contains(part), "{error}");
    }
}
