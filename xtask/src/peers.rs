//! The programs of bench/peers, which have a workspace of their own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{Failed, cargo, run};
use crate::{debian, setup};

/// Packages in bench/peers are called `peer-` and one of these.
const PEERS: [&str; 6] = ["axum", "fastwebsockets", "hyper", "libzmq", "nats", "tonic"];

/// The parts of the comparison that need them.
const PARTS: [&str; 4] = ["http-servers", "request-reply", "websocket", "zeromq"];

/// Builds all that build, and tells why one is not there, as `<peer>: <why>`.
pub(crate) fn build() -> Vec<String> {
    // Cargo puts those back that are built already; one that no longer builds must not be taken for new.
    for peer in PEERS {
        let _ = fs::remove_file(program(peer));
    }
    let mut build = workspace("build");
    // A failure is told for each peer below.
    let _ = run("release build of the peers", build.args(["--workspace", "--keep-going"]));
    let missing = PEERS.into_iter().filter(|peer| !program(peer).is_file());
    missing.map(|peer| format!("{peer}: {}", why(peer))).collect()
}

/// Why `peer` is not there.
fn why(peer: &str) -> String {
    match setup::cxx() {
        Err(Failed(why)) if peer == "libzmq" => why,
        _ => format!(
            "does not build; `cargo build --release --manifest-path bench/peers/Cargo.toml -p peer-{peer}` says why"
        ),
    }
}

/// Tests that the peers answer right: all but those that need what only some machines have and that are `absent` for that.
pub(crate) fn test(absent: &[String]) -> Result<(), Failed> {
    let mut test = workspace("test");
    test.arg("--").env("PATH", debian::path());
    for absent in absent {
        match absent.split(':').next() {
            Some("nginx") => {}
            Some("nats-server") => drop(test.args(["--skip", "nats"])),
            Some("libzmq") if setup::cxx().is_err() => drop(test.args(["--skip", "libzmq"])),
            _ => return Err(Failed(format!("bench/peers: {absent}"))),
        }
    }
    run("answers of the peers", &mut test)
}

/// True if what the comparison is asked to run needs them.
pub(crate) fn are_needed(arguments: &[String]) -> bool {
    let mut words = arguments.iter().flat_map(|argument| argument.split(['=', ',']));
    if !words.any(|word| word == "--only") {
        return true;
    }
    words.any(|word| PARTS.contains(&word))
}

fn workspace(task: &str) -> Command {
    let mut command = cargo(&[task, "--release", "--manifest-path", "bench/peers/Cargo.toml"]);
    command.args(["--target-dir", "target/peers"]);
    command
}

fn program(peer: &str) -> PathBuf {
    crate::root().join("target/peers/release").join(format!("peer-{peer}"))
}

#[cfg(test)]
mod tests {
    use super::are_needed;

    #[test]
    fn only_parts_with_peers_need_them() {
        let needed = |line: &str| {
            are_needed(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
        };
        for line in ["", "--quick", "--only http-servers", "--only=echo,request-reply --quick"] {
            assert!(needed(line), "{line}");
        }
        for line in ["--only echo", "--only rpc,tls --rounds 9", "--quick --only=http"] {
            assert!(!needed(line), "{line}");
        }
    }
}
