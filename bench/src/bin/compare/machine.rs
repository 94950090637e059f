//! What the figures were taken on.

use std::fmt::Write;
use std::process::Command;

use grenache_bench::server;

use crate::{Plan, installed};

/// The words of a machine description, in order.
pub(crate) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    vec![
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("revision", revision()),
        ("CPU", format!("{}, {} CPUs{}", cpu_model(), server::cpus().unwrap_or(0), siblings())),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("governor", governor()),
        ("load before the run", read("/proc/loadavg")),
        ("rustc", output("rustc", &["--version"])),
        ("node", output("node", &["--version"])),
        ("peers", locked(LOCK, &["io-uring", "monoio", "glommio", "tokio", "rustls"])),
        ("peers of their own", others(plan)),
        ("command", std::env::args().collect::<Vec<_>>().join(" ")),
        (
            "server CPU time",
            "sum of /proc/PID/task/*/schedstat over the measured window; warm-up left out"
                .to_owned(),
        ),
    ]
}

fn revision() -> String {
    let dirty = if output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        ""
    } else {
        " with changes"
    };
    output("git", &["rev-parse", "--short=12", "HEAD"]) + dirty
}

/// Which CPUs are threads of one physical core with the first; nothing if it has its own, as far as the system says.
fn siblings() -> String {
    let siblings = read("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list");
    if siblings.contains([',', '-']) { format!(", one core has {siblings}") } else { String::new() }
}

fn cpu_model() -> String {
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

fn governor() -> String {
    match std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") {
        Ok(name) => name.trim().to_owned(),
        Err(_) => "not ours to see (virtual machine)".to_owned(),
    }
}

/// What the systems under bench/peers and the servers beside them are.
fn others(plan: &Plan) -> String {
    let crates = ["async-nats", "axum", "hyper", "tokio", "tonic", "zmq"];
    let libzmq = plan.peer("libzmq").and_then(|program| installed::libzmq_version(&program));
    let mut all = locked(PEERS_LOCK, &crates);
    for (name, version) in [
        ("libzmq", libzmq),
        ("nginx", plan.version("nginx", "-v")),
        ("nats-server", plan.version("nats-server", "-v")),
    ] {
        let version = version.unwrap_or_else(|_| "not installed".to_owned());
        let _ = write!(all, ", {name} {version}");
    }
    all
}

/// The lock files that this program and the programs of bench/peers are built with.
const LOCK: &str = include_str!("../../../../Cargo.lock");
const PEERS_LOCK: &str = include_str!("../../../peers/Cargo.lock");

/// Versions of `crates` as they stand in `lock`.
fn locked(lock: &str, crates: &[&str]) -> String {
    let mut found = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            package
                .lines()
                .find_map(|line| line.strip_prefix(key)?.trim_matches(['"', ' ', '=']).into())
        };
        if let (Some(name), Some(version)) = (value("name"), value("version")) {
            let (name, version): (&str, &str) = (name, version);
            if crates.contains(&name) {
                found.push(format!("{name} {version}"));
            }
        }
    }
    found.join(", ")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What `program` prints, or that it is not there.
fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => "not installed".to_owned(),
    }
}
