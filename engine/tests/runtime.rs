//! Starting, stopping, and what reaches a runtime from outside. On both real drivers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use grenache_engine::{
    BpfInstruction, Config, Core, CorePanicked, DriverChoice, Full, Idle, Limits, Runtime, Sender,
    StartError, shutdown, spawn_local, timeout,
};

const DRIVERS: [DriverChoice; 2] = [DriverChoice::Uring, DriverChoice::Epoll];

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn config(driver: DriverChoice) -> Config {
    Config { driver, ..Config::default() }
}

async fn echo(core: Core<()>) {
    for listener in core.listeners {
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn_local(async move {
                    while let Ok(Some(bytes)) = stream.recv().await {
                        stream.write(&bytes);
                    }
                });
            }
        });
    }
    shutdown().await;
}

fn ask(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream.write_all(b"ping").expect("sent");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"ping");
    stream
}

#[test]
fn posts_from_outside_arrive_in_order_and_wake_a_parked_core() {
    for driver in DRIVERS {
        let limits = Limits { mesh_outside: 4, ..Limits::default() };
        let config = Config { cores: 2, limits, ..config(driver) };
        let (report, reports) = mpsc::channel();
        let runtime = Runtime::start(config, move |core: Core<u32>| {
            let report = report.clone();
            async move {
                if core.index != 1 {
                    return;
                }
                loop {
                    let message = core.mesh.recv().await;
                    report.send(message).expect("the test listens");
                    if message.1 == 99 {
                        return;
                    }
                }
            }
        });
        let runtime = runtime.expect("it starts");
        for number in (0..50).chain([99]) {
            runtime.post(1, number).expect("room");
            let arrived = reports.recv_timeout(Duration::from_secs(20)).expect("it arrives");
            assert_eq!(arrived, (Sender::Outside, number));
        }
        runtime.join().expect("no panic");
    }
}

#[test]
fn posts_over_the_limit_come_back() {
    for driver in DRIVERS {
        let limits = Limits { mesh_outside: 4, ..Limits::default() };
        let (go, gone) = mpsc::channel::<()>();
        let gone = std::sync::Mutex::new(Some(gone));
        let runtime =
            Runtime::start(Config { limits, ..config(driver) }, move |core: Core<u32>| {
                let gone = gone.lock().expect("not poisoned").take().expect("one core");
                async move {
                    // Blocks the core, as no handler should.
                    gone.recv().expect("the test says when");
                    for number in 0..4 {
                        assert_eq!(core.mesh.recv().await.1, number);
                    }
                }
            });
        let runtime = runtime.expect("it starts");
        for number in 0..4 {
            runtime.post(0, number).expect("room");
        }
        assert_eq!(runtime.post(0, 4), Err(Full(4)));
        go.send(()).expect("the core waits");
        runtime.join().expect("no panic");
    }
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let tcp = TcpListener::bind(any()).expect("a free port");
    let udp = UdpSocket::bind(any()).expect("a free port");
    for cores in [1, 2] {
        let address = tcp.local_addr().expect("an address");
        let config = Config { cores, tcp: vec![address], ..Config::default() };
        let error = Runtime::<()>::start(config, echo).err().expect("the port is taken");
        let StartError::Bind(bind) = &error else { panic!("{error}") };
        assert_eq!((bind.protocol, bind.address), ("TCP", address));
        assert!(error.to_string().contains(&address.to_string()), "{error}");

        let address = udp.local_addr().expect("an address");
        let config = Config { cores, udp: vec![address], ..Config::default() };
        let error = Runtime::<()>::start(config, echo).err().expect("the port is taken");
        assert!(error.to_string().starts_with(&format!("cannot use UDP {address}")), "{error}");
    }
}

