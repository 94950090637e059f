//! The command line: Node's options in every spelling, and ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use clap::Parser;
use grenache_engine::{DriverChoice, Idle};

use crate::config::{Config, Limits};

/// A Grenache grape: a DHT node over UDP with an HTTP API to announce, look up, put and get.
///
/// Without Node's options it is a lone grape on 127.0.0.1 (DHT 20001, API 30001).
#[derive(Debug, Parser)]
#[command(
    name = "grape",
    version,
    args_override_self = true,
    after_help = "Examples:\n  grape\n  grape --dp 20001 --aph 30001 --bn 127.0.0.1:20002,127.0.0.1:20003\n  grape --dp 20002 --aph 40001 --bn 127.0.0.1:20001 -b 127.0.0.1 --cores 2"
)]
pub struct Cli {
    /// DHT listening port [default: 20001]
    #[arg(
        long = "dp",
        alias = "dht_port",
        alias = "dht-port",
        alias = "dhtPort",
        value_name = "PORT"
    )]
    dht_port: Option<u16>,

    /// HTTP API port [default: 30001]
    #[arg(
        long = "aph",
        alias = "api_port",
        alias = "api-port",
        alias = "apiPort",
        value_name = "PORT"
    )]
    api_port: Option<u16>,

    /// Bootstrap nodes, separated by commas
    #[arg(long = "bn", alias = "bootstrap", value_name = "HOST:PORT,..", value_delimiter = ',', num_args = 0..)]
    bootstrap: Option<Vec<String>>,

    /// Listening host of the HTTP API, also kept as the host of peers announced here
    #[arg(short = 'b', long = "bind", alias = "b", value_name = "HOST")]
    bind: Option<String>,

    /// DHT queries in flight of one lookup [default: 16]
    #[arg(
        long = "dc",
        alias = "dht_concurrency",
        alias = "dht-concurrency",
        alias = "dhtConcurrency",
        value_name = "N"
    )]
    dht_concurrency: Option<u32>,

    /// Services whose closest nodes are remembered
    #[arg(
        long = "dht_maxTables",
        alias = "dht-maxTables",
        alias = "dhtMaxTables",
        value_name = "N"
    )]
    dht_max_tables: Option<u32>,

    /// Values (put) kept
    #[arg(
        long = "dht_maxValues",
        alias = "dht-maxValues",
        alias = "dhtMaxValues",
        value_name = "N"
    )]
    dht_max_values: Option<u32>,

    /// How long an announced peer is kept, in ms [default: 200000]
    #[arg(
        long = "dpa",
        alias = "dht_peer_maxAge",
        alias = "dht-peer-maxAge",
        alias = "dhtPeerMaxAge",
        value_name = "MS"
    )]
    peer_max_age: Option<u64>,

    /// Accepted for Node's sake; nothing looked up is cached
    #[arg(long = "cache_maxAge", alias = "cache-maxAge", alias = "cacheMaxAge", value_name = "MS")]
    cache_max_age: Option<u64>,

    /// How long contacts may be silent before they are checked, in ms [default: 300000]
    #[arg(
        long = "dnl",
        alias = "dht_nodeLiveness",
        alias = "dht-nodeLiveness",
        alias = "dhtNodeLiveness",
        value_name = "MS"
    )]
    node_liveness: Option<u64>,

    /// Longest request body in bytes [default: 8192]
    #[arg(
        long = "check_maxPayloadSize",
        alias = "check-maxPayloadSize",
        alias = "checkMaxPayloadSize",
        value_name = "BYTES"
    )]
    max_payload: Option<usize>,

    /// Threads; each owns its share of the keys
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=128))]
    cores: u8,

    /// How the kernel is driven
    #[arg(long, value_name = "DRIVER", default_value = "auto", value_parser = ["auto", "uring", "epoll"])]
    driver: String,

    /// What an idle core does: `park`, or `spin:<µs>` to poll that long before it parks
    #[arg(long, value_name = "POLICY", default_value = "park", value_parser = parse_idle)]
    idle: Idle,

    /// Print Node's debug lines, as with DEBUG=grenache:grape
    #[arg(short, long)]
    pub verbose: bool,
}

fn parse_idle(text: &str) -> Result<Idle, String> {
    match text.split_once(':') {
        None if text == "park" => Ok(Idle::Park),
        None if text == "spin" => Ok(Idle::Spin(Duration::from_micros(50))),
        Some(("spin", micros)) => micros
            .parse()
            .map(|micros| Idle::Spin(Duration::from_micros(micros)))
            .map_err(|_| format!("'{micros}' is not a number of microseconds")),
        _ => Err("expected 'park', 'spin' or 'spin:<microseconds>'".into()),
    }
}

