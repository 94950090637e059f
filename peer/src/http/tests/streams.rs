//! Requests and answers in pieces.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use grenache_engine::{now, sleep};
use grenache_transports::http::{self as wire, Bodies, Event, Field, Framing, chunk};

use super::*;
use crate::Failure;
use crate::http::Exchange;

async fn open(pool: &Pool, site: &Site) -> Exchange {
    let fields = [Field::new("_gr", br#"["rid","key"]"#).expect("a field")];
    let head = Outgoing { fields: &fields, ..post(b"") };
    pool.open(&site.target, &head, now() + LONG).await.expect("a connection")
}

/// A server that sends every piece back as it comes.
fn mirror(any: SocketAddr) -> Site {
    Site::start(any, |peer, _| async move {
        let config = wire::Config { bodies: Bodies::Stream, ..wire::Config::default() };
        let mut parser = wire::Connection::new(config);
        let mut out = BytesMut::new();
        while let Ok(Some(data)) = peer.stream.recv().await {
            let mut input = &data[..];
            while let Some(event) = parser.receive(&mut input).expect("a request") {
                match event {
                    Event::Head(head) => {
                        assert_eq!(head.headers.get("_gr"), Some(&br#"["rid","key"]"#[..]));
                        let (keep, chunked) = (Persistence::KeepAlive, Framing::Chunked);
                        response::write_head(&mut out, 200, keep, DATE, &[], chunked);
                    }
                    Event::Data(piece) => chunk::write(&mut out, piece),
                    Event::End => out.extend_from_slice(chunk::LAST),
                    other => panic!("{other:?}"),
                }
            }
            peer.stream.write(&out);
            out.clear();
            if peer.stream.drained(256 * 1024).await.is_err() {
                return;
            }
        }
    })
}

/// Waits for both.
async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut a, mut b) = (None, None);
    poll_fn(|context| {
        if a.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(context)
        {
            a = Some(output);
        }
        if b.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(context)
        {
            b = Some(output);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn both_directions_flow_at_once_and_the_connection_is_kept() {
    run(|any| async move {
        let (pool, site) = (pool(), mirror(any));
        let data: Vec<u8> = (0..10_000_000u32).map(|n| (n ^ (n >> 9) ^ (n >> 14)) as u8).collect();
        let data = Bytes::from(data);
        for size in [0, 1, 5000, 300_000, 10_000_000] {
            let exchange = open(&pool, &site).await;
            assert_eq!(pool.in_flight(site.target.addr), 1);
            let send = async {
                for piece in data[..size].chunks(70_001) {
                    exchange.send(data.slice_ref(piece)).await.expect("it is sent");
                }
                exchange.finish();
            };
            let receive = async {
                assert_eq!(exchange.status().await, Ok(200));
                let mut received = Vec::new();
                while let Some(piece) = exchange.recv().await.expect("a piece") {
                    received.extend_from_slice(&piece);
                }
                received
            };
            let ((), received) = both(send, receive).await;
            assert!(received == data[..size], "{size} bytes");
            assert_eq!(exchange.recv().await, Ok(None), "the end is the end");
        }
        assert_eq!(site.accepted.get(), 1);
        site.end(&pool).await;
    });
}

#[test]
fn a_stream_that_is_dropped_is_broken_off() {
    run(|any| async move {
        let (pool, site) = (pool(), mirror(any));
        for stage in 0..4 {
            let exchange = open(&pool, &site).await;
            if stage > 0 {
                exchange.send("some".into()).await.expect("it is sent");
                exchange.status().await.expect("a head");
            }
            if stage > 1 {
                let piece = exchange.recv().await.expect("a piece").expect("not the end");
                assert!(b"some".starts_with(&piece));
            }
            if stage > 2 {
                exchange.finish();
            }
            drop(exchange);
            assert_eq!(pool.in_flight(site.target.addr), 0);
        }
        let end = now() + Duration::from_secs(5);
        while site.open.get() > 0 {
            assert!(now() < end, "{} connections", site.open.get());
            sleep(Duration::from_millis(5)).await;
        }
        site.end(&pool).await;
    });
}

#[test]
fn a_stream_that_breaks_says_so_on_both_sides() {
    run(|any| async move {
        let site = Site::start(any, |peer, number| async move {
            peer.stream.recv().await.expect("a request");
            match number {
                0 => {
                    peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha");
                    sleep(Duration::from_millis(10)).await;
                }
                1 => {}
                _ => {
                    peer.write("garbage");
                    peer.hear_out().await;
                }
            }
        });
        let pool = pool();
        let exchange = open(&pool, &site).await;
        let mut received = Vec::new();
        while received.len() < 2 {
            received.extend(exchange.recv().await.expect("a piece").expect("not the end"));
        }
        assert_eq!(received, b"ha");
        let cut = "connection closed in the middle of an answer";
        let cut = Failed::Failure(Failure::Broken(cut.into()));
        assert_eq!(exchange.recv().await, Err(cut.clone()));
        assert_eq!(exchange.send("more".into()).await, Err(cut));
        drop(exchange);
        let exchange = open(&pool, &site).await;
        assert_eq!(exchange.status().await.expect_err("no head"), Failed::Closed);
        drop(exchange);
        let exchange = open(&pool, &site).await;
        let failed = exchange.status().await.expect_err("no head");
        assert_eq!(failed, Failed::Failure(Failure::Malformed("bad status line".into())));
        drop(exchange);
        site.end(&pool).await;
    });
}

#[test]
fn a_server_that_does_not_read_holds_the_sender_up() {
    run(|any| async move {
        let site = Site::start(any, |peer, _| async move {
            // Nothing is read for a while, then everything.
            sleep(Duration::from_millis(500)).await;
            peer.hear_out().await;
        });
        let pool = pool();
        let exchange = open(&pool, &site).await;
        let piece = Bytes::from(vec![0; 64 * 1024]);
        let sent = Cell::new(0);
        let flood = async {
            loop {
                exchange.send(piece.clone()).await.expect("it is sent");
                sent.set(sent.get() + piece.len());
            }
        };
        assert!(timeout(Duration::from_millis(300), flood).await.is_err());
        // What the kernels on both sides hold, and a quarter of a megabyte here.
        assert!(sent.get() < 50_000_000, "{} bytes", sent.get());
        drop(exchange);
        site.end(&pool).await;
    });
}

#[test]
fn who_only_sends_learns_that_the_connection_is_gone() {
    run(|any| async move {
        let site = Site::start(any, |peer, _| async move {
            peer.stream.recv().await.expect("a head");
            peer.stream.abort();
        });
        let pool = pool();
        let exchange = open(&pool, &site).await;
        let mut sent = 0;
        let failed = loop {
            match exchange.send(Bytes::from_static(b"piece")).await {
                Ok(()) => sent += 1,
                Err(failed) => break failed,
            }
            assert!(sent < 1000, "it goes on into nothing");
            sleep(Duration::from_millis(1)).await;
        };
        assert!(matches!(failed, Failed::Failure(Failure::Broken(_))), "{failed:?}");
        drop(exchange);
        site.end(&pool).await;
    });
}
