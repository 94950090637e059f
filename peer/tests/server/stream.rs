//! Streamed requests.

use std::time::Duration;

use grenache_engine::sleep;
use grenache_peer::server::{self, Services};
use grenache_peer::{Error, Json};

use crate::{on_both, until, with};

pub(crate) fn add_services(services: &mut Services) {
    services.add_stream("stream echo", |request| async move {
        while let Some(piece) = request.read().await? {
            request.write(piece).await?;
        }
        Ok::<_, Error>(())
    });
    services.add_stream("count", |request| async move {
        let mut count = 0;
        while let Some(piece) = request.read().await? {
            count += piece.len();
        }
        request.reply(Ok(&Json::of(&count)?));
        Ok::<_, Error>(())
    });
    services.add_stream("early", |request| async move {
        request.reply(Ok(&Json::of("enough")?));
        Ok::<_, Error>(())
    });
    services.add_stream("meta", |request| async move {
        let args: serde_json::Value = request.args()?;
        let meta = (request.service(), request.rid().to_string(), request.action(), args);
        request.reply(Ok(&Json::of(&meta)?));
        Ok::<_, Error>(())
    });
    services.add_stream("fail", |request| async move {
        request.read().await.map_err(|error| error.to_string())?;
        Err::<(), _>("ERR_STREAM_OF_MINE".to_owned())
    });
    services.add_stream("fail late", |request| async move {
        request.write("begun").await?;
        request.read().await?;
        Err::<(), _>(Error::Stopped)
    });
    services.add_stream("panic", |request| async move {
        let piece = request.read().await?;
        assert!(piece.is_none(), "something");
        Ok::<_, Error>(())
    });
    services.add_stream("silent", |_| async { Ok::<_, Error>(()) });
    // Reads nothing for a while.
    services.add_stream("late reader", |request| async move {
        sleep(Duration::from_millis(300)).await;
        let mut count = 0;
        while let Some(piece) = request.read().await? {
            count += piece.len();
        }
        request.reply(Ok(&Json::of(&count)?));
        Ok::<_, Error>(())
    });
    // As many bytes as the arguments say, whatever comes.
    services.add_stream("download", |request| async move {
        let mut left: usize = request.args()?;
        while left > 0 {
            let piece = left.min(10_000);
            request.write(vec![b'd'; piece]).await?;
            left -= piece;
        }
        Ok::<_, Error>(())
    });
    // The request is handled in a task of its own.
    services.add_stream("task", |request| async move {
        let task = grenache_engine::spawn_local(async move {
            while let Some(piece) = request.read().await? {
                request.write(piece).await?;
            }
            Ok::<_, Error>(())
        });
        task.await.expect("no panic")
    });
}

fn head(service: &str, more: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: a\r\n_gr: [\"r\",\"{service}\"]\r\n{more}\
         transfer-encoding: chunked\r\n\r\n"
    )
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

#[test]
fn both_bodies_flow_at_once() {
    on_both(|rig| {
        for service in ["stream echo", "task"] {
            let mut client = rig.client();
            client.send(head(service, "")).send(chunk(b"one"));
            let (status, head) = client.head();
            assert_eq!(status, 200);
            assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"));
            assert_eq!(client.chunk().expect("a chunk"), b"one");
            client.send(chunk(b"two"));
            assert_eq!(client.chunk().expect("a chunk"), b"two");
            client.send("0\r\n\r\n");
            assert_eq!(client.chunk(), None);
            // And the connection goes on.
            assert_eq!(client.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        }
    });
}

#[test]
fn headers_say_what_is_asked() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(head("meta", "_a: upload\r\n_ar: {\"foo\": [1]}\r\n")).send("0\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["r",null,["meta","\"r\"","upload",{"foo":[1]}]]"#);
        client.send(head("meta", "")).send("0\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["r",null,["meta","\"r\"",null,{}]]"#);
        client.send(head("meta", "_ar: {oh\r\n")).send("0\r\n\r\n");
        let answer = client.answer();
        assert!(answer.text().starts_with(r#"["r","ERR_JSON: "#), "{answer:?}");
        client.send(head("nobody", "")).send(chunk(b"[1,\"none\",2]")).send("0\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["r","ERR_SERVICE_NOTFOUND",null]"#);
    });
}

