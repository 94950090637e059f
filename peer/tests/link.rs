//! The link against fake grapes, mostly in virtual time.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use grenache_engine::{live_tasks, now, sleep, spawn_local, timeout};
use grenache_peer::link::{Config, Grape, Link};
use grenache_peer::{Backoff, Error};
use support::{
    Answer, Directory, Fake, answer_as_grape, grape, grape_at, ms, nobody, settle, simulated,
};

fn link(grapes: &[&Fake]) -> Link {
    let grapes: Vec<Grape> = grapes.iter().map(|fake| fake.addr.into()).collect();
    Link::new(&grapes, Config::default(), None).unwrap()
}

fn known(service: &str) -> Directory {
    let directory = Directory::default();
    directory.borrow_mut().insert(service.into(), vec!["127.0.0.1:1337".parse().unwrap()]);
    directory
}

#[test]
fn an_answer_is_used_for_ten_seconds() {
    simulated(1, || async {
        let grape = grape(&known("a"));
        let link = link(&[&grape]);
        let found = link.lookup("a").await.unwrap();
        assert_eq!(found[..], ["127.0.0.1:1337".parse().unwrap()]);
        let answered = now();
        while now() < answered + ms(9_990) {
            assert_eq!(link.lookup("a").await.unwrap(), found);
            sleep(ms(9)).await;
        }
        assert_eq!(grape.count(), 1);
        sleep(ms(20)).await;
        link.lookup("a").await.unwrap();
        assert_eq!(grape.count(), 2);
        link.forget("a");
        link.lookup("a").await.unwrap();
        link.lookup_fresh("a").await.unwrap();
        assert_eq!(grape.count(), 4);
        // All over one connection, with the body of the API.
        assert_eq!(grape.open(), 1);
        let seen = grape.seen().remove(0);
        assert_eq!((&*seen.path, &seen.json()["data"]), ("/lookup", &"a".into()));
        assert_eq!(seen.json()["rid"].as_str().unwrap().len(), 36);
    });
}

#[test]
fn an_empty_answer_is_not_kept() {
    simulated(2, || async {
        let directory = Directory::default();
        let grape = grape(&directory);
        let link = link(&[&grape]);
        let empty = Error::LookupEmpty { service: "a".into() };
        assert_eq!(link.lookup("a").await, Err(empty.clone()));
        assert_eq!(link.lookup("a").await, Err(empty.clone()));
        assert_eq!(grape.count(), 2);
        directory.borrow_mut().insert("a".into(), vec!["10.0.0.1:1".parse().unwrap()]);
        assert_eq!(link.lookup("a").await.unwrap().len(), 1);
        // An empty answer also ends what was known.
        directory.borrow_mut().clear();
        assert_eq!(link.lookup_fresh("a").await, Err(empty));
        assert_eq!(link.cached("a"), None);
    });
}

#[test]
fn lookups_of_one_service_are_joined() {
    simulated(3, || async {
        let directory = known("a");
        let grape = Fake::start(move |seen| answer_as_grape(seen, &directory).later(ms(100)));
        let link = link(&[&grape]);
        let before = live_tasks();
        let lookup = |link: &Link| {
            let link = link.clone();
            spawn_local(async move { link.lookup("a").await.unwrap().len() })
        };
        let first = lookup(&link);
        settle().await;
        let others: Vec<_> = (0..100).map(|_| lookup(&link)).collect();
        settle().await;
        // Who asked first may leave.
        first.abort();
        for other in others {
            assert_eq!(other.await, Ok(1));
        }
        assert_eq!(grape.count(), 1);
        // When all leave, so does the lookup; what comes later asks anew.
        link.forget("a");
        let one = lookup(&link);
        settle().await;
        one.abort();
        settle().await;
        assert_eq!(live_tasks(), before + 1, "the fake's one connection");
        assert_eq!(grape.open(), 0);
        assert_eq!(lookup(&link).await, Ok(1));
        assert_eq!(grape.count(), 3);
    });
}

#[test]
fn a_grape_that_fails_is_replaced() {
    simulated(4, || async {
        let directory = known("a");
        let addr = nobody();
        let two = grape(&directory);
        let grapes = [addr.into(), two.addr.into()];
        let link = Link::new(&grapes, Config::default(), None).unwrap();
        link.lookup_fresh("a").await.unwrap();
        assert_eq!(two.count(), 1);
        // The other one comes up; the one that answered last is asked all the same.
        let one = grape_at(addr, &directory);
        for _ in 0..5 {
            link.lookup_fresh("a").await.unwrap();
            sleep(Duration::from_secs(60)).await;
        }
        assert_eq!((one.count(), two.count()), (0, 6));
        drop(two);
        let began = now();
        link.lookup_fresh("a").await.unwrap();
        link.lookup_fresh("a").await.unwrap();
        assert_eq!(one.count(), 2);
        assert!(now() - began < ms(10));
    });
}

