//! The table that people read.

use grenache_loadgen::outcome::Outcome;
use grenache_loadgen::report::summary;

use crate::examples;

fn text(outcome: &Outcome, coloured: bool) -> String {
    let mut text = Vec::new();
    summary::write(outcome, coloured, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// The cells of the row that begins with `name`.
fn row(text: &str, name: &str) -> Vec<String> {
    let line = text.lines().find(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("  "))
    });
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).map(String::from).collect()
}

#[test]
fn figures_stand_under_their_names_in_units_for_people() {
    let outcome = examples::normal();
    let text = text(&outcome, false);
    assert_eq!(row(&text, "server CPU per request")[1], "14.2 µs");
    assert_eq!(row(&text, "right answers")[1], "10,000/s");
    assert_eq!(row(&text, "server memory")[1], "32.00 MiB");
    assert_eq!(row(&text, "sent")[1], "300,000");
    assert_eq!(row(&text, "failed")[1], "7");
    assert_eq!(row(&text, "… no answer in time")[1], "5");
    assert_eq!(row(&text, "other status")[1..], ["2", "<0.001 %", "502 Bad Gateway"]);
    assert_eq!(row(&text, "sent more than 1 ms late")[1], "4,321");
    assert_eq!(row(&text, "latency"), ["latency", "corrected", "uncorrected"]);
    assert_eq!(row(&text, "p99.9")[1..], ["185 ms", "97.7 µs"]);
    assert_eq!(row(&text, "p99>2ms")[1..], ["2.41 ms", "fails"]);
    assert_eq!(row(&text, "errors>1%")[1..], ["0.002 %", "passes"]);
}

#[test]
fn what_makes_the_figures_doubtful_goes_before_them() {
    let text = text(&examples::limited(), false);
    let warning = text.find("warning: the generator may be the bottleneck").expect("it is said");
    assert!(warning < text.find("server CPU per request").unwrap());
    let text = self::text(&examples::interrupted(), false);
    assert!(text.contains("warning: interrupted: the figures are of the 12.4 s until then"));
    assert!(self::text(&examples::empty(), false).contains("warning: nothing was answered"));
}

#[test]
fn a_closed_loop_has_nothing_late() {
    let text = text(&examples::limited(), false);
    assert!(
        !text.contains("ms late") && !text.lines().any(|line| line.starts_with("never sent")),
        "{text}"
    );
}

#[test]
fn a_search_shows_its_steps() {
    let text = text(&examples::knee(), false);
    assert_eq!(row(&text, "highest rate that held")[1], "50,000/s");
    assert!(text.contains("search for p99=1ms"));
    let step = text.lines().find(|line| line.starts_with("60,000/s")).expect("a step");
    assert!(step.contains("no") && step.contains("p99 was 41 ms"), "{step}");
}

#[test]
fn no_example_shows_what_is_no_number_or_moves_the_cursor() {
    for (name, outcome) in examples::all() {
        let text = text(&outcome, false);
        for bad in ["NaN", "inf", "\u{1b}"] {
            assert!(!text.contains(bad), "{name} has {bad:?}:\n{text}");
        }
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let outcome = examples::normal();
    let coloured = text(&outcome, true);
    assert!(coloured.contains("\u{1b}["));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((text, escape)) = rest.split_once("\u{1b}[") {
        plain.push_str(text);
        rest = escape.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, text(&outcome, false));
}
