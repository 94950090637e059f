//! Measures every speed claim against its named peers in one run, and writes down what came out.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use grenache_bench::sample::Times;

mod chart;
mod cores;
mod drawing;
mod driven;
mod echo;
mod feed;
mod figures;
mod folder;
mod http;
mod http_servers;
mod installed;
mod latency;
mod machine;
mod memory;
mod mesh;
mod model;
mod nats;
mod nginx;
mod peers;
mod publisher;
mod report;
mod request_reply;
mod ring;
mod rpc;
mod scaling;
mod tls;
mod websocket;
mod zeromq;

use report::Report;

/// Compares the engine with the echo servers of other runtimes and with other HTTP servers, the grape with Node's, and our
/// peers with Node's and with other ways to ask a service, in interleaved rounds. Builds and installs nothing, which
/// `cargo xtask bench` does; `cargo build --release -p grenache-bench -p grenache-grape --bins --examples` is enough for ours.
#[derive(Parser)]
struct Arguments {
    /// A smoke test of a few seconds: every part runs, the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Rounds per part; each round measures every system once.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Parts to run, all by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Our grape; by default the one built next to this program.
    #[arg(long)]
    grape: Option<PathBuf>,
    /// Where Node's packages are installed: grenache-grape, grenache-nodejs-http and what these need.
    #[arg(long, default_value = "grape/tests/node/node_modules")]
    node_modules: PathBuf,
    /// Where the programs of bench/peers are.
    #[arg(long, default_value = "target/peers/release")]
    peers: PathBuf,
    /// Why a system could not be installed, `<system>: <why>`, for the report; it is looked for all the same.
    #[arg(long)]
    absent: Vec<String>,
    /// The folder the report goes to, as DATE.md, DATE.json and DATE.svg.
    #[arg(long, default_value = "bench/results")]
    out: PathBuf,
    /// Measures nothing: draws the chart of these results again, as RESULTS.svg beside the first.
    #[arg(long, value_name = "RESULTS.json", num_args = 1.., conflicts_with_all = ["quick", "only", "out"])]
    chart: Vec<PathBuf>,
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// TCP echo, 64 bytes, 64 connections.
    Echo,
    /// UDP echo, 64 bytes.
    Udp,
    /// TCP echo, one message at a time, parked and spinning.
    Latency,
    /// The grape's API against Node's and against an HTTP echo.
    Http,
    /// Lookups that cross cores.
    Mesh,
    /// Memory of the grape, idle and per peer.
    Memory,
    /// Our worker and client over HTTP against Node's, and against a bare HTTP answer.
    Rpc,
    /// The same over TLS.
    Tls,
    /// The engine's HTTP against hyper, axum and nginx.
    HttpServers,
    /// Our worker and client against Node's over HTTP and WebSocket, tonic, NATS and libzmq.
    RequestReply,
    /// Echoes over WebSocket against fastwebsockets, and our publisher against Node's.
    Websocket,
    /// Calls and publications over ZeroMQ against libzmq, CURVE, and HTTP on a port that takes everything.
    Zeromq,
    /// The same work on one core and on all, and what is to be expected of more.
    Scaling,
}

/// What the parts need to know of how they are run.
#[derive(Clone)]
struct Plan {
    times: Times,
    rounds: usize,
    quick: bool,
    /// Where the binaries are: next to this one.
    binaries: PathBuf,
    grape: PathBuf,
    node_modules: PathBuf,
    peers: PathBuf,
    absent: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True when every part ran and, but in a smoke test, every target is met.
fn run(arguments: &Arguments) -> io::Result<bool> {
    if !arguments.chart.is_empty() {
        eprintln!("written to {}", chart::remake(&arguments.chart)?.display());
        return Ok(true);
    }
    let executable = std::env::current_exe()?;
    let binaries = executable
        .parent()
        .ok_or_else(|| io::Error::other("this program lies nowhere"))?
        .to_path_buf();
    // Many short rounds rather than a few long ones: on a shared machine speed drifts within seconds, and only samples
    // taken close together can be compared.
    let (warm_up, window, retries) = if arguments.quick { (20, 60, 0) } else { (100, 400, 5) };
    let times = Times {
        warm_up: Duration::from_millis(warm_up),
        window: Duration::from_millis(window),
        retries,
    };
    let plan = Plan {
        times,
        rounds: if arguments.quick { 1 } else { arguments.rounds },
        quick: arguments.quick,
        grape: arguments.grape.clone().unwrap_or_else(|| binaries.join("grape")),
        node_modules: arguments.node_modules.clone(),
        peers: arguments.peers.clone(),
        absent: arguments.absent.clone(),
        binaries,
    };
    grenache_bench::server::pin_load()?;
    let mut report = Report::new(machine::describe(&plan));
    type Run = fn(&Plan, &mut Report) -> io::Result<()>;
    let parts: [(Part, Run); 13] = [
        (Part::Echo, echo::tcp),
        (Part::Udp, echo::udp),
        (Part::Latency, latency::run),
        (Part::Http, http::run),
        (Part::Mesh, mesh::run),
        (Part::Memory, memory::run),
        (Part::Rpc, rpc::run),
        (Part::Tls, tls::run),
        (Part::HttpServers, http_servers::run),
        (Part::RequestReply, request_reply::run),
        (Part::Websocket, websocket::run),
        (Part::Zeromq, zeromq::run),
        (Part::Scaling, scaling::run),
    ];
    for (part, run) in parts {
        if arguments.only.is_empty() || arguments.only.contains(&part) {
            run(&plan, &mut report).unwrap_or_else(|error| report.fail(format!("{part:?}"), error));
        }
    }
    let written = report.write(&arguments.out)?;
    println!("{}", report.markdown());
    eprintln!("written to {}", written.display());
    Ok(if arguments.quick { report.complete() } else { report.passed() })
}
