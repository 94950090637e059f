//! A NATS server, which carries requests and replies.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use grenache_bench::server::{SERVER_CPU, Server};
use serde_json::Value;

use crate::folder::Folder;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// Starts it on the CPU of the servers, on a port that it tells in a file.
pub(crate) fn start() -> io::Result<(Server, SocketAddr)> {
    let folder = Folder::new("nats")?;
    let path = folder.path().display().to_string();
    let log = format!("{path}/log");
    let arguments = ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", &path, "-l", &log];
    let arguments = arguments.map(str::to_owned);
    let mut server = Server::start(&SERVER_CPU.to_string(), Path::new("nats-server"), &arguments)?;
    let start = Instant::now();
    loop {
        if let Some(addr) = told(folder.path())? {
            return Ok((server, addr));
        }
        if !server.alive()? || start.elapsed() > START {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default().to_owned();
            return Err(io::Error::other(format!("it does not say where it listens; {last}")));
        }
        sleep(Duration::from_millis(10));
    }
}

/// The address in the file of ports in `folder`, once it is there and whole.
fn told(folder: &Path) -> io::Result<Option<SocketAddr>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ports") {
            return Ok(listening(&std::fs::read_to_string(path)?));
        }
    }
    Ok(None)
}

/// The first address of a file such as `{"nats":["nats://127.0.0.1:4222"]}`.
fn listening(ports: &str) -> Option<SocketAddr> {
    let ports: Value = serde_json::from_str(ports).ok()?;
    ports.pointer("/nats/0")?.as_str()?.strip_prefix("nats://")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_files_of_ports() {
        let whole = r#"{"nats":["nats://127.0.0.1:4222"]}"#;
        for end in 0..whole.len() {
            assert_eq!(listening(&whole[..end]), None, "{end} bytes");
        }
        assert_eq!(listening(whole), Some(SocketAddr::from(([127, 0, 0, 1], 4222))));
        assert_eq!(listening(r#"{"monitoring":["http://127.0.0.1:8222"]}"#), None);
    }
}
