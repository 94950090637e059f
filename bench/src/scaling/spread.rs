//! How the kernel spreads connections over the cores that listen on one port.

use std::io;
use std::net::TcpStream;
use std::sync::mpsc;

use grenache_engine::{Config, Runtime, shutdown, spawn_local};

use crate::load::STALL;

/// Makes so many connections, one after the other, to so many cores; how many of them each core was given.
pub fn accepted(cores: usize, connections: usize) -> io::Result<Vec<usize>> {
    let (report, reports) = mpsc::channel();
    let config = Config { cores, tcp: vec![([127, 0, 0, 1], 0).into()], ..Config::default() };
    let runtime = Runtime::<()>::start(config, move |mut core| {
        let report = report.clone();
        async move {
            let listener = core.listeners.remove(0);
            spawn_local(async move {
                while listener.accept().await.is_ok() {
                    // Nobody listens any more once the cores are being ended.
                    let _ = report.send(core.index);
                }
            });
            shutdown().await;
        }
    });
    let runtime = runtime.map_err(io::Error::other)?;
    let mut counts = vec![0; cores];
    for _ in 0..connections {
        let _connection = TcpStream::connect(runtime.tcp_addrs()[0])?;
        counts[reports.recv_timeout(STALL).map_err(io::Error::other)?] += 1;
    }
    Ok(counts)
}
