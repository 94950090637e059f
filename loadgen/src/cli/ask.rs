//! The commands that say what is asked, and of whom.

use bytes::Bytes;
use grenache_cli::tls::ClientTls;
use grenache_peer::Json;

use super::load::LoadOptions;
use super::zeromq::CurveOptions;
use crate::failure::{Exit, Failure};
use crate::outcome::Service;
use crate::payload::{MAX_PAYLOAD, Payload, Sizes};
use crate::plan::Target;
use crate::run::Interrupt;
use crate::what::{Form, Security, Transport, What};
use crate::{services, targets};

/// The longest value that a grape stores, bytes of JSON (BEP44 allows 1,000 bytes of bencoding).
const MAX_VALUE: usize = 990;

/// Calls services
///
/// Any worker of the protocol, Node's included. A right answer bears the request's id and no error.
#[derive(Debug, clap::Args)]
pub(super) struct Rpc {
    /// How workers are called
    #[arg(long, value_enum, default_value_t = Over::Http)]
    transport: Over,

    /// How a request lies in the parts of a ZeroMQ message [default: array]
    #[arg(long, value_enum, value_name = "FORM")]
    zmq_form: Option<Form>,

    /// The worker; all services are called there
    #[arg(short, long, value_name = "HOST:PORT", required_unless_present = "grape")]
    target: Option<String>,

    /// The grapes that know where the services are, unless --target does. They are asked once, before the load begins; each
    /// service then has connections of its own, in a closed loop by its weight, whatever its answers take
    #[arg(short, long, env = "GRENACHE_GRAPE", value_name = "URL,..", value_delimiter = ',')]
    grape: Vec<String>,

    #[command(flatten)]
    services: Services,

    /// Sizes of payloads in bytes: 1024, 64-4096 (evenly), exp:1024 (exponential with this mean), 64=9,4096=1 (with
    /// weights). Up to 1,024 payloads are drawn before the run and sent in turn
    #[arg(short, long, conflicts_with = "payload")]
    size: Option<Sizes>,

    /// The payload, as JSON
    #[arg(long, default_value = "\"hello\"", value_name = "JSON")]
    payload: String,

    #[command(flatten)]
    tls: ClientTls,

    #[command(flatten)]
    curve: CurveOptions,

    #[command(flatten)]
    load: LoadOptions,
}

/// What services are called over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Over {
    /// HTTP/1.1, or HTTPS with --tls
    Http,
    /// WebSocket: many requests in flight on one connection, answered in any order
    Ws,
    /// ZeroMQ, likewise: a DEALER that connects to a ROUTER
    Zmq,
}

/// Which services are asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Services {
    /// A service, with the weight of its share if there are several: rest:a=3. May be repeated
    #[arg(short = 'S', long = "service", value_name = "NAME[=WEIGHT]", required = true)]
    #[arg(value_parser = services::parse)]
    services: Vec<Service>,

    /// Each service stands for so many, called NAME:0, NAME:1 and so on
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    spread: u32,
}

/// Asks the API of a grape
#[derive(Debug, clap::Subcommand)]
pub(super) enum Grape {
    /// Who offers a service
    Lookup {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        api: Api,
    },
    /// That a service is offered
    Announce {
        #[command(flatten)]
        services: Services,
        /// The port that is announced
        #[arg(short, long, default_value_t = 1337)]
        port: u16,
        #[command(flatten)]
        api: Api,
    },
    /// That an item be stored, another one each time
    Put {
        /// Sizes of the values in bytes, as rpc has them; at most 990
        #[arg(short, long, default_value = "64")]
        size: Sizes,
        #[command(flatten)]
        api: Api,
    },
    /// An item
    Get {
        /// Its key: 40 hexadecimal digits, as /put answers
        #[arg(value_parser = key)]
        key: String,
        #[command(flatten)]
        api: Api,
    },
}

/// Where a grape's API is, and the load on it.
#[derive(Debug, clap::Args)]
pub(super) struct Api {
    /// The grape
    #[arg(short, long, env = "GRENACHE_GRAPE", value_name = "URL")]
    #[arg(default_value = "http://127.0.0.1:30001")]
    grape: String,

    #[command(flatten)]
    load: LoadOptions,
}

/// Asks a grape by KRPC over UDP, as other nodes of the DHT do
#[derive(Debug, clap::Subcommand)]
pub(super) enum Dht {
    /// Who offers a service (get_peers)
    GetPeers {
        #[command(flatten)]
        services: Services,
        #[command(flatten)]
        node: Node,
    },
    /// That a service is offered (announce_peer)
    Announce {
        #[command(flatten)]
        services: Services,
        /// The port that is announced
        #[arg(short, long, default_value_t = 1337)]
        port: u16,
        #[command(flatten)]
        node: Node,
    },
}

/// A node of the DHT, and the load on it.
#[derive(Debug, clap::Args)]
pub(super) struct Node {
    /// The node
    #[arg(short, long, value_name = "HOST:PORT", default_value = "127.0.0.1:20001")]
    target: String,

    #[command(flatten)]
    load: LoadOptions,
}

