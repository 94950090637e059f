//! The client against fake workers, in virtual time.

mod support;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{live_tasks, now, sleep, spawn_local};
use grenache_peer::client::{Choice, Client, Config};
use grenache_peer::{Call, Error, Failure, Json, Link, link};
use support::{Answer, Directory, Fake, grape, ms, nobody, settle, simulated, worker};

/// A grape, and a client that knows it.
struct Net {
    directory: Directory,
    grape: Fake,
    client: Client,
}

fn net(workers: &[SocketAddr]) -> Net {
    net_with(workers, Config::default())
}

fn net_with(workers: &[SocketAddr], config: Config) -> Net {
    let directory = Directory::default();
    directory.borrow_mut().insert("a".into(), workers.to_vec());
    let grape = grape(&directory);
    let link = Link::new(&[grape.addr.into()], link::Config::default(), None).unwrap();
    let client = Client::new(link, config, None).unwrap();
    Net { directory, grape, client }
}

fn call() -> Call {
    Call::new("a", Json::of("hello").unwrap())
}

fn echo() -> Fake {
    worker(|payload| payload.to_string())
}

#[test]
fn a_request_and_its_reply() {
    simulated(1, || async {
        let worker = worker(|payload| format!("{{ \"got\" : {payload} }}"));
        let net = net(&[worker.addr]);
        for _ in 0..3 {
            let reply = net.client.request(call()).await.unwrap();
            assert_eq!(reply.as_str(), "{ \"got\" : \"hello\" }");
        }
        let seen = worker.seen();
        assert_eq!((seen.len(), worker.open(), net.grape.count()), (3, 1, 1));
        let body = seen[0].json();
        assert_eq!((&body[1], &body[2]), (&"a".into(), &"hello".into()));
        assert_ne!(seen[0].rid(), seen[1].rid());
        assert!(!seen[0].head.contains("grc-compress"));
        let reply = net.client.request_at(worker.addr, call().header("x-trace", "7")).await;
        assert!(reply.is_ok());
        assert!(worker.seen()[3].head.contains("\r\nx-trace: 7\r\n"));
        let error = net.client.request(call().header("x", "\r\n")).await.unwrap_err();
        assert_eq!(error.code(), "ERR_CONFIG");
        assert_eq!(net.client.in_flight(), 0);
    });
}

#[test]
fn every_kind_of_bad_answer_has_its_error() {
    simulated(2, || async {
        let answer: Rc<RefCell<Option<Answer>>> = Rc::default();
        let next = answer.clone();
        let worker = Fake::start(move |seen| match next.borrow_mut().take() {
            // A body of an answer may speak of the request's id.
            Some(Answer::Ok(body)) => Answer::Ok(body.replace("RID", &seen.rid())),
            Some(Answer::Status(status, body)) => {
                Answer::Status(status, body.replace("RID", &seen.rid()))
            }
            other => other.unwrap_or(Answer::Never),
        });
        let net = net(&[worker.addr]);
        let to = worker.addr;
        let status = |status, text: &str| Error::Request {
            to,
            failure: Failure::Status(status, text.to_string()),
        };
        let remote = |text: &str| Error::Remote(text.into());
        let ok = |body: &str| Answer::Ok(body.into());
        for (said, error) in [
            (ok("[RID,\"ERR_NO_FUNDS: 5\",null]"), remote("ERR_NO_FUNDS: 5")),
            (ok(""), Error::ReplyEmpty { to }),
            (ok("null"), Error::ReplyEmpty { to }),
            (ok("{\"a\":1}"), Error::ReplyEmpty { to }),
            (ok("[RID,null,"), Error::ReplyEmpty { to }),
            (ok("[\"other\",null,1]"), Error::ReplyRid { to }),
            (ok("[null,null,1]"), Error::ReplyRid { to }),
            (Answer::Status(500, "[null, \"ERR_X\", null]".into()), remote("ERR_X")),
            (Answer::Status(400, "[RID,\"ERR_Y\",null]".into()), remote("ERR_Y")),
            (
                Answer::Status(500, "[\"other\",\"ERR\",null]".into()),
                status(500, "[\"other\",\"ERR\",null]"),
            ),
            (Answer::Status(404, " gone ".into()), status(404, "gone")),
            (Answer::Status(204, String::new()), status(204, "")),
            (Answer::Close, Error::Closed { to }),
        ] {
            *answer.borrow_mut() = Some(said);
            let count = worker.count();
            assert_eq!(net.client.request(call()).await, Err(error.clone()), "{error}");
            assert_eq!(worker.count(), count + 1, "what may have run is not repeated: {error}");
        }
        *answer.borrow_mut() = Some(Answer::Raw(b"SSH-2.0-x\r\n".to_vec()));
        let error = net.client.request(call()).await.unwrap_err();
        assert!(matches!(error, Error::Request { failure: Failure::Malformed(_), .. }), "{error}");
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[";
        *answer.borrow_mut() = Some(Answer::Raw(cut.to_vec()));
        let error = net.client.request(call().timeout(ms(100))).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { may_have_run: true, .. }), "{error}");
        settle().await;
        assert_eq!((net.client.in_flight(), worker.open()), (0, 0));
    });
}