#[test]
fn a_silent_grape_costs_one_time_out() {
    simulated(5, || async {
        let silent = Fake::start(|_| Answer::Never);
        let two = grape(&known("a"));
        let link = link(&[&silent, &two]);
        let began = now();
        link.lookup("a").await.unwrap();
        let took = now() - began;
        assert!((ms(2500)..ms(2510)).contains(&took), "{took:?}");
        link.lookup_fresh("a").await.unwrap();
        assert_eq!((silent.count(), two.count()), (1, 2));
        assert_eq!(silent.open(), 0, "a request that was given up takes its connection with it");
    });
}

#[test]
fn when_no_grape_answers_each_is_named() {
    simulated(6, || async {
        let silent = Fake::start(|_| Answer::Never);
        let garbage = Fake::start(|_| Answer::Ok("<html>".into()));
        let busy = Fake::start(|_| Answer::Status(503, "\"ERR_GRAPE_BUSY\"".into()));
        let closes = Fake::start(|_| Answer::Close);
        let refuses = nobody();
        let mut grapes: Vec<Grape> =
            [&silent, &garbage, &busy, &closes].iter().map(|fake| fake.addr.into()).collect();
        grapes.push(refuses.into());
        let link = Link::new(&grapes, Config::default(), None).unwrap();
        let Err(Error::GrapeUnreachable(text)) = link.lookup("a").await else { panic!() };
        for part in [
            format!("http://{}: no answer within 2.5s", silent.addr),
            format!("http://{}: what answers is no grape", garbage.addr),
            format!("http://{}: ERR_GRAPE_BUSY", busy.addr),
            format!("http://{}: it closed the connection", closes.addr),
            format!("http://{refuses}: no connection"),
        ] {
            assert!(text.contains(&part), "{part} in {text}");
        }
        // One alone is tried three times.
        let link = Link::new(&[busy.addr.into()], Config::default(), None).unwrap();
        let before = busy.count();
        assert!(matches!(link.lookup("a").await, Err(Error::GrapeUnreachable(_))));
        assert_eq!(busy.count() - before, 3);
    });
}

#[test]
fn a_grapes_own_errors_are_passed_on() {
    simulated(7, || async {
        let answers = |status, body: &'static str| {
            Fake::start(move |_| Answer::Status(status, body.to_string()))
        };
        for (status, body, text) in [
            (200, "\"ERR_GRAPE_LOOKUP\"", "ERR_GRAPE_LOOKUP"),
            (500, "ERR_GRAPE_PAYLOAD_INVALID", "ERR_GRAPE_PAYLOAD_INVALID"),
            (413, "ERR_GRAPE_PAYLOAD_SIZE", "ERR_GRAPE_PAYLOAD_SIZE"),
            (404, "", "HTTP status 404"),
        ] {
            let grape = answers(status, body);
            assert_eq!(link(&[&grape]).lookup("a").await, Err(Error::Grape(text.into())));
            assert_eq!(grape.count(), 1, "asking again would not help");
        }
        // A grape that knows nobody is no reason to give up if there is another.
        let alone = answers(200, "\"No nodes to query\"");
        let other = answers(200, "2");
        assert_eq!(link(&[&alone, &other]).announce("a", 1).await, Ok(2));
        let error = link(&[&alone]).announce("a", 1).await;
        assert_eq!(error, Err(Error::Grape("No nodes to query".into())));
    });
}

#[test]
fn a_service_that_comes_up_is_found_at_once() {
    simulated(8, || async {
        let directory = Directory::default();
        let grape = grape(&directory);
        let link = link(&[&grape]);
        let waits: Vec<_> = (0..50)
            .map(|_| {
                let link = link.clone();
                spawn_local(async move {
                    let began = now();
                    link.wait_for_service("a", Duration::from_secs(10)).await.unwrap();
                    now() - began
                })
            })
            .collect();
        sleep(ms(25)).await;
        directory.borrow_mut().insert("a".into(), vec!["10.0.0.1:1".parse().unwrap()]);
        for wait in waits {
            let took = wait.await.unwrap();
            assert!((ms(25)..ms(50)).contains(&took), "{took:?}");
        }
        assert!(grape.count() < 8, "all share their lookups: {}", grape.count());
    });
}