/// Sends messages to a WebSocket server that sends each back; the same bytes are right
///
/// The messages are binary, and come back in the order in which they were sent.
#[derive(Debug, clap::Args)]
pub(super) struct Echo {
    /// The server
    #[arg(short, long, value_name = "HOST:PORT")]
    target: String,

    /// Bytes of a message
    #[arg(short, long, default_value_t = 20, value_name = "BYTES", value_parser = bytes)]
    size: usize,

    #[command(flatten)]
    tls: ClientTls,

    #[command(flatten)]
    load: LoadOptions,
}

/// Asks any HTTP server for the same path; status 200 is right
#[derive(Debug, clap::Args)]
pub(super) struct Http {
    /// The server
    #[arg(short, long, value_name = "HOST:PORT")]
    target: String,

    /// The path, with a query if there is one
    #[arg(long, default_value = "/", value_parser = path)]
    path: String,

    /// POST this; without it the request is a GET
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,

    #[command(flatten)]
    tls: ClientTls,

    #[command(flatten)]
    load: LoadOptions,
}

impl Rpc {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let payload = match self.size {
            Some(sizes) => Payload::Text(sizes),
            None => Payload::Value(value(&self.payload)?),
        };
        let transport = match (self.transport, self.zmq_form) {
            (Over::Http, None) => Transport::Http,
            (Over::Ws, None) => Transport::Ws,
            (Over::Zmq, form) => Transport::Zmq(form.unwrap_or(Form::Array)),
            _ => return Err(Failure::usage("--zmq-form goes with --transport zmq alone")),
        };
        let tls = self.tls.config().map_err(|error| Failure::usage(error.to_string()))?;
        let security = self.curve.security(self.transport == Over::Zmq, tls)?;
        let services = self.services.list();
        let targets = match &self.target {
            Some(target) => vec![Target { services, addrs: vec![targets::resolve(target)?] }],
            None => targets::look_up(self.grape, &services)?,
        };
        self.load.run(What::Rpc(payload, transport), targets, security, interrupt)
    }
}

impl Services {
    fn list(self) -> Vec<Service> {
        services::spread(self.services, self.spread)
    }
}

impl Grape {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let (what, services, api) = match self {
            Self::Lookup { services, api } => (What::GrapeLookup, services.list(), api),
            Self::Announce { services, port, api } => {
                (What::GrapeAnnounce(port), services.list(), api)
            }
            Self::Put { size, api } => {
                if size.most() > MAX_VALUE {
                    let text = format!("a grape stores at most {MAX_VALUE} bytes, not {size}");
                    return Err(Failure::usage(text));
                }
                (What::GrapePut(Payload::Text(size)), Vec::new(), api)
            }
            Self::Get { key, api } => (What::GrapeGet(key), Vec::new(), api),
        };
        let addrs = vec![targets::resolve_grape(&api.grape)?];
        api.load.run(what, vec![Target { services, addrs }], Security::Open, interrupt)
    }
}

impl Dht {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let (what, services, node) = match self {
            Self::GetPeers { services, node } => (What::DhtGetPeers, services, node),
            Self::Announce { services, port, node } => (What::DhtAnnounce(port), services, node),
        };
        let addrs = vec![targets::resolve(&node.target)?];
        let targets = vec![Target { services: services.list(), addrs }];
        node.load.run(what, targets, Security::Open, interrupt)
    }
}

impl Http {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let addrs = vec![targets::resolve(&self.target)?];
        let tls = self.tls.config().map_err(|error| Failure::usage(error.to_string()))?;
        let what = What::Http { path: self.path, body: self.body.map(Bytes::from) };
        let targets = vec![Target { services: Vec::new(), addrs }];
        self.load.run(what, targets, tls.into(), interrupt)
    }
}

impl Echo {
    pub(super) fn run(self, interrupt: &Interrupt) -> Result<Exit, Failure> {
        let addrs = vec![targets::resolve(&self.target)?];
        let tls = self.tls.config().map_err(|error| Failure::usage(error.to_string()))?;
        let targets = vec![Target { services: Vec::new(), addrs }];
        self.load.run(What::Echo(self.size), targets, tls.into(), interrupt)
    }
}

fn bytes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= MAX_PAYLOAD => Ok(bytes),
        _ => Err(format!("a message has 0 to {MAX_PAYLOAD} bytes")),
    }
}

fn value(text: &str) -> Result<Json, Failure> {
    if text.len() > MAX_PAYLOAD {
        return Err(Failure::usage(format!("a payload has at most {MAX_PAYLOAD} bytes")));
    }
    Json::from_text(text.to_owned()).map_err(|_| {
        Failure::usage(format!("the payload '{text}' is not JSON: a text needs quotes"))
    })
}

fn path(text: &str) -> Result<String, String> {
    match grenache_transports::http::client::Start::new("GET", text, "localhost") {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("a path begins with '/' and has visible ASCII only".to_owned()),
    }
}

fn key(text: &str) -> Result<String, String> {
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_owned())
    } else {
        Err("a key has 40 hexadecimal digits".to_owned())
    }
}