#[test]
fn what_has_not_run_is_tried_elsewhere() {
    simulated(3, || async {
        let busy =
            Fake::start(|seen| Answer::Status(503, format!("[{},\"ERR_BUSY\",null]", seen.rid())));
        let (dead, works) = (nobody(), echo());
        let net = net(&[busy.addr, dead, works.addr]);
        for _ in 0..20 {
            let began = now();
            assert_eq!(net.client.request(call()).await.unwrap().as_str(), "\"hello\"");
            assert!(now() - began < ms(60), "{:?}", now() - began);
        }
        assert_eq!(works.count(), 20);
        assert!(busy.count() > 0);
        let error = net.client.request_at(busy.addr, call()).await.unwrap_err();
        assert_eq!(error, Error::Request { to: busy.addr, failure: Failure::Busy });
        let error = net.client.request_at(dead, call().attempts(1)).await.unwrap_err();
        assert!(matches!(error, Error::Request { failure: Failure::Connect(_), .. }), "{error}");
        assert!(!error.may_have_run());
    });
}

#[test]
fn what_may_have_run_is_repeated_only_if_it_may() {
    simulated(4, || async {
        let closes = Fake::start(|_| Answer::Close);
        let net = net(&[closes.addr]);
        let error = net.client.request(call()).await.unwrap_err();
        assert_eq!((error, closes.count()), (Error::Closed { to: closes.addr }, 1));
        let error = net.client.request(call().idempotent()).await.unwrap_err();
        assert_eq!((error, closes.count()), (Error::Closed { to: closes.addr }, 4));
        // All with the same id.
        let seen = closes.seen();
        assert!(seen[1].rid() == seen[2].rid() && seen[2].rid() == seen[3].rid());
        assert!(seen[0].rid() != seen[1].rid());
        // An error of the handler is an answer.
        let error = support::worker(|_| "1".into());
        let remote = Fake::start(|seen| Answer::Ok(format!("[{},\"no\",null]", seen.rid())));
        net.directory.borrow_mut().insert("b".into(), vec![remote.addr]);
        let call = Call::new("b", Json::null()).idempotent();
        assert_eq!(net.client.request(call).await, Err(Error::Remote("no".into())));
        assert_eq!((remote.count(), error.count()), (1, 0));
    });
}

#[test]
fn an_earlier_try_that_may_have_run_is_not_forgotten() {
    simulated(5, || async {
        let closes = Fake::start(|_| Answer::Close);
        let dead = nobody();
        let net = net_with(&[closes.addr], Config::default());
        let other = net.directory.clone();
        let addr = closes.addr;
        let killer = spawn_local(async move {
            while closes.count() == 0 {
                sleep(ms(1)).await;
            }
            drop(closes);
            other.borrow_mut().insert("a".into(), vec![dead]);
        });
        let error = net.client.request(call().idempotent()).await.unwrap_err();
        assert!(error.may_have_run(), "{error}");
        assert_eq!(error, Error::Closed { to: addr });
        killer.await.unwrap();
    });
}

