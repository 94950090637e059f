//! The examples of BEP5 and the test vectors of BEP44.

use grenache_dht::krpc::{self, Body, Method};
use grenache_dht::{Mutable, Put};

const ID: &[u8] = b"abcdefghij0123456789";
const OTHER: &[u8] = b"mnopqrstuvwxyz123456";

fn query(datagram: &[u8]) -> (Method, krpc::Fields<'_>) {
    match krpc::parse(datagram).unwrap() {
        krpc::Message { transaction: b"aa", body: Body::Query(method, Some(fields)) } => {
            (method, fields)
        }
        other => panic!("{other:?}"),
    }
}

fn response(datagram: &[u8]) -> krpc::Fields<'_> {
    match krpc::parse(datagram).unwrap() {
        krpc::Message { transaction: b"aa", body: Body::Response(fields) } => fields,
        other => panic!("{other:?}"),
    }
}

const EXAMPLES: [&[u8]; 11] = [
    b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
    b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
    b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
    b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
    b"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re",
    b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
    b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
    b"d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re",
    b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
    b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
    b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:v4:UT011:y1:qe",
];

#[test]
fn bep5_examples() {
    let error = krpc::parse(EXAMPLES[0]).unwrap();
    assert_eq!(error.body, Body::Error(201, b"A Generic Error Ocurred"));
    let (method, fields) = query(EXAMPLES[1]);
    assert_eq!((method, fields.id), (Method::Ping, Some(ID)));
    assert_eq!(response(EXAMPLES[2]).id, Some(OTHER));
    let (method, fields) = query(EXAMPLES[3]);
    assert_eq!((method, fields.id, fields.target), (Method::FindNode, Some(ID), Some(OTHER)));
    assert_eq!(response(EXAMPLES[4]).nodes, Some(&b"def456..."[..]));
    let (method, fields) = query(EXAMPLES[5]);
    assert_eq!((method, fields.id, fields.info_hash), (Method::GetPeers, Some(ID), Some(OTHER)));
    let fields = response(EXAMPLES[6]);
    assert_eq!(fields.token, Some(&b"aoeusnth"[..]));
    assert_eq!(fields.peers().collect::<Vec<_>>(), [*b"axje.u", *b"idhtnm"]);
    let fields = response(EXAMPLES[7]);
    assert_eq!((fields.token, fields.peers().count()), (Some(&b"aoeusnth"[..]), 0));
    let (method, fields) = query(EXAMPLES[8]);
    assert_eq!(
        (method, fields.port, fields.implied_port),
        (Method::AnnouncePeer, Some(6881), true)
    );
    let (method, fields) = query(EXAMPLES[10]);
    assert_eq!((method, fields.v), (Method::Get, None), "the sender's version is no value");
}

#[test]
fn no_part_of_an_example_is_a_message() {
    for example in EXAMPLES {
        for cut in 0..example.len() {
            assert!(krpc::parse(&example[..cut]).is_err());
        }
        assert!(krpc::parse(&[example, b"e"].concat()).is_err());
    }
}

#[test]
fn odd_messages_are_refused_or_read_leniently() {
    let refused = |datagram: &[u8]| krpc::parse(datagram).unwrap_err();
    let field = krpc::Error::Field;
    assert_eq!(refused(b"d1:ade1:q4:ping1:y1:qe"), field, "no transaction");
    assert_eq!(refused(b"d1:ade1:q4:ping1:t2:aae"), field, "no kind");
    assert_eq!(refused(b"d1:ade1:q4:ping1:t2:aa1:y1:xe"), field, "unknown kind");
    assert_eq!(refused(b"d1:ade1:t2:aa1:y1:qe"), field, "no method");
    assert_eq!(refused(b"d1:ade1:t2:aa1:y1:re"), field, "arguments instead of a result");
    assert_eq!(refused(b"d1:ade1:ade1:q4:ping1:t2:aa1:y1:qe"), field, "doubled");
    let long = [b"d1:ade1:q4:ping1:t33:", &[b't'; 33][..], b"1:y1:qe"].concat();
    assert_eq!(refused(&long), krpc::Error::Transaction);
    assert!(matches!(refused(b"d1:ad2:idi1ee1:q4:ping1:t2:aa1:y1:qe"), krpc::Error::Bencode(_)));
    // Keys in any order, unknown ones, and errors in any form.
    let (method, _) = query(b"d1:y1:q1:zl1:xi1edee1:t2:aa1:q4:ping1:ad1:xi1eee");
    assert_eq!(method, Method::Ping);
    for (error, code, text) in [
        (&b"d1:e3:bad1:t2:aa1:y1:ee"[..], 0, &b""[..]),
        (b"d1:ele1:t2:aa1:y1:ee", 0, b""),
        (b"d1:t2:aa1:y1:ee", 0, b""),
        (b"d1:eli-7e1:xi1ee1:t2:aa1:y1:ee", -7, b"x"),
    ] {
        assert_eq!(krpc::parse(error).unwrap().body, Body::Error(code, text));
    }
    let odd = b"d1:rd2:id1:x6:valuesl5:short6:abcdefi1e6:ghijklee1:t2:aa1:y1:re";
    assert_eq!(response(odd).peers().collect::<Vec<_>>(), [*b"abcdef"]);
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

const K: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

fn mutable(salt: &'static str, sig: &str) -> Put {
    let sig = unhex::<64>(sig).to_vec().into();
    let mutable = Mutable { k: unhex(K), sig, seq: 1, salt: salt.into(), cas: None };
    Put { v: "12:Hello World!".into(), mutable: Some(mutable) }
}

#[test]
fn bep44_mutable() {
    let put = mutable(
        "",
        "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
         1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
    );
    assert!(put.is_valid());
    assert_eq!(put.target(), unhex("4a533d47ec9c7d95b1ad75f576cffc641853b750"));
}

#[test]
fn bep44_mutable_with_salt() {
    let put = mutable(
        "foobar",
        "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
         df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
    );
    assert!(put.is_valid());
    assert_eq!(put.target(), unhex("411eba73b6f087ca51a3795d9c8c938d365e32c1"));
    // Every part of it is signed.
    let changed = |change: fn(&mut Put, &mut Mutable)| {
        let mut put = put.clone();
        let mut mutable = put.mutable.clone().unwrap();
        change(&mut put, &mut mutable);
        !Put { mutable: Some(mutable), ..put }.is_valid()
    };
    assert!(changed(|_, mutable| mutable.seq = 2));
    assert!(changed(|_, mutable| mutable.salt = "foobaz".into()));
    assert!(changed(|_, mutable| mutable.salt = "".into()));
    assert!(changed(|_, mutable| mutable.k[0] ^= 1));
    assert!(changed(|_, mutable| mutable.sig = mutable.sig.slice(1..)));
    assert!(changed(|_, mutable| mutable.sig = "".into()));
    assert!(changed(|put, _| put.v = "12:Hello world!".into()));
}

#[test]
fn bep44_immutable() {
    let put = Put { v: "12:Hello World!".into(), mutable: None };
    assert!(put.is_valid());
    assert_eq!(put.target(), unhex("e5f96f6f38320f0f33959cb4d3d656452117aadb"));
}
