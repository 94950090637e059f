//! What TLS adds to a request: on connections that last, on connections of one request, and beside Node's.

use std::io;
use std::path::PathBuf;

use grenache_bench::load::{self, Http, Post};
use grenache_bench::sample::{Sample, Series};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::Plan;
use crate::figures::Figures;
use crate::folder::Folder;
use crate::peers::{self, Pair, Setting, Transport};
use crate::report::{Report, Table};
use crate::ring::{Kind, Ring};

/// Requests in flight, and connections of the load driver.
const FLYING: usize = 64;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let certificates = Certificates::make()?;
    let plain = Setting {
        name: "ours, plain",
        kind: Kind::Ours,
        service: "rest:bench:plain",
        transport: Transport::Http,
        idle: "park",
        tls: None,
        more: &[],
    };
    let tls = Some(certificates.folder.path());
    let secure = Setting { name: "ours, TLS", service: "rest:bench:tls", tls, ..plain };
    let ring = Ring::start(plan, Kind::Ours, 1)?;
    let mut pairs = Vec::new();
    for setting in [plain, secure] {
        pairs.push((&ring, Pair::start(plan, &ring, setting)?));
    }
    let node_ring = Ring::start(plan, Kind::Node, 1);
    match &node_ring {
        Ok(ring) => {
            for (setting, name) in [(plain, "Node's, plain"), (secure, "Node's, TLS")] {
                let setting = Setting { name, kind: Kind::Node, ..setting };
                pairs.push((ring, Pair::start(plan, ring, setting)?));
            }
        }
        Err(error) => report.leave_out("Node's worker and client over TLS", error),
    }
    pooled(plan, report, &certificates, &pairs)?;
    handshakes(plan, report, &certificates, &pairs)?;
    together(plan, report, &mut pairs)
}

/// The workers, asked by the same driver on connections that last.
fn pooled(
    plan: &Plan,
    report: &mut Report,
    certificates: &Certificates,
    pairs: &[(&Ring, Pair<'_>)],
) -> io::Result<()> {
    let config = load::client_config(&certificates.folder.path().join("client"), true)?;
    let mut series = Series::default();
    for round in 0..plan.rounds {
        eprintln!("TLS: round {} of {}", round + 1, plan.rounds);
        for (_, pair) in pairs {
            let posts = [Post::rpc(pair.setting.service)];
            let mut load = match pair.setting.tls {
                Some(_) => Http::connect_tls(pair.addr, FLYING, &config)?,
                None => Http::connect(pair.addr, FLYING, 1)?,
            };
            let times = peers::warm(plan, pair.setting.kind, round);
            let sample = Sample::take(&pair.worker, &[], times, |window| load.run(&posts, window));
            series.push(pair.setting.name, sample?);
        }
    }
    let title =
        format!("RPC \"hello\" from the load driver, {FLYING} connections, plain and TLS 1.3");
    report.table(Table::of(&title, &series));
    let ratio = series.ratio("ours, TLS", "ours, plain", |s| s.cpu);
    report.at_most(format!("{title}: server CPU, TLS to plain"), ratio, 1.5);
    Ok(())
}

/// The workers, asked once on each connection, by a client that resumes its sessions where the worker lets it, and by one
/// that does not.
fn handshakes(
    plan: &Plan,
    report: &mut Report,
    certificates: &Certificates,
    pairs: &[(&Ring, Pair<'_>)],
) -> io::Result<()> {
    let mut series = Series::default();
    // Connections that resumed a session, and all that could have: ours, Node's.
    let mut shares = [(0, 0); 2];
    for round in 0..plan.rounds {
        eprintln!("TLS handshakes: round {} of {}", round + 1, plan.rounds);
        for (_, pair) in pairs.iter().filter(|(_, pair)| pair.setting.tls.is_some()) {
            let post = Post::rpc(pair.setting.service);
            let node = pair.setting.kind == Kind::Node;
            for resume in [true, false] {
                let config =
                    load::client_config(&certificates.folder.path().join("client"), resume)?;
                let times = peers::warm(plan, pair.setting.kind, round);
                let sample = Sample::take(&pair.worker, &[], times, |window| {
                    let (outcome, resumed) = load::handshakes(pair.addr, &config, &post, window)?;
                    if resume {
                        let share = &mut shares[usize::from(node)];
                        *share = (share.0 + resumed, share.1 + outcome.requests);
                    }
                    Ok(outcome)
                });
                let name = match (node, resume) {
                    (false, true) => "ours, resuming",
                    (false, false) => "ours, full",
                    (true, true) => "Node's, resuming",
                    (true, false) => "Node's, full",
                };
                series.push(name, sample?);
            }
        }
    }
    let [ours, node] = shares.map(|(resumed, all)| resumed as f64 / all as f64);
    let title = "TLS 1.3 connections of one request, certificates on both sides";
    let resumed = format!("resumed: ours {:.0} %, Node's {:.0} %", ours * 100.0, node * 100.0);
    report.table(Table::of(&format!("{title} ({resumed})"), &series));
    report.at_least(format!("{title}: share resumed by our worker"), ours, 0.95);
    Ok(())
}

/// Worker and client together: ours keeps its connections, Node's makes a new one for every request.
fn together(plan: &Plan, report: &mut Report, pairs: &mut [(&Ring, Pair<'_>)]) -> io::Result<()> {
    let mut figures = Figures::default();
    for round in 0..plan.rounds {
        eprintln!("RPC over TLS: round {} of {}", round + 1, plan.rounds);
        for (ring, pair) in pairs.iter_mut() {
            figures.push(pair.setting.name, pair.measure(plan, ring, FLYING, round)?);
        }
    }
    let title =
        format!("RPC \"hello\" over TLS, worker and client on a CPU each, {FLYING} in flight");
    report.table(figures.table(&title));
    Ok(())
}

/// A folder with an authority's certificate and those of a worker and a client.
pub(crate) struct Certificates {
    folder: Folder,
}

impl Certificates {
    pub(crate) fn make() -> io::Result<Self> {
        let certificates = Self { folder: Folder::new("certificates")? };
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "bench authority");
        let certificate = authority.self_signed(&key).map_err(io::Error::other)?;
        let issuer = Issuer::new(authority, key);
        for side in ["worker", "client"] {
            certificates.sign(side, &certificate.pem(), &issuer)?;
        }
        Ok(certificates)
    }

    /// The folder of one side.
    pub(crate) fn path(&self, side: &str) -> PathBuf {
        self.folder.path().join(side)
    }

    fn sign(&self, side: &str, authority: &str, issuer: &Issuer<'_, KeyPair>) -> io::Result<()> {
        let names = vec!["127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, side);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, issuer).map_err(io::Error::other)?;
        let folder = self.path(side);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("ca.pem"), authority)?;
        std::fs::write(folder.join("cert.pem"), certificate.pem())?;
        std::fs::write(folder.join("key.pem"), key.serialize_pem())
    }
}