#[test]
fn deadlines_are_exact_and_over_everything() {
    simulated(6, || async {
        let silent = Fake::start(|_| Answer::Never);
        let net = net(&[silent.addr]);
        for limit in [1, 7, 500, 61_003] {
            let began = now();
            let error = net.client.request(call().timeout(ms(limit))).await.unwrap_err();
            let expected =
                Error::Timeout { limit: ms(limit), to: Some(silent.addr), may_have_run: true };
            assert_eq!((now() - began, error), (ms(limit), expected));
        }
        let began = now();
        net.client.request(call()).await.unwrap_err();
        assert_eq!(now() - began, ms(60_000), "the default");
        // Connecting.
        let away: SocketAddr = "10.9.9.9:1".parse().unwrap();
        let began = now();
        let error = net.client.request_at(away, call().timeout(ms(700))).await.unwrap_err();
        let expected = Error::Timeout { limit: ms(700), to: Some(away), may_have_run: false };
        assert_eq!((now() - began, error), (ms(700), expected));
        // Looking up.
        let grape = Fake::start(|_| Answer::Never);
        let link = Link::new(&[grape.addr.into()], link::Config::default(), None).unwrap();
        let client = Client::new(link, Config::default(), None).unwrap();
        let began = now();
        let error = client.request(call().timeout(ms(300))).await.unwrap_err();
        let expected = Error::Timeout { limit: ms(300), to: None, may_have_run: false };
        assert_eq!((now() - began, error), (ms(300), expected));
        // Retries, and the pauses between them.
        let began = now();
        let dead = call().timeout(ms(40)).attempts(1000);
        net.client.request_at(nobody(), dead).await.unwrap_err();
        assert!(now() - began <= ms(40));
        settle().await;
        assert_eq!((net.client.in_flight(), silent.open(), grape.open()), (0, 0, 0));
    });
}

#[test]
fn a_slow_try_of_an_idempotent_call_gives_way() {
    simulated(7, || async {
        let silent = Fake::start(|_| Answer::Never);
        let works = echo();
        let net = net_with(
            &[silent.addr, works.addr],
            Config { choice: Choice::Random, ..Config::default() },
        );
        let mut slow = 0;
        for _ in 0..10 {
            let began = now();
            let call = call().idempotent().attempt_timeout(ms(100));
            net.client.request(call).await.unwrap();
            let took = now() - began;
            slow += usize::from(took >= ms(100));
            assert!(took < ms(110), "{took:?}");
        }
        assert!((1..=3).contains(&slow), "after three in a row it is set aside: {slow}");
    });
}

#[test]
fn a_worker_that_is_gone_is_left_out_and_probed() {
    simulated(8, || async {
        let one = echo();
        let two = echo();
        let net = net(&[one.addr, two.addr]);
        let gone = two.addr;
        for _ in 0..50 {
            net.client.request(call()).await.unwrap();
        }
        assert!(one.count() > 10 && two.count() > 10, "both are used");
        drop(two);
        // What is sent at this very moment may have run; from then on nobody notices.
        settle().await;
        for _ in 0..600 {
            net.client.request(call()).await.unwrap();
            sleep(ms(100)).await;
        }
        // Back again, it is tried within the longest pause, and then used as before.
        let two = Fake::at(gone, |seen| Answer::Ok(format!("[{},null,2]", seen.rid())));
        let up = now();
        while two.count() == 0 {
            net.client.request(call()).await.unwrap();
            sleep(ms(100)).await;
        }
        assert!(now() - up < ms(30_200), "{:?}", now() - up);
        let before = two.count();
        for _ in 0..100 {
            net.client.request(call()).await.unwrap();
        }
        assert!((20..80).contains(&(two.count() - before)));
    });
}