#[test]
fn replies_of_streams() {
    on_both(|rig| {
        let mut client = rig.client();
        for (service, reply) in [
            ("count", r#"["r",null,5]"#),
            ("early", r#"["r",null,"enough"]"#),
            ("fail", r#"["r","ERR_STREAM_OF_MINE",null]"#),
            ("panic", r#"["r","ERR_HANDLER_PANIC",null]"#),
            ("silent", ""),
        ] {
            client.send(head(service, "")).send(chunk(b"hello")).send("0\r\n\r\n");
            let answer = client.answer();
            assert_eq!((answer.status, answer.text()), (200, reply));
            assert!(answer.head.contains("\r\ncontent-length: "), "its length is known");
        }
        // A request that is not streamed goes to a handler that is, if there is no other: with its body as it is.
        assert_eq!(client.ask(r#"["r","count",12345]"#), r#"["r",null,19]"#);
        assert_eq!(client.ask(r#"["r","stream echo",1]"#), r#"["r","stream echo",1]"#);
        client.send("POST / HTTP/1.0\r\n_gr: [\"r\",\"download\"]\r\n_ar: 1000000\r\n\r\n");
        assert_eq!(client.answer().body.len(), 1_000_000);
        assert_eq!(rig.worker.stats().in_flight, 0);
        assert_eq!(rig.worker.stats().accepted, 1);
    });
}

#[test]
fn a_reply_that_fails_halfway_is_not_taken_for_the_whole() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(head("fail late", ""));
        assert_eq!(client.head().0, 200);
        assert_eq!(client.chunk().expect("a chunk"), b"begun");
        client.send(chunk(b"go on"));
        assert!(client.breaks());
    });
}

#[test]
fn large_streams_both_ways_with_a_slow_reader() {
    let buffer = 64 * 1024;
    let config = server::Config {
        stream_buffer: buffer,
        write_high_water: buffer,
        ..server::Config::default()
    };
    with(config, |rig| {
        let mut client = rig.client();
        let data: Vec<u8> = (0..40_000_000_u32).map(|i| (i * 7 + (i >> 8)) as u8).collect();
        let mut sender = client.stream.try_clone().expect("a clone");
        let sent = data.clone();
        let sending = std::thread::spawn(move || {
            use std::io::Write;
            sender.write_all(head("stream echo", "").as_bytes()).expect("sent");
            for piece in sent.chunks(100_000) {
                sender.write_all(&chunk(piece)).expect("sent");
            }
            sender.write_all(b"0\r\n\r\n").expect("sent");
        });
        // Nobody reads: everything stands still, with what fits into the buffers on the way. The kernel has up to 20 MB.
        std::thread::sleep(Duration::from_millis(300));
        assert!(!sending.is_finished(), "the sender has to wait");
        assert_eq!(client.answer().body, data);
        sending.join().expect("all sent");
        assert_eq!(client.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
}

#[test]
fn an_upload_waits_for_its_handler() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(head("late reader", ""));
        for _ in 0..100 {
            client.send(chunk(&[b'u'; 100_000]));
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["r",null,10000000]"#);
    });
}

#[test]
fn an_early_answer_is_read_by_who_sends_all_first() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(head("early", ""));
        for _ in 0..100 {
            client.send(chunk(&[b'u'; 100_000]));
        }
        client.send("0\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["r",null,"enough"]"#);
        assert_eq!(client.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
    });
    // But not for ever.
    let config = server::Config { max_discard: 100_000, ..server::Config::default() };
    with(config, |rig| {
        let mut client = rig.client();
        client.send(head("early", ""));
        assert_eq!(client.answer().text(), r#"["r",null,"enough"]"#);
        client.send(chunk(&[b'u'; 101_000]));
        assert!(client.ends());
    });
}

#[test]
fn streams_take_their_turn() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(crate::client::post(r#"[1,"slow",20]"#));
        client.send(head("stream echo", "")).send(chunk(b"a")).send("0\r\n\r\n");
        client.send(crate::client::post(r#"[3,"echo",3]"#));
        assert_eq!(client.answer().text(), "[1,null,20]");
        assert_eq!(client.answer().text(), "a");
        assert_eq!(client.answer().text(), "[3,null,3]");
    });
}

#[test]
fn a_client_that_hangs_up_in_a_stream() {
    on_both(|rig| {
        for service in ["stream echo", "count", "task"] {
            let mut client = rig.client();
            client.send(head(service, "")).send(chunk(b"some"));
            until("it runs", || rig.worker.stats().in_flight == 1);
            drop(client);
            until("it ends", || rig.worker.stats().connections == 0);
            assert_eq!(rig.worker.stats().in_flight, 0);
        }
        // They were told, and so have ended by themselves; but not the one that waits for a task.
        let stats = rig.worker.stats();
        assert_eq!((stats.errors, stats.cancelled), (2, 1));
    });
}

#[test]
fn a_stream_that_is_no_http_any_more() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send(head("count", "")).send("zz\r\n");
        let answer = client.answer();
        assert!(answer.text().starts_with(r#"["r","ERR_REQUEST_GENERIC: "#), "{answer:?}");
        assert!(answer.text().contains("bad chunk size"));
        let answer = client.answer();
        assert_eq!((answer.status, answer.closes()), (400, true));
        assert!(client.ends());
    });
}

#[test]
fn a_stream_that_stalls_is_given_up() {
    let config =
        server::Config { idle_timeout: Duration::from_millis(100), ..server::Config::default() };
    with(config, |rig| {
        let mut client = rig.client();
        client.send(head("count", "")).send(chunk(b"some"));
        let answer = client.answer();
        assert!(answer.text().starts_with(r#"["r","ERR_TIMEOUT: "#), "{answer:?}");
        assert!(answer.closes());
        assert!(client.ends());
    });
}
