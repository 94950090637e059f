//! What a run writes, and what is done with that.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::process::{Alone, loadgen, run};
use crate::server::{Act, Server};

fn file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("output");
    fs::create_dir_all(&folder).expect("a folder");
    folder.join(name)
}

fn echo() -> Server {
    Server::start(|_, _| Act::Echo)
}

#[test]
fn a_run_is_shown_and_kept_in_every_form() {
    let server = echo();
    let [json, csv, hlog, page] = ["a.json", "a.csv", "a.hlog", "a.html"].map(file);
    let ended = run(loadgen(&format!(
        "rpc -t {} -S rest:a -r 500 -d 2s -w 500ms --self-check --server-pid {} --json {} --csv {} --hlog {} --report {}",
        server.addr,
        std::process::id(),
        json.display(),
        csv.display(),
        hlog.display(),
        page.display()
    )));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for word in ["corrected", "uncorrected", "p99.99", "server CPU", "null server"] {
        assert!(ended.out.contains(word), "{word}: {}", ended.out);
    }
    // The warm-up's half second and two of the window.
    assert_eq!(ended.err.lines().filter(|line| line.contains("p99")).count(), 3, "{}", ended.err);
    let report: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(report["schema"], 1);
    assert!(report["server"]["cpu_us_per_request"].as_f64() > Some(0.0), "{report}");
    assert!(report["generator"]["null_server_rate"].as_f64() > Some(1000.0), "{report}");
    let requests = &report["requests"];
    assert_eq!(requests["sent"], requests["answered"]);
    assert_eq!(report["seconds"].as_array().map(Vec::len), Some(2));
    assert_eq!(fs::read_to_string(&csv).unwrap().lines().count(), 3);
    assert!(fs::read_to_string(&hlog).unwrap().contains("corrected"));
    let page = fs::read_to_string(&page).unwrap();
    assert!(
        page.contains("<svg")
            && page.contains("rest:a")
            && !page.contains("http://www.w3.org/1999/xlink")
    );
}

#[test]
fn runs_are_compared() {
    let server = echo();
    let [a, b, page] = ["b-a.json", "b-b.json", "b.html"].map(file);
    for (path, connections) in [(&a, 1), (&b, 4)] {
        let run = run(loadgen(&format!(
            "rpc -t {} -S a --requests 500 -c {connections} -q --json {}",
            server.addr,
            path.display()
        )));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let compare = format!("compare {} {} --report {}", a.display(), b.display(), page.display());
    let ended = run(loadgen(&compare));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("b-a") && ended.out.contains("connections"), "{}", ended.out);
    assert!(fs::read_to_string(&page).unwrap().contains("b-b"));
}

#[test]
fn the_knee_is_below_what_the_server_can_do() {
    // 2 ms of CPU for each request: 500 a second at the most.
    let server = Server::start(|_, _| Act::Work(std::time::Duration::from_millis(2)));
    let alone = Alone::wait();
    let run = alone.measure(&format!(
        "rpc -t {} -S a --find-knee --slo p99=100ms,errors=0 --rate 50 --step 1s -w 200ms",
        server.addr
    ));
    let report: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{run:?}"));
    let steps = report["knee"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["held"] == false), "{report}");
    let rate = report["knee"]["rate"].as_f64().unwrap_or(0.0);
    assert!(rate <= 550.0, "more than the server can do: {rate}");
    // On a machine that is busy with something else the generator is the limit, and has to say so.
    let limited =
        steps.iter().any(|step| step["why"].to_string().contains("generator was the limit"));
    assert!(rate >= 50.0 || limited, "{report}");
    assert_eq!(run.code, Some(if rate > 0.0 { 0 } else { 6 }), "{report}");
    // A promise that nobody keeps.
    let missed = alone.measure(&format!(
        "rpc -t {} -S a --find-knee --slo p50=1us --rate 8 --step 500ms -w 0s",
        server.addr
    ));
    assert_eq!(missed.json(6)["knee"]["rate"], Value::Null);
}

#[test]
fn a_self_check_tells_how_busy_the_generator_was() {
    let check = Alone::wait().measure("self-check -d 1s -w 200ms -c 64 --idle spin:1000000");
    let report = check.json(0);
    assert!(report["rate"].as_f64() > Some(1000.0), "{report}");
    // What it makes of that is tested beside `collector`: how near to the limit it comes here is the machine's affair.
    assert!(report["generator"]["busy"].as_f64() > Some(0.3), "{report}");
}

#[test]
fn the_schema_is_the_one_that_is_checked_in() {
    let printed = run(loadgen("schema"));
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    assert_eq!(printed.out, fs::read_to_string(file).unwrap());
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_the_run() {
    let server = echo();
    for option in ["json", "csv", "hlog", "report"] {
        let ended =
            run(loadgen(&format!("rpc -t {} -S a -d 60s -q --{option} /nowhere/x", server.addr)));
        assert!(ended.error(2).contains("/nowhere/x"), "{ended:?}");
    }
}