#[test]
fn a_caller_in_a_hurry_says_nothing_about_a_worker() {
    simulated(21, || async {
        let slow = Fake::start(|seen| Answer::Ok(format!("[{},null,1]", seen.rid())).later(ms(50)));
        let quick = echo();
        let config = Config { map_concurrency: 1, ..Config::default() };
        let net = net_with(&[slow.addr, quick.addr], config);
        for _ in 0..10 {
            let hurried = net.client.request_at(slow.addr, call().timeout(ms(5))).await;
            assert_eq!(hurried.unwrap_err().code(), "ERR_TIMEOUT");
            // Nor does one whose time is up before a worker is asked.
            net.client.map(call().timeout(ms(8)), None).await.unwrap().all().await;
        }
        let before = (slow.count(), quick.count());
        for _ in 0..40 {
            net.client.request(call()).await.unwrap();
        }
        let (slow, quick) = (slow.count() - before.0, quick.count() - before.1);
        assert!(slow > 8 && quick > 8, "{slow} and {quick}");
    });
}

#[test]
fn one_request_probes_while_the_others_stay_away() {
    simulated(9, || async {
        let works = echo();
        // Takes connections and never answers: three failures set it aside.
        let sick = Fake::start(|_| Answer::Never);
        let net = net(&[works.addr, sick.addr]);
        let failed = Rc::new(Cell::new(0));
        let requests = async |count: usize| {
            let calls: Vec<_> = (0..count)
                .map(|_| {
                    let (client, failed) = (net.client.clone(), failed.clone());
                    spawn_local(async move {
                        let result = client.request(call().timeout(ms(50))).await;
                        failed.set(failed.get() + usize::from(result.is_err()));
                    })
                })
                .collect();
            for call in calls {
                call.await.unwrap();
            }
        };
        while failed.get() < 3 {
            requests(1).await;
        }
        failed.set(0);
        requests(100).await;
        assert_eq!(failed.get(), 0, "it is set aside");
        for round in 0..5 {
            sleep(ms(31_000)).await;
            failed.set(0);
            requests(100).await;
            assert_eq!(failed.get(), 1, "round {round}: a hundred at once, and one of them probes");
        }
    });
}

#[test]
fn when_all_workers_fail_the_service_is_looked_up_again() {
    simulated(10, || async {
        let old = echo();
        let net = net(&[old.addr]);
        net.client.request(call()).await.unwrap();
        drop(old);
        let new = echo();
        net.directory.borrow_mut().insert("a".into(), vec![new.addr]);
        sleep(ms(200)).await;
        let began = now();
        net.client.request(call()).await.unwrap();
        assert!(now() - began < ms(50), "{:?}", now() - began);
        assert_eq!(new.count(), 1);
        // The same address again: nothing is looked up while it answers.
        let count = net.grape.count();
        for _ in 0..10 {
            net.client.request(call()).await.unwrap();
        }
        assert_eq!(net.grape.count(), count);
        // And when it has gone for good, the grape is not asked by every request.
        drop(new);
        let count = net.grape.count();
        let began = now();
        while now() - began < ms(5_000) {
            net.client.request(call().attempts(1)).await.unwrap_err();
            sleep(ms(1)).await;
        }
        assert!((20..60).contains(&(net.grape.count() - count)), "{}", net.grape.count() - count);
    });
}

#[test]
fn a_single_worker_is_found_as_soon_as_it_is_back() {
    simulated(11, || async {
        let worker = echo();
        let addr = worker.addr;
        let net = net(&[addr]);
        net.client.request(call()).await.unwrap();
        drop(worker);
        for _ in 0..200 {
            net.client.request(call()).await.unwrap_err();
            sleep(ms(100)).await;
        }
        let _worker = Fake::at(addr, |seen| Answer::Ok(format!("[{},null,2]", seen.rid())));
        net.client.request(call()).await.unwrap();
    });
}

#[test]
fn waiting_for_a_service_is_part_of_the_call() {
    simulated(12, || async {
        let net = net(&[]);
        let error = net.client.request(call()).await.unwrap_err();
        assert_eq!(error, Error::LookupEmpty { service: "a".into() });
        let worker = echo();
        let directory = net.directory.clone();
        let addr = worker.addr;
        spawn_local(async move {
            sleep(ms(25)).await;
            directory.borrow_mut().insert("a".into(), vec![addr]);
        });
        let began = now();
        net.client.request(call().wait_for_service()).await.unwrap();
        assert!((ms(25)..ms(50)).contains(&(now() - began)), "{:?}", now() - began);
        let began = now();
        let nobody = Call::new("b", Json::null()).wait_for_service().timeout(ms(777));
        let error = net.client.request(nobody).await.unwrap_err();
        assert_eq!((now() - began, error.code()), (ms(777), "ERR_GRAPE_LOOKUP_EMPTY"));
    });
}

