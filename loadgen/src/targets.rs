//! Where the load goes: addresses as they were written, or what grapes know of services.

use std::net::ToSocketAddrs;

use grenache_peer::link::Grape;
use grenache_peer::{Error, Handle, handle};

use crate::failure::{Exit, Failure};
use crate::outcome::Service;
use crate::plan::{Address, Target};

/// A host and a port: `127.0.0.1:1337`, `worker.example:1337`, `[::1]:1337`.
///
/// # Errors
/// It is none, or the name is not known.
pub(crate) fn resolve(text: &str) -> Result<Address, Failure> {
    let wrong = || Failure::usage(format!("'{text}' is no host:port"));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    if name.is_empty() {
        return Err(wrong());
    }
    resolve_name(name, port)
}

/// The host and port of a grape's API.
pub(crate) fn resolve_grape(text: &str) -> Result<Address, Failure> {
    let grape: Grape = text.parse().map_err(|error: Error| Failure::usage(error.to_string()))?;
    resolve_name(grape.host(), grape.port())
}

fn resolve_name(name: &str, port: u16) -> Result<Address, Failure> {
    let unknown = |why: String| Failure::failed(format!("{name} has no address: {why}"));
    let mut addrs = (name, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let addr = addrs.next().ok_or_else(|| unknown("nobody knows one".to_owned()))?;
    Ok(Address { addr, name: name.to_owned() })
}

/// Asks grapes where each service is.
///
/// # Errors
/// Nobody announces it, or no grape answers.
pub(crate) fn look_up(grapes: Vec<String>, services: &[Service]) -> Result<Vec<Target>, Failure> {
    let told = |error: Error| match &error {
        Error::LookupEmpty { .. } => Failure { exit: Exit::Nothing, text: error.to_string() },
        Error::Config(_) => Failure::usage(error.to_string()),
        _ => Failure::failed(error.to_string()),
    };
    let handle = Handle::start(handle::Config { grapes, ..handle::Config::default() });
    let handle = handle.map_err(told)?;
    let mut targets = Vec::new();
    for service in services {
        let addrs = handle.lookup(service.name.as_str()).wait().map_err(told)?;
        let address =
            |addr: &std::net::SocketAddr| Address { addr: *addr, name: addr.ip().to_string() };
        let addrs = addrs.iter().map(address).collect();
        targets.push(Target { services: vec![service.clone()], addrs });
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let address = resolve("127.0.0.1:80").unwrap();
        assert_eq!(
            (address.addr.to_string().as_str(), address.name.as_str()),
            ("127.0.0.1:80", "127.0.0.1")
        );
        assert_eq!(resolve("[::1]:80").unwrap().name, "::1");
        assert_eq!(resolve("localhost:80").unwrap().name, "localhost");
        assert_eq!(resolve_grape("http://127.0.0.1:30001").unwrap().addr.port(), 30001);
        for bad in ["", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "a:b"] {
            assert_eq!(resolve(bad).unwrap_err().exit, Exit::Usage, "{bad}");
        }
    }
}