#[test]
fn who_comes_to_a_long_wait_is_not_made_to_wait_long() {
    simulated(9, || async {
        let directory = Directory::default();
        let grape = grape(&directory);
        let link = link(&[&grape]);
        let other = link.clone();
        let patient =
            spawn_local(async move { other.wait_for_service("a", ms(100_000)).await.is_ok() });
        sleep(ms(60_000)).await;
        let before = grape.count();
        // 10 s with pauses of up to 40 ms, then one a second.
        assert!((280..450).contains(&before), "{before}");
        sleep(ms(10_000)).await;
        assert!((8..12).contains(&(grape.count() - before)));
        let other = link.clone();
        let second = spawn_local(async move {
            other.wait_for_service("a", ms(5_000)).await.unwrap();
            now()
        });
        sleep(ms(25)).await;
        let up = now();
        directory.borrow_mut().insert("a".into(), vec!["10.0.0.1:1".parse().unwrap()]);
        assert!(second.await.unwrap() - up < ms(25));
        assert_eq!(patient.await, Ok(true));
    });
}

#[test]
fn waiting_ends_on_time_and_says_why() {
    simulated(10, || async {
        let grape = grape(&Directory::default());
        let waiting = link(&[&grape]);
        let before = live_tasks();
        let began = now();
        let error = waiting.wait_for_service("a", ms(1234)).await.unwrap_err();
        assert_eq!(error, Error::LookupEmpty { service: "a".into() });
        assert_eq!(now() - began, ms(1234));
        settle().await;
        let (tasks, count) = (live_tasks(), grape.count());
        // One task is the fake's connection, one the pool's.
        assert!(tasks <= before + 2, "nobody looks up for nobody");
        sleep(ms(1000)).await;
        assert_eq!(grape.count(), count);

        let silent = Fake::start(|_| Answer::Never);
        let error = link(&[&silent]).wait_for_service("a", ms(100)).await.unwrap_err();
        assert_eq!(error.code(), "ERR_TIMEOUT");
        let refuses = Fake::start(|_| Answer::Ok("\"ERR_GRAPE_LOOKUP\"".into()));
        let error = link(&[&refuses]).wait_for_service("a", ms(100)).await.unwrap_err();
        assert_eq!(error, Error::Grape("ERR_GRAPE_LOOKUP".into()));
    });
}

#[test]
fn announcements_are_repeated_within_a_peers_lifetime() {
    simulated(11, || async {
        let grape = grape(&Directory::default());
        let link = link(&[&grape]);
        let began = now();
        let announcing = link.start_announcing("rest:a", 1337);
        announcing.announced().await;
        assert!(now() - began < ms(20), "the first one leaves at once");
        assert_eq!(grape.seen()[0].json()["data"], serde_json::json!(["rest:a", 1337]));
        sleep(Duration::from_secs(3600)).await;
        let at: Vec<Duration> = grape.seen().iter().map(|seen| seen.at).collect();
        let gaps: Vec<Duration> = at.windows(2).map(|two| two[1] - two[0]).collect();
        assert!((50..70).contains(&gaps.len()), "{}", gaps.len());
        assert!(gaps.iter().all(|gap| (ms(44_900)..ms(75_100)).contains(gap)), "{gaps:?}");
        let (shortest, longest) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
        assert!(*longest - *shortest > ms(15_000), "they differ");
        announcing.stop();
        let count = grape.count();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(grape.count(), count);
    });
}

#[test]
fn settings_may_be_without_end() {
    simulated(16, || async {
        let grape = grape(&known("b"));
        let never = Duration::MAX;
        let config = Config {
            request_timeout: never,
            announce_interval: never,
            aside: Backoff { first: never, longest: never },
            ..Config::default()
        };
        let gone = nobody();
        let link = Link::new(&[gone.into(), grape.addr.into()], config, None).unwrap();
        let announcing = link.start_announcing("a", 7);
        timeout(ms(1000), announcing.announced()).await.unwrap();
        assert!(link.lookup("b").await.is_ok());
        settle().await;
        assert_eq!(grape.count(), 2);
    });
}

