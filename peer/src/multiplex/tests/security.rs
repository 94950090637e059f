//! Who is let in.

use super::router::{Router, keys};
use super::*;
use crate::Failure;
use crate::http::tests::run;
use crate::zeromq::{Gate, Security};

fn plain() -> Gate {
    Gate::Plain([("ann".to_owned(), "secret".to_owned())].into())
}

fn curve(allowed: Option<u8>) -> Gate {
    let allow = allowed.map(|number| [keys(number).public].into());
    Gate::Curve { keys: keys(1), allow }
}

fn login(user: &str, password: &str) -> Security {
    Security::Plain { user: user.into(), password: password.into() }
}

fn knowing(server: u8, client: u8) -> Security {
    Security::Curve { server: keys(server).public, keys: keys(client) }
}

#[test]
fn who_fits_is_let_in() {
    run(|any| async move {
        for (gate, security) in [
            (Gate::Null, Security::Null),
            (plain(), login("ann", "secret")),
            (curve(None), knowing(1, 2)),
            (curve(None), knowing(1, 9)),
            (curve(Some(2)), knowing(1, 2)),
        ] {
            let mut router = Router::new(true, gate);
            router.config.security = security;
            let (pool, site) = (router.pool(), router.echo(any));
            let calls: Vec<_> = (0..20).map(|call| start(&pool, &site, text(call * 99))).collect();
            for (number, call) in calls.into_iter().enumerate() {
                let reply = call.await.unwrap().expect("a reply");
                assert_eq!(reply.outcome, Ok(text(number * 99)));
            }
            site.end(&pool).await;
        }
    });
}

#[test]
fn who_is_refused_has_not_run() {
    run(|any| async move {
        let long = "x".repeat(256);
        for (gate, security, why) in [
            (plain(), login("ann", "secre"), "refused: 400"),
            (plain(), login("bob", "secret"), "refused: 400"),
            (plain(), login("ann", &long), "255"),
            (plain(), Security::Null, "mechanism"),
            (curve(None), Security::Null, "mechanism"),
            (curve(None), login("ann", "secret"), "mechanism"),
            (Gate::Null, knowing(1, 2), "mechanism"),
            // The server does not say more to somebody who does not know its key.
            (curve(None), knowing(3, 2), "closed in the middle"),
            (curve(Some(4)), knowing(1, 2), "refused: 400"),
        ] {
            let mut router = Router::new(true, gate);
            router.config.security = security;
            let (pool, site) = (router.pool(), router.echo(any));
            for _ in 0..2 {
                let failed = ask(&pool, &site, &number(1)).await.expect_err("a stranger");
                assert!(!failed.may_have_run());
                let Failed::Failure(Failure::Connect(text)) = failed else { panic!("{failed:?}") };
                assert!(text.contains(why), "{text}");
            }
            site.end(&pool).await;
        }
    });
}
