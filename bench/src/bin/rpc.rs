//! A worker and a client of the peer library, as the comparison starts them.

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use grenache_bench::yardstick::announce;
use grenache_engine::{Idle, spawn_local};
use grenache_peer::client::{self, Call, Client};
use grenache_peer::server::{self, Reply, Request};
use grenache_peer::tls::{Authorities, ClientTls, Clients, Identity, ServerTls};
use grenache_peer::zeromq::{self, Gate, KeyPair, SecretKey, Security};
use grenache_peer::{Handle, Json, Worker, handle, worker};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the client waits for a reply; the same as Node's.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A worker that answers every request with its payload, or a client that sends "hello"; one core each. Ends when its
/// standard input does.
#[derive(Parser)]
enum Side {
    /// Prints `listening <address>` first.
    Worker(Setting),
    /// Takes orders from standard input, `run <in flight> <ms>` or `find <service>`, a line each, and says in JSON what
    /// came of it.
    Client(Setting),
}

#[derive(clap::Args)]
struct Setting {
    /// The grape's API.
    grape: SocketAddr,
    service: String,
    /// What the core does when there is nothing to do: park, spin or spin:<µs>.
    #[arg(long, default_value = "park")]
    idle: Idle,
    /// What the client's requests go over, http, ws or zmq; a worker takes them all.
    #[arg(long, default_value = "http")]
    transport: Transport,
    /// A folder with ca.pem, and cert.pem and key.pem of this side. The other side must show a certificate of that authority.
    #[arg(long)]
    tls: Option<PathBuf>,
    /// The worker takes connections without TLS too.
    #[arg(long, requires = "tls")]
    plain: bool,
    /// The worker takes HTTP alone.
    #[arg(long)]
    http_only: bool,
    /// ZeroMQ is encrypted with CURVE. The worker has this secret key (Z85), the client knows the public one that belongs to it.
    #[arg(long, allow_hyphen_values = true)]
    curve: Option<SecretKey>,
    /// Bytes of what the client sends; "hello" without it.
    #[arg(long)]
    size: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Transport {
    Http,
    Ws,
    Zmq,
}

impl From<Transport> for grenache_peer::Transport {
    fn from(transport: Transport) -> grenache_peer::Transport {
        match transport {
            Transport::Http => grenache_peer::Transport::Http,
            Transport::Ws => grenache_peer::Transport::WebSocket,
            Transport::Zmq => grenache_peer::Transport::ZeroMq,
        }
    }
}

impl Setting {
    fn gate(&self) -> Gate {
        let curve = |secret: SecretKey| Gate::Curve { keys: secret.into(), allow: None };
        self.curve.clone().map_or(Gate::Null, curve)
    }

