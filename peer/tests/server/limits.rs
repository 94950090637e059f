//! Limits, and what those see who are over one.

use std::io::Write;
use std::time::{Duration, Instant};

use grenache_engine::DriverChoice;
use grenache_peer::server::Config;

use crate::client::{Client, post};
use crate::gzip::{gzip, post as gzipped};
use crate::{Rig, on_both, until, with};

#[test]
fn too_many_requests_in_hand() {
    with(Config { max_in_flight: 2, ..Config::default() }, |rig| {
        let mut slow = rig.client();
        slow.send(post(r#"[1,"wait",1]"#)).send(post(r#"[2,"wait",2]"#));
        until("both run", || rig.worker.stats().in_flight == 2);
        let mut other = rig.client();
        for _ in 0..3 {
            let answer = other.call(r#"["mine","go",1]"#);
            assert_eq!((answer.status, answer.text()), (503, r#"["mine","ERR_BUSY",null]"#));
        }
        let gr = "POST / HTTP/1.1\r\nhost: a\r\n_gr: [\"R\",\"count\"]\r\n";
        other.send(format!("{gr}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
        let answer = other.answer();
        assert_eq!((answer.status, answer.text()), (503, r#"["R","ERR_BUSY",null]"#));
        // It has not run. Whoever hangs up makes room.
        drop(slow);
        until("there is room", || rig.worker.stats().in_flight == 0);
        assert_eq!(other.ask(r#"["mine","echo",1]"#), r#"["mine",null,1]"#);
        assert_eq!(rig.worker.stats().refused, 4);
    });
}

#[test]
fn limits_of_nothing_let_one_through() {
    let config =
        Config { max_pipelined: 0, stream_buffer: 0, write_high_water: 0, ..Config::default() };
    with(config, |rig| {
        let mut client = rig.client();
        for _ in 0..3 {
            client.ask(r#"["r","echo",1]"#);
        }
        assert_eq!(client.call(r#"["r","many",100000]"#).body.len(), 100_013);
        let gr = "POST / HTTP/1.1\r\nhost: a\r\n_gr: [\"R\",\"count\"]\r\n";
        client
            .send(format!("{gr}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"));
        assert_eq!(client.answer().status, 200);
    });
}

#[test]
fn too_many_bytes_of_requests() {
    let config = Config { max_held: 100_000, max_inflated: 1_000_000, ..Config::default() };
    with(config, |rig| {
        let request = post(&format!(r#"["r","wait","{}"]"#, "x".repeat(60_000)));
        let (begin, end) = request.split_at(50_000);
        let mut first = rig.client();
        first.send(begin);
        until("it is counted", || rig.worker.stats().held > 45_000);
        let refused = |bytes: &[u8]| {
            let mut client = rig.client();
            client.send(bytes);
            let answer = client.answer();
            assert_eq!((answer.status, answer.text()), (503, r#"[null,"ERR_BUSY",null]"#));
            assert!(answer.closes() && client.ends());
        };
        let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nf000\r\n";
        let chunked = format!("{chunked}{}", "x".repeat(60_000));
        refused(begin.repeat(2).as_bytes().get(..58_000).unwrap());
        refused(chunked.as_bytes());
        // Who came first is served, and keeps its place while it is.
        first.send(end);
        until("it runs", || rig.worker.stats().in_flight == 1);
        refused(&begin.as_bytes()[..49_000]);
        refused(chunked.as_bytes());
        let mut other = rig.client();
        let bomb = gzip(format!(r#"["r","echo","{}"]"#, "0".repeat(70_000)).as_bytes());
        let answer = other.send(gzipped(&bomb)).answer();
        assert_eq!((answer.status, answer.text()), (503, r#"[null,"ERR_BUSY",null]"#));
        other.ask(r#"["r","go",1]"#);
        assert_eq!(first.answer().status, 200);
        assert_eq!(other.send(gzipped(&bomb)).answer().status, 200);
        assert_eq!(rig.worker.stats().refused, 5);
        until("nothing is left", || rig.worker.stats().held == 0);
    });
}

#[test]
fn too_many_connections() {
    with(Config { max_connections: 2, ..Config::default() }, |rig| {
        let (mut one, mut two) = (rig.client(), rig.client());
        one.ask(r#"["r","echo",1]"#);
        two.ask(r#"["r","echo",1]"#);
        assert!(rig.client().ends());
        drop(one);
        until("there is room", || rig.worker.stats().connections == 1);
        assert_eq!(rig.client().ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(rig.worker.stats().refused, 1);
    });
}

#[test]
fn too_many_requests_of_one_connection_wait() {
    with(Config { max_pipelined: 3, ..Config::default() }, |rig| {
        let mut client = rig.client();
        for rid in 0..10 {
            client.send(post(&format!(r#"[{rid},"slow",60]"#)));
        }
        assert_eq!(client.answer().text(), "[0,null,60]");
        assert!(rig.begun() <= 6, "{} have begun", rig.begun());
        for rid in 1..10 {
            assert_eq!(client.answer().text(), format!("[{rid},null,60]"));
        }
    });
}

#[test]
fn bodies_too_large() {
    with(Config { max_body: 1000, max_discard: 5000, ..Config::default() }, |rig| {
        let body = |size| format!(r#"["r","echo","{}"]"#, "x".repeat(size));
        let mut client = rig.client();
        assert_eq!(client.call(&body(900)).status, 200);
        // The connection goes on after what can be skipped.
        for _ in 0..2 {
            assert_eq!(client.call(&body(1000)).status, 413);
        }
        let chunked = |size| {
            let (body, size) = (body(size), size + 15);
            format!(
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"
            )
        };
        assert_eq!(client.send(chunked(900)).answer().status, 200);
        assert_eq!(client.send(chunked(1000)).answer().status, 413);
        assert_eq!(client.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        // Nothing is waited for that is only claimed.
        for head in
            ["content-length: 123456789012\r\n", "content-length: 5000\r\nexpect: 100-continue\r\n"]
        {
            let mut client = rig.client();
            client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n"));
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (413, true));
            assert!(client.ends());
        }
        let mut client = rig.client();
        client.send(chunked(20_000));
        assert_eq!(client.answer().status, 413);
        assert!(client.ends());
    });
}

#[test]
fn heads_too_large() {
    with(Config { max_head: 4000, ..Config::default() }, |rig| {
        let mut client = rig.client();
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n_ar: {}\r\n\r\n", "x".repeat(4000)));
        assert_eq!(client.answer().status, 431);
        assert!(client.ends());
    });
}

#[test]
fn requests_that_take_too_long_to_come() {
    let config = Config { request_timeout: Duration::from_millis(150), ..Config::default() };
    with(config, |rig| {
        let beginnings = [
            "POST",
            "POST / HTTP/1.1\r\nhost: a\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n[1",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\n",
        ];
        for beginning in beginnings {
            let mut client = rig.client();
            let start = Instant::now();
            client.send(beginning);
            // A byte now and then gains no time.
            std::thread::sleep(Duration::from_millis(80));
            let _ = client.stream.write_all(b"1");
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (408, true), "{beginning}");
            assert!(start.elapsed() >= Duration::from_millis(150));
            assert!(client.ends());
        }
        // A handler may take longer than that, and so may the pause before the next request.
        let mut client = rig.client();
        assert_eq!(client.ask(r#"["r","slow",300]"#), r#"["r",null,300]"#);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(client.ask(r#"["r","slow",1]"#), r#"["r",null,1]"#);
        // While a handler is at work, the next request still has to come in time.
        client.send(post(r#"["r","slow",400]"#)).send("POST");
        assert_eq!(client.answer().text(), r#"["r",null,400]"#);
        assert_eq!(client.answer().status, 408);
    });
}

#[test]
fn connections_that_are_silent() {
    let config = Config { idle_timeout: Duration::from_millis(200), ..Config::default() };
    with(config, |rig| {
        let mut silent = rig.client();
        let start = Instant::now();
        assert!(silent.ends());
        assert!(start.elapsed() >= Duration::from_millis(190));
        let mut client = rig.client();
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(100));
            client.ask(r#"["r","echo",1]"#);
        }
        // A handler at work is no silence.
        assert_eq!(client.ask(r#"["r","slow",500]"#), r#"["r",null,500]"#);
        assert!(client.ends());
    });
}

#[test]
fn clients_that_do_not_read() {
    let config = Config { write_timeout: Duration::from_millis(400), ..Config::default() };
    with(config, |rig| {
        let mut client = rig.client();
        client.send(post(r#"["r","many",30000000]"#));
        until("it is given up", || {
            rig.worker.stats().accepted == 1 && rig.worker.stats().connections == 0
        });
        assert!(client.breaks());
        let mut stream = rig.client();
        let head = "POST / HTTP/1.1\r\nhost: a\r\n_gr: [\"r\",\"download\"]\r\n_ar: 100000000\r\n";
        stream.send(format!("{head}transfer-encoding: chunked\r\n\r\n"));
        until("it is given up", || {
            rig.worker.stats().accepted == 2 && rig.worker.stats().connections == 0
        });
        assert_eq!(rig.worker.stats().in_flight, 0);
        // Who reads slowly but steadily is served.
        let mut slow = Client::narrow(rig.worker.addr());
        slow.send(post(r#"["r","many",20000000]"#));
        let start = Instant::now();
        slow.read_slowly(20_000_000, 20_000);
        assert!(start.elapsed() > Duration::from_millis(800));
    });
}

#[test]
fn who_sends_without_reading_is_made_to_wait() {
    on_both(|rig| {
        let mut client = rig.client();
        client.stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        let request = post(&format!(r#"["r","echo","{}"]"#, "x".repeat(100_000)));
        let mut sent = 0;
        while sent < 3000 && client.stream.write_all(request.as_bytes()).is_ok() {
            sent += 1;
        }
        assert!(sent < 3000, "it was read on and on");
        assert_eq!(rig.client().ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
}

#[test]
fn thousands_of_idle_connections() {
    // Both ends are in this process, beside what other tests open.
    let descriptors = rlimit::increase_nofile_limit(20_000).expect("a limit");
    let count = 3000.min(descriptors / 3);
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        let rig = Rig::start(driver, Config::default());
        let clients: Vec<_> = (0..count).map(|_| rig.client()).collect();
        until("all are taken", || rig.worker.stats().connections == count);
        let mut clients = clients;
        for client in &mut clients {
            client.ask(r#"["r","echo",1]"#);
        }
        let start = Instant::now();
        rig.worker.stop();
        for client in &mut clients {
            assert!(client.ends());
        }
        rig.worker.join().expect("no panic");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}
