//! `put` and `get`: round trips, versions, and grapes that lie.

use serde_json::{Value, json};

use crate::home::{Home, PUBLIC};
use crate::liar::Liar;
use crate::network::Network;
use crate::process::{Ended, command, run, run_with};

/// `grenache put` or `get` with a home.
fn with_home(network: &Network, home: &Home, arguments: &[&str]) -> Ended {
    let mut command = network.command(arguments);
    command.env("HOME", &home.path);
    run_with(command, "")
}

#[test]
fn immutable_items() {
    let network = Network::start();
    for (value, hash) in [
        // sha1("12:Hello World!"), as in BEP44.
        ("Hello World!", Some("e5f96f6f38320f0f33959cb4d3d656452117aadb")),
        ("größe 服务 \"quoted\" \\ \t", None),
        ("", None),
        ("17", None),
        ("{\"a\":1}", None),
    ] {
        let stored = network.run(&["put", value]).out();
        let stored = stored.trim_end();
        assert_eq!(stored, hash.unwrap_or(stored));
        assert_eq!(network.run(&["get", stored]).out(), format!("{value}\n"));
        let found: Value =
            serde_json::from_str(&network.run(&["get", "-j", stored]).out()).unwrap();
        assert_eq!(found, json!({"hash": stored, "v": value}));
    }
    // Words are joined, as grenache-put does; hashes are taken in any case.
    let hash = network.run(&["put", "-j", "Hello", "World!"]).out();
    assert_eq!(hash, "{\"hash\":\"e5f96f6f38320f0f33959cb4d3d656452117aadb\"}\n");
    let upper = "E5F96F6F38320F0F33959CB4D3D656452117AADB";
    assert_eq!(network.run(&["get", upper]).out(), "Hello World!\n");
}

#[test]
fn parts_of_an_answer() {
    let network = Network::start();
    let hash = network.run(&["put", "x"]).out();
    let hash = hash.trim_end();
    let raw: Value = serde_json::from_str(&network.run(&["get", "--raw", hash]).out()).unwrap();
    assert_eq!(raw["v"], "x");
    assert_eq!(raw["token"], Value::Null, "a grape needs no token for its own store");
    let id = network.run(&["get", "--id", hash]).out();
    assert_eq!(id.trim_end(), raw["id"]);
    assert_eq!(network.run(&["get", "--write", hash]).out(), "", "no token is no line");
    assert_eq!(network.run(&["get", "--write", "--value", hash]).out(), "x\n", "the last counts");
}

