//! Sends one of the loads to a server that already runs, and says what the server's process used.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use grenache_bench::load::{self, Http, Outcome, Post, TcpEcho, UdpEcho, round_trips};
use grenache_bench::server;

/// The loads.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// TCP echo.
    Tcp,
    /// UDP echo, with 16 sockets that share the requests in flight.
    Udp,
    /// TCP echo, one message at a time.
    Latency,
    /// Requests to a worker of the service `rest:bench:rpc`.
    Rpc,
}

/// Loads a server on `addr`, from CPU 1.
#[derive(Parser)]
struct Arguments {
    kind: Kind,
    addr: SocketAddr,
    /// The server's process id.
    pid: u32,
    /// Requests in flight.
    #[arg(long, default_value_t = 64)]
    flying: usize,
    /// Seconds.
    #[arg(long, default_value_t = 2.0)]
    time: f64,
    /// RPC over TLS: the folder with ca.pem, and cert.pem and key.pem of the client.
    #[arg(long)]
    tls: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    server::pin_load()?;
    let window = Duration::from_secs_f64(arguments.time);
    match arguments.kind {
        Kind::Tcp => {
            let mut load = TcpEcho::connect(arguments.addr, arguments.flying)?;
            measure(&arguments, || load.run(window))
        }
        Kind::Udp => {
            let mut load = UdpEcho::connect(arguments.addr, 16, arguments.flying.div_ceil(16))?;
            measure(&arguments, || load.run(window))
        }
        Kind::Rpc => {
            let posts = [Post::rpc("rest:bench:rpc")];
            let mut load = match &arguments.tls {
                Some(folder) => {
                    let config = load::client_config(folder, true)?;
                    Http::connect_tls(arguments.addr, arguments.flying, &config)?
                }
                None => Http::connect(arguments.addr, arguments.flying, 1)?,
            };
            measure(&arguments, || load.run(&posts, window))
        }
        Kind::Latency => {
            let latencies = round_trips(arguments.addr, window, Duration::from_micros(50))?;
            let micros = |percent| latencies.percentile(percent).as_secs_f64() * 1e6;
            println!(
                "p50 {:.1} µs, p99 {:.1} µs of {}",
                micros(50.0),
                micros(99.0),
                latencies.count()
            );
            Ok(())
        }
    }
}

fn measure(arguments: &Arguments, mut load: impl FnMut() -> io::Result<Outcome>) -> io::Result<()> {
    load()?;
    let before = server::cpu_time(arguments.pid)?;
    let outcome = load()?;
    std::thread::sleep(Duration::from_millis(2));
    let cpu = server::cpu_time(arguments.pid)? - before;
    println!(
        "{:.2} µs CPU/request, {:.0} requests/s, {} sent again",
        cpu.as_secs_f64() * 1e6 / outcome.requests as f64,
        outcome.requests as f64 / outcome.elapsed.as_secs_f64(),
        outcome.lost
    );
    Ok(())
}
