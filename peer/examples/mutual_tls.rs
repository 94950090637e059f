//! Worker and client that show each other certificates, and a worker that only takes those it knows.
//!
//! `cargo run --release -p grenache-peer --example mutual_tls`

use std::time::Duration;

use grenache_grape::Grape;
use grenache_peer::server::Reply;
use grenache_peer::tls::{Authorities, ClientTls, Clients, Identity, ServerTls};
use grenache_peer::{Call, Handle, Json, Worker, handle, worker};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An authority of our own and three certificates of it, as `openssl` would make them.
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let identity = |name: &str| -> Result<Identity, Box<dyn std::error::Error>> {
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new([name.to_string()])?.signed_by(&key, &authority)?;
        Ok(Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?)
    };
    let authorities = || Authorities::from_pem(authority.pem().as_bytes());
    // A worker is found as an address, so its certificate is for one.
    let (server, alice, mallory) =
        (identity("127.0.0.1")?, identity("alice")?, identity("mallory")?);

    let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
    let grape = Grape::start(config)?;
    let grapes = vec![format!("http://{}", grape.api_addr())];

    let mut tls = ServerTls::new(server);
    tls.clients = Clients::Required(authorities()?);
    // The authority's word is not enough here: only these clients.
    tls.allow = vec![alice.certificate().sha256()];
    let config = worker::Config { grapes: grapes.clone(), tls: Some(tls), ..Default::default() };
    let worker = Worker::start(config, |_, services| {
        services.add("rest:whoami", |request| async move {
            Reply::json(&request.certificate().map(|certificate| certificate.sha1().to_string()))
        });
    })?;

    let client = |identity: Option<Identity>| -> Result<Handle, grenache_peer::Error> {
        let mut tls = ClientTls::new(authorities()?);
        tls.identity = identity;
        let grapes = grapes.clone();
        Handle::start(handle::Config { grapes, client_tls: Some(tls), ..Default::default() })
    };
    let fingerprint = alice.certificate().sha1();
    for (name, identity) in [("alice", Some(alice)), ("mallory", Some(mallory)), ("nobody", None)] {
        let client = client(identity)?;
        client.wait_for_service("rest:whoami", Duration::from_secs(10)).wait()?;
        match client.request(Call::new("rest:whoami", Json::null())).wait() {
            Ok(reply) => {
                let known = reply.to::<String>()? == fingerprint.to_string();
                println!("{name} is let in, and known by the fingerprint: {known}");
            }
            Err(error) => println!("{name} is refused: {}", error.code()),
        }
        client.stop()?;
    }

    worker.stop();
    worker.join()?;
    grape.stop()?;
    Ok(())
}