#[test]
fn mutable_items_and_their_versions() {
    let (network, home) = (Network::start(), Home::with_key());
    let run = |arguments: &[&str]| with_home(&network, &home, arguments);
    // sha1(public key) and sha1(public key, salt), as in BEP44.
    let plain = run(&["put", "-m", "-n", "1", "one"]).out();
    assert_eq!(plain, "4a533d47ec9c7d95b1ad75f576cffc641853b750\n");
    let salted =
        run(&["put", "--mutable", "--number", "1", "--salt", "foobar", "Hello World!"]).out();
    assert_eq!(salted, "411eba73b6f087ca51a3795d9c8c938d365e32c1\n");
    let (plain, salted) = (plain.trim_end(), salted.trim_end());
    assert_eq!(run(&["get", plain]).out(), "one\n");
    assert_eq!(run(&["get", "-s", "foobar", salted]).out(), "Hello World!\n");
    let found = run(&["get", "--json", "-s", "foobar", salted]).out();
    assert_eq!(
        serde_json::from_str::<Value>(&found).unwrap(),
        json!({"hash": salted, "v": "Hello World!", "k": PUBLIC, "seq": 1, "salt": "foobar", "sig":
            "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
             df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"})
    );

    assert_eq!(run(&["put", "-m", "-n", "5", "-c", "1", "two"]).out().trim_end(), plain);
    assert_eq!(run(&["get", plain]).out(), "two\n");
    let error = run(&["put", "-m", "-n", "4", "old"]).error(1);
    assert_eq!(error, "grenache: error: 302 sequence number less than current");
    let error = run(&["put", "-m", "-n", "6", "-c", "1", "lost"]).error(1);
    assert_eq!(error, "grenache: error: 301 CAS mismatch, re-read and try again");
    assert_eq!(run(&["get", plain]).out(), "two\n");
    // Unless told otherwise the time is the version, so that the last one wins.
    let put: Value = serde_json::from_str(&run(&["put", "-jm", "three"]).out()).unwrap();
    assert_eq!((put["hash"].as_str(), put["k"].as_str()), (Some(plain), Some(PUBLIC)));
    let (seq, year_2020) = (put["seq"].as_u64().unwrap(), 1_577_836_800_000_000);
    assert!((year_2020..2 * year_2020).contains(&seq), "{put}");
    assert_eq!(run(&["get", plain]).out(), "three\n");
}

#[test]
fn nothing_there_is_3() {
    let network = Network::start();
    let error = network.run(&["get", &"0".repeat(40)]).error(3);
    assert!(error.contains(&format!("nothing is stored under {}", "0".repeat(40))), "{error}");
    let error = network.run(&["get", "-s", "salt", &"0".repeat(40)]).error(3);
    assert!(error.contains("with the salt 'salt'"), "{error}");
}

#[test]
fn a_key_is_needed_to_sign_and_must_be_one() {
    let (network, home) = (Network::start(), Home::new());
    let put = |home: &Home| with_home(&network, home, &["put", "-m", "x"]);
    assert!(put(&home).error(2).contains("make one with `grenache keygen`"));
    home.write("key", "not a key");
    assert!(put(&home).error(2).contains("key is not a key: expected 128 hex digits"));
    home.write("key", crate::home::SECRET);
    home.write("key.pub", &"0".repeat(64));
    assert!(put(&home).error(2).contains("key.pub does not belong to"));
    // A line end does no harm, but a key that others can read is worth a word.
    home.write("key.pub", &format!("{PUBLIC}\n"));
    home.set_mode("key", 0o644);
    let ended = put(&home);
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("key can be read by others; run `chmod 600"), "{ended:?}");
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let network = Network::start();
    let error = network.run(&["put", &"x".repeat(1001)]).error(2);
    assert!(error.contains("1001 bytes, more than 1000"), "{error}");
    let ended = network.run(&["put", "-n", "1", "x"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains("mean nothing without --mutable"), "{ended:?}");
}

#[test]
fn a_new_pair_signs_what_others_can_check() {
    let (network, home) = (Network::start(), Home::new());
    let mut keygen = command("grenache");
    run_with(
        {
            keygen.arg("keygen").env("HOME", &home.path);
            keygen
        },
        "",
    )
    .out();
    let hash = with_home(&network, &home, &["put", "-m", "mine"]).out();
    // The grape has checked the signature, and so does whoever gets it.
    assert_eq!(network.run(&["get", hash.trim_end()]).out(), "mine\n");
}

const SIGNATURE: &str = "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
                         1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01";

#[test]
fn what_a_lying_grape_gives_out_is_not_printed() {
    let truth = json!({"id": "0".repeat(40), "token": "ab", "v": "Hello World!", "k": PUBLIC,
        "seq": 1, "sig": SIGNATURE});
    let plain = "4a533d47ec9c7d95b1ad75f576cffc641853b750";
    let salted = "411eba73b6f087ca51a3795d9c8c938d365e32c1";
    let immutable = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    let get = |answer: &Value, arguments: &[&str]| {
        let liar = Liar::start(answer.to_string());
        run("grenache", ["-g", &liar.url(), "get"].iter().chain(arguments))
    };
    assert_eq!(get(&truth, &[plain]).out(), "Hello World!\n");
    assert_eq!(get(&truth, &["--write", plain]).out(), "ab\n");
    let change = |name: &str, value: Value| {
        let mut lie = truth.clone();
        lie[name] = value;
        lie
    };
    for (lie, hash) in [
        (change("v", json!("Hello world!")), plain),
        (change("seq", json!(2)), plain),
        (change("sig", json!(SIGNATURE.replace('3', "4"))), plain),
        (change("k", json!(crate::home::SECRET[..64])), plain),
        (truth.clone(), salted),
        (truth.clone(), immutable),
        (json!({"v": "Hello world!"}), immutable),
        (json!({"v": "Hello World!"}), plain),
    ] {
        for option in ["--value", "--raw", "--id", "--json"] {
            let error = get(&lie, &[option, hash]).error(1);
            assert!(error.contains("ERR_ITEM"), "{lie}: {error}");
        }
    }
    let error = get(&truth, &["-s", "other", plain]).error(1);
    assert!(error.contains("ERR_ITEM"), "{error}");
}

#[test]
fn a_grape_that_stores_elsewhere_is_not_believed() {
    let liar = Liar::start(format!("\"{}\"", "0".repeat(40)));
    let error = run("grenache", ["-g", &liar.url(), "put", "x"]).error(1);
    assert!(error.contains("ERR_ITEM"), "{error}");
}

#[test]
fn what_is_sent_is_what_bep44_says() {
    let home = Home::with_key();
    let liar = Liar::start("\"4a533d47ec9c7d95b1ad75f576cffc641853b750\"");
    let mut command = command("grenache");
    command.env("HOME", &home.path).args(["-g", &liar.url()]);
    command.args(["put", "-m", "-n", "1", "-c", "0", "Hello World!"]);
    run_with(command, "").out();
    let (path, body) = liar.requests.recv().unwrap();
    assert_eq!(path, "/put");
    assert_eq!(
        body["data"],
        json!({"v": "Hello World!", "k": PUBLIC, "seq": 1, "sig": SIGNATURE, "cas": 0})
    );
}