    fn security(&self) -> Security {
        let curve = |secret: SecretKey| {
            let server = KeyPair::from(secret).public;
            Security::Curve { server, keys: zeromq::draw_keys() }
        };
        self.curve.clone().map_or(Security::Null, curve)
    }
}

fn main() -> ExitCode {
    let done = match Side::parse() {
        Side::Worker(setting) => serve(&setting),
        Side::Client(setting) => ask(&setting),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rpc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(setting: &Setting) -> Result<(), Box<dyn Error>> {
    let tls = setting.tls.as_deref().map(|folder| {
        let mut tls = ServerTls::new(identity(folder)?);
        tls.clients = Clients::Required(authorities(folder)?);
        Ok::<_, grenache_peer::Error>(tls)
    });
    let config = worker::Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        grapes: vec![format!("http://{}", setting.grape)],
        idle: setting.idle,
        tls: tls.transpose()?,
        server: server::Config {
            plain: setting.plain,
            websocket: !setting.http_only,
            zeromq: !setting.http_only,
            gate: setting.gate(),
            ..server::Config::default()
        },
        ..worker::Config::default()
    };
    let service = setting.service.clone();
    let worker = Worker::start(config, move |_, services| {
        services.add(&service, echo);
        services.add_any(echo);
    })?;
    announce(worker.addr())?;
    io::stdin().lines().try_for_each(|line| line.map(drop))?;
    worker.stop();
    Ok(worker.join()?)
}

async fn echo(request: Request) -> Result<Reply, grenache_peer::Error> {
    Ok(request.payload().clone().into())
}

fn ask(setting: &Setting) -> Result<(), Box<dyn Error>> {
    let tls = setting.tls.as_deref().map(|folder| {
        let mut tls = ClientTls::new(authorities(folder)?);
        tls.identity = Some(identity(folder)?);
        Ok::<_, grenache_peer::Error>(tls)
    });
    let handle = Handle::start(handle::Config {
        grapes: vec![format!("http://{}", setting.grape)],
        idle: setting.idle,
        client_tls: tls.transpose()?,
        client: client::Config {
            transport: setting.transport.into(),
            zeromq: zeromq::Config { security: setting.security(), ..zeromq::Config::default() },
            ..client::Config::default()
        },
        ..handle::Config::default()
    })?;
    let payload =
        Json::of(&setting.size.map_or_else(|| "hello".to_owned(), |size| "x".repeat(size)))?;
    say(&json!({ "ready": true }))?;
    for line in io::stdin().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let said = match words[..] {
            ["run", flying, millis] => {
                let (flying, window) = (flying.parse()?, Duration::from_millis(millis.parse()?));
                let call = Call::new(&setting.service, payload.clone()).timeout(TIMEOUT);
                let payload = payload.clone();
                handle.run(async move |context| {
                    run(&context.client, &call, &payload, flying, window).await
                })
            }
            ["find", service] => {
                let service = service.to_owned();
                handle.run(async move |context| find(&context.client, &service).await)
            }
            _ => return Err(format!("what is {line:?}?").into()),
        };
        say(&said.wait()?)?;
    }
    Ok(handle.stop()?)
}

/// Keeps so many requests in flight for so long, then waits for those that are out.
async fn run(
    client: &Client,
    call: &Call,
    payload: &Json,
    flying: usize,
    window: Duration,
) -> Result<Value, grenache_peer::Error> {
    let times = Histogram::<u64>::new_with_bounds(1, 100_000_000_000, 3);
    let times = Rc::new(RefCell::new(times.expect("bounds that are in order")));
    let start = Instant::now();
    let tasks: Vec<_> = (0..flying)
        .map(|_| {
            let (client, times) = (client.clone(), times.clone());
            let (call, payload) = (call.clone(), payload.clone());
            spawn_local(async move {
                loop {
                    let asked = Instant::now();
                    let reply = client.request(call.clone()).await?;
                    if reply != payload {
                        return Err(grenache_peer::Error::Remote(format!("it replied {reply}")));
                    }
                    let answered = Instant::now();
                    times.borrow_mut().saturating_record((answered - asked).as_nanos() as u64);
                    if answered - start >= window {
                        return Ok(());
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(|_| grenache_peer::Error::Stopped)??;
    }
    let elapsed = start.elapsed();
    let times = times.borrow();
    Ok(json!({
        "requests": times.len(),
        "elapsed": elapsed.as_nanos() as u64,
        "p50": times.value_at_percentile(50.0),
        "p99": times.value_at_percentile(99.0),
    }))
}

async fn find(client: &Client, service: &str) -> Result<Value, grenache_peer::Error> {
    let asked = Instant::now();
    let call = Call::new(service, Json::of("hello")?).timeout(TIMEOUT).wait_for_service();
    client.request(call).await?;
    Ok(json!({ "found": asked.elapsed().as_nanos() as u64 }))
}

fn identity(folder: &Path) -> Result<Identity, grenache_peer::Error> {
    Identity::from_files(folder.join("cert.pem"), folder.join("key.pem"))
}

fn authorities(folder: &Path) -> Result<Authorities, grenache_peer::Error> {
    Authorities::from_file(folder.join("ca.pem"))
}

fn say(what: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()
}
