//! Items that the clients put and get: texts that never change, and one mutable item of each client.

use std::cell::RefCell;
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use grenache_engine::now;

use crate::client::{draw, post};
use crate::network;
use crate::oracle::Oracle;

/// One client's key, and the last sequence number it has signed.
pub(crate) struct Writer {
    key: SigningKey,
    seq: i64,
}

/// An item that was put, or may have been.
pub(crate) struct Item {
    /// What it is found under.
    pub(crate) target: String,
    /// The highest sequence number that was acknowledged; 0 for texts.
    pub(crate) seq: i64,
    /// The highest that was tried.
    pub(crate) tried: i64,
    /// The text, or what comes before the sequence number in a mutable one's.
    pub(crate) text: String,
    /// When putting it began, while the network was whole; `None`: it need not be found.
    pub(crate) safe_since: Option<Duration>,
}

impl Item {
    /// The sequence number of a value, if it is one of this item's.
    pub(crate) fn read(&self, value: &str) -> Option<i64> {
        match value.strip_prefix(&self.text)? {
            "" if self.tried == 0 => Some(0),
            number => number.parse().ok().filter(|seq| (1..=self.tried).contains(seq)),
        }
    }
}

impl Writer {
    pub(crate) fn new() -> Writer {
        let mut seed = [0; 32];
        grenache_engine::fill_random(&mut seed);
        Writer { key: SigningKey::from_bytes(&seed), seq: 0 }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Puts the next version of this client's item, with a salt. One call at a time.
    pub(crate) async fn put(&mut self, grape: usize, oracle: &RefCell<Oracle>) {
        self.seq += 1;
        let k = Writer::hex(&self.key.verifying_key().to_bytes());
        let (seq, text) = (self.seq, format!("{}:", &k[..8]));
        let v = format!("{text}{seq}");
        let signed = format!("4:salt3:sim3:seqi{seq}e1:v{}:{v}", v.len());
        let sig = Writer::hex(&self.key.sign(signed.as_bytes()).to_bytes());
        let data = format!(r#"{{"v":"{v}","k":"{k}","sig":"{sig}","salt":"sim","seq":{seq}}}"#);
        put(grape, &data, (seq, text), oracle).await;
    }
}

/// Puts a text that nobody else puts.
pub(crate) async fn put_text(grape: usize, oracle: &RefCell<Oracle>) {
    let text = format!("text {} {}", draw(u32::MAX), draw(u32::MAX));
    put(grape, &format!("\"{text}\""), (0, text), oracle).await;
}

async fn put(grape: usize, data: &str, (seq, text): (i64, String), oracle: &RefCell<Oracle>) {
    let body = format!("{{\"rid\":\"r\",\"data\":{data}}}");
    let call = oracle.borrow_mut().begin(grape, now());
    let began = call.began;
    let answer = post(network::api(grape), "/put", &body).await;
    let mut oracle = oracle.borrow_mut();
    let answer = oracle.end(call, answer, now());
    let target = answer.map(|answer| answer.trim_matches('"').to_string());
    // Some may have stored it although nobody could be reached, or the grape is gone.
    let target = target.filter(|target| target != "All queries failed");
    if let Some(target) = &target {
        assert_eq!(target.len(), 40, "put answered {target}");
    }
    oracle.put(target, seq, text, began);
}

/// Gets any item.
pub(crate) async fn get(grape: usize, oracle: &RefCell<Oracle>) {
    let Some(target) = oracle.borrow().some_target(draw(u32::MAX)) else { return };
    let body = format!(r#"{{"rid":"r","data":{{"hash":"{target}","salt":"sim"}}}}"#);
    let call = oracle.borrow_mut().begin(grape, now());
    let began = call.began;
    // What is acknowledged from now on may be missed.
    let known = oracle.borrow().acknowledged(&target);
    let answer = post(network::api(grape), "/get", &body).await;
    let mut oracle = oracle.borrow_mut();
    if let Some(text) = oracle.end(call, answer, now()) {
        let value = (!text.is_empty()).then(|| {
            let item: serde_json::Value = serde_json::from_str(&text).expect("a JSON object");
            item["v"].as_str().expect("a text").to_string()
        });
        oracle.got(&target, value.as_deref(), known, grape, began);
    }
}
