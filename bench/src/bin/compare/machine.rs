//! What the figures were taken on.

use std::process::Command;

/// The words of a machine description, in order.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    vec![
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("revision", revision()),
        (
            "CPU",
            format!(
                "{}, {} CPUs",
                cpu_model(),
                std::thread::available_parallelism().map_or(0, usize::from).max(cpus())
            ),
        ),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("governor", governor()),
        ("load before the run", read("/proc/loadavg")),
        ("rustc", output("rustc", &["--version"])),
        ("node", output("node", &["--version"])),
        ("peers", locked(&["io-uring", "monoio", "glommio", "tokio", "rustls"])),
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

fn cpus() -> usize {
    read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count()
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

/// Versions of `crates` as they stand in the lock file this program was built with.
fn locked(crates: &[&str]) -> String {
    let lock = include_str!("../../../../Cargo.lock");
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
