//! Compressed requests and answers.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use grenache_peer::server::Config;

use crate::client::{Answer, Client};
use crate::{on_both, until, with};

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("compressed");
    encoder.finish().expect("compressed")
}

fn gunzip(packed: &[u8]) -> String {
    let mut plain = String::new();
    GzDecoder::new(packed).read_to_string(&mut plain).expect("gzip");
    plain
}

pub(crate) fn post(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\ngrc-compress: gzip\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn call(client: &mut Client, body: &[u8]) -> Answer {
    client.send(post(body)).answer()
}

#[test]
fn both_bodies_are_compressed() {
    on_both(|rig| {
        let mut client = rig.client();
        for size in [0, 10, 10_000, 70_000, 5_000_000] {
            let text = "a\u{20ac}".repeat(size / 4);
            let answer = call(&mut client, &gzip(format!(r#"["r","echo","{text}"]"#).as_bytes()));
            assert_eq!(gunzip(&answer.body), format!(r#"["r",null,"{text}"]"#));
        }
        for (request, reply) in [
            (r#"["r","fail","mine"]"#, r#"["r","mine",null]"#),
            (r#"["r","panic",1]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","nobody",1]"#, r#"["r","ERR_SERVICE_NOTFOUND",null]"#),
            (r#"["r","slow",20]"#, r#"["r",null,20]"#),
        ] {
            assert_eq!(gunzip(&call(&mut client, &gzip(request.as_bytes())).body), reply);
        }
        // As in Node: a request that is not compressed after all is taken, its answer is compressed.
        let answer = call(&mut client, br#"["r","echo",1]"#);
        assert_eq!(gunzip(&answer.body), r#"["r",null,1]"#);
        client.send("POST / HTTP/1.1\r\nhost: a\r\ngrc-compress: none\r\ncontent-length: 14\r\n\r\n[\"r\",\"echo\",1]");
        assert_eq!(client.answer().text(), r#"["r",null,1]"#);
        // In chunks.
        let body = gzip(br#"["r","echo",2]"#);
        client.send("POST / HTTP/1.1\r\nhost: a\r\ngrc-compress: gzip\r\ntransfer-encoding: chunked\r\n\r\n");
        client.send(format!("{:x}\r\n", body.len())).send(&body).send("\r\n0\r\n\r\n");
        assert_eq!(gunzip(&client.answer().body), r#"["r",null,2]"#);
        assert_eq!(rig.worker.stats().accepted, 1);
    });
}

#[test]
fn bombs_and_damage() {
    with(Config { max_inflated: 1_000_000, ..Config::default() }, |rig| {
        let mut client = rig.client();
        let bomb = |size| gzip(format!(r#"["r","echo","{}"]"#, "0".repeat(size)).as_bytes());
        assert_eq!(call(&mut client, &bomb(999_000)).status, 200);
        assert_eq!(call(&mut client, &bomb(1_000_000)).status, 413);
        assert_eq!(call(&mut client, &bomb(100_000_000)).status, 413);
        let whole = gzip(br#"["r","echo",1]"#);
        for cut in [0, 1, 10, whole.len() - 1] {
            assert_eq!(call(&mut client, &whole[..cut]).status, 400, "{cut}");
        }
        let mut damaged = whole.clone();
        damaged[15] ^= 0x40;
        assert_eq!(call(&mut client, &damaged).status, 400);
        assert_eq!(call(&mut client, &gzip(b"oh")).status, 400);
        assert_eq!(call(&mut client, &whole).status, 200);
        until("nothing is left", || rig.worker.stats().in_flight == 0);
    });
}

/// Much of nothing takes long to read, also for those who count what comes out.
#[test]
fn long_work_is_done_off_the_core() {
    on_both(|rig| {
        let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        packed.extend([0, 0, 0, 0xff, 0xff].repeat(12_000_000));
        packed.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        let mut other = rig.client();
        let mut client = rig.client();
        client.send(post(&packed));
        until("it is at work", || rig.worker.stats().in_flight == 1);
        let mut meanwhile = 0;
        while rig.worker.stats().in_flight == 1 {
            other.ask(r#"["r","echo",1]"#);
            meanwhile += 1;
        }
        assert!(meanwhile > 5, "{meanwhile} others were served");
        assert_eq!(client.answer().status, 400);
    });
}
