//! Who is let in, and what each side sees of the other's certificate.

use rcgen::SanType;
use serde_json::{Value, json};

use crate::caller::{Caller, Options};
use crate::certificates::{Pair, STRANGER, TRUSTED};
use crate::grapes::{self, SIDES, Side, prefix};
use crate::secure::{ClientSide, Clients, ServerSide};
use crate::worker::Plan;

/// What a handler sees of a client's certificate.
fn seen(pair: &Pair) -> Value {
    json!({"sha1": pair.sha1(), "sha256": pair.sha256()})
}

#[test]
fn certificates_are_seen_on_the_other_side() {
    let (worker_pair, client_pair) = (TRUSTED.issue("the worker"), TRUSTED.issue("the client"));
    let settings = ClientSide::new(&client_pair);
    let mut callers = SIDES.map(|side| Caller::start(side, Side::Rust, Some(&settings)));
    for worker in SIDES {
        for clients in [Clients::Anyone, Clients::Optional, Clients::Required] {
            let server = ServerSide::new(&worker_pair, clients);
            let prefix = prefix("certificates");
            let _worker =
                Plan::new(worker, &prefix, &["certificate"]).secure(Some(&server)).start();
            for caller in &mut callers {
                let which = format!("{:?} to {worker:?}, {clients:?}", caller.side());
                // Over a first connection, a kept one, resumed sessions: Node makes a connection for each request.
                for _ in 0..3 {
                    let service = format!("{prefix}:certificate");
                    let answer = caller.request(&service, "1", Options::default());
                    let answer = answer.unwrap_or_else(|error| panic!("{which}: {error}"));
                    let answer: Value = serde_json::from_str(&answer).expect("JSON");
                    let shown = clients != Clients::Anyone;
                    let expected = if shown { seen(&client_pair) } else { json!({}) };
                    assert_eq!(answer, expected, "{which}");
                }
                if caller.side() == Side::Node {
                    let shown = caller.shown();
                    assert_eq!(shown["sha1"], json!(worker_pair.sha1()), "{which}");
                    assert_eq!(shown["sha256"], json!(worker_pair.sha256()), "{which}");
                    assert_eq!(shown["subject"], json!("the worker"), "{which}");
                }
            }
        }
    }
}

/// What becomes of a request of a client that is refused; a good client gets through afterwards.
#[track_caller]
fn refused(bad: &mut Caller, good: Option<&mut Caller>, service: &str) -> String {
    let options = Options { timeout_ms: Some(5000), ..Options::default() };
    let failed = bad.request(service, "1", options).expect_err("it is refused");
    // A second try meets no half-open leftover of the first.
    bad.request(service, "1", options).expect_err("it is refused again");
    if let Some(good) = good {
        assert_eq!(good.request(service, "1", options).as_deref(), Ok("1"));
    }
    failed
}

const ERR_REQUEST: &str = "ERR_REQUEST_GENERIC: ";

#[test]
fn workers_whom_the_client_does_not_trust() {
    let pair = TRUSTED.issue("worker");
    let server = ServerSide::new(&pair, Clients::Anyone);
    let other_address = vec![SanType::IpAddress([127, 0, 0, 2].into())];
    let elsewhere =
        ServerSide::new(&TRUSTED.issue_for("elsewhere", other_address), Clients::Anyone);
    let settings = ClientSide::new(&TRUSTED.issue("client"));
    let authority = STRANGER.pem().to_string();
    for caller in SIDES {
        let start = |settings: &ClientSide| Caller::start(caller, Side::Rust, Some(settings));
        let mut good = start(&settings);
        let mut other_authority =
            start(&ClientSide { authority: authority.clone(), ..settings.clone() });
        let allow = vec![TRUSTED.issue("another").sha1()];
        let mut picky = start(&ClientSide { allow, ..settings.clone() });
        let mut content = start(&ClientSide { allow: vec![pair.sha1()], ..settings.clone() });
        for worker in SIDES {
            let which = format!("{caller:?} to {worker:?}");
            let prefix = prefix("refused");
            let service = format!("{prefix}:echo");
            let _worker = Plan::new(worker, &prefix, &["echo"]).secure(Some(&server)).start();
            let failed = refused(&mut other_authority, Some(&mut good), &service);
            assert!(failed.starts_with(ERR_REQUEST), "{which}: {failed}");
            let failed = refused(&mut picky, Some(&mut content), &service);
            assert!(failed.starts_with(ERR_REQUEST), "{which}: {failed}");

            let prefix = grapes::prefix("elsewhere");
            let service = format!("{prefix}:echo");
            let _worker = Plan::new(worker, &prefix, &["echo"]).secure(Some(&elsewhere)).start();
            let failed = refused(&mut good, None, &service);
            assert!(failed.starts_with(ERR_REQUEST), "{which}: {failed}");
        }
    }
}

