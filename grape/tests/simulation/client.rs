//! Clients of the simulated grapes: they announce, look up, put and get over HTTP, as any would.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::sim::Host;
use grenache_engine::{Config, Core, TcpStream, fill_random, now, sleep, spawn_local, timeout};

use crate::items::{self, Writer};
use crate::network::{self, Grapes};
use crate::oracle::Oracle;

/// How long a client waits for an answer. A call that takes longer has got none.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client that was told too late that time is up begins its last call within this time.
pub(crate) const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Services that the clients announce and look up.
const SERVICES: u32 = 60;

/// Starts clients on a host that no partition touches. They begin calls for `length`.
pub(crate) fn start(
    grapes: &mut Grapes,
    oracle: &Rc<RefCell<Oracle>>,
    clients: usize,
    length: Duration,
) {
    let count = grapes.len();
    let oracle = oracle.clone();
    let end = grapes.world.now() + length;
    let main = move |_: Core<()>| {
        let oracle = oracle.clone();
        async move {
            let clients: Vec<_> =
                (0..clients).map(|_| spawn_local(client(count, oracle.clone(), end))).collect();
            for client in clients {
                client.await.expect("no client panics");
            }
        }
    };
    let host = Host::new(Ipv4Addr::new(10, 9, 9, 9));
    grapes.world.start(host, Config::default(), main).expect("a free host");
}

pub(crate) fn draw(below: u32) -> u32 {
    let mut bytes = [0; 4];
    fill_random(&mut bytes);
    u32::from_le_bytes(bytes) % below
}

async fn client(grapes: usize, oracle: Rc<RefCell<Oracle>>, end: Duration) {
    let mut writer = Writer::new();
    while now() < end {
        sleep(Duration::from_millis(u64::from(100 + draw(1500)))).await;
        let grape = draw(grapes as u32) as usize;
        let service = format!("service:{}", draw(SERVICES));
        match draw(12) {
            0..4 => announce(grape, &service, &oracle).await,
            4..8 => look_up(grape, &service, &oracle).await,
            8 => items::put_text(grape, &oracle).await,
            9 => writer.put(grape, &oracle).await,
            _ => items::get(grape, &oracle).await,
        }
    }
}

async fn announce(grape: usize, service: &str, oracle: &RefCell<Oracle>) {
    let port = 1 + draw(60_000) as u16;
    let body = format!("{{\"rid\":\"r\",\"data\":[\"{service}\",{port}]}}");
    let peer = SocketAddrV4::new(network::ip(grape), port);
    let call = oracle.borrow_mut().begin(grape, now());
    let began = call.began;
    let answer = post(network::api(grape), "/announce", &body).await;
    let mut oracle = oracle.borrow_mut();
    let stored = oracle.end(call, answer, now()).map(|text| match text.parse::<usize>() {
        Ok(stored) => stored,
        // Nobody could be reached: some may have stored it all the same.
        Err(_) if text == "\"All queries failed\"" => 0,
        Err(_) => panic!("announce answered {text}"),
    });
    oracle.announced(service, peer, stored, (began, now()));
}

async fn look_up(grape: usize, service: &str, oracle: &RefCell<Oracle>) {
    let body = format!("{{\"rid\":\"r\",\"data\":\"{service}\"}}");
    let call = oracle.borrow_mut().begin(grape, now());
    let answer = post(network::api(grape), "/lookup", &body).await;
    let mut oracle = oracle.borrow_mut();
    let began = call.began;
    if let Some(text) = oracle.end(call, answer, now()) {
        let list: Vec<String> = serde_json::from_str(&text).expect("a JSON list of strings");
        let peers: Vec<SocketAddrV4> =
            list.iter().map(|peer| peer.parse().expect("ip:port")).collect();
        oracle.found(service, &peers, grape, began, now());
    }
}

/// The connection broke, or nothing came in time.
#[derive(Debug)]
pub(crate) struct NoAnswer;

/// One request on a connection of its own. The answer is all that comes until the connection ends, and
/// must be exactly one.
pub(crate) async fn post(to: SocketAddr, path: &str, body: &str) -> Result<String, NoAnswer> {
    let exchange = async {
        let stream = TcpStream::connect(to).await.map_err(|_| NoAnswer)?;
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write(request.as_bytes());
        let mut answer = Vec::new();
        while let Some(bytes) = stream.recv().await.map_err(|_| NoAnswer)? {
            answer.extend_from_slice(&bytes);
        }
        if answer.is_empty() { Err(NoAnswer) } else { Ok(answer) }
    };
    let answer = timeout(PATIENCE, exchange).await.map_err(|_| NoAnswer)??;
    let answer = String::from_utf8(answer).expect("an answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let length = head.split("content-length: ").nth(1).expect("a length");
    let length = length.split("\r\n").next().and_then(|text| text.parse().ok());
    assert_eq!(length, Some(body.len()), "exactly one answer: {answer}");
    Ok(body.to_string())
}