impl Cli {
    /// The settings these options ask for, or one line about what is wrong with them.
    pub fn config(&self) -> Result<Config, String> {
        let lone = self.dht_port.is_none()
            && self.api_port.is_none()
            && self.bootstrap.is_none()
            && self.bind.is_none();
        let defaults = Config::default();
        let host = self.bind.as_deref().filter(|host| !host.is_empty());
        let (api_bind, host, dht_bind) = match host {
            _ if lone => (defaults.api_bind, defaults.host, defaults.dht_bind),
            None => (all_interfaces(), None, Ipv4Addr::UNSPECIFIED),
            Some(name) => {
                let ip = resolve_host(name)?;
                let v4 = match ip {
                    IpAddr::V4(v4) => Some(v4),
                    IpAddr::V6(v6) => v6.to_ipv4_mapped(),
                };
                (ip, v4.filter(|v4| !v4.is_unspecified()), Ipv4Addr::UNSPECIFIED)
            }
        };
        let bootstrap: Vec<String> =
            self.bootstrap.iter().flatten().filter(|node| !node.is_empty()).cloned().collect();
        for node in &bootstrap {
            let port = node.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none_or(|port| port == 0) {
                return Err(format!("--bn: '{node}' is not host:port"));
            }
        }
        let count =
            |given: Option<u32>, default: usize| given.map_or(default, |n| n.max(1) as usize);
        let age = |given: Option<u64>, default| given.map_or(default, Duration::from_millis);
        Ok(Config {
            dht_port: self.dht_port.unwrap_or(defaults.dht_port),
            dht_bind,
            api_port: self.api_port.unwrap_or(defaults.api_port),
            api_bind,
            host,
            bootstrap,
            dht_concurrency: count(self.dht_concurrency, defaults.dht_concurrency),
            dht_max_tables: count(self.dht_max_tables, defaults.dht_max_tables),
            dht_max_values: count(self.dht_max_values, defaults.dht_max_values),
            peer_max_age: age(self.peer_max_age, defaults.peer_max_age),
            node_liveness: age(self.node_liveness, defaults.node_liveness),
            cores: usize::from(self.cores),
            driver: match self.driver.as_str() {
                "uring" => DriverChoice::Uring,
                "epoll" => DriverChoice::Epoll,
                _ => DriverChoice::Auto,
            },
            idle: self.idle,
            limits: Limits {
                max_payload: self.max_payload.unwrap_or(Limits::default().max_payload),
                ..Limits::default()
            },
        })
    }
}

/// `::`, which takes IPv4 too, or `0.0.0.0` where there is no IPv6.
fn all_interfaces() -> IpAddr {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match UdpSocket::bind((any, 0)) {
        Ok(_) => any,
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn resolve_host(name: &str) -> Result<IpAddr, String> {
    let found = (name, 0).to_socket_addrs().map_err(|error| format!("-b: '{name}': {error}"))?;
    let found: Vec<IpAddr> = found.map(|addr| addr.ip()).collect();
    found
        .iter()
        .find(|ip| ip.is_ipv4())
        .or(found.first())
        .copied()
        .ok_or_else(|| format!("-b: '{name}' has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config, String> {
        let words = std::iter::once("grape").chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.to_string())?.config()
    }

    #[test]
    fn without_nodes_options_it_is_a_lone_grape_on_loopback() {
        for line in ["", "--cores 2", "--verbose --idle spin:20"] {
            let config = config(line).unwrap();
            assert_eq!(config.dht_addr(), "127.0.0.1:20001".parse().unwrap());
            assert_eq!(config.api_addr(), "127.0.0.1:30001".parse().unwrap());
            assert!(config.bootstrap.is_empty());
        }
    }

    #[test]
    fn every_spelling_means_the_same() {
        let short = "--dp 1 --aph 2 --bn a:3,b:4 --dc 5 --dht_maxTables 6 --dht_maxValues 7 \
                     --dpa 8 --cache_maxAge 9 --dnl 10 --check_maxPayloadSize 11 -b 127.0.0.1";
        let long = "--dht_port=1 --api_port=2 --bootstrap=a:3,b:4 --dht_concurrency=5 \
                    --dht_maxTables=6 --dht_maxValues=7 --dht_peer_maxAge=8 --cache_maxAge=9 \
                    --dht_nodeLiveness=10 --check_maxPayloadSize=11 --bind=127.0.0.1";
        let mixed = short.replace("-b 127.0.0.1", "--b=127.0.0.1");
        let shortest = short.replace("-b 127.0.0.1", "-b=127.0.0.1");
        let expected = format!("{:?}", config(short).unwrap());
        for line in [long, &mixed, &shortest] {
            assert_eq!(format!("{:?}", config(line).unwrap()), expected, "{line}");
        }
        let config = config(short).unwrap();
        assert_eq!((config.dht_port, config.api_port), (1, 2));
        assert_eq!(config.bootstrap, ["a:3", "b:4"]);
        assert_eq!(config.dht_concurrency, 5);
        assert_eq!((config.dht_max_tables, config.dht_max_values), (6, 7));
        assert_eq!(config.peer_max_age, Duration::from_millis(8));
        assert_eq!(config.node_liveness, Duration::from_millis(10));
        assert_eq!(config.limits.max_payload, 11);
        assert_eq!(config.host, Some(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn with_nodes_options_and_no_host_every_interface_is_bound() {
        let config = config("--dp 20001 --aph 30001 --bn").unwrap();
        assert!(config.dht_addr().ip().is_unspecified());
        assert!(config.api_addr().ip().is_unspecified());
        assert_eq!(config.host, None);
        assert!(config.bootstrap.is_empty());
    }

    #[test]
    fn the_last_of_a_repeated_option_counts() {
        assert_eq!(config("--dp 1 --dp 2 --bn a:1").unwrap().dht_port, 2);
    }

    #[test]
    fn what_cannot_be_is_one_clear_line() {
        for (line, part) in [
            ("--bn localhost", "--bn: 'localhost' is not host:port"),
            ("--bn a:0", "--bn: 'a:0' is not host:port"),
            ("--dp x", "'x'"),
            ("--dp 70000", "70000"),
            ("--cores 0", "0"),
            ("--driver iocp", "iocp"),
            ("--idle spin:soon", "'soon' is not a number of microseconds"),
            ("-b no.such.invalid", "-b: 'no.such.invalid'"),
        ] {
            let error = config(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
