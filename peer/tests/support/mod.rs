//! Fake grapes and workers, and cores to run them on.
#![allow(dead_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::{Host, Network, World};
use grenache_engine::{
    Config, Core, JoinHandle, Runtime, TcpListener, TcpStream, now, sleep, spawn_local,
};

/// Runs `main` on a simulated core, for at most a day of its time.
pub(crate) fn simulated<F: Future<Output = ()> + 'static>(
    seed: u64,
    main: impl Fn() -> F + 'static,
) {
    let mut world = World::new(seed, Network::default());
    let done = Rc::new(Cell::new(false));
    let set = done.clone();
    let main = move |_: Core<()>| {
        let (run, done) = (main(), set.clone());
        async move {
            run.await;
            done.set(true);
        }
    };
    world.start(Host::new([10, 0, 0, 1]), Config::default(), main).unwrap();
    assert!(world.run_until(|| done.get(), Duration::from_secs(24 * 3600)), "it never ends");
    assert_eq!(world.tasks_panicked(), 0);
}

/// Runs `main` on a real core.
pub(crate) fn real<F: Future<Output = ()> + 'static>(main: impl Fn() -> F + Send + Sync + 'static) {
    let runtime = Runtime::start(Config::default(), move |_: Core<()>| main()).unwrap();
    runtime.join().unwrap();
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A request as a fake server sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) number: usize,
    pub(crate) at: Duration,
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    /// The id of an RPC request, as JSON.
    pub(crate) fn rid(&self) -> String {
        self.json()[0].to_string()
    }
}

/// What a fake server does about a request.
pub(crate) enum Answer {
    /// Status 200 with this body.
    Ok(String),
    Status(u16, String),
    /// These bytes, whatever they are.
    Raw(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Nothing, ever.
    Never,
    Later(Duration, Box<Answer>),
}

impl Answer {
    pub(crate) fn later(self, after: Duration) -> Answer {
        Answer::Later(after, Box::new(self))
    }
}

type Script = Rc<dyn Fn(&Seen) -> Answer>;

/// A server that does what it is told.
pub(crate) struct Fake {
    pub(crate) addr: SocketAddr,
    seen: Rc<RefCell<Vec<Seen>>>,
    open: Rc<Cell<usize>>,
    tasks: Rc<RefCell<Vec<JoinHandle<()>>>>,
}

impl Fake {
    pub(crate) fn start(script: impl Fn(&Seen) -> Answer + 'static) -> Fake {
        Fake::at("127.0.0.1:0".parse().unwrap(), script)
    }

    pub(crate) fn at(addr: SocketAddr, script: impl Fn(&Seen) -> Answer + 'static) -> Fake {
        let listener = TcpListener::bind(addr).expect("a free port");
        let addr = listener.local_addr();
        let fake = Fake { addr, seen: Rc::default(), open: Rc::default(), tasks: Rc::default() };
        let (seen, open, tasks) = (fake.seen.clone(), fake.open.clone(), fake.tasks.clone());
        let script: Script = Rc::new(script);
        let accepting = spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                open.set(open.get() + 1);
                let connection = serve(stream, script.clone(), seen.clone(), Open(open.clone()));
                tasks.borrow_mut().push(spawn_local(connection));
            }
        });
        fake.tasks.borrow_mut().push(accepting);
        fake
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.borrow().len()
    }

    /// Connections that are open.
    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }
}

impl Drop for Fake {
    /// Stops listening and breaks off all connections.
    fn drop(&mut self) {
        self.tasks.borrow().iter().for_each(JoinHandle::abort);
    }
}

struct Open(Rc<Cell<usize>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Breaks a connection off when its task ends.
struct Breaking(TcpStream);

impl Drop for Breaking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn serve(stream: TcpStream, script: Script, seen: Rc<RefCell<Vec<Seen>>>, open: Open) {
    let _open = open;
    let stream = Breaking(stream);
    let mut input = Vec::new();
    loop {
        let Some(request) = take_request(&mut input) else {
            match stream.0.recv().await {
                Ok(Some(bytes)) => input.extend_from_slice(&bytes),
                _ => return,
            }
            continue;
        };
        let (path, head, body) = request;
        let number = seen.borrow().len();
        let request = Seen { number, at: now(), path, head, body };
        seen.borrow_mut().push(request.clone());
        let mut answer = script(&request);
        while let Answer::Later(after, then) = answer {
            // The client may hang up meanwhile.
            if grenache_engine::timeout(after, stream.0.recv()).await.is_ok() {
                return;
            }
            answer = *then;
        }
        match answer {
            Answer::Ok(body) => write(&stream.0, 200, &body),
            Answer::Status(status, body) => write(&stream.0, status, &body),
            Answer::Raw(bytes) => stream.0.write(&bytes),
            Answer::Close => {
                stream.0.shutdown();
                while let Ok(Some(_)) = stream.0.recv().await {}
                return;
            }
            Answer::Never => {
                while let Ok(Some(_)) = stream.0.recv().await {}
                return;
            }
            Answer::Later(..) => unreachable!(),
        }
    }
}

fn write(stream: &TcpStream, status: u16, body: &str) {
    let length = body.len();
    stream
        .write(format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes());
}

/// Cuts a whole request off: path, head, body. Of chunked bodies it takes the chunks' data.
fn take_request(input: &mut Vec<u8>) -> Option<(String, String, Vec<u8>)> {
    let end = input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&input[..end]).to_ascii_lowercase();
    let path = String::from_utf8_lossy(&input[..end]).split(' ').nth(1)?.to_string();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.map_or(0, |text| text.parse().expect("a length"));
    if input.len() < end + length {
        return None;
    }
    let body = input[end..end + length].to_vec();
    input.drain(..end + length);
    Some((path, head, body))
}

/// What a fake grape knows.
pub(crate) type Directory = Rc<RefCell<BTreeMap<String, Vec<SocketAddr>>>>;

/// A grape that answers lookups from a list, and takes announcements.
pub(crate) fn grape(directory: &Directory) -> Fake {
    grape_at("127.0.0.1:0".parse().unwrap(), directory)
}

pub(crate) fn grape_at(addr: SocketAddr, directory: &Directory) -> Fake {
    let directory = directory.clone();
    Fake::at(addr, move |seen| answer_as_grape(seen, &directory))
}

pub(crate) fn answer_as_grape(seen: &Seen, directory: &Directory) -> Answer {
    let data = seen.json()["data"].clone();
    match &*seen.path {
        "/lookup" => {
            let peers = directory.borrow().get(data.as_str().unwrap()).cloned();
            Answer::Ok(serde_json::to_string(&peers.unwrap_or_default()).unwrap())
        }
        "/announce" => {
            let service = data[0].as_str().unwrap().to_string();
            let peer = format!("127.0.0.1:{}", data[1]).parse().unwrap();
            directory.borrow_mut().entry(service).or_default().push(peer);
            Answer::Ok("1".into())
        }
        _ => Answer::Ok("\"ERR_REQ_NOTFOUND\"".into()),
    }
}

/// A worker that replies with what `reply` makes of the payload.
pub(crate) fn worker(reply: impl Fn(&serde_json::Value) -> String + 'static) -> Fake {
    Fake::start(move |seen| {
        let result = reply(&seen.json()[2]);
        Answer::Ok(format!("[{},null,{result}]", seen.rid()))
    })
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap().local_addr()
}

/// Waits until all that was started has run as far as it can.
pub(crate) async fn settle() {
    sleep(ms(20)).await;
}
