//! All workers of a service, or some of them.

use std::collections::BTreeSet;

use crate::caller::{Caller, Options};
use crate::grapes::{SIDES, Side, prefix};
use crate::worker::{Plan, Worker};

/// Two of Node's and one of ours, at both grapes.
fn workers(prefix: &str) -> Vec<Worker> {
    [("a", Side::Node, Side::Rust), ("b", Side::Rust, Side::Node), ("c", Side::Node, Side::Node)]
        .into_iter()
        .map(|(name, side, grape)| {
            Plan::new(side, prefix, &["name", "pick"]).grape(grape).name(name).start()
        })
        .collect()
}

fn names(answers: &[Result<String, String>]) -> BTreeSet<&str> {
    answers.iter().flatten().map(|name| name.trim_matches('"')).collect()
}

#[test]
fn map() {
    let prefix = prefix("map");
    let _workers = workers(&prefix);
    for caller in SIDES {
        for grape in SIDES {
            let mut client = Caller::start(caller, grape, None);
            let all = client.map(&format!("{prefix}:name"), "1", Options::default()).unwrap();
            assert_eq!(all.len(), 3, "{all:?}");
            assert_eq!(names(&all), BTreeSet::from(["a", "b", "c"]));

            for limit in [1, 2, 3, 7] {
                let options = Options { limit: Some(limit), ..Options::default() };
                let some = client.map(&format!("{prefix}:name"), "1", options).unwrap();
                assert_eq!(some.len(), limit.min(3), "{some:?}");
                assert_eq!(names(&some).len(), limit.min(3), "each at most once: {some:?}");
            }

            // One fails: with Node that is the end of all, with us that of one.
            for picked in ["a", "b", "c"] {
                let payload = format!("\"{picked}\"");
                let answers = client.map(&format!("{prefix}:pick"), &payload, Options::default());
                let error = format!("ERR_PICKED {picked}");
                match caller {
                    Side::Node => assert_eq!(answers, Err(error)),
                    Side::Rust => {
                        let answers = answers.unwrap();
                        let errors: Vec<_> =
                            answers.iter().filter_map(|a| a.as_ref().err()).collect();
                        assert_eq!(errors, [&error]);
                        let mut others = BTreeSet::from(["a", "b", "c"]);
                        others.remove(picked);
                        assert_eq!(names(&answers), others);
                    }
                }
            }
        }
    }
}