#[test]
fn retries_do_not_multiply_the_load() {
    simulated(13, || async {
        let busy =
            Fake::start(|seen| Answer::Status(503, format!("[{},\"ERR_BUSY\",null]", seen.rid())));
        let net = net(&[busy.addr]);
        let began = now();
        let calls = 2000;
        let asked: Vec<_> = (0..calls)
            .map(|_| {
                let client = net.client.clone();
                spawn_local(async move { client.request(call()).await.unwrap_err() })
            })
            .collect();
        for asked in asked {
            asked.await.unwrap();
        }
        let seconds = (now() - began).as_secs() as usize + 1;
        let retries = busy.count() - calls;
        assert!((10..=calls / 10 + 10 * seconds).contains(&retries), "{retries}");
    });
}

#[test]
fn the_less_loaded_of_two_is_chosen() {
    for (choice, least) in [(Choice::LeastLoaded, true), (Choice::Random, false)] {
        simulated(14, move || async move {
            let slow =
                Fake::start(|seen| Answer::Ok(format!("[{},null,1]", seen.rid())).later(ms(100)));
            let fast =
                Fake::start(|seen| Answer::Ok(format!("[{},null,1]", seen.rid())).later(ms(5)));
            let config = Config { choice, ..Config::default() };
            let net = net_with(&[slow.addr, fast.addr], config);
            let callers: Vec<_> = (0..20)
                .map(|_| {
                    let client = net.client.clone();
                    spawn_local(async move {
                        for _ in 0..50 {
                            client.request(call()).await.unwrap();
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap();
            }
            let (slow, fast) = (slow.count(), fast.count());
            assert_eq!(slow + fast, 1000);
            assert_eq!(fast > 4 * slow, least, "{choice:?}: {slow} slow, {fast} fast");
        });
    }
}

#[test]
fn a_dropped_call_leaves_nothing() {
    simulated(15, || async {
        let silent = Fake::start(|_| Answer::Never);
        let away: SocketAddr = "10.9.9.9:1".parse().unwrap();
        let net = net(&[silent.addr, away]);
        net.client.link().lookup("a").await.unwrap();
        let before = live_tasks();
        let calls: Vec<_> = (0..100)
            .map(|number| {
                let client = net.client.clone();
                spawn_local(async move {
                    match number % 3 {
                        0 => drop(client.request(call()).await),
                        1 => drop(client.request(call().wait_for_service()).await),
                        _ => drop(client.map(call(), None).await.unwrap().all().await),
                    }
                })
            })
            .collect();
        sleep(ms(1000)).await;
        assert!(silent.open() > 10 && net.client.in_flight() > 100);
        calls.iter().for_each(grenache_engine::JoinHandle::abort);
        drop(calls);
        settle().await;
        assert_eq!((silent.open(), net.client.in_flight()), (0, 0));
        assert!(live_tasks() <= before + 1, "{} and {before}", live_tasks());
    });
}

#[test]
fn too_many_at_once_are_refused() {
    simulated(16, || async {
        let silent = Fake::start(|_| Answer::Never);
        let config = Config { max_in_flight: 3, ..Config::default() };
        let net = net_with(&[silent.addr], config);
        let calls: Vec<_> = (0..3)
            .map(|_| {
                let client = net.client.clone();
                spawn_local(async move { client.request(call()).await })
            })
            .collect();
        settle().await;
        assert_eq!(net.client.request(call()).await.unwrap_err().code(), "ERR_BUSY");
        drop(calls);
    });
}

#[test]
fn map_gives_each_reply_as_it_comes() {
    simulated(17, || async {
        let worker = |number: u64| {
            Fake::start(move |seen| {
                Answer::Ok(format!("[{},null,{number}]", seen.rid())).later(ms(100 * number))
            })
        };
        let workers: Vec<Fake> = (1..=5).map(worker).collect();
        let (silent, dead) = (Fake::start(|_| Answer::Never), nobody());
        let mut addrs: Vec<SocketAddr> = workers.iter().map(|worker| worker.addr).collect();
        addrs.extend([silent.addr, dead]);
        let net = net(&addrs);
        let began = now();
        let mut replies = net.client.map(call().timeout(ms(1000)), None).await.unwrap();
        let mut ok = Vec::new();
        let mut failed = Vec::new();
        while let Some((from, reply)) = replies.next().await {
            match reply {
                Ok(reply) => {
                    let number = reply.to::<u64>().unwrap();
                    let took = now() - began;
                    assert!((ms(100 * number)..ms(100 * number + 20)).contains(&took), "{took:?}");
                    assert_eq!(from, workers[number as usize - 1].addr);
                    ok.push(number);
                }
                Err(error) => failed.push((from, error.code().to_string())),
            }
        }
        assert_eq!(ok, [1, 2, 3, 4, 5]);
        let request = "ERR_REQUEST_GENERIC".to_string();
        assert_eq!(failed, [(dead, request), (silent.addr, "ERR_TIMEOUT".to_string())]);
        assert_eq!(now() - began, ms(1000));
        assert!(replies.next().await.is_none());

        let some = net.client.map(call().timeout(ms(1000)), Some(3)).await.unwrap().all().await;
        assert_eq!(some.len(), 3);
        let nobody = net.client.map(Call::new("b", Json::null()), None).await;
        assert_eq!(nobody.err().unwrap().code(), "ERR_GRAPE_LOOKUP_EMPTY");
        assert_eq!(net.client.in_flight(), 0);
    });
}

#[test]
fn map_runs_a_bounded_number_at_once() {
    simulated(18, || async {
        let running = Rc::new(Cell::new(0_usize));
        let workers: Vec<Fake> = (0..40)
            .map(|_| {
                Fake::start(|seen| Answer::Ok(format!("[{},null,1]", seen.rid())).later(ms(50)))
            })
            .collect();
        let addrs: Vec<SocketAddr> = workers.iter().map(|worker| worker.addr).collect();
        let net = net_with(&addrs, Config { map_concurrency: 8, ..Config::default() });
        let began = now();
        let mut replies = net.client.map(call(), None).await.unwrap();
        let mut count = 0;
        while let Some((_, reply)) = replies.next().await {
            reply.unwrap();
            count += 1;
            running.set(running.get().max(net.client.in_flight()));
        }
        assert_eq!(count, 40);
        assert!(running.get() <= 8, "{}", running.get());
        assert!(now() - began >= ms(250));
    });
}

#[test]
fn gzip_both_ways() {
    simulated(19, || async {
        // "[null,...": not what was asked for, and not gzip.
        let plain = Fake::start(|_| Answer::Ok("[\"x\",null,1]".into()));
        let net = net(&[plain.addr]);
        let error = net.client.request(call().gzip()).await.unwrap_err();
        assert_eq!(error, Error::ReplyCompression { to: plain.addr });
        let seen = plain.seen().remove(0);
        assert!(seen.head.contains("\r\ngrc-compress: gzip\r\n"));
        assert_eq!(seen.body[..2], [0x1f, 0x8b]);
        // An error that a server answers before it knows of gzip.
        let early = Fake::start(|_| Answer::Status(500, "[null,\"ERR_EARLY\",null]".into()));
        let error = net.client.request_at(early.addr, call().gzip()).await.unwrap_err();
        assert_eq!(error, Error::Remote("ERR_EARLY".into()));
    });
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let order = Rc::new(RefCell::new(Vec::new()));
        let kept = order.clone();
        simulated(seed, move || {
            let order = order.clone();
            async move {
                let workers: Vec<Fake> = (0..10).map(|_| echo()).collect();
                let addrs: Vec<SocketAddr> = workers.iter().map(|worker| worker.addr).collect();
                let net = net(&addrs);
                for _ in 0..100 {
                    net.client.request(call()).await.unwrap();
                    order.borrow_mut().push(now());
                }
                let counts =
                    workers.iter().map(|worker| Duration::from_nanos(worker.count() as u64));
                order.borrow_mut().extend(counts);
            }
        });
        kept.take()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}
