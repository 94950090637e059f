//! Workers with grapes, with TLS, and in the simulator.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, World};
use grenache_engine::{Config, Core, Runtime, TcpStream, sleep};
use grenache_grape::Grape;
use grenache_peer::client::{self, Client};
use grenache_peer::link::{self, Link};
use grenache_peer::server::{Reply, Services};
use grenache_peer::tls::{Authorities, ClientTls, Clients, Identity, ServerTls};
use grenache_peer::worker::{self, Context, Program};
use grenache_peer::{Call, Error, Json, Worker};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn grape() -> (Grape, String) {
    let config =
        grenache_grape::Config { dht_port: 0, api_port: 0, ..grenache_grape::Config::default() };
    let grape = Grape::start(config).expect("a grape");
    let url = format!("http://{}", grape.api_addr());
    (grape, url)
}

fn config(grapes: &[&str]) -> worker::Config {
    worker::Config {
        listen: SocketAddr::new(LOCAL, 0),
        grapes: grapes.iter().map(|grape| (*grape).to_owned()).collect(),
        ..worker::Config::default()
    }
}

/// Runs what a client does, on an engine of its own.
fn client<F: Future<Output = ()> + 'static>(
    grape: &str,
    tls: Option<ClientTls>,
    act: impl Fn(Client) -> F + Send + Sync + 'static,
) {
    let grapes = link::Grape::list(grape).expect("a grape");
    let runtime = Runtime::start(Config::default(), move |_: Core<()>| {
        let link = Link::new(&grapes, link::Config::default(), None).expect("a link");
        let client = Client::new(link, client::Config::default(), tls.as_ref()).expect("a client");
        act(client)
    });
    runtime.expect("it starts").join().expect("no panic");
}

fn echo(_: &Context, services: &mut Services) {
    services.add("echo", |request| async move {
        Ok::<_, Error>(Reply::from(request.payload().clone()))
    });
}

#[test]
fn services_are_found_and_call_each_other() {
    let (_grape, url) = grape();
    let two = worker::Config { cores: 2, ..config(&[&url]) };
    let twice = Worker::start(two, |_, services| {
        services.add("twice", |request| async move { Reply::json(&(2 * request.json::<u64>()?)) });
    });
    let twice = twice.expect("it starts");
    let four = Worker::start(config(&[&url]), |context, services| {
        let client = context.client.clone();
        services.add("four times", move |request| {
            let client = client.clone();
            async move {
                let call = Call::new("twice", request.payload().clone()).wait_for_service();
                let twice = client.request(call).await?;
                Ok::<_, Error>(client.request(Call::new("twice", twice)).await?.into())
            }
        });
    });
    let four = four.expect("it starts");
    client(&url, None, |client| async move {
        let call = Call::new("four times", Json::of(&10).unwrap()).wait_for_service();
        assert_eq!(client.request(call).await.expect("a reply").as_str(), "40");
        let none = client.request(Call::new("nobody", Json::null())).await;
        assert_eq!(none, Err(Error::LookupEmpty { service: "nobody".into() }));
    });
    assert_eq!((twice.stats().requests, four.stats().requests), (2, 1));
    for worker in [four, twice] {
        worker.stop();
        worker.join().expect("no panic");
    }
}

#[test]
fn the_port_announced_may_be_anothers() {
    let (_grape, url) = grape();
    let mapped = worker::Config { announce_port: Some(4321), ..config(&[&url]) };
    let _worker = Worker::start(mapped, echo).expect("it starts");
    client(&url, None, |client| async move {
        let limit = Duration::from_secs(10);
        let found = client.link().wait_for_service("echo", limit).await.expect("it is found");
        assert_eq!(found[0].port(), 4321);
    });
}

#[test]
fn settings_that_cannot_be() {
    let start = |config| Worker::start(config, echo).map(|_| ()).unwrap_err();
    assert_eq!(start(config(&["ftp://127.0.0.1"])).code(), "ERR_CONFIG");
    assert_eq!(start(worker::Config { cores: 0, ..config(&[]) }).code(), "ERR_START");
    let taken = std::net::TcpListener::bind((LOCAL, 0)).expect("a free port");
    let listen = taken.local_addr().expect("an address");
    assert_eq!(start(worker::Config { listen, ..config(&[]) }).code(), "ERR_START");
}