#[test]
fn announcing_begins_before_the_grape_does() {
    simulated(12, || async {
        let addr = nobody();
        let link = Link::new(&[addr.into()], Config::default(), None).unwrap();
        let announcing = Rc::new(link.start_announcing("a", 1));
        assert!(timeout(ms(60_000), announcing.announced()).await.is_err());
        assert_eq!(announcing.last_error().unwrap().code(), "ERR_GRAPE_UNREACHABLE");
        let grape = grape_at(addr, &Directory::default());
        let up = now();
        // By now the pauses have their full length of 10 s.
        announcing.announced().await;
        assert!(now() - up < ms(10_500), "{:?}", now() - up);
        assert_eq!((announcing.last_error(), grape.count()), (None, 1));
        // It goes away and comes back within a peer's lifetime.
        sleep(ms(1_000)).await;
        drop(grape);
        sleep(ms(80_000)).await;
        assert!(announcing.last_error().is_some());
        let grape = grape_at(addr, &Directory::default());
        sleep(ms(10_500)).await;
        assert_eq!((announcing.last_error(), grape.count()), (None, 1));
        drop(announcing);
        sleep(ms(100_000)).await;
        assert_eq!(grape.count(), 1, "dropping it stops");
    });
}

#[test]
fn a_put_is_not_sent_twice() {
    simulated(13, || async {
        use grenache_peer::link::{Put, SecretKey};
        let closes = Fake::start(|_| Answer::Close);
        let other = Fake::start(|_| Answer::Ok(format!("\"{}\"", "0".repeat(40))));
        let both = link(&[&closes, &other]);
        let key = SecretKey::from_seed(&[1; 32]);
        let put = Put::mutable("v", &key, 1, b"").unwrap();
        let error = both.put(&put).await.unwrap_err();
        assert_eq!((error.code(), other.count()), ("ERR_GRAPE_UNREACHABLE", 0));
        // An immutable one may be; and what the grape says is checked.
        let closed = closes.count();
        let error = both.put(&Put::immutable("v").unwrap()).await.unwrap_err();
        assert_eq!((error.code(), other.count()), ("ERR_ITEM", 1));
        assert!(closes.count() <= closed + 1);
        // Nothing has left for a grape that is not there.
        let elsewhere = Link::new(&[nobody().into(), other.addr.into()], Config::default(), None);
        assert_eq!(elsewhere.unwrap().put(&put).await.unwrap_err().code(), "ERR_ITEM");
    });
}

#[test]
fn a_put_is_not_repeated_where_it_is_open_what_became_of_it() {
    simulated(14, || async {
        use grenache_peer::link::{Put, SecretKey};
        let key = SecretKey::from_seed(&[1; 32]);
        let put = Put::mutable("v", &key, 1, b"").unwrap();
        for answer in [|| Answer::Ok("<html>".into()), || Answer::Status(502, String::new())] {
            let odd = Fake::start(move |_| answer());
            let other = Fake::start(|_| Answer::Ok(format!("\"{}\"", "0".repeat(40))));
            let error = link(&[&odd, &other]).put(&put).await.unwrap_err();
            assert_eq!((odd.count(), other.count()), (1, 0));
            assert_eq!(error.code(), "ERR_GRAPE_UNREACHABLE");
        }
        // One that is too busy to take it has not stored it.
        let busy = Fake::start(|_| Answer::Status(503, "\"ERR_GRAPE_BUSY\"".into()));
        let other = Fake::start(|_| Answer::Ok(format!("\"{}\"", "0".repeat(40))));
        assert!(link(&[&busy, &other]).put(&put).await.is_err());
        assert_eq!((busy.count(), other.count()), (1, 1));
    });
}

#[test]
fn many_who_begin_to_wait_are_no_storm_of_lookups() {
    simulated(15, || async {
        let grape = grape(&Directory::default());
        let link = link(&[&grape]);
        for _ in 0..1000 {
            let waiting = link.clone();
            spawn_local(async move { waiting.wait_for_service("a", ms(500)).await.is_ok() });
            sleep(Duration::from_micros(200)).await;
        }
        let count = grape.count();
        assert!((20..=41).contains(&count), "one in five milliseconds at most: {count}");
    });
}

#[test]
fn many_services_leave_nothing_behind() {
    simulated(14, || async {
        let grape = grape(&Directory::default());
        let link = link(&[&grape]);
        let before = live_tasks();
        let done = Rc::new(Cell::new(0));
        for round in 0..20 {
            let lookups: Vec<_> = (0..100)
                .map(|number| {
                    let (link, done) = (link.clone(), done.clone());
                    spawn_local(async move {
                        let _ = link.lookup(&format!("service:{round}:{number}")).await;
                        done.set(done.get() + 1);
                    })
                })
                .collect();
            for lookup in lookups {
                lookup.await.unwrap();
            }
        }
        assert_eq!((done.get(), grape.count()), (2000, 2000));
        link.close().await;
        sleep(ms(2_000)).await;
        assert_eq!((live_tasks(), grape.open()), (before, 0));
    });
}
