//! Runs beside each other.

use std::fs::{self, File};
use std::path::PathBuf;

use grenache_loadgen::outcome::Outcome;
use grenache_loadgen::report::{Run, comparison, json};

use crate::examples;

fn runs(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<Run> {
    let names = ["a", "b", "c"];
    let named = outcomes.into_iter().zip(names);
    named.map(|(outcome, name)| Run { name: name.into(), outcome }).collect()
}

fn text(runs: &[Run]) -> String {
    let mut text = Vec::new();
    comparison::write(runs, false, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// As the first example, but twice as fast, at half the server's price.
fn faster() -> Outcome {
    let mut outcome = examples::normal();
    outcome.rate *= 2.0;
    outcome.server.as_mut().unwrap().cpu_us_per_request /= 2.0;
    outcome
}

#[test]
fn each_figure_is_divided_by_that_of_the_first_run() {
    let text = text(&runs([examples::normal(), faster(), examples::empty()]));
    let mut lines = text.lines().skip_while(|line| !line.contains("b / a"));
    assert!(lines.next().unwrap().contains("c / a"));
    let first = lines.nth(1).unwrap();
    let cells: Vec<_> = first.split("   ").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert_eq!(cells, ["server CPU per request", "14.2 µs", "7.11 µs", "–", "0.50", "–"]);
    let rate = text.lines().find(|line| line.starts_with("right answers")).unwrap();
    let cells: Vec<_> = rate.split("   ").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert_eq!(cells, ["right answers", "10,000/s", "20,000/s", "0/s", "2.00", "0.00"]);
}

#[test]
fn the_same_load_on_the_same_machine_needs_no_warning() {
    let mut other = faster();
    other.environment.revision = "02da36c".into();
    other.load.targets = vec!["127.0.0.1:1338".into()];
    other.thresholds.clear();
    let mut first = examples::normal();
    first.thresholds.clear();
    let text = text(&runs([first, other]));
    assert!(!text.contains("warning"), "{text}");
    let differs = &text[text.find("what differs").unwrap()..];
    assert!(differs.contains("1c1d53f") && differs.contains("02da36c") && differs.contains("1338"));
    assert!(!differs.contains("AMD EPYC"));
}

#[test]
fn other_work_and_another_machine_are_said_before_the_figures() {
    let mut other = faster();
    other.load.connections = 128;
    other.load.payload = "4 KiB".into();
    other.environment.kernel = "6.1.0".into();
    let text = text(&runs([examples::normal(), other]));
    let work = text.find("warning: the runs did not do the same work: payload, connections\n");
    let machine = text
        .find("warning: the runs were not made on the same machine in the same state: kernel\n");
    let figures = text.find("server CPU per request").unwrap();
    assert!(work.expect("it is said") < figures);
    assert!(machine.expect("it is said") < figures);
}

#[test]
fn a_run_limited_by_its_generator_is_named() {
    let text = text(&runs([examples::normal(), examples::limited()]));
    assert!(text.contains("warning: b: the generator may be the bottleneck"), "{text}");
}

#[test]
fn what_holds_for_several_runs_is_said_once() {
    let text = text(&runs([examples::normal(), faster()]));
    let said: Vec<_> = text.lines().filter(|line| line.contains("the run fails by")).collect();
    assert_eq!(said, ["warning: a, b: the run fails by p99>2ms: measured 2.41 ms"]);
}

#[test]
fn files_of_the_same_name_are_told_apart_by_their_folders() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("comparison");
    let file = |name: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        json::write(&examples::normal(), File::create(&path).unwrap()).unwrap();
        path
    };
    let paths = [file("one/run.json"), file("two/run.json"), file("three.json")];
    let names: Vec<_> = comparison::read(&paths).unwrap().into_iter().map(|run| run.name).collect();
    assert_eq!(names, [paths[0].to_str().unwrap(), paths[1].to_str().unwrap(), "three"]);
    let missing = comparison::read(&[folder.join("none.json")]).unwrap_err();
    assert!(missing.to_string().starts_with("cannot read "));
}

#[test]
fn no_pair_of_examples_shows_what_is_no_number() {
    for (one, first) in examples::all() {
        for (other, second) in examples::all() {
            let text = text(&runs([first.clone(), second]));
            for bad in ["NaN", "inf", "\u{1b}"] {
                assert!(!text.contains(bad), "{one} and {other} have {bad:?}:\n{text}");
            }
        }
    }
}
