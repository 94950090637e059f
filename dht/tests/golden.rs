//! Byte for byte what Node's bittorrent-dht sends: the datagrams were captured from the real package, see
//! `vectors/`. Only tokens and transaction ids may differ.

use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use grenache_dht::krpc::{self, Body};
use grenache_dht::{Config, Dht, Get, Mutable, NodeId, Put};
use std::collections::{BTreeSet, HashMap};

const CAPTURE: &str = include_str!("vectors/bittorrent-dht-10.0.0.txt");
const NOW: Duration = Duration::from_secs(1);

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    [out, rest.to_vec()].concat()
}

fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    CAPTURE.lines().filter(|l| !l.starts_with('#')).map(|line| line.split(' ').collect())
}

fn dht(bootstrap: Vec<SocketAddrV4>) -> Dht {
    let id = lines().find(|line| line[0] == "id").map(|line| unhex(line[1])).unwrap();
    let mut config = Config::new(NodeId::from_slice(&id).unwrap(), 20001, [1; 32], [2; 32]);
    config.bootstrap = bootstrap;
    Dht::new(config, NOW)
}

fn token(datagram: &[u8]) -> Option<Vec<u8>> {
    match krpc::parse(datagram).unwrap().body {
        Body::Response(fields) => fields.token.map(<[u8]>::to_vec),
        _ => None,
    }
}

fn nodes(datagram: &[u8]) -> BTreeSet<Vec<u8>> {
    match krpc::parse(datagram).unwrap().body {
        Body::Response(fields) => {
            fields.nodes.unwrap_or_default().chunks(26).map(<[u8]>::to_vec).collect()
        }
        _ => BTreeSet::new(),
    }
}

#[test]
fn answers_are_nodes() {
    let mut dht = dht(Vec::new());
    let mut ports = HashMap::new();
    // Node's tokens and ours, by sender.
    let mut tokens: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let (mut ours, mut asked, mut replies) = (None, Vec::new(), 0);
    for line in lines().take_while(|line| line[0] != "fake") {
        match line[0] {
            "port" => {
                ports.insert(line[1], line[2].parse().unwrap());
            }
            "ask" => {
                asked = unhex(line[2]);
                let mut query = asked.clone();
                for (theirs, ours) in &tokens {
                    query = replace(&query, theirs, ours);
                }
                dht.receive(NOW, SocketAddrV4::new(Ipv4Addr::LOCALHOST, ports[line[1]]), &query);
                ours = dht.poll_transmit().map(|transmit| transmit.payload.to_vec());
                assert!(dht.poll_transmit().is_none());
            }
            "silence" => assert_eq!(ours, None, "{}", asked.escape_ascii()),
            "reply" => {
                let theirs = unhex(line[1]);
                let mut reply = ours.take().unwrap_or_else(|| panic!("{}", asked.escape_ascii()));
                if let (Some(theirs), Some(ours)) = (token(&theirs), token(&reply)) {
                    reply = replace(&reply, &ours, &theirs);
                    tokens.push((theirs, ours));
                    tokens.dedup();
                }
                if asked.len() > 300 && asked.windows(4).any(|window| window == b"300:") {
                    // Node's distances are floating-point numbers: with keys of 128 bytes and more they
                    // are all infinite, and the contacts come in no order.
                    let (ours, theirs) = (nodes(&reply), nodes(&theirs));
                    assert_eq!(ours, theirs);
                    continue;
                }
                let (reply, theirs) = (reply.escape_ascii(), theirs.escape_ascii());
                assert_eq!(
                    reply.to_string(),
                    theirs.to_string(),
                    "in answer to {}",
                    asked.escape_ascii()
                );
                replies += 1;
            }
            _ => {}
        }
    }
    assert!(replies > 40, "only {replies} answers were compared");
}

#[test]
fn queries_are_nodes() {
    let mut capture = lines().skip_while(|line| line[0] != "fake");
    let fake = capture.next().unwrap();
    let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, fake[2].parse().unwrap());
    let mut dht = dht(vec![addr]);
    let mut signed = (Vec::new(), Vec::new());
    // What we send on each command, and what Node sent.
    let mut ours: Vec<Vec<u8>> = Vec::new();
    let mut compared = 0;
    for line in capture {
        match line[0] {
            "mutable" => signed = (unhex(line[1]), unhex(line[2])),
            "do" => {
                match line[1..] {
                    ["lookup", key] => {
                        dht.lookup(NOW, key.as_bytes().to_vec()).unwrap();
                    }
                    ["announce", key, port] => {
                        let (key, port) = (key.as_bytes().to_vec(), port.parse().unwrap());
                        dht.announce(NOW, key, port, Ipv4Addr::LOCALHOST).unwrap();
                    }
                    ["put", "hello"] => {
                        dht.put(NOW, Put { v: "5:hello".into(), mutable: None }).unwrap();
                    }
                    ["put", "signed"] => {
                        let mutable = Some(Mutable {
                            k: signed.0.clone().try_into().unwrap(),
                            sig: signed.1.clone().into(),
                            seq: 4,
                            salt: "salt".into(),
                            cas: Some(3),
                        });
                        dht.put(NOW, Put { v: "6:signed".into(), mutable }).unwrap();
                    }
                    ["get"] => {
                        dht.get(NOW, Get { target: [5; 20], salt: "".into() }).unwrap();
                    }
                    ["ping"] => {
                        // Nothing else but silence makes a node ping.
                        for _ in 0..10_000 {
                            if dht.stats().queries > 0 {
                                break;
                            }
                            let at = dht.poll_timeout().unwrap();
                            dht.handle_timeout(at);
                        }
                    }
                    _ => {}
                }
                ours.clear();
                while let Some(transmit) = dht.poll_transmit() {
                    let query = transmit.payload.to_vec();
                    let t = krpc::parse(&query).unwrap().transaction.to_vec();
                    let answer = [
                        b"d1:rd2:id20:",
                        &unhex(fake[1])[..],
                        b"5:nodes0:5:token5:tokene1:t4:",
                        &t[..],
                        b"1:y1:re",
                    ]
                    .concat();
                    dht.receive(NOW, addr, &answer);
                    ours.push(replace(&query, &[b"1:t4:", &t[..]].concat(), b"1:t2:--"));
                }
            }
            "sent" => {
                let mut theirs = unhex(line[1]);
                let t = krpc::parse(&theirs).unwrap().transaction.to_vec();
                theirs = replace(&theirs, &[b"1:t2:", &t[..]].concat(), b"1:t2:--");
                assert!(
                    ours.contains(&theirs),
                    "Node sent {}, we sent {:?}",
                    theirs.escape_ascii(),
                    ours.iter().map(|query| query.escape_ascii().to_string()).collect::<Vec<_>>()
                );
                compared += 1;
            }
            _ => {}
        }
    }
    assert!(compared == 11, "only {compared} queries were compared");
}
