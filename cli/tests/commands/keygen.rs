//! `keygen`: grenache-cli's files, safe from others and from accidents.

use std::process::Command;

use serde_json::Value;

use crate::home::{Home, PUBLIC, SECRET};
use crate::process::{Ended, command, run_with};

fn keygen(home: &Home, arguments: &[&str]) -> Ended {
    let mut command = command("grenache");
    command.arg("keygen").args(arguments).env("HOME", &home.path);
    run_with(command, "")
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn makes_the_files_of_grenache_cli_for_the_owner_alone() {
    let home = Home::new();
    // The owner's own habits must not matter.
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0; exec \"$0\" keygen", env!("CARGO_BIN_EXE_grenache")]);
    shell.env("HOME", &home.path);
    let printed = run_with(shell, "").out();
    assert_eq!(printed.trim_end(), home.read("key.pub"));
    assert!(is_hex(&home.read("key"), 128) && is_hex(&home.read("key.pub"), 64));
    for (file, mode) in
        [("", 0o700), ("key", 0o600), ("key.pub", 0o600), ("grenache-cli.conf", 0o600)]
    {
        assert_eq!(home.mode(file), mode, "{file}");
    }
    // What grenache-cli's scripts give to curl: without these they cannot speak to a grape.
    let settings = home.read("grenache-cli.conf");
    for needed in ["silent", "request POST", "data-binary = \"@-\""] {
        assert!(settings.lines().any(|line| line == needed), "{needed}: {settings}");
    }
    let left: Vec<_> = std::fs::read_dir(home.file("")).unwrap().collect();
    assert_eq!(left.len(), 3, "nothing else is left: {left:?}");
}

#[test]
fn a_pair_that_is_there_is_kept_unless_force_is_asked_for() {
    let home = Home::with_key();
    home.write("grenache-cli.conf", "mine");
    let error = keygen(&home, &[]).error(1);
    assert!(error.contains("key exists and is kept; use -f"), "{error}");
    assert_eq!((home.read("key").as_str(), home.read("key.pub").as_str()), (SECRET, PUBLIC));

    home.set_mode("key", 0o644);
    let printed = keygen(&home, &["-f", "--json"]).out();
    let made: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(made["public_key"], home.read("key.pub"));
    assert_eq!(made["secret_file"], home.file("key").to_str().unwrap());
    assert_ne!(home.read("key"), SECRET);
    assert_eq!(home.mode("key"), 0o600);
    assert_eq!(home.read("grenache-cli.conf"), "mine");
}

#[test]
fn half_a_pair_is_kept_as_well() {
    let home = Home::with_key();
    std::fs::remove_file(home.file("key")).unwrap();
    keygen(&home, &[]).error(1);
    assert_eq!(home.read("key.pub"), PUBLIC);
    assert!(!home.file("key").exists(), "no secret key without its public one");
}

#[test]
fn no_two_pairs_are_the_same() {
    let (one, other) = (Home::new(), Home::new());
    assert_ne!(keygen(&one, &[]).out(), keygen(&other, &[]).out());
}

#[test]
fn without_a_home_there_is_no_place_for_it() {
    let mut command = command("grenache");
    command.arg("keygen");
    assert!(run_with(command, "").error(2).contains("HOME is not set"));
}

#[test]
fn what_cannot_be_written_is_told() {
    let home = Home::new();
    std::fs::write(home.path.join(".grenache-cli"), "a file").unwrap();
    let error = keygen(&home, &[]).error(1);
    assert!(error.contains(".grenache-cli cannot be written"), "{error}");
}

fn is_z85(text: &str) -> bool {
    text.parse::<grenache_peer::zeromq::PublicKey>().is_ok()
}

#[test]
fn curve_keys_are_for_the_owner_alone_and_belong_together() {
    let home = Home::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0; exec \"$0\" keygen --curve", env!("CARGO_BIN_EXE_grenache")]);
    shell.env("HOME", &home.path);
    let printed = run_with(shell, "").out();
    assert!(is_z85(printed.trim_end()), "{printed}");
    assert_eq!(printed.trim_end(), home.read("curve.pub"));
    let secret: grenache_peer::zeromq::SecretKey = home.read("curve").parse().expect("Z85");
    let keys = grenache_peer::zeromq::KeyPair::from(secret);
    assert_eq!(keys.public.to_string(), home.read("curve.pub"));
    for (file, mode) in [("", 0o700), ("curve", 0o600), ("curve.pub", 0o600)] {
        assert_eq!(home.mode(file), mode, "{file}");
    }
    assert!(!home.file("key").exists(), "keys for items are others");
}

#[test]
fn curve_keys_go_where_they_are_asked_to_and_replace_none() {
    let home = Home::new();
    let file = home.path.join("server");
    let file = file.to_str().unwrap();
    let made = keygen(&home, &["--curve", "-o", file, "--json"]).out();
    let made: Value = serde_json::from_str(&made).unwrap();
    let read = |name: &str| std::fs::read_to_string(home.path.join(name)).unwrap();
    assert_eq!(made["public_key"], read("server.pub"));
    assert_eq!(made["secret_file"], file);
    assert_eq!(made["public_file"], format!("{file}.pub"));
    let secret = read("server");

    let error = keygen(&home, &["--curve", "-o", file]).error(1);
    assert!(error.contains("server exists and is kept; use -f"), "{error}");
    std::fs::remove_file(file).unwrap();
    let error = keygen(&home, &["--curve", "-o", file]).error(1);
    assert!(error.contains("server.pub exists and is kept"), "{error}");
    assert!(!std::path::Path::new(file).exists(), "no secret key without its public one");
    assert_ne!(keygen(&home, &["--curve", "-f", "-o", file]).out().trim_end(), secret);
    assert_ne!(read("server"), secret);

    let error = keygen(&home, &["--curve", "-o", "/no/such/folder/key"]).error(1);
    assert!(error.contains("/no/such/folder/key cannot be written"), "{error}");
    assert_eq!(keygen(&home, &["-o", file]).code, Some(2));
}