#[test]
fn a_port_of_another_group_that_shares_it_is_taken_too() {
    let config = Config { cores: 2, tcp: vec![any()], udp: vec![any()], ..Config::default() };
    let first = Runtime::<()>::start(config.clone(), echo).expect("it starts");
    for cores in [1, 2] {
        let tcp = Config { cores, tcp: first.tcp_addrs().to_vec(), ..Config::default() };
        assert!(matches!(Runtime::<()>::start(tcp, echo), Err(StartError::Bind(_))));
        let udp = Config { cores, udp: first.udp_addrs().to_vec(), ..Config::default() };
        assert!(matches!(Runtime::<()>::start(udp, echo), Err(StartError::Bind(_))));
    }
    ask(first.tcp_addrs()[0]);
    // Once it has stopped, the port can be had at once, whatever is left in TIME_WAIT.
    let again = Config { tcp: first.tcp_addrs().to_vec(), ..config };
    drop(first);
    let second = Runtime::<()>::start(again, echo).expect("the port is free");
    ask(second.tcp_addrs()[0]);
}

#[test]
fn stop_ends_a_runtime_with_open_connections() {
    for driver in DRIVERS {
        let config = Config { cores: 2, tcp: vec![any()], ..config(driver) };
        let runtime = Runtime::<()>::start(config, echo).expect("it starts");
        let streams: Vec<_> = (0..20).map(|_| ask(runtime.tcp_addrs()[0])).collect();
        let stopper = runtime.stopper();
        let clients = std::thread::spawn(move || {
            // Each client sees an end, and answers with its own.
            for mut stream in streams {
                assert_eq!(stream.read(&mut [0; 16]).expect("an end, no reset"), 0);
            }
        });
        stopper.stop();
        stopper.stop();
        runtime.join().expect("no panic");
        clients.join().expect("no panic");
    }
}

#[test]
fn ending_waits_for_what_is_queued_and_for_no_peer() {
    for driver in DRIVERS {
        let limits = Limits { linger: Duration::from_secs(1000), ..Limits::default() };
        let config = Config { tcp: vec![any()], limits, ..config(driver) };
        let runtime = Runtime::start(config, |core: Core<()>| async move {
            let (idle, _) = core.listeners[0].accept().await.expect("a connection");
            let (dropped, _) = core.listeners[0].accept().await.expect("a connection");
            dropped.write(b"bye");
            drop(dropped);
            let (busy, _) = core.listeners[0].accept().await.expect("a connection");
            busy.write(&vec![7; 1_000_000]);
            drop((idle, busy));
        });
        let runtime = runtime.expect("it starts");
        let connect = || TcpStream::connect(runtime.tcp_addrs()[0]).expect("a connection");
        let (mut idle, mut dropped, mut busy) = (connect(), connect(), connect());
        let read = |stream: &mut TcpStream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).expect("all of it");
            bytes.len()
        };
        assert_eq!((read(&mut busy), read(&mut idle), read(&mut dropped)), (1_000_000, 0, 3));
        // No peer has closed its side: a core that waited for that would wait long.
        runtime.join().expect("no core panics");
    }
}

#[test]
fn more_cores_than_cpus_serve() {
    for driver in DRIVERS {
        let config = Config { cores: 9, tcp: vec![any()], ..config(driver) };
        let runtime = Runtime::<()>::start(config, echo).expect("it starts");
        let streams: Vec<_> = (0..100).map(|_| ask(runtime.tcp_addrs()[0])).collect();
        drop(streams);
        runtime.stop();
        runtime.join().expect("no panic");
    }
}

#[test]
fn a_spinning_core_sees_sockets_timers_the_mesh_and_stop() {
    for driver in DRIVERS {
        let idle = Idle::Spin(Duration::from_millis(2));
        let config = Config { cores: 2, idle, tcp: vec![any()], ..config(driver) };
        let runtime = Runtime::start(config, |mut core: Core<u32>| async move {
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
            for round in 0..20 {
                grenache_engine::sleep(Duration::from_micros(700)).await;
                let stream = grenache_engine::TcpStream::connect(address).await.expect("connects");
                stream.write(b"x");
                let answer = timeout(Duration::from_secs(20), stream.recv()).await;
                assert_eq!(&answer.expect("in time").expect("no error").expect("bytes")[..], b"x");
                core.mesh.send(1 - core.index, round).expect("room");
                assert_eq!(core.mesh.recv().await.1, round);
            }
            shutdown().await;
        });
        let runtime = runtime.expect("it starts");
        runtime.stop();
        runtime.join().expect("no panic");
    }
}

