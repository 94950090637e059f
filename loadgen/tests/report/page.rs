//! The page, as an XML parser sees it: it is written so that it is well-formed.

use std::fs;
use std::path::PathBuf;

use grenache_loadgen::outcome::Outcome;
use grenache_loadgen::report::{Run, page};
use roxmltree::{Document, Node, ParsingOptions};

use crate::examples::{self, ATTACK};

/// Writes the page, also to where a person can look at it.
fn page(name: &str, runs: &[Run]) -> String {
    let mut page = Vec::new();
    page::write(runs, &mut page).unwrap();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.html"));
    fs::write(path, &page).unwrap();
    String::from_utf8(page).unwrap()
}

fn one(name: &str, outcome: Outcome) -> String {
    page(name, &[Run { name: name.into(), outcome }])
}

fn several<'a>(runs: impl IntoIterator<Item = (&'a str, Outcome)>) -> Vec<Run> {
    let runs = runs.into_iter();
    runs.map(|(name, outcome)| Run { name: name.into(), outcome }).collect()
}

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).expect("it is well-formed")
}

fn elements<'a>(document: &'a Document<'_>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.tag_name().name() == name)
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|node| node.is_text().then(|| node.text()).flatten()).collect()
}

/// The cells of the first row with this name.
fn row(document: &Document<'_>, name: &str) -> Vec<String> {
    let cells =
        |row: Node<'_, '_>| row.children().filter(Node::is_element).map(text).collect::<Vec<_>>();
    elements(document, "tr")
        .map(cells)
        .find(|cells| cells[0] == name)
        .unwrap_or_else(|| panic!("no row {name}"))
}

#[test]
fn every_page_is_well_formed_and_shows_only_numbers() {
    for (name, outcome) in examples::all() {
        let page = one(name, outcome);
        let document = parse(&page);
        for node in document.descendants() {
            let attributes = node.attributes().map(|attribute| attribute.value().to_string());
            for text in attributes.chain([text(node)]) {
                for bad in ["NaN", "inf"] {
                    assert!(!text.contains(bad), "{name} has {bad}: {text}");
                }
            }
        }
    }
}

