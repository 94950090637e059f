//! Against wrk and h2load: on a server whose own work is the limit, all must find the same throughput.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::Alone;
use crate::server::{Act, Server};

/// What a request costs the server: far more than it costs any generator.
const WORK: Duration = Duration::from_micros(100);

const CONNECTIONS: usize = 16;

/// One measurement each, taken in turn so many times; the best of each is compared, as other work on the machine only lowers it.
const ROUNDS: usize = 5;

#[test]
fn throughput_is_what_wrk_and_h2load_find() {
    let server = Server::start(|_, _| Act::Work(WORK));
    let body = folder().join("body");
    fs::write(&body, r#"["8f1dbd5c-5b67-4a2b-8a5a-ae5a9c1a2b3c","a","hello"]"#).unwrap();
    let script = folder().join("post.lua");
    let lua =
        format!("wrk.method = 'POST'\nwrk.body = [==[{}]==]\n", fs::read_to_string(&body).unwrap());
    fs::write(&script, lua).unwrap();
    let url = format!("http://{}/", server.addr);
    let (mut ours, mut wrk, mut h2load) = (0_f64, 0_f64, 0_f64);
    let alone = Alone::wait();
    for _ in 0..ROUNDS {
        let report = alone.measure(&format!(
            "rpc -t {} -S a -d 1s -w 200ms -c {CONNECTIONS} --cpu 1 --idle park",
            server.addr
        ));
        ours = ours.max(report.json(0)["rate"].as_f64().unwrap());
        wrk = wrk.max(rate(
            &alone,
            "wrk",
            &["-t1", &format!("-c{CONNECTIONS}"), "-d1s", "-s", script.to_str().unwrap(), &url],
            |line| line.strip_prefix("Requests/sec:")?.trim().parse().ok(),
        ));
        h2load = h2load.max(rate(
            &alone,
            "h2load",
            &[
                "--h1",
                "-t1",
                &format!("-c{CONNECTIONS}"),
                "-D1",
                "--warm-up-time=1",
                "-d",
                body.to_str().unwrap(),
                &url,
            ],
            |line| line.split_once(", ")?.1.split_once(" req/s")?.0.parse().ok(),
        ));
    }
    for (name, theirs) in [("wrk", wrk), ("h2load", h2load)] {
        let ratio = ours / theirs;
        assert!((0.9..=1.1).contains(&ratio), "{ours:.0} to {theirs:.0} of {name}: {ratio:.3}");
    }
}

/// The figure that another generator prints.
fn rate(
    alone: &Alone,
    program: &str,
    arguments: &[&str],
    find: impl Fn(&str) -> Option<f64>,
) -> f64 {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", program]).args(arguments);
    let ended = alone.run(command);
    let found = ended.out.lines().find_map(|line| find(line.trim()));
    found.unwrap_or_else(|| {
        panic!("{program} gives no rate; `cargo xtask setup` installs it (Debian: wrk, nghttp2-client): {ended:?}")
    })
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("generators");
    fs::create_dir_all(&folder).expect("a folder for what the generators read");
    folder
}
