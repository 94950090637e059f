use std::io;
use std::time::Duration;

use bytes::Bytes;
use grenache_engine::{spawn_local, timeout};

use super::certificates::{mutual, one_sided};
use super::{meet_well, read, run, run_everywhere, tls};
use crate::channel::Channel;
use crate::tls::Error;

/// Bytes that repeat with a period prime to any buffer's size.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[test]
fn ten_megabytes_each_way_at_once() {
    const TOTAL: usize = 10 << 20;
    run(|any| async move {
        let (client, server) = mutual();
        let (near, far) = meet_well(any, &client, &server).await;
        let sending = |channel: Channel, pieces: usize| async move {
            let data = Bytes::from(pattern(TOTAL));
            for start in (0..TOTAL).step_by(pieces) {
                let piece = data.slice(start..TOTAL.min(start + pieces));
                if start % 2 == 0 {
                    channel.send(piece)
                } else {
                    channel.write(&piece)
                }
                channel.drained(1 << 20).await.expect("the connection holds");
                assert!(channel.queued() < 1 << 20);
            }
            channel.shutdown();
        };
        let receiving = |channel: Channel| async move {
            let mut all = Vec::new();
            while let Some(bytes) = channel.recv().await.expect("the connection holds") {
                assert!(bytes.len() <= 64 << 10, "{} bytes of plaintext at once", bytes.len());
                all.extend_from_slice(&bytes);
            }
            assert!(all == pattern(TOTAL));
        };
        let tasks = [
            spawn_local(sending(near.clone(), 100_000)),
            spawn_local(sending(far.clone(), 77_777)),
        ];
        let readers = [spawn_local(receiving(near)), spawn_local(receiving(far))];
        for task in tasks {
            task.await.expect("no panic");
        }
        for task in readers {
            task.await.expect("no panic");
        }
    });
}

#[test]
fn one_large_piece_arrives_whole() {
    run(|any| async move {
        let (client, server) = one_sided();
        let (near, far) = meet_well(any, &client, &server).await;
        let data = pattern(3 << 20);
        near.send(data.clone().into());
        assert!(read(&far, data.len()).await == data);
        near.send(Bytes::new());
        near.write(b"");
        near.write(b"more");
        assert_eq!(read(&far, 4).await, b"more");
    });
}

#[test]
fn a_reader_that_rests_holds_up_the_writer() {
    run(|any| async move {
        let (client, server) = one_sided();
        let (near, far) = meet_well(any, &client, &server).await;
        // More than kernel and engine buffer on the way.
        let data = Bytes::from(pattern(12 << 20));
        near.send(data.clone());
        let waiting = timeout(Duration::from_millis(300), near.drained(1 << 10)).await;
        assert!(waiting.is_err(), "nobody reads, and yet all has left");
        let queued = near.queued();
        assert!(queued > 1 << 20);
        assert!(read(&far, data.len()).await == data);
        near.drained(1).await.expect("the connection holds");
    });
}

#[test]
fn the_end_is_told_from_a_cut() {
    run_everywhere(|any| async move {
        let (client, server) = one_sided();
        // shutdown() ends one direction.
        let (near, far) = meet_well(any, &client, &server).await;
        near.write(b"last");
        near.shutdown();
        near.write(b"after the end");
        assert_eq!(read(&far, 4).await, b"last");
        assert!(far.recv().await.expect("a good end").is_none());
        assert!(far.recv().await.expect("a good end, still").is_none());
        far.write(b"answer");
        assert_eq!(read(&near, 6).await, b"answer");
        far.shutdown();
        assert!(near.recv().await.expect("a good end").is_none());

        // So does dropping the last clone.
        let (near, far) = meet_well(any, &client, &server).await;
        let clone = near.clone();
        drop(near);
        clone.write(b"last");
        drop(clone);
        assert_eq!(read(&far, 4).await, b"last");
        assert!(far.recv().await.expect("a good end").is_none());

        // A FIN alone is not an end.
        let (near, far) = meet_well(any, &client, &server).await;
        near.write(b"some");
        tls(&near).tcp().shutdown();
        assert_eq!(read(&far, 4).await, b"some");
        for _ in 0..2 {
            let error = far.recv().await.expect_err("a cut");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert_eq!(Error::of(&error), Some(&Error::Truncated));
        }
        assert!(far.drained(1).await.is_err());
        far.write(b"vanishes");

        // Nor is a reset.
        let (near, far) = meet_well(any, &client, &server).await;
        near.abort();
        let error = far.recv().await.expect_err("a reset");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn the_start_of_a_received_piece_can_be_taken_off() {
    run(|any| async move {
        let (client, server) = one_sided();
        let (near, far) = meet_well(any, &client, &server).await;
        let (plain_near, plain_far) = super::pair(any).await;
        let plain = [Channel::Plain(plain_near), Channel::Plain(plain_far)];
        let [plain_near, plain_far] = plain;
        for (from, to) in [(near, far), (plain_near, plain_far)] {
            from.write(b"onetwo");
            let mut data = to.recv().await.expect("bytes").expect("bytes");
            data.advance(3);
            assert_eq!(&data[..], b"two");
            data.advance(100);
            assert!(data.is_empty());
        }
    });
}