#[test]
fn a_panic_of_main_ends_the_others_and_is_told() {
    for driver in DRIVERS {
        let config = Config { cores: 3, ..config(driver) };
        let runtime = Runtime::<()>::start(config, |core: Core<()>| async move {
            assert!(core.index != 1, "meant to happen");
            shutdown().await;
        });
        assert_eq!(runtime.expect("it starts").join(), Err(CorePanicked { core: 1 }));
    }
}

#[test]
fn a_foreign_thread_may_wake_a_task() {
    for driver in DRIVERS {
        let runtime = Runtime::<()>::start(config(driver), |_: Core<()>| async {
            for _ in 0..200 {
                let state = std::sync::Arc::new(std::sync::Mutex::new((false, None)));
                let shared = state.clone();
                let thread = std::thread::spawn(move || {
                    let waker: Option<std::task::Waker> = {
                        let mut state = shared.lock().expect("not poisoned");
                        state.0 = true;
                        state.1.take()
                    };
                    if let Some(waker) = waker {
                        waker.wake_by_ref();
                        waker.wake();
                    }
                });
                std::future::poll_fn(|context| {
                    let mut state = state.lock().expect("not poisoned");
                    if state.0 {
                        return std::task::Poll::Ready(());
                    }
                    state.1 = Some(context.waker().clone());
                    std::task::Poll::Pending
                })
                .await;
                thread.join().expect("no panic");
            }
        });
        runtime.expect("it starts").join().expect("no panic");
    }
}

#[test]
fn a_filter_steers_datagrams_by_content() {
    for driver in DRIVERS {
        // ret = first byte of the payload.
        let steer = vec![
            BpfInstruction { code: 0x30, jt: 0, jf: 0, k: 0 },
            BpfInstruction { code: 0x16, jt: 0, jf: 0, k: 0 },
        ];
        let config = Config { cores: 3, udp: vec![any()], steer: Some(steer), ..config(driver) };
        let runtime = Runtime::<()>::start(config, |mut core: Core<()>| async move {
            let socket = core.sockets.remove(0);
            let index = core.index;
            spawn_local(async move {
                while let Ok(datagram) = socket.recv().await {
                    socket.send_to(&[datagram.data[0], index as u8], datagram.from);
                }
            });
            shutdown().await;
        });
        let runtime = runtime.expect("it starts");
        let client = UdpSocket::bind(any()).expect("a free port");
        client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        for round in 0..60u8 {
            let mut answer = [0; 2];
            client.send_to(&[round % 3], runtime.udp_addrs()[0]).expect("sent");
            client.recv(&mut answer).expect("an answer");
            assert_eq!(answer, [round % 3; 2]);
        }
        // Past the group the kernel chooses; somebody answers.
        client.send_to(&[77], runtime.udp_addrs()[0]).expect("sent");
        client.recv(&mut [0; 2]).expect("an answer");
    }
}

#[test]
fn no_cores_and_bad_addresses_are_errors() {
    let none = Config { cores: 0, ..Config::default() };
    assert!(matches!(Runtime::<()>::start(none, echo), Err(StartError::NoCores)));
    let foreign = "192.0.2.1:0".parse().expect("an address");
    let config = Config { tcp: vec![any(), foreign], ..Config::default() };
    let error = Runtime::<()>::start(config, echo).err().expect("not an address of this machine");
    assert!(error.to_string().starts_with("cannot use TCP 192.0.2.1:0"), "{error}");
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let address = TcpListener::bind(any()).expect("a free port").local_addr().expect("an address");
    for _ in 0..20 {
        // More memory than there is, which the cores find out one by one.
        let limits = Limits { udp_buffer_size: usize::MAX, ..Limits::default() };
        let tcp = vec![address];
        let config = Config { cores: 3, tcp, limits, ..config(DriverChoice::Uring) };
        let error = Runtime::<()>::start(config, echo).err().expect("it cannot start");
        assert!(matches!(error, StartError::System { .. }), "{error}");
        drop(TcpListener::bind(address).expect("the port is free again"));
    }
}
