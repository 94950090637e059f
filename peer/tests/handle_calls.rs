//! Calls through a handle, from threads and from tokio, to a worker that a grape knows; alone in its process, so that descriptors
//! and memory can be counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use grenache_engine::{live_tasks, sleep};
use grenache_grape::Grape;
use grenache_peer::client::StreamCall;
use grenache_peer::link::Put;
use grenache_peer::server::Reply;
use grenache_peer::{Call, Error, Handle, Json, Worker, handle, worker};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Connections per destination, so that thousands of calls share few.
const CONNECTIONS: usize = 32;

struct Network {
    grape: Grape,
    worker: Worker,
    /// Handlers at work.
    working: Arc<AtomicUsize>,
}

/// Counts a handler for as long as it is there.
struct AtWork(Arc<AtomicUsize>);

impl AtWork {
    fn new(working: &Arc<AtomicUsize>) -> AtWork {
        working.fetch_add(1, Ordering::Relaxed);
        AtWork(working.clone())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Network {
    fn start() -> Network {
        let config = grenache_grape::Config { dht_port: 0, api_port: 0, ..Default::default() };
        let grape = Grape::start(config).expect("a grape");
        let grapes = vec![format!("http://{}", grape.api_addr())];
        let working = Arc::new(AtomicUsize::new(0));
        let at_work = working.clone();
        let worker =
            Worker::start(worker::Config { grapes, ..Default::default() }, move |_, services| {
                services.add("echo", |request| async move {
                    Ok::<_, Error>(Reply::from(request.payload().clone()))
                });
                let working = at_work.clone();
                services.add("slow", move |request| {
                    let at_work = AtWork::new(&working);
                    async move {
                        let _at_work = at_work;
                        sleep(Duration::from_millis(request.json()?)).await;
                        Ok::<_, Error>(Reply::from(Json::null()))
                    }
                });
                services.add_stream("shout", |request| async move {
                    while let Some(piece) = request.read().await? {
                        request.write(piece.to_ascii_uppercase()).await?;
                    }
                    Ok::<(), Error>(())
                });
            });
        Network { grape, worker: worker.expect("a worker"), working }
    }

    fn handle(&self) -> Handle {
        let mut config = handle::Config {
            grapes: vec![format!("http://{}", self.grape.api_addr())],
            ..Default::default()
        };
        config.client.pool.max_connections = CONNECTIONS;
        let handle = Handle::start(config).expect("a handle");
        for service in ["echo", "slow", "shout"] {
            let found = handle.wait_for_service(service, Duration::from_secs(20)).wait().unwrap();
            let port = self.worker.addr().port();
            assert_eq!(found, [SocketAddr::from(([127, 0, 0, 1], port))]);
        }
        handle
    }
}

fn echo(number: usize) -> Call {
    Call::new("echo", Json::of(&number).unwrap())
}

fn slow(millis: u64) -> Call {
    Call::new("slow", Json::of(&millis).unwrap())
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this is Linux").count()
}

fn tasks(handle: &Handle) -> usize {
    handle.run(async |_| Ok(live_tasks())).wait().unwrap()
}

/// All in one, since descriptors and memory are the process's.
#[test]
fn thousands_of_calls_leave_nothing_behind() {
    let network = Network::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let handle = network.handle();
    // A round to warm up: connections, buffers, threads.
    let mut before = None;
    for round in 0..6 {
        from_threads(&handle);
        runtime.block_on(from_tokio(&handle));
        cancelled(&handle, &network.working);
        streams(&handle);
        every_verb(&handle);
        eventually("all calls end", || handle.in_flight() == 0);
        eventually("all handlers end", || network.working.load(Ordering::Relaxed) == 0);
        let now = (tasks(&handle), descriptors(), MEMORY.current_usage());
        let (tasks, descriptors, memory) = *before.get_or_insert(now);
        if round > 2 {
            // Connections that cancelled calls have closed are opened anew.
            assert!(now.0 <= tasks + CONNECTIONS, "tasks: {} then {}", tasks, now.0);
            assert!(
                now.1 <= descriptors + 2 * CONNECTIONS,
                "descriptors: {} then {}",
                descriptors,
                now.1
            );
            assert!(now.2 < memory + 8_000_000, "bytes: {} then {}", memory, now.2);
        }
    }
    stop_under_load(&network);
    handle.stop().unwrap();
    let refused = handle.request(echo(1)).wait();
    assert_eq!(refused, Err(Error::Stopped));
    network.worker.stop();
    network.worker.join().unwrap();
    network.grape.stop().unwrap();
}

fn from_threads(handle: &Handle) {
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let handle = handle.clone();
            thread::spawn(move || {
                let calls: Vec<_> =
                    (0..500).map(|call| handle.request(echo(thread * 1000 + call))).collect();
                for (call, asked) in calls.into_iter().enumerate() {
                    assert_eq!(asked.wait().unwrap().to::<usize>(), Ok(thread * 1000 + call));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

async fn from_tokio(handle: &Handle) {
    let tasks: Vec<_> = (0..1000)
        .map(|call| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.request(echo(call)).await })
        })
        .collect();
    for (call, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap().unwrap().to::<usize>(), Ok(call));
    }
    let mut replies = handle.map(echo(7), None).await.unwrap();
    assert_eq!(replies.left(), 1);
    assert_eq!(replies.next().await.unwrap().1.unwrap().to::<u8>(), Ok(7));
    assert!(replies.next().await.is_none() && replies.left() == 0);
}

/// A call that is dropped ends the handler at the other end as well.
fn cancelled(handle: &Handle, working: &AtomicUsize) {
    let calls: Vec<_> = (0..20).map(|_| handle.request(slow(60_000))).collect();
    eventually("the handlers begin", || working.load(Ordering::Relaxed) == 20);
    drop(calls);
    eventually("the handlers are dropped", || working.load(Ordering::Relaxed) == 0);
    // Dropped at once, before they are sent or after.
    for _ in 0..500 {
        drop(handle.request(slow(60_000)));
    }
    // Maps and streams that are dropped half-way.
    let replies = handle.map(slow(60_000), None).wait().unwrap();
    eventually("the handler begins", || working.load(Ordering::Relaxed) == 1);
    drop(replies);
    let stream = handle.stream(StreamCall::new("shout")).wait().unwrap();
    stream.send("half").wait().unwrap();
    drop(stream);
}

fn streams(handle: &Handle) {
    let stream = handle.stream(StreamCall::new("shout")).wait().unwrap();
    // A future of `recv` that is dropped loses nothing.
    for _ in 0..3 {
        drop(stream.recv());
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                stream.send(vec![b'x'; 20_000]).wait().unwrap();
            }
            stream.finish().wait().unwrap();
        });
        let mut received = 0;
        while let Some(piece) = stream.recv().wait().unwrap() {
            assert!(piece.iter().all(|byte| *byte == b'X'));
            received += piece.len();
        }
        assert_eq!(received, 2_000_000);
    });
    assert_eq!(stream.recv().wait(), Ok(None));
    assert_eq!(stream.send("more").wait().unwrap_err().code(), "ERR_TRANSPORT_CLOSE");
}

