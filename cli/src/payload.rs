//! The JSON of a request, from the command line or standard input.

use std::io::{self, Read};

use grenache_peer::Json;

use crate::exit::Failure;

/// The longest payload read from standard input.
const MAX_PAYLOAD: u64 = 64 << 20;

/// Takes `text` as JSON; `-` reads it from standard input.
///
/// # Errors
/// If it is not JSON, or longer than 64 MiB.
pub(crate) fn read(text: &str) -> Result<Json, Failure> {
    let bytes = if text == "-" { from_stdin()? } else { text.as_bytes().to_vec() };
    Json::from_text(bytes).map_err(|error| {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        let hint = match text {
            "-" => String::new(),
            _ if quoted.len() < 80 => format!("; for a string write '{quoted}'"),
            _ => "; a string needs quotes of its own".into(),
        };
        Failure::usage(format!("the payload is not JSON: {error}{hint}"))
    })
}

fn from_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_PAYLOAD + 1).read_to_end(&mut bytes);
    match read {
        Err(error) => Err(Failure::usage(format!("standard input cannot be read: {error}"))),
        Ok(length) if length as u64 > MAX_PAYLOAD => {
            Err(Failure::usage(format!("the payload is longer than {MAX_PAYLOAD} bytes")))
        }
        Ok(_) => Ok(bytes),
    }
}