#[test]
fn over_tls_handlers_see_who_calls() {
    let made = |name: &str| {
        let names = vec!["127.0.0.1".to_owned(), name.to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let (server, client_one) = (made("server"), made("client"));
    let identity = |made: &(String, String)| {
        Identity::from_pem(made.0.as_bytes(), made.1.as_bytes()).expect("an identity")
    };
    let authority = |made: &(String, String)| Authorities::from_pem(made.0.as_bytes()).unwrap();
    let (_grape, url) = grape();
    let mut tls = ServerTls::new(identity(&server));
    tls.clients = Clients::Required(authority(&client_one));
    let secure = worker::Config { tls: Some(tls), ..config(&[&url]) };
    let worker = Worker::start(secure, |_, services| {
        services.add("who", |request| async move {
            Reply::json(&request.certificate().map(|certificate| certificate.sha1().to_string()))
        });
    });
    let worker = worker.expect("it starts");
    let mut tls = ClientTls::new(authority(&server));
    tls.identity = Some(identity(&client_one));
    client(&url, Some(tls), |client| async move {
        for _ in 0..3 {
            let call = Call::new("who", Json::null()).wait_for_service();
            let fingerprint: String = client.request(call).await.expect("a reply").to().unwrap();
            assert_eq!(fingerprint.len(), 59, "{fingerprint}");
        }
    });
    // Without a certificate nobody gets in, and a client that does not speak TLS does not either.
    let (stats, addr) = (worker.stats(), worker.addr());
    assert_eq!((stats.requests, stats.malformed), (3, 0));
    client(&url, Some(ClientTls::new(authority(&server))), move |client| async move {
        let refused = client.request_at(addr, Call::new("who", Json::null())).await.unwrap_err();
        assert_eq!(refused.code(), "ERR_REQUEST_GENERIC", "{refused}");
    });
    client(&url, None, move |client| async move {
        assert!(client.request_at(addr, Call::new("who", Json::null())).await.is_err());
    });
    assert_eq!(worker.stats().requests, 3);
    assert!(worker.stats().malformed >= 2);
}

/// Clients with pipelined requests in a network that loses packets; the worker is stopped in the middle. Every request that was
/// begun is answered, in order, and nothing is left.
#[test]
fn simulated_workers_stop_in_good_order() {
    for seed in 0..30 {
        let network = Network { loss: 0.02, ..Network::default() };
        let mut world = World::new(seed, network);
        let address: SocketAddr = "10.0.0.1:80".parse().unwrap();
        let config = worker::Config { listen: address, cores: 2, ..worker::Config::default() };
        let begun = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let begins = begun.clone();
        let program = Program::new(config, move |_, services| {
            let begins = begins.clone();
            services.add("sleep", move |request| {
                begins.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                async move {
                    sleep(Duration::from_millis(request.json()?)).await;
                    Ok::<_, Error>(Reply::from(request.payload().clone()))
                }
            });
        });
        let program = program.expect("settings");
        let engine = program.engine_config();
        let worker = world.start(Host::new([10, 0, 0, 1]), engine, move |core| program.run(core));
        let worker = worker.expect("it starts");
        let (answered, gone) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for number in 2..6 {
            let (answered, gone) = (answered.clone(), gone.clone());
            let main = move |_: Core<()>| {
                let (answered, gone) = (answered.clone(), gone.clone());
                async move {
                    // The worker may not be up yet.
                    sleep(Duration::from_millis(1)).await;
                    while let Ok(stream) = TcpStream::connect(address).await {
                        converse(&stream, &answered).await;
                    }
                    gone.set(gone.get() + 1);
                }
            };
            world.start(Host::new([10, 0, 0, number]), Config::default(), main).expect("a client");
        }
        assert!(world.run_until(|| answered.get() > 100, Duration::from_secs(60)), "seed {seed}");
        world.stop(worker);
        assert!(world.run_until(|| gone.get() == 4, Duration::from_secs(60)), "seed {seed}");
        assert!(!world.is_running(worker) && world.live_tasks(worker) == 0, "seed {seed}");
        let begun = begun.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(begun, answered.get(), "seed {seed}: what was begun was answered");
        assert_eq!(world.tasks_panicked(), 0);
    }
}

/// Sends three requests at a time until the connection ends; counts the answers.
async fn converse(stream: &TcpStream, answered: &Cell<usize>) {
    let post = |millis: u32| {
        let body = format!("[{millis},\"sleep\",{millis}]");
        format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let received = RefCell::new(String::new());
    loop {
        let batch = [7, 1, 3];
        batch.iter().for_each(|millis| stream.write(post(*millis).as_bytes()));
        let mut closes = false;
        for millis in batch {
            let end = format!("[{millis},null,{millis}]");
            while !received.borrow().contains("]") {
                match stream.recv().await {
                    Ok(Some(bytes)) => {
                        received.borrow_mut().push_str(std::str::from_utf8(&bytes).unwrap());
                    }
                    _ => return,
                }
            }
            let mut received = received.borrow_mut();
            let at = received.find(']').unwrap_or_default() + 1;
            let answer: String = received.drain(..at).collect();
            assert!(answer.ends_with(&end), "{answer} is not the answer to {end}");
            answered.set(answered.get() + 1);
            closes |= answer.contains("connection: close");
        }
        if closes {
            return;
        }
    }
}

#[test]
fn a_worker_whose_setup_panics_is_never_announced() {
    let config = worker::Config { listen: "127.0.0.1:0".parse().unwrap(), ..Default::default() };
    let worker = Worker::start(config, |_, _| panic!("as it was told")).expect("it starts");
    assert!(!worker.announced());
    assert!(matches!(worker.join(), Err(Error::Stopped)));
}
