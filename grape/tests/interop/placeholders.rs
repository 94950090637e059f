//! What requests in the conformance table leave to be computed: `<<...>>`, the innermost first.
//!
//! `<<999*a>>` a text repeated, `<<hash T>>` the key of the immutable item T, `<<benhash B>>` the sha1 of bencoded bytes,
//! `<<key>>` a public key, `<<sign SEQ SALT V>>` its signature of a mutable item (salt `-` for none), `<<target SALT>>` the
//! item's key; in capitals: upper-case hex. `buf...` and `target-bytes` give bytes as JSON instead of hex.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::Value;
use sha1::{Digest, Sha1};

/// The key pair of RFC 8032, section 7.1, test 1.
const SECRET: [u8; 32] = [
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];

/// The public key of the test's items.
pub(crate) fn public_key() -> [u8; 32] {
    SigningKey::from_bytes(&SECRET).verifying_key().to_bytes()
}

/// The signature of a mutable item by BEP44: the bencoded salt (if any), seq and v, without the dictionary around them.
pub(crate) fn sign(seq: i64, salt: &str, v: &str) -> [u8; 64] {
    let salt = if salt.is_empty() { String::new() } else { format!("4:salt{}:{salt}", salt.len()) };
    let text = format!("{salt}3:seqi{seq}e1:v{}:{v}", v.len());
    SigningKey::from_bytes(&SECRET).sign(text.as_bytes()).to_bytes()
}

/// The key of an immutable item: sha1 of the bencoded string.
pub(crate) fn immutable_key(v: &str) -> [u8; 20] {
    Sha1::digest(format!("{}:{v}", v.len())).into()
}

/// The key of a mutable item: sha1 of public key and salt.
pub(crate) fn mutable_key(salt: &str) -> [u8; 20] {
    Sha1::new().chain_update(public_key()).chain_update(salt).finalize().into()
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fills in every placeholder.
pub(crate) fn expand(text: &str) -> String {
    let mut text = text.to_string();
    while let Some(end) = text.find(">>") {
        let start = text[..end].rfind("<<").expect("a placeholder that opens");
        let value = evaluate(&text[start + 2..end]);
        text.replace_range(start..end + 2, &value);
    }
    text
}

fn evaluate(placeholder: &str) -> String {
    if let Some((count, text)) = placeholder.split_once('*')
        && let Ok(count) = count.parse()
    {
        return text.repeat(count);
    }
    let (word, rest) = placeholder.split_once(' ').unwrap_or((placeholder, ""));
    let signature = || {
        let (seq, rest) = rest.split_once(' ').expect("seq salt v");
        let (salt, v) = rest.split_once(' ').expect("salt v");
        sign(seq.parse().expect("seq"), salt.strip_prefix('-').unwrap_or(salt), v)
    };
    let target = || mutable_key(rest.strip_prefix('-').unwrap_or(rest));
    match word {
        "key" => hex(&public_key()),
        "KEY" => hex(&public_key()).to_uppercase(),
        "bufkey" => buffer(&public_key()),
        "hash" => hex(&immutable_key(rest)),
        "HASH" => hex(&immutable_key(rest)).to_uppercase(),
        "benhash" => hex(&Sha1::digest(rest)),
        "sign" => hex(&signature()),
        "SIGN" => hex(&signature()).to_uppercase(),
        "bufsign" => buffer(&signature()),
        "target" => hex(&target()),
        "target-bytes" => target().map(|byte| byte.to_string()).join(","),
        _ => panic!("an unknown placeholder: {placeholder}"),
    }
}

/// What JavaScript's JSON makes of a Buffer, inside a JSON string.
fn buffer(bytes: &[u8]) -> String {
    let object = serde_json::json!({"type": "Buffer", "data": bytes}).to_string();
    let string = Value::from(object).to_string();
    string[1..string.len() - 1].to_string()
}
