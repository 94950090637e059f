//! Descriptors: none is lost, and running out of them is survived. Alone in its process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use grenache_engine::{
    Config, Core, DriverChoice, Limits, Runtime, shutdown, sleep, spawn_local, stats,
};

/// Set for the child that has few descriptors.
const CHILD: &str = "ENGINE_TEST_FEW_DESCRIPTORS";

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn open() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("procfs");
    let names = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    // Without the one that lists.
    let names = names.map(|name| name.display().to_string());
    names.filter(|name| !name.starts_with("/proc/")).collect()
}

async fn serve(core: Core<()>) {
    for listener in core.listeners {
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(async move {
                    while let Ok(Some(bytes)) = stream.recv().await {
                        match &bytes[..] {
                            b"drop" => return,
                            b"abort" => return stream.abort(),
                            _ => stream.write(&bytes),
                        }
                    }
                });
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

/// Every way in which a connection may end.
fn connections_end(runtime: &Runtime<()>) {
    for round in 0..200 {
        let mut stream = TcpStream::connect(runtime.tcp_addrs()[0]).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        match round % 5 {
            0 => {}
            1 => {
                stream.write_all(b"echo").expect("sent");
                stream.read_exact(&mut [0; 4]).expect("an answer");
            }
            2 => {
                stream.write_all(b"drop").expect("sent");
                assert_eq!(stream.read(&mut [0; 4]).expect("an end"), 0);
            }
            3 => {
                stream.write_all(b"abort").expect("sent");
                assert!(stream.read(&mut [0; 4]).is_err());
            }
            _ => {
                // Answers that nobody reads: the system resets.
                stream.write_all(&[7; 1000]).expect("sent");
            }
        }
    }
    let client = UdpSocket::bind(any()).expect("a free port");
    client.send_to(b"echo", runtime.udp_addrs()[0]).expect("sent");
    client.recv(&mut [0; 4]).expect("an answer");
}

fn no_descriptor_is_lost(driver: DriverChoice) {
    let before = open();
    let config =
        Config { driver, cores: 2, tcp: vec![any()], udp: vec![any()], ..Config::default() };
    let runtime = Runtime::<()>::start(config.clone(), serve).expect("it starts");
    let running = open().len();
    connections_end(&runtime);
    // While it runs: all connections are closed soon.
    let patience = Instant::now() + Duration::from_secs(20);
    while open().len() > running {
        assert!(Instant::now() < patience, "{:?}", open());
        std::thread::sleep(Duration::from_millis(5));
    }
    // Stopped in the midst of things.
    let kept: Vec<_> = (0..10).map(|_| TcpStream::connect(runtime.tcp_addrs()[0])).collect();
    runtime.stop();
    drop(kept);
    runtime.join().expect("no panic");
    assert_eq!(open(), before);
    // A start that fails.
    let tcp = vec![any(), "192.0.2.1:0".parse().expect("an address")];
    assert!(Runtime::<()>::start(Config { tcp, ..config }, serve).is_err());
    assert_eq!(open(), before);
}

/// Runs in a child with 64 descriptors: a client waits until there is one for it.
fn survives_without_descriptors(driver: DriverChoice) {
    let limits = Limits { accept_backoff: Duration::from_millis(20), ..Limits::default() };
    let config = Config { driver, limits, tcp: vec![any()], ..Config::default() };
    let runtime = Runtime::<()>::start(config, |mut core: Core<()>| async move {
        let listener = core.listeners.remove(0);
        let address = listener.local_addr();
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(async move {
                    while let Ok(Some(bytes)) = stream.recv().await {
                        stream.write(&bytes);
                    }
                });
            }
        });
        // Takes all descriptors but one, which the client gets: none is left for accepting.
        let mut taken: Vec<_> = std::iter::from_fn(|| UdpSocket::bind(any()).ok()).collect();
        assert!(taken.len() > 10);
        taken.pop();
        let client = grenache_engine::TcpStream::connect(address).await.expect("a connection");
        client.write(b"x");
        while stats().accept_errors < 2 {
            sleep(Duration::from_millis(5)).await;
        }
        let turns = stats().turns;
        sleep(Duration::from_millis(200)).await;
        assert!(stats().turns - turns < 100, "it spins: {} turns", stats().turns - turns);
        taken.pop();
        assert_eq!(&client.recv().await.expect("no error").expect("bytes")[..], b"x");
    });
    runtime.expect("it starts").join().expect("no panic");
}

#[test]
fn descriptors() {
    const DRIVERS: [(&str, DriverChoice); 2] =
        [("uring", DriverChoice::Uring), ("epoll", DriverChoice::Epoll)];
    if let Ok(child) = std::env::var(CHILD) {
        let driver = DRIVERS.iter().find(|(name, _)| *name == child).expect("a driver");
        return survives_without_descriptors(driver.1);
    }
    for (name, driver) in DRIVERS {
        no_descriptor_is_lost(driver);
        let test = std::env::current_exe().expect("this program");
        let mut child = Command::new("sh");
        child.args(["-c", "ulimit -n 64 && exec \"$0\" --exact descriptors --nocapture"]);
        let output = child.arg(test).env(CHILD, name).output().expect("a shell");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {text}");
    }
}
