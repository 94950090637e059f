//! More connections than a process may usually have descriptors.

use crate::process::measure;
use crate::server::{Act, Server};

#[test]
fn thousands_of_connections() {
    // The server is in this process.
    rlimit::increase_nofile_limit(10_000).expect("a limit");
    let server = Server::start(|_, _| Act::Echo);
    let run =
        measure(&format!("rpc -t {} -S a -c 3000 --requests 9000 --timeout 30s", server.addr));
    let report = run.json(0);
    assert_eq!(report["requests"]["answered"], 9000, "{}", report["requests"]);
    assert_eq!(report["load"]["connections"], 3000);
}
