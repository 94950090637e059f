//! Requests and answers.

use std::time::Duration;

use grenache_peer::server::Config;
use grenache_transports::zmtp::{Mechanism, Side, SocketType};

use crate::dealer::Peer;
use crate::{on_both, until, with};

#[test]
fn arrays_are_answered_as_over_websocket() {
    on_both(|rig| {
        let mut dealer = Peer::dealer(rig.worker.addr());
        let property = dealer.connection.peer().expect("met").properties.get("x-grenache-rpc");
        assert_eq!(property, Some(&b"array"[..]));
        for (request, answer) in [
            (r#"["r1","echo",{"a":[1.50, "\u20ac"]}]"#, r#"["r1",null,{"a":[1.50, "\u20ac"]}]"#),
            (r#"["r","echo"]"#, r#"["r",null,null]"#),
            (r#"[ 7 , "echo" , "größe 服务" ]"#, r#"[7,null,"größe 服务"]"#),
            (r#"["r","fail","ERR_OF: \"mine\"\n"]"#, r#"["r","ERR_OF: \"mine\"\n",null]"#),
            (r#"["r","nobody",1]"#, r#"["r","ERR_SERVICE_NOTFOUND",null]"#),
            (r#"["r","panic",1]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","blocking",1000]"#, r#"["r",null,500500]"#),
            ("", r#"[null,"ERR_REQUEST_PARSE",null]"#),
            (r#"["r","echo",01]"#, r#"[null,"ERR_REQUEST_PARSE",null]"#),
        ] {
            assert_eq!(dealer.ask(&[request]), [answer]);
            if !request.is_empty() {
                // As a REQ, and as one behind a ROUTER and a DEALER.
                assert_eq!(dealer.ask(&["", request]), ["", answer]);
                assert_eq!(dealer.ask(&["one", "two", "", request]), ["one", "two", "", answer]);
            }
        }
        let stream = dealer.ask(&[r#"["r","stream echo",1]"#]);
        assert!(stream[0].starts_with(r#"["r","ERR_STREAM_HTTP: "#), "{stream:?}");
        assert_eq!(rig.worker.stats().malformed, 4);
        assert_eq!(rig.worker.stats().connections, 1);
    });
}

#[test]
fn frames_are_answered_as_node_did_it() {
    on_both(|rig| {
        let mut dealer = Peer::dealer(rig.worker.addr());
        for (request, answer) in [
            (["r", "echo", "hello"], "hello"),
            (["r", "echo", ""], ""),
            (["a \"rid\"", "echo", "say \"hi\"\n{}"], "say \"hi\"\n{}"),
            (["r", "who", ""], r#"["who","\"r\"",null,"127.0.0.1"]"#),
            (["r", "fail", "ERR_OF: mine"], "ERR_OF: mine"),
            (["r", "fail", "mine"], "ERR_REMOTE: mine"),
            (["r", "fail", ""], "ERR_REMOTE"),
            (["r", "nobody", "1"], "ERR_SERVICE_NOTFOUND"),
            (["r", "panic", "1"], "ERR_HANDLER_PANIC"),
        ] {
            assert_eq!(dealer.ask(&request), [request[0], answer], "{request:?}");
            let [rid, key, payload] = request;
            assert_eq!(dealer.ask(&["", rid, key, payload]), ["", rid, answer]);
        }
        // Any bytes are an id; key and payload are texts.
        dealer.send(&[b"\xff\x00", b"echo", b"x"]);
        assert_eq!(dealer.next(), Some(vec![b"\xff\x00".to_vec(), b"x".to_vec()]));
        assert_eq!(dealer.send(&[b"r", b"echo", b"\xff"]).texts(), ["r", "ERR_REQUEST_PARSE"]);
        for parts in [&["a", "b"][..], &["a", "b", "c", "d"], &["", "a", "b"]] {
            let envelope = usize::from(parts[0].is_empty());
            let answer = dealer.ask(parts);
            assert_eq!(answer.len(), envelope + 1);
            assert_eq!(answer[envelope], r#"[null,"ERR_REQUEST_PARSE",null]"#);
        }
    });
}

#[test]
fn answers_come_as_handlers_are_done_and_large_ones_whole() {
    on_both(|rig| {
        let mut dealer = Peer::dealer(rig.worker.addr());
        dealer.send(&[br#"["slow","wait",1]"#]).send(&[br#"["quick","echo",2]"#]);
        assert_eq!(dealer.texts(), [r#"["quick",null,2]"#]);
        dealer.send(&[b"", br#"["go","go",3]"#]);
        let mut answers = [dealer.texts(), dealer.texts()].concat();
        answers.sort();
        assert_eq!(answers, ["", r#"["go",null,3]"#, r#"["slow",null,1]"#]);
        let many = 5_000_000;
        let text = format!("\"{}\"", "x".repeat(many));
        let echo = format!(r#"["r","echo",{text}]"#);
        assert_eq!(dealer.ask(&[&echo]), [format!(r#"["r",null,{text}]"#)]);
        assert_eq!(dealer.ask(&["r", "echo", &text]), ["r", &text]);
        // A small answer that is known meanwhile does not get into a large one.
        dealer.send(&[format!(r#"["r","many",{many}]"#).as_bytes()]);
        dealer.send(&[br#"["s","echo",2]"#]);
        assert_eq!(dealer.texts()[0].len(), many + 13);
        assert_eq!(dealer.texts(), [r#"["s",null,2]"#]);
    });
}

#[test]
fn too_many_at_once_are_not_begun() {
    with(Config { max_concurrent: 2, ..Config::default() }, |rig| {
        let mut dealer = Peer::dealer(rig.worker.addr());
        for rid in ["1", "2"] {
            dealer.send(&[format!(r#"["{rid}","wait",1]"#).as_bytes()]);
        }
        assert_eq!(dealer.ask(&[r#"["3","wait",1]"#]), [r#"["3","ERR_BUSY",null,503]"#]);
        assert_eq!(dealer.ask(&["", "4", "wait", "1"]), ["", "4", "ERR_BUSY"]);
        let mut other = Peer::dealer(rig.worker.addr());
        assert_eq!(other.ask(&[r#"["5","go",1]"#]), [r#"["5",null,1]"#]);
        assert_eq!(dealer.texts().len() + dealer.texts().len(), 2);
        assert_eq!(rig.worker.stats().refused, 2);
    });
}

#[test]
fn who_hangs_up_takes_its_requests_back() {
    on_both(|rig| {
        let mut dealer = Peer::dealer(rig.worker.addr());
        dealer.send(&[br#"["1","slow",60000]"#]).send(&[b"2", b"slow", b"60000"]);
        // The payload of frames is a text, which `slow` does not take.
        assert!(dealer.texts()[1].starts_with("ERR_"));
        until("it has begun", || rig.begun() == 2);
        drop(dealer);
        until("it is dropped", || rig.dropped() == 2);
        assert_eq!(rig.worker.stats().cancelled, 1);
    });
}

#[test]
fn a_worker_that_stops_answers_what_it_has_begun() {
    on_both(|rig| {
        let mut dealer = Peer::dealer(rig.worker.addr());
        let mut idle = Peer::dealer(rig.worker.addr());
        dealer.send(&[br#"["1","slow",300]"#]);
        until("it has begun", || rig.begun() == 1);
        rig.worker.stop();
        assert_eq!(dealer.texts(), [r#"["1",null,300]"#]);
        assert_eq!((dealer.next(), idle.next()), (None, None));
    });
}

#[test]
fn the_silent_are_pinged_and_given_up() {
    let config = Config {
        ping_interval: Duration::from_millis(50),
        ping_timeout: Duration::from_millis(200),
        ..Config::default()
    };
    with(config, |rig| {
        let mut alive = Peer::dealer(rig.worker.addr());
        let dead = Peer::dealer(rig.worker.addr());
        // What it is asked it answers while it waits for this.
        assert_eq!(alive.ask(&[r#"["1","slow",600]"#]), [r#"["1",null,600]"#]);
        until("the other is given up", || rig.worker.stats().connections == 1);
        drop(dead);
    });
}

#[test]
fn a_req_and_a_router_may_ask() {
    on_both(|rig| {
        for socket in [SocketType::Req, SocketType::Router] {
            let mechanism = Mechanism::null(Side::Connect);
            let mut peer = Peer::connect(rig.worker.addr(), socket, mechanism);
            assert_eq!(peer.ask(&["", r#"["r","echo",1]"#]), ["", r#"["r",null,1]"#]);
        }
        // Nobody publishes here.
        for socket in [SocketType::Sub, SocketType::Rep, SocketType::Pub] {
            let mechanism = Mechanism::null(Side::Connect);
            let peer = Peer::connect(rig.worker.addr(), socket, mechanism);
            assert_eq!(peer.refused.as_deref(), Some("Invalid socket type"), "{socket}");
        }
    });
}

#[test]
fn a_ping_that_names_a_time_is_followed_by_another_in_time() {
    let config = Config { ping_interval: Duration::from_millis(50), ..Config::default() };
    with(config, |rig| {
        let mut dealer = Peer::dealer(rig.worker.addr());
        assert_eq!(dealer.ask(&[r#"["r","slow",150]"#]), [r#"["r",null,150]"#]);
        let first = dealer.pings;
        assert!(first > 0);
        // It talks all the time now, and is told all the same that the worker is there.
        for _ in 0..30 {
            assert_eq!(dealer.ask(&[r#"["r","slow",10]"#]), [r#"["r",null,10]"#]);
        }
        assert!(dealer.pings >= first + 3, "{} and {}", first, dealer.pings);
    });
}
