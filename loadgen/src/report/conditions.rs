//! Under which conditions a run was made: what was asked, and where.

use super::Run;
use super::units::{NOTHING, number, seconds, several};
use crate::outcome::{Arrivals, Load, Outcome, Pace};

/// What it means for a comparison if two runs differ in a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// They did not do the same work.
    Load,
    /// They did not run on the same machine, or not in the same state of it.
    Machine,
    /// Nothing: it names what is compared, or makes no difference to speak of.
    Name,
}

/// One condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition {
    pub(super) name: &'static str,
    pub(super) weight: Weight,
    /// As people read it.
    pub(super) of: fn(&Outcome) -> String,
}

const fn condition(name: &'static str, weight: Weight, of: fn(&Outcome) -> String) -> Condition {
    Condition { name, weight, of }
}

/// All of them, in the order in which reports give them.
pub(super) const CONDITIONS: [Condition; 27] = [
    condition("asked", Weight::Load, |o| o.load.what.clone()),
    condition("transport", Weight::Load, |o| o.load.transport.clone()),
    condition("targets", Weight::Name, |o| o.load.targets.join(" ")),
    condition("services", Weight::Load, |o| services(&o.load)),
    condition("payload", Weight::Load, |o| o.load.payload.clone()),
    condition("pace", Weight::Load, pace),
    condition("connections", Weight::Load, |o| o.load.connections.to_string()),
    condition("in flight on each", Weight::Load, |o| o.load.in_flight.to_string()),
    condition("requests per connection", Weight::Load, |o| {
        o.load.requests_per_connection.map_or("no limit".into(), |limit| number(limit as f64))
    }),
    condition("time-out", Weight::Load, |o| seconds(o.load.timeout_s)),
    condition("warm-up", Weight::Load, |o| seconds(o.load.warm_up_s)),
    condition("measured", Weight::Name, |o| seconds(o.window_s)),
    condition("cores making load", Weight::Load, |o| o.load.cores.to_string()),
    condition("seed", Weight::Name, |o| o.load.seed.to_string()),
    condition("began", Weight::Name, |o| o.began.clone()),
    condition("CPU", Weight::Machine, |o| o.environment.cpu.clone()),
    condition("CPUs online", Weight::Machine, |o| o.environment.cpus.to_string()),
    condition("kernel", Weight::Machine, |o| o.environment.kernel.clone()),
    condition("governor", Weight::Machine, |o| o.environment.governor.clone()),
    condition("load average at the begin", Weight::Name, |o| o.environment.load_average.clone()),
    condition("generator's driver", Weight::Machine, |o| o.generator.driver.clone()),
    condition("generator's idle policy", Weight::Machine, |o| o.generator.idle.clone()),
    condition("generator's version", Weight::Name, |o| o.environment.version.clone()),
    condition("git revision", Weight::Name, |o| o.environment.revision.clone()),
    condition("command", Weight::Name, |o| shell_words(&o.environment.command)),
    condition("server's process", Weight::Name, |o| {
        o.server.as_ref().map_or(NOTHING.into(), |server| server.pid.to_string())
    }),
    condition("server's command", Weight::Name, |o| {
        o.environment.server_command.as_deref().map_or(NOTHING.into(), shell_words)
    }),
];

/// Whether `condition` is not the same for all of `runs`.
pub(super) fn differs(runs: &[Run], condition: &Condition) -> bool {
    let mut values = runs.iter().map(|run| (condition.of)(&run.outcome));
    let first = values.next();
    values.any(|value| Some(value) != first)
}

/// A run in a line: what was asked of whom, and how hard.
pub(super) fn headline(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let to = if outcome.published.is_some() { "from" } else { "to" };
    let targets = match load.targets.as_slice() {
        [] => String::new(),
        [only] => format!(" {to} {only}"),
        [first, rest @ ..] => format!(" {to} {first} and {} more", rest.len()),
    };
    format!("{} over {}{targets}", load.what, load.transport)
}

/// The load in a line.
pub(super) fn load_line(outcome: &Outcome) -> String {
    let load = &outcome.load;
    let warm_up = if load.warm_up_s > 0.0 {
        format!(" after {} of warm-up", seconds(load.warm_up_s))
    } else {
        String::new()
    };
    if let Some(heard) = &outcome.heard {
        let stalled = match heard.stalled {
            0 => String::new(),
            stalled => format!(", {} of which read nothing", number(stalled as f64)),
        };
        return format!(
            "{}{stalled}, {} listening, {} measured{warm_up}",
            several(load.connections, "subscriber"),
            several(load.cores, "core"),
            seconds(outcome.window_s),
        );
    }
    if outcome.published.is_some() {
        return format!(
            "messages of {}, {}, {} measured{warm_up}",
            load.payload,
            pace(outcome),
            seconds(outcome.window_s)
        );
    }
    format!(
        "{}, {} with {} in flight on each, {} making load, {} measured{warm_up}",
        pace(outcome),
        several(load.connections, "connection"),
        load.in_flight,
        several(load.cores, "core"),
        seconds(outcome.window_s),
    )
}

/// The rates of a search are its result, not its condition.
fn pace(outcome: &Outcome) -> String {
    match (outcome.load.pace, &outcome.knee) {
        (Pace::Closed, _) if outcome.heard.is_some() => "as they come".into(),
        (Pace::Closed, _) if outcome.published.is_some() => "as fast as they are read".into(),
        (Pace::Closed, _) => "closed loop".into(),
        (Pace::Open { arrivals, .. }, Some(knee)) => {
            format!("open loop, {} arrivals, search for {}", name(arrivals), knee.slo)
        }
        (Pace::Open { rate, arrivals }, None) => {
            format!("open loop, {}/s, {} arrivals", number(rate), name(arrivals))
        }
    }
}

fn name(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Fixed => "fixed",
        Arrivals::Poisson => "Poisson",
    }
}

fn services(load: &Load) -> String {
    match load.services.as_slice() {
        [] => NOTHING.into(),
        [only] => only.name.clone(),
        several => several
            .iter()
            .map(|service| format!("{} ({})", service.name, number(service.weight)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A command line that a shell takes apart in the same way. None has a NUL in it.
fn shell_words(words: &[String]) -> String {
    let words = words.iter().map(String::as_str);
    shlex::Quoter::new().allow_nul(true).join(words).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::shell_words;

    #[test]
    fn a_command_line_can_be_pasted_into_a_shell() {
        let words = ["loadgen", "rpc", "--service", "rest:util:net", "it's", "", "a b"];
        assert_eq!(
            shell_words(&words.map(String::from)),
            r#"loadgen rpc --service rest:util:net "it's" '' 'a b'"#
        );
    }
}
