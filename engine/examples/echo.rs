//! Echoes TCP and UDP on one port: `echo [ADDR] [--driver D] [--idle I] [--cores N] [--cpu N]`.

use grenache_engine::signal::StopSignals;
use grenache_engine::{Config, Core, Pinning, Runtime, TcpStream, shutdown, spawn_local};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let signals = StopSignals::block()?;
    let mut config = Config::default();
    let mut address = "127.0.0.1:9000".parse()?;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--driver" => config.driver = value()?.parse()?,
            "--idle" => config.idle = value()?.parse()?,
            "--cores" => config.cores = value()?.parse()?,
            "--cpu" => config.pinning = Pinning::From(value()?.parse()?),
            other => address = other.parse()?,
        }
    }
    config.tcp.push(address);
    config.udp.push(address);
    let runtime = Runtime::<()>::start(config, serve)?;
    if let Some(notice) = runtime.notice() {
        eprintln!("{notice}");
    }
    println!("listening on {} ({})", runtime.tcp_addrs()[0], runtime.driver());
    signals.stop(runtime.stopper())?;
    runtime.join()?;
    Ok(())
}

async fn serve(core: Core<()>) {
    for listener in core.listeners {
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(echo(stream));
            }
        });
    }
    for socket in core.sockets {
        spawn_local(async move {
            while let Ok(datagram) = socket.recv().await {
                socket.send_to(&datagram.data, datagram.from);
            }
        });
    }
    shutdown().await;
}

async fn echo(stream: TcpStream) {
    while let Ok(Some(bytes)) = stream.recv().await {
        stream.write(&bytes);
        if stream.queued() > 1 << 20 && stream.drained(1 << 19).await.is_err() {
            return;
        }
    }
}
