//! A client's conversation with a worker over ZeroMQ, cut after every byte, in either direction, in each of the ways in which a connection
//! can end. The call then succeeds, or fails with an error that says whether it may have run; both sides are rid of the connection soon,
//! and nothing of it is kept.

mod support;

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use grenache_engine::{TcpListener, TcpStream, now, sleep, spawn_local, timeout};
use grenache_peer::client::{self, Client};
use grenache_peer::server::{self, Reply, Server, Services};
use grenache_peer::zeromq::{self, Form, Gate, KeyPair, SecretKey, Security};
use grenache_peer::{Call, Error, Json, Link, Transport, link};
use support::{ms, nobody, simulated};

const SECOND: Duration = Duration::from_secs(1);

/// How long a call may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Everything is over by then.
const LONG: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
struct Cut {
    way: Way,
    /// So many bytes go through.
    after: usize,
    manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToWorker,
    ToClient,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Both sides are told that the connection has broken.
    Breaks,
    /// Both sides are told that the other has ended.
    Ends,
    /// Nothing comes any more, on either side.
    Hangs,
}

/// What stands between client and worker.
#[derive(Clone)]
struct Relay {
    worker: SocketAddr,
    cut: Rc<Cell<Option<Cut>>>,
    /// Connections that are not over.
    open: Rc<Cell<usize>>,
    /// Bytes that have gone through on the last connection, to the worker and to the client.
    passed: Rc<Cell<[usize; 2]>>,
}

impl Relay {
    /// Gives its address as well.
    fn start(worker: SocketAddr) -> (Relay, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).expect("a free port");
        let addr = listener.local_addr();
        let (cut, open, passed) = (Rc::default(), Rc::default(), Rc::default());
        let relay = Relay { worker, cut, open, passed };
        let accepts = relay.clone();
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepts.open.set(accepts.open.get() + 1);
                let relay = accepts.clone();
                spawn_local(async move {
                    relay.serve(stream).await;
                    relay.open.set(relay.open.get() - 1);
                });
            }
        });
        (relay, addr)
    }

    async fn serve(&self, client: TcpStream) {
        let worker = TcpStream::connect(self.worker).await.expect("it listens");
        self.passed.set([0; 2]);
        let is_cut = {
            let mut there = pin!(self.pass(Way::ToWorker, &client, &worker));
            let mut back = pin!(self.pass(Way::ToClient, &worker, &client));
            poll_fn(|context| match there.as_mut().poll(context) {
                Poll::Pending => back.as_mut().poll(context),
                ready => ready,
            })
            .await
        };
        if !is_cut {
            return;
        }
        // What has gone through arrives.
        sleep(ms(5)).await;
        match self.cut.get().map(|cut| cut.manner) {
            Some(Manner::Breaks) | None => {
                client.abort();
                worker.abort();
                return;
            }
            Some(Manner::Ends) => {
                client.shutdown();
                worker.shutdown();
            }
            Some(Manner::Hangs) => {}
        }
        while let Ok(Some(_)) = client.recv().await {}
        while let Ok(Some(_)) = worker.recv().await {}
    }

    /// Passes bytes on until they are cut, or one side ends. True if they are cut.
    async fn pass(&self, way: Way, from: &TcpStream, to: &TcpStream) -> bool {
        let cut = self.cut.get().filter(|cut| cut.way == way);
        let mut left = cut.map_or(usize::MAX, |cut| cut.after);
        while left > 0 {
            let Ok(Some(received)) = from.recv().await else { return false };
            let count = received.len().min(left);
            to.write(&received[..count]);
            left -= count;
            let mut passed = self.passed.get();
            passed[way as usize] += count;
            self.passed.set(passed);
        }
        true
    }
}

/// A worker, and how it is called.
struct Conversation {
    server: Rc<Server>,
    relay: Relay,
    addr: SocketAddr,
    config: client::Config,
    runs: Rc<Cell<usize>>,
}

fn keys(byte: u8) -> KeyPair {
    SecretKey::new([byte; 32]).into()
}

