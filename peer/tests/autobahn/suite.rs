//! Running the suite and reading what it found.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

/// How long the suite may take to listen.
const STARTS: Duration = Duration::from_secs(60);

/// The name of the program under test in reports.
const AGENT: &str = "grenache";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cases {
    /// Framing, pings, fragments, UTF-8, closing, limits.
    Core,
    /// permessage-deflate.
    Compression,
    /// Of these a few.
    SomeCompression,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secure {
    No,
    Yes,
}

/// Whether all cases are asked for.
pub(crate) fn is_whole() -> bool {
    std::env::var_os("AUTOBAHN").is_some_and(|value| value == "all")
}

impl Cases {
    fn list(self) -> Vec<String> {
        let core = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"];
        match self {
            Cases::Core => core.map(str::to_owned).into(),
            Cases::SomeCompression => ["12.1.5", "12.1.11", "13.1.5"].map(str::to_owned).into(),
            Cases::Compression if is_whole() => vec!["12.*".into(), "13.*".into()],
            Cases::Compression => {
                // The last number is the size: from 16 bytes in the first to 1 KiB in the fifth; the eleventh has fragments.
                let groups = (1..=5).map(|n| format!("12.{n}"));
                let groups = groups.chain((1..=7).map(|n| format!("13.{n}")));
                groups
                    .flat_map(|group| [1, 3, 5, 11].map(|size| format!("{group}.{size}")))
                    .collect()
            }
        }
    }

    /// How many there are, so that none is left out unnoticed.
    fn count(self) -> usize {
        match self {
            Cases::Core => 301,
            Cases::SomeCompression => 3,
            Cases::Compression if is_whole() => 216,
            Cases::Compression => 48,
        }
    }
}

/// Runs cases and fails for each that is not as it should be.
#[track_caller]
pub(crate) fn run(role: Role, cases: Cases, secure: Secure) {
    let wstest = target().join("autobahn/venv/bin/wstest");
    assert!(
        wstest.is_file(),
        "Autobahn's test suite is not installed: `cargo xtask setup` does it"
    );
    let name = format!(
        "{}{}{}",
        if role == Role::Server { "server" } else { "client" },
        if cases == Cases::Core { "" } else { "-deflate" },
        if secure == Secure::Yes { "-tls" } else { "" },
    );
    let folder = target().join("autobahn/reports").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the report");
    let tls = (secure == Secure::Yes).then(|| Certificates::write(&folder));
    match role {
        Role::Server => serve(&wstest, &folder, cases, tls.as_ref()),
        Role::Client => ask(&wstest, &folder, cases, tls.as_ref()),
    }
    judge(&folder, cases);
}

/// Our server, asked by the suite.
fn serve(wstest: &Path, folder: &Path, cases: Cases, tls: Option<&Certificates>) {
    let mut command = example("ws_echo");
    command.arg("127.0.0.1:0").stdout(Stdio::piped());
    if cases != Cases::Core {
        command.arg("--deflate");
    }
    if let Some(Certificates { certificate, key, .. }) = tls {
        command.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
    }
    let mut server = Running(command.spawn().expect("`cargo test` has built it"));
    let mut line = String::new();
    let output = server.0.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("a line");
    let addr = line.trim().strip_prefix("listening ").expect("an address");
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let spec = json!({
        "outdir": folder,
        "servers": [{"agent": AGENT, "url": format!("{scheme}://{addr}")}],
        "cases": cases.list(),
        "exclude-cases": [],
    });
    let status = suite(wstest, folder, "fuzzingclient", &spec).status();
    assert!(status.expect("it starts").success(), "see {}/log", folder.display());
}

/// Our client, asking the suite.
fn ask(wstest: &Path, folder: &Path, cases: Cases, tls: Option<&Certificates>) {
    let (mut server, addr) = listening(wstest, folder, cases, tls);
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let mut command = example("ws_echo_client");
    command.arg(format!("{scheme}://{addr}")).args(["--autobahn", AGENT]).stdout(Stdio::null());
    if cases != Cases::Core {
        command.arg("--deflate");
    }
    if let Some(Certificates { authority, .. }) = tls {
        command.arg("--tls-ca").arg(authority);
    }
    let status = command.status().expect("`cargo test` has built it");
    assert!(status.success(), "the client ends with {status}");
    assert!(server.0.try_wait().expect("a state").is_none(), "the suite is still there");
}

/// The suite as a server. It takes no port but one it is told, which another may have taken by then.
fn listening(
    wstest: &Path,
    folder: &Path,
    cases: Cases,
    tls: Option<&Certificates>,
) -> (Running, SocketAddr) {
    for _ in 0..10 {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let addr = free.expect("a free port");
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let spec = json!({
            "url": format!("{scheme}://{addr}"),
            "outdir": folder,
            "cases": cases.list(),
            "exclude-cases": [],
            "exclude-agent-cases": {},
            "key": tls.map(|tls| &tls.key),
            "cert": tls.map(|tls| &tls.certificate),
        });
        // It has a server of its own for reports, which nobody needs.
        let mut server = suite(wstest, folder, "fuzzingserver", &spec);
        let server = server.args(["--webport", "0"]).spawn();
        let mut server = Running(server.expect("it starts"));
        let until = Instant::now() + STARTS;
        while Instant::now() < until && server.0.try_wait().expect("a state").is_none() {
            if TcpStream::connect(addr).is_ok() {
                return (server, addr);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    panic!("the suite does not listen; see {}/log", folder.display());
}

fn suite(wstest: &Path, folder: &Path, mode: &str, spec: &Value) -> Command {
    let (file, log) = (folder.join("spec.json"), folder.join("log"));
    fs::write(&file, spec.to_string()).expect("a file");
    let log = fs::File::create(log).expect("a file");
    let mut command = Command::new(wstest);
    command.args(["-m", mode, "-s"]).arg(&file).current_dir(folder).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a handle")).stderr(log);
    command
}

/// Reads the report.
#[track_caller]
fn judge(folder: &Path, cases: Cases) {
    let mut text = String::new();
    let file = fs::File::open(folder.join("index.json"));
    file.and_then(|mut file| file.read_to_string(&mut text)).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let report = report[AGENT].as_object().expect("a report about us");
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut wrong = Vec::new();
    for (case, found) in report {
        for what in ["behavior", "behaviorClose"] {
            let found = found[what].as_str().unwrap_or("nothing");
            *counts.entry(found).or_default() += 1;
            if !matches!(found, "OK" | "INFORMATIONAL") {
                wrong.push(format!("{case}: {what} {found}"));
            }
        }
    }
    println!("{} cases, {counts:?}", report.len());
    assert!(wrong.is_empty(), "{}; see {}", wrong.join(", "), folder.join("index.html").display());
    assert_eq!(report.len(), cases.count(), "all cases were run");
}

/// A program that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Files with the certificate of 127.0.0.1, its key, and that of the authority.
struct Certificates {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn write(folder: &Path) -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pair = || KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, pair()).expect("an authority");
        let key = pair();
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("an address");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).expect("a file");
            file
        };
        Certificates {
            authority: write("authority.pem", issuer.pem()),
            certificate: write("certificate.pem", certificate.pem()),
            key: write("key.pem", key.serialize_pem()),
        }
    }
}

/// Tests are in `target/<profile>/deps`, examples beside that.
fn example(name: &str) -> Command {
    let mut path = std::env::current_exe().expect("a path");
    path.pop();
    path.pop();
    path.extend(["examples", name]);
    Command::new(path)
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().expect("a folder")
}
