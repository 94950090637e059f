//! Bodies of the grape's API: whatever comes, there is a call within its limits or an answer with a status that clients know.
#![no_main]

use grenache_grape::Call;
use grenache_grape::api::{self, Context};
use libfuzzer_sys::fuzz_target;

const TARGETS: [&[u8]; 6] = [b"/lookup", b"/announce", b"/put", b"/get", b"/Put-", b"/other"];

fuzz_target!(|input: &[u8]| {
    let [which, body @ ..] = input else { return };
    let local = [127, 0, 0, 1].into();
    let context = Context { dht_port: 20001, host: (which & 8 == 0).then_some(local), local };
    match api::read(TARGETS[usize::from(which % 6)], body, context) {
        Ok(Call::Lookup { key }) => assert!(!key.is_empty() && key.len() <= 3 * body.len()),
        Ok(Call::Announce { key, port, .. }) => {
            assert!(port != 0 && key.len() <= 65_536 + 3 * body.len());
        }
        Ok(Call::Put(put)) => {
            let mut reader = grenache_dht::bencode::Reader::new(&put.v);
            // Deeper nesting than the DHT takes is its own to refuse.
            if reader.skip() == Ok(()) {
                assert_eq!(reader.finish(), Ok(()));
            }
            if let Some(mutable) = put.mutable {
                assert!(mutable.salt.len() <= 64);
            }
        }
        Ok(Call::Get(_)) => {}
        Err(answer) => assert!(matches!(answer.status, 200 | 500), "{answer:?}"),
    }
});
