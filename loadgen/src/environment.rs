//! The machine and the programs, as they are when a run begins.

use std::fs;

use crate::outcome::Environment;
use crate::process;

impl Environment {
    /// Looks at this machine, and at the process of the server if it is known.
    pub fn read(server: Option<u32>) -> Self {
        let governor = fs::read_to_string("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        Self {
            cpu: cpu(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: line("/proc/sys/kernel/osrelease"),
            governor: match governor {
                Ok(name) => name.trim().to_owned(),
                Err(_) => "none to see, as in virtual machines".to_owned(),
            },
            load_average: line("/proc/loadavg"),
            revision: env!("LOADGEN_REVISION").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: std::env::args().collect(),
            server_command: server.and_then(|pid| process::command(pid).ok()),
        }
    }
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

fn line(file: &str) -> String {
    fs::read_to_string(file).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
