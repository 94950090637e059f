//! The API against what Node's grape 1.0.0 was seen to answer.

use grenache_dht::{Get, NodeId};

use super::*;

const CONTEXT: Context =
    Context { dht_port: 20001, host: Some(Ipv4Addr::LOCALHOST), local: Ipv4Addr::new(10, 0, 0, 7) };

fn call(path: &str, data: &str) -> Result<Call, Answer> {
    let body = format!(r#"{{"rid":"r","data":{data}}}"#);
    read(path.as_bytes(), body.as_bytes(), CONTEXT)
}

/// Status and body of a call that is answered at once.
fn refusal(path: &str, data: &str) -> (u16, String) {
    let answer = call(path, data).expect_err("a refusal");
    (answer.status, String::from_utf8(answer.body.into_owned()).unwrap())
}

fn refused(path: &str, data: &str, body: &str) {
    assert_eq!(refusal(path, data), (200, body.to_string()), "{path} {data}");
}

fn thrown(path: &str, data: &str, body: &str) {
    assert_eq!(refusal(path, data), (500, body.to_string()), "{path} {data}");
}

#[test]
fn paths_are_turned_into_names_as_node_does() {
    for path in [
        "/lookup",
        "/Lookup",
        "/-lookup",
        "/--lookup",
        "/_lookup",
        "/-Lookup",
        "/lookup-",
        "/lookup_-_",
    ] {
        assert!(matches!(call(path, r#""a""#), Ok(Call::Lookup { .. })), "{path}");
    }
    for path in [
        "/lookUp",
        "/LOOKUP",
        "/look-up",
        "/look_up",
        "/lookup/",
        "//lookup",
        "/lookup?",
        "/lookup?x=1",
        "/%6cookup",
        "http://h/lookup",
        "*",
        "/",
        "",
        "/-",
        "/constructor",
        "/lookup#x",
    ] {
        refused(path, r#""a""#, "\"ERR_REQ_NOTFOUND\"");
    }
}

#[test]
fn bodies_that_are_not_json_or_not_objects() {
    let answer = |body: &[u8]| read(b"/lookup", body, CONTEXT).expect_err("a refusal");
    for body in [&b""[..], b"{", b"lookup", b"{\"data\":\"a\"}x", b"\xef\xbb\xbf{}", b"null"] {
        assert_eq!(answer(body), Answer::text(500, "ERR_GRAPE_PAYLOAD_INVALID"), "{body:?}");
    }
    for body in [&b"1"[..], b"-1.5", b"true", b"\"data\"", b"[1,{}]", b"{}", b" {\"Data\":1} "] {
        assert_eq!(answer(body), Answer::text(200, "\"ERR_GRAPE_LOOKUP\""), "{body:?}");
    }
    let key = |body: &[u8]| match read(b"/lookup", body, CONTEXT) {
        Ok(Call::Lookup { key }) => key,
        other => panic!("{other:?}"),
    };
    assert_eq!(key(br#"{"data":"a","data":"b"}"#), "b");
    assert_eq!(key(br#"{"d\u0061ta":"a"}"#), "a");
    assert_eq!(key(b"{\"data\":\"a\xff\"}"), "a\u{fffd}");
    assert_eq!(key(br#"{"\ud800":1,"data":"\ud800"}"#), "\u{fffd}");
    assert_eq!(key(r#"{"data":"grüße\n"}"#.as_bytes()), "grüße\n");
    let deep = format!("{{\"x\":{}{},\"data\":\"a\"}}", "[".repeat(4000), "]".repeat(4000));
    assert_eq!(key(deep.as_bytes()), "a");
}

#[test]
fn a_body_cut_anywhere_is_answered() {
    let k = "11".repeat(32);
    let put = format!(
        r#"{{"rid":"r","data":{{"v":["a",1.5,{{"b":null}}],"k":"{k}","salt":"\ud800","seq":1}}}}"#
    );
    for (path, body) in [
        ("/put", put.as_str()),
        ("/announce", r#"{"data":["grüße\ud83d\ude00",1e3],"rid":"r"}"#),
        ("/get", r#"{"data":{"hash":"00","salt":{"type":"Buffer","data":[1]}}}"#),
    ] {
        for cut in 0..body.len() {
            let answer = read(path.as_bytes(), &body.as_bytes()[..cut], CONTEXT).unwrap_err();
            assert_eq!(answer, Answer::text(500, "ERR_GRAPE_PAYLOAD_INVALID"), "{path} {cut}");
        }
    }
}

#[test]
fn lookups() {
    for data in ["\"\"", "null", "0", "1", "true", "[]", "{}", "[\"a\"]"] {
        refused("/lookup", data, "\"ERR_GRAPE_LOOKUP\"");
    }
}

#[test]
fn announcements() {
    let announced = |data: &str| match call("/announce", data) {
        Ok(Call::Announce { key, port, local }) => (key, port, local),
        other => panic!("{data}: {other:?}"),
    };
    let host = Ipv4Addr::LOCALHOST;
    assert_eq!(announced(r#"["a",1337]"#), (Bytes::from("a"), 1337, host));
    for (port, number) in [
        ("1337.0", 1337),
        ("1e3", 1000),
        ("13.37e2", 1337),
        ("0", 20001),
        ("-0", 20001),
        ("65535", 65535),
    ] {
        assert_eq!(announced(&format!("[\"a\",{port}]")).1, number, "{port}");
    }
    assert_eq!(announced(r#"["",1]"#).0, "");
    assert_eq!(announced(r#"[[97,98,99],1]"#).0, "abc");
    assert_eq!(announced(r#"[{"length":2,"0":97},1]"#).0, "a\0");
    assert_eq!(announced(r#"[{"type":"Buffer","data":[97]},1,2]"#).0, "a");
    for data in ["null", "\"a\"", "1", "{}", "\"\""] {
        refused("/announce", data, "\"ERR_GRAPE_ANNOUNCE\"");
    }
    for data in [
        "[]",
        "[\"a\"]",
        "[\"a\",\"1\"]",
        "[\"a\",null]",
        "[\"a\",1.5]",
        "[7,1e400]",
        "[\"a\",true]",
    ] {
        refused("/announce", data, "\"ERR_GRAPE_SERVICE_PORT\"");
    }
    const EXPECTED: &str = "The first argument must be of type string or an instance of Buffer, \
                            ArrayBuffer, or Array or an Array-like Object. Received ";
    for (service, received) in [
        ("7", "type number (7)"),
        ("true", "type boolean (true)"),
        ("null", "null"),
        ("{}", "an instance of Object"),
    ] {
        thrown("/announce", &format!("[{service},1]"), &format!("{EXPECTED}{received}"));
    }
    const RANGE: &str =
        "The value of \"value\" is out of range. It must be >= 0 and <= 65535. Received ";
    for (port, received) in [
        ("65536", "65536"),
        ("-1", "-1"),
        ("4294967296", "4294967296"),
        ("4294967297", "4_294_967_297"),
        ("-4294967297", "-4_294_967_297"),
        ("1e20", "100_000_000_000_000_000_000"),
    ] {
        thrown("/announce", &format!("[\"a\",{port}]"), &format!("{RANGE}{received}"));
    }
}

#[test]
fn puts_are_checked_in_nodes_order() {
    for (data, body) in [
        ("5", "opts.v not given"),
        ("[]", "opts.v not given"),
        ("{\"k\":\"00\"}", "opts.v not given"),
        ("{\"v\":null}", "Cannot read properties of null (reading 'length')"),
        ("{\"v\":\"a\",\"k\":\"00\",\"cas\":null}", "opts.cas must be an integer if provided"),
        ("{\"v\":\"a\",\"k\":\"00\"}", "opts.k ed25519 public key must be 32 bytes"),
    ] {
        refused("/put", data, &format!("\"{body}\""));
    }
    thrown("/put", "null", "Cannot read properties of null (reading 'k')");
    let k = "11".repeat(32);
    let mutable = |more: &str| format!("{{\"v\":\"a\",\"k\":\"{k}\"{more}}}");
    let sign = "opts.sign function or options.sig signature is required for mutable put";
    let salt = format!(",\"sig\":\"22\",\"salt\":\"{}\"", "s".repeat(65));
    for (more, body) in [
        ("", sign),
        (",\"sig\":\"\"", sign),
        (&salt, "opts.salt is > 64 bytes long"),
        (",\"sig\":\"22\"", "opts.seq not provided for a mutable update"),
        (",\"sig\":\"22\",\"seq\":\"1\"", "opts.seq not an integer"),
    ] {
        refused("/put", &mutable(more), &format!("\"{body}\""));
    }
    let units = |count| format!("{{\"v\":\"{}\"}}", "ü".repeat(count));
    assert!(call("/put", &units(999)).is_ok());
    refused("/put", &units(1000), "\"v must be less than 1000 bytes in put()\"");

    let put = |data: &str| match call("/put", data) {
        Ok(Call::Put(put)) => put,
        other => panic!("{data}: {other:?}"),
    };
    assert_eq!(put("\"bare\"").v, "4:bare");
    assert_eq!(put("\"\"").v, "0:");
    assert_eq!(hex(&put("\"bare\"").target()), "5a0b7047f9fea06eea6e1af1512a3faee8aa28cc");
    assert_eq!(hex(&put("{\"v\":5}").target()), "fd512d5838b7f0c9fa46debf0d0f0d0d28ea81a1");
    let signed = put(&mutable(",\"sig\":[1,2],\"salt\":\"123\",\"seq\":1.5,\"cas\":0"));
    let signed = signed.mutable.unwrap();
    assert_eq!((&signed.sig[..], &signed.salt[..]), (&[1, 2][..], &b"123"[..]));
    assert_eq!((signed.seq, signed.cas), (1, Some(0)));
    assert!(put("{\"v\":\"a\",\"k\":\"\",\"sig\":7}").mutable.is_none());
}

#[test]
fn gets() {
    let target = "5a0b7047f9fea06eea6e1af1512a3faee8aa28cc";
    let get = |data: &str| match call("/get", data) {
        Ok(Call::Get(get)) => get,
        other => panic!("{data}: {other:?}"),
    };
    let Get { target: bytes, salt } = get(&format!("\"{target}\""));
    assert_eq!((hex(&bytes), salt.len()), (target.to_string(), 0));
    assert_eq!(get(&format!("{{\"hash\":\"{target}\",\"salt\":\"s\"}}")).salt, "s");
    for data in ["5", "true", "[]", "{}", "{\"hash\":5}", "{\"hash\":null}"] {
        refused("/get", data, "\"ERR_GRAPE_GENERIC\"");
    }
    // Node asks around in vain for these ...
    for data in ["\"a0b4\"", "\"7777777777\"", "{\"hash\":\"00\"}"] {
        refused("/get", data, "");
    }
    // ... and may die of these.
    for data in ["\"\"", "\"zz\"", "{\"hash\":\"\"}"] {
        refused("/get", data, "\"ERR_GRAPE_HASH_FORMAT\"");
    }
    thrown("/get", "null", "Cannot read properties of null (reading 'salt')");
    assert_eq!(
        read(b"/get", b"{}", CONTEXT).unwrap_err(),
        Answer::text(500, "Cannot read properties of undefined (reading 'salt')")
    );
}

fn written(reply: &Reply) -> (u16, String) {
    let mut out = Vec::new();
    let status = write(reply, &mut out);
    (status, String::from_utf8(out).unwrap())
}

#[test]
fn replies_are_written_as_node_writes_them() {
    let peers = ["10.0.0.1:80", "127.0.0.1:65535"].map(|peer| peer.parse().unwrap()).to_vec();
    let refused = |code, text: &str| grenache_dht::Error::Refused { code, text: text.into() };
    for (reply, status, body) in [
        (Reply::Peers(Vec::new()), 200, "[]"),
        (Reply::Peers(peers), 200, r#"["10.0.0.1:80","127.0.0.1:65535"]"#),
        (Reply::Announced(Ok(3)), 200, "3"),
        (Reply::Announced(Err(grenache_dht::Error::NoNodes)), 200, "\"No nodes to query\""),
        (Reply::Stored(Ok([0xab; 20])), 200, &format!("\"{}\"", "ab".repeat(20))),
        (
            Reply::Stored(Err(refused(302, "sequence number less than current"))),
            302,
            "\"302 sequence number less than current\"",
        ),
        (Reply::Found(None), 200, ""),
    ] {
        assert_eq!(written(&reply), (status, body.to_string()));
    }
}

#[test]
fn peers_are_written_as_their_addresses_are_displayed() {
    let peers: Vec<SocketAddrV4> =
        ["0.0.0.0:0", "9.10.99.100:9", "255.255.255.255:65535", "1.2.3.4:10000"]
            .map(|peer| peer.parse().unwrap())
            .to_vec();
    let list: Vec<String> = peers.iter().map(|peer| format!("\"{peer}\"")).collect();
    assert_eq!(written(&Reply::Peers(peers)).1, format!("[{}]", list.join(",")));
}

#[test]
fn items_show_their_fields_in_the_order_of_their_origin() {
    let id = "01".repeat(20);
    let item = |own| grenache_dht::Item {
        id: NodeId::from([1; 20]),
        own,
        token: (!own).then(|| Bytes::from_static(b"\x02")),
        v: Bytes::from_static(b"3:a\"b"),
        k: Some([3; 32]),
        sig: Some(Bytes::from_static(b"\x04")),
        seq: Some(5),
        salt: (!own).then(|| Bytes::from_static(b"s")),
    };
    let k = "03".repeat(32);
    let found = |own| written(&Reply::Found(Some(Box::new(item(own))))).1;
    assert_eq!(
        found(true),
        format!(r#"{{"id":"{id}","token":null,"v":"a\"b","sig":"04","k":"{k}","seq":5}}"#)
    );
    assert_eq!(
        found(false),
        format!(
            r#"{{"id":"{id}","k":"{k}","seq":5,"sig":"04","token":"02","v":"a\"b","salt":"s"}}"#
        )
    );
}