#[test]
fn clients_whom_the_worker_does_not_trust() {
    let good_pair = TRUSTED.issue("client");
    let server = ServerSide::new(&TRUSTED.issue("worker"), Clients::Required);
    let picky = ServerSide { allow: vec![good_pair.sha1()], ..server.clone() };
    for caller in SIDES {
        let start = |pair: &Pair| Caller::start(caller, Side::Rust, Some(&ClientSide::new(pair)));
        let mut good = start(&good_pair);
        let mut stranger = start(&STRANGER.issue("client"));
        let mut unlisted = start(&TRUSTED.issue("client"));
        // Node's client does not do without a certificate.
        let nobody = ClientSide { pair: None, ..ClientSide::new(&good_pair) };
        let mut nobody =
            (caller == Side::Rust).then(|| Caller::start(caller, Side::Rust, Some(&nobody)));
        for worker in SIDES {
            let which = format!("{caller:?} to {worker:?}");
            let prefix = prefix("refused");
            let service = format!("{prefix}:echo");
            let _worker = Plan::new(worker, &prefix, &["echo"]).secure(Some(&server)).start();
            // In TLS 1.3 the client has done its part before the worker looks, and Node's worker hangs up without a word.
            let expected = match (caller, worker) {
                (Side::Rust, Side::Node) => ["ERR_TRANSPORT_CLOSE", ERR_REQUEST],
                _ => [ERR_REQUEST; 2],
            };
            for bad in [Some(&mut stranger), nobody.as_mut()].into_iter().flatten() {
                let failed = refused(bad, Some(&mut good), &service);
                assert!(expected.iter().any(|text| failed.starts_with(text)), "{which}: {failed}");
            }

            // Node's workers look at fingerprints in the handler, ours before.
            let prefix = grapes::prefix("picky");
            let service = format!("{prefix}:echo");
            let _worker = Plan::new(worker, &prefix, &["echo"]).secure(Some(&picky)).start();
            let failed = refused(&mut unlisted, Some(&mut good), &service);
            let expected = if worker == Side::Node { "ERR_FINGERPRINT" } else { ERR_REQUEST };
            assert!(failed.starts_with(expected), "{which}: {failed}");
        }
    }
}

#[test]
fn plain_clients_of_tls_workers_and_the_other_way_round() {
    let server = ServerSide::new(&TRUSTED.issue("worker"), Clients::Anyone);
    let client = ClientSide::new(&TRUSTED.issue("client"));
    for caller in SIDES {
        let mut secure = Caller::start(caller, Side::Rust, Some(&client));
        let mut plain = Caller::start(caller, Side::Rust, None);
        for worker in SIDES {
            let which = format!("{caller:?} to {worker:?}");
            let prefix = prefix("tls");
            let _worker = Plan::new(worker, &prefix, &["echo"]).secure(Some(&server)).start();
            let failed = refused(&mut plain, Some(&mut secure), &format!("{prefix}:echo"));
            assert!(failed.starts_with("ERR_"), "{which}: {failed}");

            let prefix = grapes::prefix("plain");
            let _worker = Plan::new(worker, &prefix, &["echo"]).start();
            let failed = refused(&mut secure, Some(&mut plain), &format!("{prefix}:echo"));
            assert!(failed.starts_with(ERR_REQUEST), "{which}: {failed}");
        }
    }
}