impl Conversation {
    fn new(form: Form, curve: bool) -> Conversation {
        let (gate, security) = match curve {
            false => (Gate::Null, Security::Null),
            true => (
                Gate::Curve { keys: keys(1), allow: None },
                Security::Curve { server: keys(1).public, keys: keys(2) },
            ),
        };
        let runs = Rc::<Cell<usize>>::default();
        let mut services = Services::default();
        let counts = runs.clone();
        services.add("echo", move |request| {
            counts.set(counts.get() + 1);
            async move {
                sleep(ms(1)).await;
                Ok::<_, Error>(Reply::from(request.payload().clone()))
            }
        });
        let limits = server::Config {
            gate,
            handshake_timeout: SECOND,
            request_timeout: SECOND,
            idle_timeout: 2 * SECOND,
            ping_interval: SECOND,
            ping_timeout: SECOND,
            ..server::Config::default()
        };
        let server = Server::new(limits, services);
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).expect("a free port");
        let (relay, addr) = Relay::start(listener.local_addr());
        server.listen(listener);
        let zeromq = zeromq::Config {
            form,
            security,
            connect_timeout: SECOND,
            ping_interval: SECOND,
            ping_timeout: SECOND,
            ..zeromq::Config::default()
        };
        let config =
            client::Config { transport: Transport::ZeroMq, zeromq, ..client::Config::default() };
        Conversation { server, relay, addr, config, runs }
    }

    /// Calls the worker over a new connection, which is cut, and sees to it that both sides come to their end.
    async fn hold(&self, cut: Option<Cut>) -> Result<Json, Error> {
        self.relay.cut.set(cut);
        self.runs.set(0);
        let link = Link::new(&[nobody().into()], link::Config::default(), None).unwrap();
        link.fix("echo", &[self.addr]);
        let client = Client::new(link, self.config.clone(), None).unwrap();
        let began = now();
        let call = Call::new("echo", payload()).timeout(LIMIT).attempts(1);
        let result = client.request(call).await;
        assert!(now() - began <= LIMIT + ms(1), "{cut:?}: {result:?}");
        assert_eq!(client.in_flight(), 0, "{cut:?}");
        if cut.is_none() {
            return result;
        }
        let over = timeout(LONG, async {
            while self.relay.open.get() > 0 || self.server.stats().connections > 0 {
                sleep(ms(20)).await;
            }
        });
        assert!(over.await.is_ok(), "{cut:?}: a connection is left, after {result:?}");
        let stats = self.server.stats();
        assert_eq!((stats.in_flight, stats.held), (0, 0), "{cut:?}");
        result
    }

    fn check(&self, cut: Cut, length: usize, result: Result<Json, Error>) {
        let (runs, is_whole) = (self.runs.get(), cut.after == length);
        match (&result, cut.way) {
            (Ok(result), Way::ToClient) if is_whole => assert_eq!(*result, payload()),
            (Err(error), Way::ToWorker) if is_whole => assert!(error.may_have_run(), "{cut:?}"),
            (Err(error), way) if !is_whole => {
                assert!(error.may_have_run() || runs == 0, "{cut:?}: {error}");
                assert!(way == Way::ToClient || runs == 0, "{cut:?}: it was not whole");
                let code = error.code();
                let codes = ["ERR_REQUEST_GENERIC", "ERR_TIMEOUT", "ERR_TRANSPORT_CLOSE"];
                assert!(codes.contains(&code), "{cut:?}: {error}");
            }
            _ => panic!("{cut:?} of {length} bytes: {result:?}"),
        }
        assert!(runs <= 1, "{cut:?}: it ran {runs} times");
    }
}

fn payload() -> Json {
    Json::of("hello").unwrap()
}

fn at_every_byte(form: Form, curve: bool) {
    simulated(1, move || async move {
        let conversation = Conversation::new(form, curve);
        let whole = conversation.hold(None).await;
        assert_eq!(whole.expect("nothing is cut"), payload());
        let lengths = conversation.relay.passed.get();
        println!("{form:?}, CURVE: {curve}: {lengths:?} bytes");
        for (way, length) in [Way::ToWorker, Way::ToClient].into_iter().zip(lengths) {
            for after in 0..=length {
                for manner in [Manner::Breaks, Manner::Ends, Manner::Hangs] {
                    let cut = Cut { way, after, manner };
                    let result = conversation.hold(Some(cut)).await;
                    conversation.check(cut, length, result);
                }
            }
        }
    });
}

#[test]
fn arrays_cut_at_every_byte() {
    at_every_byte(Form::Told, false);
}

#[test]
fn frames_cut_at_every_byte() {
    at_every_byte(Form::Frames, false);
}

#[test]
fn arrays_with_curve_cut_at_every_byte() {
    at_every_byte(Form::Told, true);
}
