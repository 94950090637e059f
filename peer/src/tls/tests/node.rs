//! Node's `https` on the other side.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use grenache_engine::{TcpListener, TcpStream};

use super::certificates::{Authority, Pem, of_host, of_itself};
use super::{HOST, refusal, run, tls};
use crate::channel::Channel;
use crate::tls::{Acceptor, ClientTls, Clients, Connector, ServerTls};

/// Serves `hello`, prints its port, and then for each connection whether its session was taken up and
/// the fingerprint of the client's certificate.
const SERVER: &str = "
const { KEY: key, CERT: cert, CA: ca, MUTUAL } = process.env
const options = { key, cert, ca, requestCert: MUTUAL === 'yes', rejectUnauthorized: MUTUAL === 'yes' }
const server = require('https').createServer(options, (req, res) => {
  console.log(req.socket.isSessionReused(), req.socket.getPeerCertificate().fingerprint)
  res.end('hello')
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit()).resume()
";

/// Asks twice, one after the other, on connections of their own; prints what came, and whether the
/// session was taken up; or the error.
const CLIENT: &str = "
const { KEY: key, CERT: cert, CA: ca, PORT: port } = process.env
const https = require('https')
const agent = new https.Agent({ keepAlive: false, key, cert, ca })
const ask = (left) => {
  const request = https.get({ host: '127.0.0.1', port, path: '/', agent }, (res) => {
    let body = ''
    const reused = res.socket.isSessionReused()
    res.on('data', (data) => { body += data })
    res.on('end', () => {
      console.log(body, reused, res.socket.getPeerCertificate().fingerprint)
      if (left > 1) setImmediate(ask, left - 1)
    })
  })
  request.on('error', (error) => console.log(error.code))
}
ask(2)
";

/// Node with a program; killed when dropped.
struct Node {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Node {
    fn start(program: &str, identity: Option<&Pem>, ca: &str, more: (&str, &str)) -> Self {
        let mut command = Command::new("node");
        command.args(["-e", program]).env("CA", ca).env(more.0, more.1);
        if let Some(identity) = identity {
            command.env("KEY", &identity.key).env("CERT", &identity.certificate);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("a line")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks Node's server for `/`.
async fn ask(client: &Connector, to: SocketAddr) -> Channel {
    let stream = TcpStream::connect(to).await.expect("a connection");
    let channel = client.connect(stream, HOST).await.expect("a session");
    channel.write(b"GET / HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    while let Some(bytes) = channel.recv().await.expect("a good end") {
        answer.extend_from_slice(&bytes);
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("hello"), "{answer}");
    channel
}

#[test]
fn our_client_is_served_by_node() {
    let authority = Authority::new();
    let (theirs, ours) = (authority.server(), authority.client());
    for mutual in [false, true] {
        let switch = ("MUTUAL", if mutual { "yes" } else { "no" });
        let mut node = Node::start(SERVER, Some(&theirs), &authority.pem, switch);
        let port: u16 = node.line().parse().expect("a port");
        let mut settings = ClientTls::new(authority.trusted());
        settings.identity = mutual.then(|| ours.identity());
        run(move |any| {
            let settings = settings.clone();
            async move {
                let to = SocketAddr::new(any.ip(), port);
                let client = Connector::new(&settings).expect("settings");
                for resumed in [false, true, true] {
                    let channel = ask(&client, to).await;
                    assert_eq!(tls(&channel).resumed(), resumed);
                }
                if mutual {
                    let mut stranger = settings;
                    stranger.identity = None;
                    let stranger = Connector::new(&stranger).expect("settings");
                    let stream = TcpStream::connect(to).await.expect("a connection");
                    let why = refusal(stranger.connect(stream, HOST).await).await;
                    let expected = "the server asks for a certificate; give this client one";
                    assert_eq!(why.to_string(), expected);
                }
            }
        });
        let seen = match mutual {
            true => ours.identity().certificate().sha1().to_string(),
            false => "undefined".into(),
        };
        for resumed in [false, true, true] {
            assert_eq!(node.line(), format!("{resumed} {seen}"));
        }
    }
}

/// Answers the connections that Node's client makes, as many as said.
async fn answer(acceptor: Acceptor, listener: TcpListener, connections: usize) {
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.expect("a connection");
        let Ok(channel) = acceptor.accept(stream).await else { continue };
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match channel.recv().await {
                Ok(Some(bytes)) => request.extend_from_slice(&bytes),
                _ => break,
            }
        }
        channel.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello");
        channel.shutdown();
    }
}

/// What Node's client prints when it asks a server of ours.
fn node_asks(settings: &ServerTls, client: Option<&Pem>, ca: &str, lines: usize) -> Vec<String> {
    let (port_sender, port) = std::sync::mpsc::channel();
    let acceptor = Acceptor::new(settings).expect("settings");
    let serving = std::thread::spawn(move || {
        run(move |any| {
            let listening = port_sender.clone();
            let acceptor = acceptor.clone();
            async move {
                let listener = TcpListener::bind(any).expect("a free port");
                listening.send(listener.local_addr().port()).expect("the test waits");
                answer(acceptor, listener, lines).await;
            }
        });
    });
    let port = port.recv().expect("the server listens");
    let mut node = Node::start(CLIENT, client, ca, ("PORT", &port.to_string()));
    let said = (0..lines).map(|_| node.line()).collect();
    serving.join().expect("the server holds");
    said
}

#[test]
fn nodes_client_is_served_by_us() {
    let authority = Authority::new();
    let (ours, theirs) = (authority.server(), authority.client());
    let mut settings = ServerTls::new(ours.identity());
    let seen = ours.identity().certificate().sha1();
    // Node does not tell the certificate of a session taken up.
    let expected = [format!("hello false {seen}"), "hello true undefined".into()];
    assert_eq!(node_asks(&settings, None, &authority.pem, 2), expected);

    settings.clients = Clients::Required(authority.trusted());
    settings.allow = vec![theirs.identity().certificate().sha1()];
    assert_eq!(node_asks(&settings, Some(&theirs), &authority.pem, 2), expected);

    let refused = ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"];
    assert_eq!(node_asks(&settings, None, &authority.pem, 1), refused);
    let other = authority.client();
    let refused = ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN"];
    assert_eq!(node_asks(&settings, Some(&other), &authority.pem, 1), refused);
}

#[test]
fn node_and_we_take_the_same_certificates_of_themselves() {
    // One certificate for both sides that is its own authority, as small installations have it.
    let shared = of_itself(of_host());
    let mut settings = ServerTls::new(shared.identity());
    settings.clients = Clients::Required(shared.trusted());
    let said = node_asks(&settings, Some(&shared), &shared.certificate, 2);
    assert!(said[0].starts_with("hello false"), "{said:?}");

    let mut node = Node::start(SERVER, Some(&shared), &shared.certificate, ("MUTUAL", "yes"));
    let port: u16 = node.line().parse().expect("a port");
    let mut settings = ClientTls::new(shared.trusted());
    settings.identity = Some(shared.identity());
    run(move |any| {
        let settings = settings.clone();
        async move {
            let client = Connector::new(&settings).expect("settings");
            ask(&client, SocketAddr::new(any.ip(), port)).await;
        }
    });
}
