//! Sends every WebSocket message back to a server until that closes: for conformance suites.
//!
//! `cargo run --release -p grenache-peer --example ws_echo_client -- ws://127.0.0.1:9001/path [--deflate] [--tls-ca FILE]`
//!
//! With `--autobahn AGENT` the address is that of Autobahn's fuzzing server: it is asked how many cases there are, goes through
//! all of them, and is told to write its report for AGENT.

use std::net::{SocketAddr, ToSocketAddrs};

use grenache_engine::{Core, Runtime};
use grenache_peer::Error;
use grenache_peer::tls::{Authorities, ClientTls};
use grenache_peer::websocket::{Config, Socket};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is asked for.
#[derive(Clone)]
struct Plan {
    to: SocketAddr,
    path: String,
    agent: Option<String>,
    config: Config,
    tls: Option<ClientTls>,
}

fn main() -> Result<(), Failure> {
    let plan = read(std::env::args().skip(1))?;
    let (sender, outcome) = std::sync::mpsc::channel();
    let runtime = Runtime::start(grenache_engine::Config::default(), move |_: Core<()>| {
        let (plan, sender) = (plan.clone(), sender.clone());
        async move {
            let _ = sender.send(run(&plan).await);
        }
    })?;
    let outcome = outcome.recv()?;
    runtime.join()?;
    outcome
}

fn read(mut arguments: impl Iterator<Item = String>) -> Result<Plan, Failure> {
    let usage = || "usage: ws_echo_client URL [--deflate] [--tls-ca FILE] [--autobahn AGENT]";
    let (mut url, mut agent, mut authorities) = (None, None, None);
    let mut config = Config::default();
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--deflate" => config.deflate = true,
            "--tls-ca" => authorities = Some(arguments.next().ok_or_else(usage)?),
            "--autobahn" => agent = Some(arguments.next().ok_or_else(usage)?),
            _ => url = Some(argument),
        }
    }
    let url: http::Uri = url.ok_or_else(usage)?.parse()?;
    let (secure, port) = match url.scheme_str() {
        Some("ws") => (false, 80),
        Some("wss") => (true, 443),
        _ => return Err("the address is neither ws:// nor wss://".into()),
    };
    let authority = url.authority().ok_or("the address has no host")?;
    let host = authority.host().trim_matches(['[', ']']);
    let mut addresses = (host, authority.port_u16().unwrap_or(port)).to_socket_addrs()?;
    let to = addresses.next().ok_or("the host has no address")?;
    let tls = match (secure, authorities) {
        (false, _) => None,
        (true, None) => Some(ClientTls::new(Authorities::system()?)),
        (true, Some(file)) => Some(ClientTls::new(Authorities::from_file(file)?)),
    };
    let path = url.path_and_query().map_or("/", |path| path.as_str()).to_string();
    Ok(Plan { to, path, agent, config, tls })
}

async fn run(plan: &Plan) -> Result<(), Failure> {
    let Some(agent) = &plan.agent else {
        echo(plan, &plan.path).await?;
        return Ok(());
    };
    let mut socket = connect(plan, "/getCaseCount").await?;
    let count = socket.recv().await?.ok_or("the server does not say how many cases there are")?;
    let count: u32 = std::str::from_utf8(&count.data)?.trim().parse()?;
    for case in 1..=count {
        // A case may well end in an error: the server judges.
        let _ = echo(plan, &format!("/runCase?case={case}&agent={agent}")).await;
    }
    println!("{count} cases");
    let mut socket = connect(plan, &format!("/updateReports?agent={agent}")).await?;
    while socket.recv().await.is_ok_and(|message| message.is_some()) {}
    Ok(())
}

async fn connect(plan: &Plan, path: &str) -> Result<Socket, Error> {
    Socket::connect(plan.to, path, &plan.config, plan.tls.as_ref()).await
}

async fn echo(plan: &Plan, path: &str) -> Result<(), Error> {
    let mut socket = connect(plan, path).await?;
    while let Some(()) = socket.recv_with(|kind, data, answers| answers.send(kind, data)).await? {
        socket.ready().await?;
    }
    Ok(())
}