fn every_verb(handle: &Handle) {
    let found = handle.lookup("echo").wait().unwrap();
    assert_eq!(handle.lookup_fresh("echo").wait().unwrap(), found);
    let reply = handle.request_at(found[0], echo(3)).wait().unwrap();
    assert_eq!(reply.as_str(), "3");
    for (worker, reply) in handle.map(echo(9), Some(5)).wait().unwrap() {
        assert_eq!((worker, reply.unwrap().as_str()), (found[0], "9"));
    }
    let late = handle.request(slow(60_000).timeout(Duration::from_millis(30))).wait();
    assert_eq!(late.unwrap_err().code(), "ERR_TIMEOUT");
    let unknown = handle.request(Call::new("nobody", Json::null())).wait().unwrap_err();
    assert_eq!(unknown.code(), "ERR_GRAPE_LOOKUP_EMPTY");
    assert_eq!(handle.map(Call::new("nobody", Json::null()), None).wait().err(), Some(unknown));
    handle.announce("other", 4321).wait().unwrap();
    let announcing = handle.start_announcing("another", 4322).wait().unwrap();
    assert_eq!(handle.lookup_fresh("another").wait().unwrap()[0].port(), 4322);
    drop(announcing);
    let key = handle.put(Put::immutable("an item").unwrap()).wait().unwrap();
    assert_eq!(handle.get(key, "").wait().unwrap().unwrap().value, "an item");
}

/// Every call ends, whatever it was doing, and the engine as well.
fn stop_under_load(network: &Network) {
    let handle = network.handle();
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let handle = handle.clone();
            thread::spawn(move || {
                for number in 0.. {
                    let calls: Vec<_> = (0..50).map(|_| handle.request(echo(number))).collect();
                    for call in calls {
                        match call.wait() {
                            Ok(reply) => assert_eq!(reply.to::<usize>(), Ok(number)),
                            Err(Error::Stopped) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    eventually("calls are answered", || network.worker.stats().requests > 20_000);
    let start = Instant::now();
    handle.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert_eq!(handle.in_flight(), 0);
}
