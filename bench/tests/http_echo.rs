//! The HTTP echo as its clients see it, over real sockets.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use grenache_engine::{DriverChoice, Idle, Runtime};

#[path = "../examples/http_echo.rs"]
#[allow(dead_code, reason = "main is the example's")]
mod http_echo;

use http_echo::{MAX_BODY, Options};

/// A failing test must not hang.
const LONG: Duration = Duration::from_secs(30);

fn start(driver: DriverChoice, patience: f64) -> Runtime<()> {
    let options = Options {
        address: "127.0.0.1:0".parse().unwrap(),
        driver,
        idle: Idle::Park,
        cores: 2,
        patience,
        answer: None,
    };
    http_echo::start(&options).unwrap()
}

/// The same for the kernel's best driver and for epoll.
fn on_each_driver(patience: f64, test: impl Fn(&Client)) {
    for driver in [DriverChoice::Auto, DriverChoice::Epoll] {
        let server = start(driver, patience);
        test(&Client { address: server.tcp_addrs()[0].to_string() });
        server.stop();
        server.join().unwrap();
    }
}

struct Client {
    address: String,
}

impl Client {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    /// All that comes back for `parts`, up to the server's end.
    fn exchange<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut stream = self.connect();
        for part in parts {
            // The server may have answered and closed already.
            if stream.write_all(part).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    }
}

/// One answer: status, head, body. `bodiless` for those to HEAD.
fn read_answer(stream: &mut impl Read, bodiless: bool) -> (u16, String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream
            .read_exact(&mut byte)
            .unwrap_or_else(|e| panic!("{e} after {}", head.escape_ascii()));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.filter(|_| !bodiless).map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, head, body)
}

