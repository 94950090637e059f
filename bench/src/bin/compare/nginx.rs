//! nginx as an HTTP server with one answer.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use grenache_bench::server::{SERVER_CPU, Server};

use crate::folder::Folder;

/// How long it may take to listen.
const START: Duration = Duration::from_secs(10);

/// Starts it with everything it writes in a folder of its own, which must outlive it.
pub(crate) fn start(answer: &str) -> io::Result<(Server, SocketAddr, Folder)> {
    let folder = Folder::new("nginx")?;
    // It takes no port 0; this one was free a moment ago.
    let addr = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, config(folder.path(), addr, answer))?;
    let paths = [folder.path(), &file].map(|path| path.display().to_string());
    let [prefix, file] = paths;
    let arguments = ["-e", "stderr", "-p", &prefix, "-c", &file].map(str::to_owned);
    let mut server = Server::start(&SERVER_CPU.to_string(), Path::new("nginx"), &arguments)?;
    let start = Instant::now();
    while let Err(error) = TcpStream::connect(addr) {
        if !server.alive()? {
            return Err(io::Error::other("it has ended; what it said stands above"));
        }
        if start.elapsed() > START {
            return Err(error);
        }
        sleep(Duration::from_millis(10));
    }
    Ok((server, addr, folder))
}

/// One process, which is the one whose CPU time is read; nothing logged; connections stay as long as the load wants them.
fn config(folder: &Path, addr: SocketAddr, answer: &str) -> String {
    let folder = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("    {what}_temp_path {folder}/{what};\n"))
        .collect();
    let answer = answer.replace('\\', "\\\\").replace('\'', "\\'");
    format!(
        "daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{
    worker_connections 1024;
}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
{temporary}    server {{
        listen {addr};
        location / {{
            return 200 '{answer}';
        }}
    }}
}}
"
    )
}
