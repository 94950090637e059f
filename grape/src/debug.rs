//! Node's debug lines, for scripts and people who wait for them.

use std::io::{IsTerminal, Write};
use std::time::SystemTime;

/// Where a grape's events are told: as Node's `debug` package prints them, or as tracing events.
#[derive(Debug, Clone, Copy)]
pub struct Debug {
    style: Style,
    dht_port: u16,
}

#[derive(Debug, Clone, Copy)]
enum Style {
    /// `tracing` events at debug level.
    Tracing,
    /// Node's lines on standard error, with a date, as when it is not a terminal.
    Dated,
    /// Node's lines on a terminal.
    Terminal,
}

/// The name Node's package logs under.
const NAMESPACE: &str = "grenache:grape";

/// Whether a `DEBUG` variable in the form of Node's `debug` package asks for this namespace.
pub fn asked_for(variable: &str) -> bool {
    let (mut on, mut off) = (false, false);
    for pattern in variable.split([' ', ',']).filter(|pattern| !pattern.is_empty()) {
        match pattern.strip_prefix('-') {
            Some(pattern) => off |= matches(pattern, NAMESPACE),
            None => on |= matches(pattern, NAMESPACE),
        }
    }
    on && !off
}

/// `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            (0..=name.len()).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..]))
        }),
    }
}

impl Debug {
    /// Node's lines when `verbose`, tracing events otherwise.
    pub fn new(verbose: bool, dht_port: u16) -> Debug {
        let style = match verbose {
            false => Style::Tracing,
            true if std::io::stderr().is_terminal() => Style::Terminal,
            true => Style::Dated,
        };
        Debug { style, dht_port }
    }

    /// An event of this grape: `<dht port> <event>`.
    pub fn event(&self, event: &str) {
        match self.style {
            Style::Tracing => tracing::debug!(dht_port = self.dht_port, "{event}"),
            _ => self.print(&format!("{} {event}", self.dht_port)),
        }
    }

    /// A peer of `service` was stored here.
    pub fn announce(&self, service: &[u8]) {
        match self.style {
            Style::Tracing if !tracing::enabled!(tracing::Level::DEBUG) => {}
            _ => self.event(&format!("announce {}", printable(service))),
        }
    }

    /// A line without the port, such as `starting`.
    pub fn print(&self, text: &str) {
        let line = match self.style {
            Style::Tracing => return tracing::debug!("{text}"),
            Style::Terminal => format!("  {NAMESPACE} {text}\n"),
            Style::Dated => {
                let date = humantime::format_rfc3339_millis(SystemTime::now());
                format!("{date} {NAMESPACE} {text}\n")
            }
        };
        // Nothing is to be done about a closed standard error.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Names come from the network: control characters must not reach a terminal.
fn printable(name: &[u8]) -> String {
    String::from_utf8_lossy(name)
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_variable_is_read_as_node_reads_it() {
        for on in ["grenache:grape", "*", "grenache:*", "foo,grenache:grape", "foo grenache*"] {
            assert!(asked_for(on), "{on}");
        }
        for off in ["", "grenache", "grenache:grape2", "*,-grenache:grape", "-*"] {
            assert!(!asked_for(off), "{off}");
        }
    }

    #[test]
    fn names_from_the_network_cannot_steer_a_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
