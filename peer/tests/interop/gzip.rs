//! Bodies with `grc-compress: gzip`.

use crate::caller::{Caller, Options};
use crate::grapes::{SIDES, Side, prefix};
use crate::worker::Plan;

#[test]
fn both_ways() {
    for worker in SIDES {
        let prefix = prefix("gzip");
        let _worker = Plan::new(worker, &prefix, &["echo", "fail", "compressed"]).start();
        for caller in SIDES {
            let mut client = Caller::start(caller, Side::Rust, None);
            let long = format!("\"{}\"", "compresses well ".repeat(50_000));
            for compress in [true, false, true] {
                let options = Options { compress, ..Options::default() };
                for payload in ["null", "\"zip\"", &long] {
                    let came = client.request(&format!("{prefix}:echo"), payload, options);
                    assert!(came.as_deref() == Ok(payload), "{caller:?} to {worker:?}");
                }
                // The worker has seen it so.
                let seen = client.request(&format!("{prefix}:compressed"), "1", options);
                assert_eq!(seen, Ok(compress.to_string()), "{caller:?} to {worker:?}");
                let failed = client.request(&format!("{prefix}:fail"), "\"ERR_ZIP\"", options);
                assert_eq!(failed, Err("ERR_ZIP".into()));
            }
        }
    }
}