fn post(body: &[u8]) -> Vec<u8> {
    let mut request =
        format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    on_each_driver(60.0, |client| {
        let mut requests = Vec::new();
        for i in 0..300 {
            match i % 4 {
                0 => requests.extend(post(format!("number {i}").as_bytes())),
                1 => requests.extend(
                    format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\n{i:03}\r\n1\r\n!\r\n0\r\n\r\n").bytes(),
                ),
                2 => requests.extend(b"HEAD / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"),
                _ => requests.extend(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
            }
        }
        let mut stream = client.connect();
        stream.write_all(&requests).unwrap();
        for i in 0..300 {
            let (status, head, body) = read_answer(&mut stream, i % 4 == 2);
            assert_eq!(status, 200);
            assert!(head.contains("\r\ndate: ") && !head.contains("connection:"), "{head}");
            let expected = match i % 4 {
                0 => format!("number {i}"),
                1 => format!("{i:03}!"),
                2 => {
                    assert!(head.contains("\r\ncontent-length: 2\r\n"));
                    String::new()
                }
                _ => String::new(),
            };
            assert_eq!(String::from_utf8(body).unwrap(), expected);
        }
    });
}

#[test]
fn one_byte_at_a_time_is_as_good() {
    on_each_driver(60.0, |client| {
        let requests = [post(b"one"), post(b"two"), post(b"")].concat();
        let all = client.exchange(requests.chunks(1));
        let mut rest = &all[..];
        for body in ["one", "two", ""] {
            assert_eq!(read_answer(&mut rest, false).2, body.as_bytes());
        }
        assert!(rest.is_empty());
    });
}

#[test]
fn keep_alive_ends_when_the_client_says_so() {
    on_each_driver(60.0, |client| {
        for (request, header) in [
            (&b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"[..], "connection: close"),
            (b"GET / HTTP/1.0\r\n\r\n", "connection: close"),
        ] {
            // Not ended by the client: the server's end is what is waited for.
            let mut stream = client.connect();
            stream.write_all(request).unwrap();
            let mut all = String::new();
            stream.read_to_string(&mut all).unwrap();
            assert!(all.starts_with("HTTP/1.1 200 OK\r\n") && all.contains(header), "{all}");
        }
        let mut stream = client.connect();
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").unwrap();
            let (status, head, _) = read_answer(&mut stream, false);
            assert!(status == 200 && head.contains("connection: keep-alive"), "{head}");
        }
    });
}

#[test]
fn bad_input_gets_its_status_and_a_close() {
    let long = [b"GET /".as_slice(), &[b'a'; 20_000], b" HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
    let many = ["GET / HTTP/1.1\r\nhost: a\r\n", &"a: b\r\n".repeat(100), "\r\n"].concat();
    let huge = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", MAX_BODY + 1);
    let table: &[(&[u8], u16)] = &[
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nhost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nhost: a\r\nexpect: wonders\r\ncontent-length: 1\r\n\r\na", 417),
        (b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&long, 431),
        (many.as_bytes(), 431),
        (huge.as_bytes(), 413),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffff\r\n", 413),
    ];
    on_each_driver(60.0, |client| {
        for (bytes, status) in table {
            let name = bytes[..bytes.len().min(200)].escape_ascii();
            // A good one before is answered, one behind is not: it may be smuggled.
            let mut stream = client.connect();
            stream.write_all(&[&post(b"before"), *bytes, &post(b"smuggled")].concat()).unwrap();
            assert_eq!(read_answer(&mut stream, false).2, b"before", "{name}");
            let (got, head, _) = read_answer(&mut stream, false);
            assert_eq!(got, *status, "{name}");
            assert!(head.contains("\r\nconnection: close\r\n"), "{name}: {head}");
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(rest.is_empty(), "{name}: {}", rest.escape_ascii());
        }
    });
}

#[test]
fn a_body_may_be_as_large_as_the_limit() {
    on_each_driver(60.0, |client| {
        let body: Vec<u8> = (0..MAX_BODY).map(|i| (i / 7) as u8).collect();
        let mut stream = client.connect();
        std::thread::scope(|scope| {
            let mut writer = stream.try_clone().unwrap();
            let request = post(&body);
            scope.spawn(move || writer.write_all(&request).unwrap());
            let (status, _, echoed) = read_answer(&mut stream, false);
            assert!(status == 200 && echoed == body);
        });
    });
}

#[test]
fn who_expects_100_gets_it_first() {
    on_each_driver(60.0, |client| {
        let mut stream = client.connect();
        let head =
            b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
        stream.write_all(&[&post(b"before"), &head[..]].concat()).unwrap();
        assert_eq!(read_answer(&mut stream, false).2, b"before");
        assert_eq!(read_answer(&mut stream, false).1, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"body").unwrap();
        let (status, _, body) = read_answer(&mut stream, false);
        assert_eq!((status, &body[..]), (200, &b"body"[..]));
    });
}

#[test]
fn curl_is_content() {
    on_each_driver(60.0, |client| {
        let body = "0123456789".repeat(100_000);
        for header in ["Expect: 100-continue", "Transfer-Encoding: chunked", "X: y"] {
            let child = Command::new("curl")
                .args([
                    "-sS",
                    "-m",
                    "30",
                    "-H",
                    header,
                    "--data-binary",
                    "@-",
                    "-w",
                    "%{http_code}",
                ])
                .arg(format!("http://{}/", client.address))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            let Ok(mut child) = child else {
                println!("no curl here");
                return;
            };
            let mut stdin = child.stdin.take().unwrap();
            let sent = body.clone();
            let writer = std::thread::spawn(move || stdin.write_all(sent.as_bytes()).unwrap());
            let output = child.wait_with_output().unwrap();
            writer.join().unwrap();
            assert!(output.status.success(), "{header}");
            assert!(output.stdout == [body.as_bytes(), b"200"].concat(), "{header}");
        }
    });
}

#[test]
fn who_does_not_read_is_not_read_from() {
    on_each_driver(60.0, |client| {
        let stream = client.connect();
        stream.set_nonblocking(true).unwrap();
        let requests = post(&[b'x'; 60_000]).repeat(1000);
        let mut written = 0;
        // The kernel takes some on both sides; then nothing moves.
        let mut stalled = Instant::now();
        while stalled.elapsed() < Duration::from_millis(300) {
            match (&stream).write(&requests[written..]) {
                Ok(0) => break,
                Ok(len) => (written, stalled) = (written + len, Instant::now()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(e) => panic!("{e}"),
            }
        }
        assert!(written < requests.len(), "60 MB were taken from a client that reads nothing");
        stream.set_nonblocking(false).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (&stream).write_all(&requests[written..]).unwrap());
            let mut reader = std::io::BufReader::new(&stream);
            for _ in 0..1000 {
                let (status, _, body) = read_answer(&mut reader, false);
                assert!(status == 200 && body == [b'x'; 60_000]);
            }
        });
    });
}

#[test]
fn the_slow_are_given_up_and_the_others_served() {
    on_each_driver(0.5, |client| {
        let starts: [&[u8]; 4] = [
            b"",
            b"GET / HT",
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc",
            b"\r\n",
        ];
        let slow: Vec<_> = (0..200)
            .map(|i| {
                let mut stream = client.connect();
                stream.write_all(starts[i % 4]).unwrap();
                stream
            })
            .collect();
        let answer = client.exchange([&post(b"quick")[..]]);
        assert!(answer.ends_with(b"\r\n\r\nquick"));
        for (i, mut stream) in slow.into_iter().enumerate() {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            let expected: &[u8] =
                if i % 4 == 0 { b"" } else { b"HTTP/1.1 408 Request Timeout\r\n" };
            assert!(all.starts_with(expected) && all.is_empty() == expected.is_empty());
        }
        // A byte now and then does not help.
        let stream = client.connect();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let began = Instant::now();
        let mut answer = [0; 12];
        while (&stream).read_exact(&mut answer).is_err() {
            assert!(began.elapsed() < LONG);
            let _ = (&stream).write(b"G");
        }
        assert_eq!(&answer, b"HTTP/1.1 408");
    });
}
