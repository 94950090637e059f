//! The same work on one core and on all, and what it says of machines with more of them; docs/scaling.md has the model.
//!
//! With two CPUs a server on both has its load beside it. So these cores drive themselves: each asks itself, over loopback.
//! As many processes of one core each, which share nothing but machine and kernel, show what of a loss is not ours.

use std::io;

use grenache_bench::sample::{DISTURBED, Sample, Series, Times, median};
use grenache_bench::scaling::{Work, accepted};
use grenache_bench::server;
use serde_json::json;

use crate::driven::{CROWD, THIN, alone, apart, in_a_crowd, setups, together};
use crate::model::{Estimate, Parameters, busiest, keyed};
use crate::report::{Report, Table};
use crate::ring::{Kind, Ports};
use crate::{Plan, cores, memory};

/// What is predicted.
const PREDICTED: [usize; 5] = [2, 4, 8, 16, CROWD];

/// How many windows there are in the time of one of another part.
const SHORTER: u32 = 4;

/// Connections in the trial of how they are spread.
const CONNECTIONS: usize = 1024;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let cpus = server::cpus()?;
    if cpus < 2 {
        return Err(io::Error::other("it takes two CPUs"));
    }
    let counts: Vec<usize> =
        (1..).map(|power| 1 << power).take_while(|count| *count <= cpus).collect();
    // What differs here differs by hundredths, and the speed of a shared machine drifts by more within a second.
    let plan = &if plan.quick { plan.clone() } else { in_short_windows(plan) };
    let measure = |work, report: &mut Report| self_driven(plan, report, work, &counts);
    measure(Work::Arithmetic, report)?;
    let echo = measure(Work::Echo, report)?;
    let http = measure(Work::Http, report)?;
    let measured = cores::run(plan, report)?;
    // What the machine and the others' being there add is measured where nothing else runs. The load beside it does not keep
    // a grape's two cores busy, so that its hops wake sleepers: under more load they may come down to what they cost there.
    let lookups = Parameters {
        own: measured.own,
        hop: Estimate { low: http.parameters.hop.low.min(measured.hop.low), ..measured.hop },
        ..http.parameters
    };
    let lookups = Found { parameters: lookups, measured: Vec::new() };
    let found = [("TCP echo", echo), ("HTTP", http), ("lookups on a grape", lookups)];
    report.table(parameters(&found));
    for (what, found) in &found {
        predict(report, what, found, &counts);
    }
    crowded(plan, report)
}

/// As much time in more rounds.
fn in_short_windows(plan: &Plan) -> Plan {
    let Times { warm_up, window, .. } = plan.times;
    let times = Times { warm_up: warm_up / SHORTER, window: window / SHORTER, ..plan.times };
    Plan { times, rounds: plan.rounds * SHORTER as usize, ..plan.clone() }
}

/// What came of one kind of work.
struct Found {
    parameters: Parameters,
    measured: Vec<Measured>,
}

/// What so many cores did of which this share of requests crossed.
struct Measured {
    cores: usize,
    share: f64,
    /// CPU time per request, µs.
    cost: f64,
    /// Requests per second in proportion to one core's.
    gain: f64,
}

/// Measures one kind of work on each number of cores.
fn self_driven(
    plan: &Plan,
    report: &mut Report,
    work: Work,
    counts: &[usize],
) -> io::Result<Found> {
    let title = format!("Scaling: {work:?}, cores that are server and client at once");
    let (mut processes, setups) = setups(plan, work, counts)?;
    let mut series = Series::default();
    for round in 0..plan.rounds {
        eprintln!("{title}: round {} of {}", round + 1, plan.rounds);
        for setup in &setups {
            let sample = processes.measure(plan, setup);
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{work:?}, {}: {error}", setup.name))
            };
            series.push(&setup.name, sample.map_err(named)?);
        }
    }
    report.table(Table::of(&title, &series));
    let foreign = series.systems().flat_map(|(_, samples)| samples).map(|sample| sample.foreign);
    report.at_most(format!("{title}: other load on the machine"), median(foreign), DISTURBED);
    let found = find(&series, counts);
    if work != Work::Arithmetic {
        claim(report, &title, &series, &found);
    }
    Ok(found)
}

/// The parameters, from ratios and differences within each round.
fn find(series: &Series, counts: &[usize]) -> Found {
    let of = |name: &str, figure: fn(&Sample) -> f64| {
        series.of(name).iter().map(figure).collect::<Vec<_>>()
    };
    let alone = |figure| {
        let both = of(&alone(0), figure).into_iter().zip(of(&alone(1), figure));
        both.map(|(first, second)| f64::midpoint(first, second)).collect::<Vec<_>>()
    };
    let (own, rate) = (alone(|sample| sample.cpu), alone(|sample| sample.rate));
    let two = of(&together(2, 0.0), |sample| sample.cpu);
    let dearer = |name: &str, by: f64| {
        let rounds = of(name, |sample| sample.cpu).into_iter().zip(&two);
        Estimate::of(rounds.map(|(dearer, two)| (dearer - two) / by))
    };
    // Few messages have a visit to the other core each, many share one, and where all cross the cores run out of work and
    // sleep between visits: which of these a larger machine is like cannot be said from here.
    let mut hops = [THIN, keyed(2), 1.0].map(|share| dearer(&together(2, share), share).middle);
    hops.sort_by(f64::total_cmp);
    let apart = of(&apart(2), |sample| sample.cpu);
    let parameters = Parameters {
        machine: Estimate::of(apart.into_iter().zip(&own).map(|(apart, own)| apart / own)),
        own: Estimate::of(own),
        hop: Estimate { low: hops[0], middle: hops[1], high: hops[2] },
        look: dearer(&in_a_crowd(), (CROWD - 2) as f64),
    };
    let measured = |&(cores, share): &(usize, f64)| {
        let name = together(cores, share);
        let gains =
            of(&name, |sample| sample.rate).into_iter().zip(&rate).map(|(all, one)| all / one);
        Measured { cores, share, cost: series.median(&name, |s| s.cpu), gain: median(gains) }
    };
    let shares: Vec<_> = counts.iter().flat_map(|&n| [(n, 0.0), (n, keyed(n))]).collect();
    Found { parameters, measured: shares.iter().map(measured).collect() }
}

