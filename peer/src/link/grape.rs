//! Where a grape is.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use grenache_engine::{DriverKind, driver_kind};
use http::Uri;

use crate::error::Error;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The API of a grape: `http://host:port` or `https://host:port`, where the host is a name, an IPv4 address or an IPv6
/// address in brackets. Without a scheme it is `http`, without a port 80 or 443.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grape {
    secure: bool,
    /// An address without brackets, or a name.
    host: String,
    port: u16,
}

impl Grape {
    /// Reads a list with commas between its grapes.
    ///
    /// # Errors
    /// [`Error::Config`] names the one that is no grape; also if there is none at all.
    pub fn list(text: &str) -> Result<Vec<Grape>, Error> {
        text.split(',').map(|grape| grape.trim().parse()).collect()
    }

    /// Whether it is called over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in the header `host`.
    pub(super) fn authority(&self) -> String {
        let Grape { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// The addresses of the host. A name is looked up on a thread of its own, as the system's resolver blocks.
    pub(super) async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        if driver_kind() == DriverKind::Simulated {
            return Err(io::Error::other("there are no names in the simulator"));
        }
        let name = (self.host.clone(), self.port);
        let resolve = move || -> io::Result<Vec<SocketAddr>> {
            Ok(name.to_socket_addrs()?.take(MAX_ADDRESSES).collect())
        };
        let addresses = blocking::unblock(resolve).await?;
        if addresses.is_empty() {
            return Err(io::Error::other("the name has no address"));
        }
        Ok(addresses)
    }
}

impl From<SocketAddr> for Grape {
    fn from(addr: SocketAddr) -> Grape {
        Grape { secure: false, host: addr.ip().to_string(), port: addr.port() }
    }
}

impl FromStr for Grape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Grape, Error> {
        let bad = |why: &str| Error::Config(format!("'{text}' is no grape: {why}"));
        let uri: Uri = text.parse().map_err(|_| bad("expected http://host:port"))?;
        let secure = match uri.scheme_str() {
            None | Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(bad("the scheme is neither http nor https")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a grape knows no users"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(bad("a grape has no path"));
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match (authority.port_u16(), secure) {
            (Some(0), _) => return Err(bad("port 0 is no port")),
            (Some(port), _) => port,
            (None, _) if authority.as_str().len() > authority.host().len() => {
                return Err(bad("the port is no number up to 65535"));
            }
            (None, false) => 80,
            (None, true) => 443,
        };
        if host.is_empty() || (host.contains(':') && host.parse::<IpAddr>().is_err()) {
            return Err(bad("it has no host"));
        }
        Ok(Grape { secure, host: host.to_string(), port })
    }
}

impl fmt::Display for Grape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, shown) in [
            ("http://127.0.0.1:30001", "http://127.0.0.1:30001"),
            ("http://127.0.0.1:30001/", "http://127.0.0.1:30001"),
            ("https://grape.example:40001", "https://grape.example:40001"),
            ("https://[::1]:40001", "https://[::1]:40001"),
            ("127.0.0.1:30001", "http://127.0.0.1:30001"),
            ("localhost:30001", "http://localhost:30001"),
            ("http://grape", "http://grape:80"),
            ("https://grape", "https://grape:443"),
        ] {
            assert_eq!(text.parse::<Grape>().unwrap().to_string(), shown, "{text}");
        }
        for bad in [
            "",
            "http://",
            "ftp://grape:1",
            "http://grape:70000",
            "http://grape:0",
            "http://grape:",
            "http://grape:1/lookup",
            "http://grape:1?a",
            "http://user@grape:1",
            "http://gra pe:1",
            "http://[::1:1",
            "/lookup",
            "http://grape:1\r\nx: y",
        ] {
            let error = bad.parse::<Grape>().unwrap_err();
            assert_eq!(error.code(), "ERR_CONFIG", "{bad}");
        }
        assert_eq!(Grape::list("127.0.0.1:1, https://b:2").unwrap().len(), 2);
        assert!(Grape::list("").is_err() && Grape::list("127.0.0.1:1,").is_err());
    }
}
