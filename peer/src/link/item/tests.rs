use super::*;

fn key() -> SecretKey {
    SecretKey::from_seed(&[7; 32])
}

fn found(answer: serde_json::Value, key: &ItemKey, salt: &[u8]) -> Result<Item, Error> {
    read(&Bytes::from(answer.to_string())).unwrap().unwrap().verified(key, salt)
}

#[test]
fn immutable_items_are_checked_by_their_hash() {
    let key = Put::immutable("hello").unwrap().key();
    // printf '5:hello' | sha1sum
    assert_eq!(key.to_string(), "e28910ea0adb94dd45ced75fbff3e135c01bc437");
    assert_eq!(key.to_string().parse::<ItemKey>().unwrap(), key);
    let item = found(json!({"id": "00", "token": null, "v": "hello"}), &key, b"").unwrap();
    assert_eq!((item.value.as_str(), item.key, item.seq), ("hello", None, None));
    assert_eq!(item.raw.as_str(), r#"{"id":"00","token":null,"v":"hello"}"#);
    let error = found(json!({"v": "hellp"}), &key, b"").unwrap_err();
    assert_eq!(error.code(), "ERR_ITEM");
    // A number is shown as text.
    let seven = ItemKey(signature::immutable_target(b"i7e"));
    assert_eq!(found(json!({"v": "7"}), &seven, b"").unwrap().value, "7");
    assert!(found(json!({"v": "07"}), &seven, b"").is_err());
}

#[test]
fn mutable_items_are_checked_by_key_and_signature() {
    let put = Put::mutable("one", &key(), 5, b"s").unwrap().cas(4).unwrap();
    let sent: serde_json::Value = serde_json::from_str(&put.to_json()).unwrap();
    assert_eq!((&sent["salt"], &sent["cas"], &sent["seq"]), (&json!("s"), &json!(4), &json!(5)));
    let item = found(sent.clone(), &put.key(), b"s").unwrap();
    assert_eq!((item.value.as_str(), item.seq, item.key), ("one", Some(5), Some(key().public())));
    let other = SecretKey::from_seed(&[8; 32]);
    let others = Put::mutable("one", &other, 5, b"s").unwrap().to_json();
    let others: serde_json::Value = serde_json::from_str(&others).unwrap();
    for (name, value) in [
        ("v", json!("two")),
        ("seq", json!(6)),
        ("seq", json!(null)),
        ("seq", json!(5.5)),
        ("k", others["k"].clone()),
        ("k", json!("00")),
        ("sig", others["sig"].clone()),
        ("sig", json!(null)),
    ] {
        let mut forged = sent.clone();
        forged[name] = value;
        assert!(found(forged, &put.key(), b"s").is_err(), "{name}");
    }
    assert!(found(others, &put.key(), b"s").is_err());
    assert!(found(sent, &put.key(), b"t").is_err());
}

#[test]
fn what_was_signed_elsewhere_is_checked_before_it_leaves() {
    let put = Put::mutable("one", &key(), 5, b"").unwrap();
    let signed = put.signed.clone().unwrap();
    let again = Put::signed("one", signed.key, signed.signature, 5, b"").unwrap();
    assert_eq!(again, put);
    assert!(Put::signed("one", signed.key, signed.signature, 6, b"").is_err());
    assert!(Put::signed("one", signed.key, signed.signature, 5, b"s").is_err());
}

#[test]
fn limits() {
    assert!(Put::immutable("x".repeat(1000)).is_ok() && Put::immutable("x".repeat(1001)).is_err());
    assert!(Put::mutable("x", &key(), 1, &[b's'; 65]).is_err());
    assert!(Put::mutable("x", &key(), MAX_NUMBER, b"").is_ok());
    assert!(Put::mutable("x", &key(), -MAX_NUMBER - 1, b"").is_err());
    assert!(Put::mutable("x", &key(), 1, b"").unwrap().cas(i64::MAX).is_err());
    assert!(Put::immutable("x").unwrap().cas(1).is_err());
    assert!(get_json(&ItemKey([0; 20]), &[b's'; 65]).is_err());
    for bad in ["", "01", &"g".repeat(40), &"0".repeat(41)] {
        assert!(bad.parse::<ItemKey>().is_err(), "{bad}");
    }
}

#[test]
fn a_salt_that_a_grape_would_take_for_json_goes_as_bytes() {
    for (salt, sent) in [
        (&b"plain"[..], json!("plain")),
        (b"\"quoted\"", json!({"type": "Buffer", "data": b"\"quoted\""})),
        (b"[1]", json!({"type": "Buffer", "data": b"[1]"})),
        (b"\xff", json!({"type": "Buffer", "data": [255]})),
    ] {
        assert_eq!(salt_json(salt), sent);
    }
}

#[test]
fn answers_that_are_no_items() {
    assert!(matches!(read(&Bytes::new()), Some(None)));
    for garbage in ["{}", "[]", "\"x\"", "{\"v\":1}", "{\"v\":\"a\",\"k\":1}"] {
        assert!(read(&Bytes::from_static(garbage.as_bytes())).is_none(), "{garbage}");
    }
}
