//! Bodies of requests and replies, JSON values, fingerprints and the addresses of grapes: refused, or the same when written again.
#![no_main]

use grenache_peer::envelope::probe;
use grenache_peer::link::Grape;
use grenache_peer::{Fingerprint, Json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    probe(input);
    if let Ok(json) = Json::from_text(input.to_vec()) {
        assert_eq!(json.as_str().as_bytes(), input.trim_ascii());
        // Types are another parser's, so what it cannot hold is all that may differ.
        let _ = json.to::<serde_json::Value>();
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
    let _ = text.parse::<Grape>();
});
