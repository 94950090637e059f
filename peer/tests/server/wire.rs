//! Requests and answers.

use crate::client::post;
use crate::{on_both, until};

#[test]
fn requests_are_answered_as_in_node() {
    on_both(|rig| {
        let mut client = rig.client();
        for (body, answer) in [
            (r#"["r1","echo",{"a":[1.50, "\u20ac"]}]"#, r#"["r1",null,{"a":[1.50, "\u20ac"]}]"#),
            (r#"["r","echo",null]"#, r#"["r",null,null]"#),
            (r#"["r","echo"]"#, r#"["r",null,null]"#),
            (r#"[ 7 , "echo" , 0 ]"#, r#"[7,null,0]"#),
            (r#"[null,"echo",""]"#, r#"[null,null,""]"#),
            (
                r#"["r","echo",123456789012345678901234567890]"#,
                r#"["r",null,123456789012345678901234567890]"#,
            ),
            (r#"["r","typed",254]"#, r#"["r",null,255]"#),
            (r#"["r","fail","ERR_OF: \"mine\"\n"]"#, r#"["r","ERR_OF: \"mine\"\n",null]"#),
            (r#"["r","nobody",1]"#, r#"["r","ERR_SERVICE_NOTFOUND",null]"#),
            (r#"["r","panic",null]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","panic",1]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","panic at once",1]"#, r#"["r","ERR_HANDLER_PANIC",null]"#),
            (r#"["r","blocking",1000]"#, r#"["r",null,500500]"#),
        ] {
            assert_eq!(client.ask(body), answer, "{body}");
        }
        let text = client.ask(r#"["r","typed","a"]"#);
        assert!(text.starts_with(r#"["r","ERR_JSON: "#), "{text}");
        // All on one connection, and any path.
        client.send("POST /x?y HTTP/1.1\r\nhost: a\r\nX-TEST: a b\r\ncontent-length: 15\r\n\r\n[\"r\",\"who\",1]  ");
        assert_eq!(client.answer().text(), r#"["r",null,["who","\"r\"","a b","127.0.0.1"]]"#);
        let stats = rig.worker.stats();
        assert_eq!((stats.accepted, stats.connections, stats.in_flight), (1, 1, 0));
        assert_eq!((stats.requests, stats.errors, stats.panics), (14, 5, 3));
    });
}

#[test]
fn what_is_no_request_gets_its_status() {
    on_both(|rig| {
        let mut client = rig.client();
        for body in [
            "",
            "{}",
            "null",
            "[]",
            "[1,2,3]",
            "[\"r\",\"echo\",",
            "[\"r\",\"echo\",01]",
            "\u{0}\u{1}",
        ] {
            let answer = client.call(body);
            assert_eq!(
                (answer.status, answer.text()),
                (400, r#"[null,"ERR_REQUEST_PARSE",null]"#),
                "{body}"
            );
        }
        client.send("POST / HTTP/1.1\r\nhost: a\r\n_gr: [oh\r\ncontent-length: 14\r\n\r\n[\"r\",\"echo\",1]");
        let answer = client.answer();
        assert_eq!((answer.status, answer.text()), (500, r#"[null,"ERR_HEADER_PARSE_GR",null]"#));
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let answer = client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n")).answer();
            assert_eq!((answer.status, answer.closes()), (405, false), "{method}");
            assert!(answer.head.contains("\r\nallow: post\r\n"));
        }
        client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(client.head().0, 405);
        // It is the same connection still.
        assert_eq!(client.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        assert_eq!(rig.worker.stats().accepted, 1);
    });
}

#[test]
fn what_is_not_http_ends_the_connection() {
    on_both(|rig| {
        for (bytes, status) in [
            (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], 400),
            (b"GET / HTTP/2.0\r\n\r\n", 505),
            (b"POST / HTTP/1.1\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
            (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
            (b"POST / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\ncontent-length: 1\r\n\r\n", 417),
        ] {
            let mut client = rig.client();
            // What was asked before is answered before.
            client.send(post(r#"["r","slow",5]"#)).send(bytes);
            assert_eq!(client.answer().text(), r#"["r",null,5]"#);
            let answer = client.answer();
            assert_eq!((answer.status, answer.closes()), (status, true), "{bytes:?}");
            assert!(client.ends());
        }
        assert_eq!(rig.worker.stats().malformed, 6);
        until("all are gone", || rig.worker.stats().connections == 0);
    });
}

#[test]
fn pipelined_requests_run_together_and_are_answered_in_order() {
    on_both(|rig| {
        let mut client = rig.client();
        // The first ends only because the last has begun.
        let first = post(r#"[1,"wait","a"]"#);
        let second = post(r#"[2,"slow",1]"#);
        let third = post(r#"[3,"go","c"]"#);
        client.send(format!("{first}{second}\r\n{third}{}", post("no")));
        let answers: Vec<_> = (0..4).map(|_| client.answer()).collect();
        let texts: Vec<_> = answers.iter().map(|answer| answer.text()).collect();
        let parse = r#"[null,"ERR_REQUEST_PARSE",null]"#;
        assert_eq!(texts, [r#"[1,null,"a"]"#, "[2,null,1]", r#"[3,null,"c"]"#, parse]);
    });
}

#[test]
fn many_pipelined_requests_are_all_answered() {
    on_both(|rig| {
        let mut client = rig.client();
        let mut requests = String::new();
        for rid in 0..1000 {
            let service = if rid % 3 == 0 { "slow" } else { "echo" };
            requests += &post(&format!(r#"[{rid},"{service}",{}]"#, rid % 4));
        }
        client.send(requests);
        for rid in 0..1000 {
            assert_eq!(client.answer().text(), format!("[{rid},null,{}]", rid % 4));
        }
    });
}

#[test]
fn a_slow_handler_holds_up_nobody_else() {
    on_both(|rig| {
        let mut slow = rig.client();
        slow.send(post(r#"["r","wait","done"]"#));
        let mut quick = rig.client();
        for _ in 0..10 {
            assert_eq!(quick.ask(r#"["r","echo",1]"#), r#"["r",null,1]"#);
        }
        quick.ask(r#"["r","go",1]"#);
        assert_eq!(slow.answer().text(), r#"["r",null,"done"]"#);
    });
}

#[test]
fn requests_come_in_pieces_or_chunks() {
    on_both(|rig| {
        let mut client = rig.client();
        for byte in post(r#"["r","echo","slowly"]"#).bytes() {
            client.send([byte]);
        }
        assert_eq!(client.answer().text(), r#"["r",null,"slowly"]"#);
        client.send(
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[\"r\",\r\n",
        );
        client.send("9;x=y\r\n\"echo\",1]\r\n0\r\nt: u\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["r",null,1]"#);
        // As Node's streaming client asks a server that is not streaming: the header goes before the body.
        client.send("POST / HTTP/1.1\r\nhost: a\r\n_gr: [\"R\",\"echo\"]\r\ntransfer-encoding: chunked\r\n\r\n");
        client.send("e\r\n[\"U\",\"none\",1]\r\n0\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["R",null,1]"#);
        for odd in ["{}", "[]", "null", "5", "[null,\"\"]"] {
            client.send(format!(
                "POST / HTTP/1.1\r\nhost: a\r\n_gr: {odd}\r\ncontent-length: 14\r\n\r\n"
            ));
            client.send("[\"U\",\"echo\",1]");
            assert_eq!(client.answer().text(), r#"["U",null,1]"#, "{odd}");
        }
    });
}

#[test]
fn who_expects_is_invited() {
    on_both(|rig| {
        let mut client = rig.client();
        let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n";
        client.send(format!("{head}content-length: 14\r\n\r\n"));
        assert_eq!(client.head().0, 100);
        client.send("[\"r\",\"echo\",1]");
        assert_eq!(client.answer().text(), r#"["r",null,1]"#);
        client.send(format!("{head}transfer-encoding: chunked\r\n\r\n"));
        assert_eq!(client.head().0, 100);
        client.send("e\r\n[\"r\",\"echo\",2]\r\n0\r\n\r\n");
        assert_eq!(client.answer().text(), r#"["r",null,2]"#);
        client.send(format!(
            "{head}_gr: [\"r\",\"stream echo\"]\r\ntransfer-encoding: chunked\r\n\r\n"
        ));
        assert_eq!(client.head().0, 100);
        client.send("3\r\nabc\r\n0\r\n\r\n");
        assert_eq!(client.answer().text(), "abc");
        // Nobody is invited to send what is not wanted.
        let answer = client
            .send(format!("{}transfer-encoding: chunked\r\n\r\n", head.replace("POST", "PUT")))
            .answer();
        assert_eq!((answer.status, answer.closes()), (405, true));
        assert!(client.ends());
    });
}

#[test]
fn connections_end_as_asked() {
    on_both(|rig| {
        let mut client = rig.client();
        client.send("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 14\r\n\r\n[\"r\",\"slow\",5]");
        let answer = client.answer();
        assert_eq!((answer.text(), answer.closes()), (r#"["r",null,5]"#, true));
        assert!(client.ends());
        let mut old = rig.client();
        old.send("POST / HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 14\r\n\r\n[\"r\",\"echo\",1]");
        assert!(old.answer().head.contains("\r\nconnection: keep-alive\r\n"));
        old.send("POST / HTTP/1.0\r\ncontent-length: 14\r\n\r\n[\"r\",\"echo\",2]");
        assert_eq!(old.answer().text(), r#"["r",null,2]"#);
        assert!(old.ends());
    });
}

#[test]
fn large_bodies_both_ways() {
    on_both(|rig| {
        let mut client = rig.client();
        for size in [15_000, 17_000, 300_000, 5_000_000] {
            let text = "\u{20ac}x".repeat(size / 4);
            let answer = client.ask(&format!(r#"["r","echo","{text}"]"#));
            assert_eq!(answer, format!(r#"["r",null,"{text}"]"#));
        }
    });
}