#[test]
fn nothing_is_fetched_and_nothing_runs() {
    let runs = several(examples::all());
    let pages = examples::all().into_iter().map(|(name, outcome)| one(name, outcome));
    for page in pages.chain([page("everything", &runs)]) {
        let document = parse(&page);
        for node in document.descendants().filter(Node::is_element) {
            let name = node.tag_name().name();
            assert!(
                !["script", "link", "img", "image", "iframe", "object", "use"].contains(&name),
                "{name}"
            );
            for attribute in node.attributes() {
                assert!(!["src", "href", "style"].contains(&attribute.name()), "{attribute:?}");
                assert!(!attribute.name().starts_with("on"), "{attribute:?}");
            }
        }
        let style = text(elements(&document, "style").next().unwrap());
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
}

#[test]
fn hostile_texts_are_shown_as_they_are() {
    let page = one("attack", examples::attack());
    assert!(!page.contains("<script") && !page.contains('\u{1b}'));
    let document = parse(&page);
    let shown = ATTACK.replace('\u{1b}', "\\u{1b}");
    assert_eq!(row(&document, "kernel")[1], shown);
    assert!(row(&document, "services")[1].starts_with(&shown));
    assert_eq!(row(&document, "malformed answer")[3], shown);
    assert!(text(elements(&document, "h1").next().unwrap()).starts_with(&shown));
    let remarks: Vec<_> = elements(&document, "li").map(text).collect();
    assert!(remarks.iter().any(|remark| *remark == format!("note {shown}")), "{remarks:?}");
    // In charts' keys too.
    assert!(remarks.iter().any(|key| *key == format!("promised: {shown}=1ms")), "{remarks:?}");

    let mut named = several([("plain", examples::normal()), ("hostile", examples::normal())]);
    named[1].name = ATTACK.into();
    assert!(!self::page("attack-by-name", &named).contains("<script"));
}

#[test]
fn numbers_are_those_of_the_run() {
    let page = one("normal", examples::normal());
    let document = parse(&page);
    assert_eq!(row(&document, "server CPU per request"), ["server CPU per request", "14.2 µs"]);
    assert_eq!(row(&document, "right answers")[1], "10,000/s");
    assert_eq!(row(&document, "max")[1..], ["200 ms", "900 µs"]);
    assert_eq!(row(&document, "sent")[1], "300,000");
    assert_eq!(row(&document, "other status")[1..], ["2", "<0.001 %", "502 Bad Gateway"]);
    assert_eq!(row(&document, "p99>2ms")[1..], ["2.41 ms", "fails"]);
    assert_eq!(row(&document, "17 s")[1..4], ["8,020/s", "7", "1,440"]);
    for (name, value) in [
        ("CPU", "AMD EPYC 7B13"),
        ("kernel", "6.18.0"),
        ("governor", "none to see: no cpufreq"),
        ("git revision", "1c1d53f"),
        ("command", "loadgen rpc --transport http --rate 10000"),
        ("server's command", "node worker.js"),
    ] {
        assert_eq!(row(&document, name)[1], value);
    }
}

/// The points of the lines in this colour, as they are in the picture.
fn points(figure: Node<'_, '_>, colour: &str) -> Vec<(f64, f64)> {
    let lines = figure.descendants().filter(|node| {
        node.tag_name().name() == "polyline" && node.attribute("stroke") == Some(colour)
    });
    lines
        .flat_map(|line| line.attribute("points").unwrap().split_whitespace())
        .map(|point| {
            let (x, y) = point.split_once(',').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .collect()
}

/// Where in the picture this is written.
fn label(figure: Node<'_, '_>, label: &str) -> (f64, f64) {
    let node = figure
        .descendants()
        .find(|node| node.tag_name().name() == "text" && text(*node).trim() == label)
        .unwrap_or_else(|| panic!("no label {label}"));
    let number = |name| node.attribute(name).unwrap().parse().unwrap();
    (number("x"), number("y"))
}

#[test]
fn lines_are_where_their_axes_say() {
    let outcome = examples::normal();
    let page = one("normal", outcome.clone());
    let document = parse(&page);
    let figures: Vec<_> = elements(&document, "figure").collect();
    assert_eq!(figures.len(), 3);

    // Percentiles: as far from 90 % to 99 % as from 99 % to 99.9 %, and p99.9 is between its neighbours among the latencies.
    let [p90, p99, p99_9] = ["90 %", "99 %", "99.9 %"].map(|text| label(figures[0], text).0);
    assert!((p99 - p90 - (p99_9 - p99)).abs() <= 2.0);
    let [high, low] = ["100 ms", "1 ms"].map(|text| label(figures[0], text).1);
    let place = |micros: f64| low + (high - low) * (micros / 1e3).log10() / 2.0;
    let corrected = points(figures[0], "#0072B2");
    let at = corrected.iter().min_by(|a, b| (a.0 - p99_9).abs().total_cmp(&(b.0 - p99_9).abs()));
    assert!((at.unwrap().1 - place(outcome.latency.corrected.p99_9)).abs() < 12.0);
    let most = corrected.last().unwrap();
    assert!((most.1 - place(200_000.0)).abs() < 4.0, "{most:?}");

    // Throughput: a point for each second, and the stalls are as low as they were.
    let rates = points(figures[1], "#0072B2");
    assert_eq!(rates.len(), outcome.seconds.len());
    let [zero, eight] = ["0", "8,000"].map(|text| {
        let mut labels = figures[1].descendants().filter(|node| {
            node.tag_name().name() == "text"
                && self::text(*node).trim() == text
                && node.attribute("text-anchor") == Some("end")
        });
        labels.next_back().unwrap().attribute("y").unwrap().parse::<f64>().unwrap()
    });
    let place = |rate: f64| zero + (eight - zero) * rate / 8_000.0;
    for (point, second) in rates.iter().zip(&outcome.seconds) {
        assert!((point.1 - place(second.rate)).abs() < 3.0, "{point:?} {}", second.rate);
    }
    let marks = |colour: &str, shape: &str| {
        let marks = figures[1].descendants().filter(|node| {
            node.tag_name().name() == shape && node.attribute("stroke") == Some(colour)
        });
        marks.count()
    };
    assert_eq!(marks("#B47400", "circle"), 3, "three seconds with late requests");
    assert_eq!(marks("#C8102E", "line"), 2, "one second with failures: a cross");
}

#[test]
fn the_style_sheet_knows_every_colour_of_every_chart() {
    let runs = several((0..7).map(|_| ("run", examples::knee())));
    for page in [one("knee", examples::knee()), page("seven", &runs)] {
        let document = parse(&page);
        let style = text(elements(&document, "style").next().unwrap());
        let shapes = elements(&document, "svg").flat_map(|svg| svg.descendants().skip(1));
        for shape in shapes.filter(|node| node.is_element() && node.tag_name().name() != "text") {
            for kind in ["stroke", "fill"] {
                let colour = shape.attribute(kind).unwrap_or("none");
                let rule = format!("[{kind}=\"{colour}\"] {{");
                assert!(colour == "none" || style.contains(&rule), "nothing for {rule}");
            }
        }
    }
}

#[test]
fn warnings_stand_before_everything_else() {
    let page = one("limited", examples::limited());
    let document = parse(&page);
    let main = elements(&document, "main").next().unwrap();
    let first = main.first_element_child().unwrap();
    assert_eq!(first.attribute("class"), Some("remarks"));
    assert!(text(first).contains("the generator may be the bottleneck: its busiest core"));
}

#[test]
fn a_run_without_answers_has_tables_but_no_curves() {
    let page = one("stillborn", examples::stillborn());
    let document = parse(&page);
    assert_eq!(elements(&document, "figure").count(), 0);
    assert_eq!(row(&document, "in flight when interrupted")[1], "3");
    assert_eq!(row(&document, "p50")[1..], ["–", "–"]);
    assert!(!elements(&document, "th").any(|cell| text(cell) == "server CPU per request"));
}

#[test]
fn a_second_without_answers_is_a_gap() {
    let mut outcome = examples::normal();
    for second in &mut outcome.seconds[10..15] {
        (second.rate, second.p50, second.p99, second.max) = (0.0, 0.0, 0.0, 0.0);
    }
    let page = one("gap", outcome);
    let document = parse(&page);
    let latencies = elements(&document, "figure").nth(2).unwrap();
    let pieces = latencies.descendants().filter(|node| {
        node.tag_name().name() == "polyline" && node.attribute("stroke") == Some("#0072B2")
    });
    assert_eq!(pieces.count(), 2);
}

#[test]
fn a_search_has_a_chart_of_its_steps() {
    let page = one("knee", examples::knee());
    let document = parse(&page);
    let chart = elements(&document, "figure").next().unwrap();
    assert!(text(chart).contains("Latency by offered rate"));
    let p99 = points(chart, "#0072B2");
    assert_eq!(p99.len(), 7);
    assert!(p99.windows(2).all(|pair| pair[0].0 < pair[1].0), "by rate, not by order");
    assert_eq!(row(&document, "60,000/s")[5..], ["no", "p99 was 41 ms"]);
    assert!(text(chart).contains("promised: p99=1ms"));
}

#[test]
fn several_runs_share_their_axes() {
    let mut faster = examples::normal();
    faster.server.as_mut().unwrap().cpu_us_per_request = 7.105;
    faster.load.connections = 128;
    for (_, micros) in &mut faster.latency.corrected.curve {
        *micros /= 3.0;
    }
    for second in &mut faster.seconds {
        second.rate *= 1.4;
        second.p50 /= 2.0;
    }
    let page = page("comparison", &several([("node", examples::normal()), ("ours", faster)]));
    let document = parse(&page);
    assert_eq!(
        row(&document, "server CPU per request")[1..],
        ["14.2 µs", "7.11 µs", "0.50"].map(String::from)
    );
    let figures: Vec<_> = elements(&document, "figure").collect();
    assert_eq!(figures.len(), 3);
    for figure in figures {
        let keys = text(figure);
        assert!(keys.contains("node") && keys.contains("ours"), "{keys}");
        assert!(!points(figure, "#0072B2").is_empty() && !points(figure, "#D55E00").is_empty());
    }
    // The colour is the run's, so dashes have to tell its lines apart.
    let keys: Vec<_> = elements(&document, "span")
        .map(|span| (span.attribute("class").unwrap(), text(span.parent().unwrap())))
        .collect();
    assert!(keys.contains(&("line c1", "ours corrected".into())), "{keys:?}");
    assert!(keys.contains(&("dashed c1", "ours uncorrected".into())), "{keys:?}");
    assert!(page.contains("the runs did not do the same work: connections"));
    assert_eq!(row(&document, "connections")[1..], ["64", "128"]);
    parse(&self::page("everything", &several(examples::all())));
}

#[test]
fn a_day_of_seconds_does_not_go_into_the_page() {
    let mut outcome = examples::normal();
    outcome.seconds = outcome.seconds.into_iter().cycle().take(86_400).collect();
    let page = one("day", outcome);
    parse(&page);
    assert!(page.contains("more than 3,600 seconds have no table of every second here"));
    assert!(page.len() < 6_000_000, "{}", page.len());
}
