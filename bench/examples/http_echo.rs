//! Answers every well-formed request with 200 and its own body, or one it was given: what benches and parsers' suites are
//! run against.
//!
//! `cargo run --release -p grenache-bench --example http_echo -- 127.0.0.1:8080`

use std::{net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use clap::Parser;
use grenache_engine::{
    Config, Core, DriverChoice, Idle, Limits, Runtime, StartError, TcpStream, now, shutdown,
    spawn_local, timeout, wall_clock,
};
use grenache_transports::http::{
    self, Connection, Event, Form, Framing, Phase, date::Date, response,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Largest body that is echoed, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024 * 1024;

/// Nothing more is read from a connection that has more bytes than this to send.
const SEND_HIGH_WATER: usize = 256 * 1024;

/// From this length on, answers are handed over instead of copied.
const HAND_OVER: usize = 32 * 1024;

/// Echoes the bodies of HTTP requests.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub(crate) address: SocketAddr,
    /// Which driver does the I/O: auto, uring or epoll.
    #[arg(long, default_value = "auto")]
    pub(crate) driver: DriverChoice,
    /// What a core does when there is nothing to do: park, spin or spin:<µs>.
    #[arg(long, default_value = "park")]
    pub(crate) idle: Idle,
    /// Cores to run on.
    #[arg(long, default_value_t = 1)]
    pub(crate) cores: usize,
    /// Seconds that a client may be idle, take for a head, take for a body, or take to read its answers.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) patience: f64,
    /// Answer every request with this instead of its own body.
    #[arg(long)]
    pub(crate) answer: Option<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = start(&Options::parse())?;
    if let Some(notice) = runtime.notice() {
        eprintln!("{notice}");
    }
    println!("listening {}", runtime.tcp_addrs()[0]);
    Ok(runtime.join()?)
}

/// Starts the server; [`Runtime::stop`] ends it.
pub(crate) fn start(options: &Options) -> Result<Runtime<()>, StartError> {
    let config = Config {
        cores: options.cores,
        driver: options.driver,
        idle: options.idle,
        tcp: vec![options.address],
        // The largest answer, after a full queue.
        limits: Limits { send_cap: MAX_BODY + 2 * SEND_HIGH_WATER, ..Limits::default() },
        ..Config::default()
    };
    let patience = Duration::from_secs_f64(options.patience);
    let body = options.answer.clone().map(Bytes::from);
    Runtime::start(config, move |core| accept(core, patience, body.clone()))
}

async fn accept(core: Core<()>, patience: Duration, body: Option<Bytes>) {
    for listener in core.listeners {
        let body = body.clone();
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(serve(stream, patience, body.clone()));
            }
        });
    }
    shutdown().await;
}

/// Serves one connection. Dropped at the end, it still sends what is queued and waits for the client's end.
async fn serve(stream: TcpStream, patience: Duration, body: Option<Bytes>) {
    let config = http::Config { max_body: MAX_BODY as u64, ..http::Config::default() };
    let mut connection = Connection::new(config);
    let mut date = Date::new(wall_clock());
    let mut out = BytesMut::new();
    let mut deadline = now() + patience;
    loop {
        let before = connection.phase();
        let left = deadline.saturating_sub(now());
        let finished = match timeout(left, stream.recv()).await {
            Ok(Ok(Some(received))) => {
                answer(&mut connection, &received, body.as_deref(), &mut date, &mut out)
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) if before == Phase::Idle => return,
            Err(_) => {
                let date = date.at(wall_clock());
                response::write(&mut out, 408, http::Persistence::Close, date, &[], b"");
                true
            }
        };
        // Whoever sends a byte now and then gains no time by it: a deadline is for a whole phase.
        if !out.is_empty() || connection.phase() != before {
            deadline = now() + patience;
        }
        if out.len() < HAND_OVER {
            stream.write(&out);
            out.clear();
        } else {
            stream.send(out.split().freeze());
        }
        if stream.queued() > SEND_HIGH_WATER || (finished && stream.queued() > 0) {
            let below = if finished { 1 } else { SEND_HIGH_WATER / 2 };
            if !matches!(timeout(patience, stream.drained(below)).await, Ok(Ok(()))) {
                return stream.abort();
            }
            deadline = now() + patience;
        }
        if finished {
            return;
        }
    }
}

/// Appends the answers to all requests that `input` completes, so that they leave in one piece. True after the last answer.
fn answer(
    connection: &mut Connection,
    mut input: &[u8],
    body: Option<&[u8]>,
    date: &mut Date,
    out: &mut BytesMut,
) -> bool {
    loop {
        let event = match connection.receive(&mut input) {
            Ok(Some(event)) => event,
            Ok(None) => return matches!(connection.phase(), Phase::Closing | Phase::Exhausted),
            Err(error) => {
                response::write_error(out, error, date.at(wall_clock()));
                return true;
            }
        };
        let date = date.at(wall_clock());
        match event {
            Event::Request(request) if request.form == Form::Authority => {
                // 200 would promise a tunnel.
                response::write(out, 501, http::Persistence::Close, date, &[], b"no tunnels");
                return true;
            }
            Event::Request(request) if request.is_head() => {
                let framing = Framing::Length(body.unwrap_or(request.body).len() as u64);
                response::write_head(out, 200, request.persistence, date, &[], framing);
            }
            Event::Request(request) => {
                let body = body.unwrap_or(request.body);
                response::write(out, 200, request.persistence, date, &[], body);
            }
            Event::Continue => out.extend_from_slice(response::CONTINUE),
            Event::TooLarge(head) => {
                response::write(out, 413, head.persistence, date, &[], b"body too large");
            }
            // Bodies come whole: `Bodies::Whole` is the default.
            Event::Head(_) | Event::Data(_) | Event::End => {}
        }
    }
}
