//! The command line itself: help, mistakes, where output goes.

use std::process::{Command, Stdio};

use crate::network::Network;
use crate::process::{Ended, command, run, run_with};

const COMMANDS: [&str; 11] = [
    "announce", "lookup", "put", "get", "keygen", "request", "map", "serve", "pub", "sub", "bridge",
];

/// The first line on standard error of a command line that must be refused.
#[track_caller]
fn refused(ended: Ended) -> String {
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    ended.err
}

#[test]
fn help_names_every_command_and_exit_code() {
    let help = run("grenache", ["--help"]).out();
    for word in COMMANDS.iter().chain(&["completions", "man", "Exit codes", "GRENACHE_GRAPE"]) {
        assert!(help.contains(word), "{word}: {help}");
    }
    for code in ["0  done", "1  failed", "2  ", "3  nobody", "4  the time", "5  some"] {
        assert!(help.contains(code), "{code}: {help}");
    }
    for name in COMMANDS {
        let help = run("grenache", [name, "--help"]).out();
        assert!(help.contains(&format!("Usage: grenache {name}")), "{help}");
    }
    assert!(run("grenache", ["--version"]).out().starts_with("grenache 0."));
    assert!(refused(run::<&str>("grenache", [])).contains("Usage: grenache"));
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_sent() {
    let grape = &["--grape", "http://127.0.0.1:1"][..];
    for (line, part) in [
        (&["anounce"][..], "anounce"),
        (&["lookup"], "<SERVICE>"),
        (&["put"], "<VALUE>"),
        (&["put", "-m", "-n", "-1", "x"], "-1"),
        (&["put", "-m", "-n", "9223372036854775808", "x"], "9223372036854775808"),
        (&["put", "-m", "-c", "x", "x"], "'x'"),
        (&["put", "-m", "-s", "", "x"], "empty salt"),
        (&["get", "-s", &"s".repeat(65), "00"], "65 bytes"),
        (&["get", "0123"], "40 hex digits"),
        (&["request", "a"], "<JSON>"),
        (&["request", "a", "null", "--transport", "udp"], "possible values: http, ws, zmq"),
        (&["request", "a", "null", "--transport", "ws", "--gzip"], "HTTP's"),
        (&["request", "a", "null", "--timeout", "0"], "'0'"),
        (&["request", "a", "null", "--tls-cert", "x"], "--tls-key"),
        (&["request", "a", "null", "--tls-allow", "AA:BB"], "40 (SHA-1) or 64"),
        (&["request", "a", "null", "--tls-name", "a", "--tls-no-name-check"], "cannot be used"),
        (&["map", "a", "null", "--limit", "0"], "'0'"),
        (&["serve", "a", "--port", "0"], "--echo|--reply <JSON>|--exec <COMMAND>"),
        (&["serve", "a", "--port", "0", "--echo", "--reply", "1"], "cannot be used"),
        (&["serve", "a", "--echo"], "--port"),
        (&["serve", "a", "--port", "65536", "--echo"], "65536"),
        (&["serve", "a", "--port", "0", "--echo", "--children", "2"], "--children"),
        (&["completions", "tcsh"], "tcsh"),
    ] {
        let text = refused(run("grenache", grape.iter().chain(line)));
        assert!(text.contains(part), "{line:?}: {text}");
    }
}

#[test]
fn a_payload_that_is_not_json_is_refused_with_a_hint() {
    for name in ["request", "map"] {
        let error = run("grenache", [name, "a", "hello"]).error(2);
        assert!(error.starts_with("grenache: error: the payload is not JSON: "), "{error}");
        assert!(error.ends_with(r#"for a string write '"hello"'"#), "{error}");
    }
    let mut command = command("grenache");
    command.args(["request", "a", "-"]);
    let error = run_with(command, "[1,").error(2);
    assert!(error.contains("not JSON") && !error.contains("for a string"), "{error}");
}

#[test]
fn a_grape_that_is_none_is_named() {
    for grape in ["ftp://a:1", "http://", "http://a:b", "http://a:70000", ""] {
        let text = refused(run("grenache", ["--grape", grape, "lookup", "a"]));
        assert!(text.contains("--grape") || text.contains("no grape"), "{grape}: {text}");
    }
}

#[test]
fn the_grape_comes_from_the_environment_unless_it_is_named() {
    let network = Network::start();
    network.announce("env", 7);
    let lookup = |variable: &str, arguments: &[&str]| {
        let mut command = command("grenache");
        command.env("GRENACHE_GRAPE", variable).args(arguments).args(["lookup", "env"]);
        run_with(command, "")
    };
    assert_eq!(lookup(&network.url(), &[]).out(), "127.0.0.1:7\n");
    // Without a scheme, and after one that does not answer.
    let two = format!("127.0.0.1:1,{}", network.grape.api_addr());
    assert_eq!(lookup(&two, &[]).out(), "127.0.0.1:7\n");
    assert_eq!(lookup("http://127.0.0.1:1", &["-g", &network.url()]).out(), "127.0.0.1:7\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let network = Network::start();
    network.announce("a", 1);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = network.command(&["lookup", "a"]);
    let ended = command.stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = command("grenache");
    let ended = command.arg("man").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let error = String::from_utf8(ended.stderr).unwrap();
    assert!(error.starts_with("grenache: error: standard output cannot be written"), "{error}");
}

/// `script` runs a command at a terminal.
fn at_a_terminal(variables: &str) -> String {
    let line = format!(
        "{variables} GRENACHE_GRAPE=http://127.0.0.1:1 {} lookup a",
        env!("CARGO_BIN_EXE_grenache")
    );
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm");
    run_with(script, "").out
}

#[test]
fn colour_is_for_a_terminal_that_has_not_refused_it() {
    let colour = "\x1b[";
    assert!(at_a_terminal("").contains(colour));
    assert!(!at_a_terminal("NO_COLOR=1").contains(colour));
    assert!(!at_a_terminal("TERM=dumb").contains(colour));
    let piped = run("grenache", ["-g", "http://127.0.0.1:1", "lookup", "a"]);
    assert!(
        piped.err.starts_with("grenache: error: ERR_GRAPE_UNREACHABLE")
            && !piped.err.contains(colour)
    );
}

#[test]
fn completions_are_scripts_that_their_shell_takes() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run("grenache", ["completions", shell]).out();
        assert!(script.contains("grenache") && script.contains("announce"), "{shell}");
        if shell == "bash" {
            let mut bash = Command::new("bash");
            bash.arg("-n");
            assert_eq!(run_with(bash, &script).out(), "");
        }
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let page = run("grenache", ["man"]).out();
    assert!(page.contains(".TH grenache 1") && page.contains("Exit codes"), "{page}");
    let home = crate::home::Home::new();
    let folder = home.path.join("man1");
    assert_eq!(run("grenache", ["man".as_ref(), folder.as_os_str()]).out(), "");
    for name in COMMANDS {
        let page = std::fs::read_to_string(folder.join(format!("grenache-{name}.1"))).unwrap();
        assert!(page.contains(".SH DESCRIPTION"), "{page}");
    }
    assert!(folder.join("grenache.1").exists());
    let error = run("grenache", ["man", "/dev/null/x"]).error(1);
    assert!(error.contains("/dev/null/x cannot be written"), "{error}");
}