/// What must hold of two cores, and, on machines with more, of what was predicted from two.
fn claim(report: &mut Report, title: &str, series: &Series, found: &Found) {
    for &Measured { cores, share, cost, .. } in &found.measured {
        let name = together(cores, share);
        if share == 0.0 {
            let apart = apart(cores);
            let ratio = |figure: fn(&Sample) -> f64| series.ratio(&name, &apart, figure);
            let claim = |what: &str| format!("{title}: {what}, {name} to {apart}");
            report.at_most(claim("CPU per request"), ratio(|sample| sample.cpu), 1.05);
            report.at_least(claim("requests/s"), ratio(|sample| sample.rate), 0.95);
        }
        // Of two cores nothing is predicted: the parameters come from them.
        if cores > 2 {
            let most = found.parameters.cost(cores, share).high;
            let claim = format!("{title}: µs CPU per request, {name}, to the most predicted");
            report.at_most(claim, cost, most);
        }
    }
}

/// The table of what the model was given.
fn parameters(found: &[(&str, Found)]) -> Table {
    let (mut rows, mut raw) = (Vec::new(), serde_json::Map::new());
    for (what, Found { parameters: Parameters { own, machine, hop, look }, .. }) in found {
        let cells = vec![own.text(2), machine.text(3), hop.text(2), look.text(4)];
        rows.push(((*what).to_owned(), cells));
        let figures = json!({
            "own_us": own.json(), "machine": machine.json(), "hop_us": hop.json(),
            "look_us": look.json(),
        });
        raw.insert((*what).to_owned(), figures);
    }
    let columns = vec!["own, µs", "machine, ×", "hop, µs", "look, µs"];
    Table::plain("Scaling model: parameters", columns, rows, raw.into())
}

/// The table of what is to be expected, beside what was measured as far as this machine goes.
fn predict(report: &mut Report, what: &str, found: &Found, counts: &[usize]) {
    let own = found.parameters.own.middle;
    let mut predicted: Vec<usize> = PREDICTED.into_iter().chain(counts.iter().copied()).collect();
    predicted.sort_unstable();
    predicted.dedup();
    let (mut rows, mut raw) = (Vec::new(), Vec::new());
    for cores in predicted {
        let mut cells = Vec::new();
        for (name, share) in [("nothing crosses", 0.0), ("keyed", keyed(cores))] {
            let expected = found.parameters.speed_up(cores, share);
            let measured = found.measured.iter().find(|m| m.cores == cores && m.share == share);
            let by_cost = measured.map(|m| cores as f64 * own / m.cost);
            let by_rate = measured.map(|m| m.gain);
            cells.push(expected.text(1));
            cells.extend([by_cost, by_rate].map(|figure| {
                figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.2}"))
            }));
            raw.push(json!({
                "cores": cores, "share": name, "predicted": expected.json(),
                "by_cpu_time": by_cost, "by_requests": by_rate,
            }));
        }
        rows.push((format!("{cores} cores"), cells));
    }
    let columns = vec![
        "nothing crosses: predicted",
        "by CPU time",
        "by requests/s",
        "keyed: predicted",
        "by CPU time",
        "by requests/s",
    ];
    let title = format!("Scaling model: {what}, speed-up over one core");
    report.table(Table::plain(&title, columns, rows, raw.into()));
}

/// What can be seen with more cores than CPUs: where connections go, and memory.
fn crowded(plan: &Plan, report: &mut Report) -> io::Result<()> {
    let (mut rows, mut raw) = (Vec::new(), Vec::new());
    // Each takes two seconds, as a lone grape's first lookup does.
    let counts = if plan.quick { &PREDICTED[..1] } else { &PREDICTED[..] };
    for &cores in counts {
        eprintln!("scaling: {CONNECTIONS} connections to {cores} cores");
        let most = accepted(cores, CONNECTIONS)?.into_iter().max().unwrap_or(0);
        let share = most as f64 * cores as f64 / CONNECTIONS as f64;
        let resident = memory::idle(plan, Kind::Ours, &Ports::free()?, cores)?;
        let most = busiest(cores, CONNECTIONS);
        report.at_most(
            format!("Scaling: connections of the busiest of {cores} cores to the mean"),
            share,
            most,
        );
        let cells =
            vec![format!("{share:.2}"), format!("{most:.2}"), format!("{:.1} MB", resident / 1e6)];
        rows.push((format!("{cores} cores"), cells));
        raw.push(json!({ "cores": cores, "busiest": share, "resident_bytes": resident }));
    }
    let columns =
        vec!["busiest core to the mean", "at most, 999 times of 1,000", "an idle grape, resident"];
    let title = format!("Scaling: {CONNECTIONS} connections, and memory, on more cores than CPUs");
    report.table(Table::plain(&title, columns, rows, raw.into()));
    Ok(())
}
