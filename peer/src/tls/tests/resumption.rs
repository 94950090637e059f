use super::certificates::{mutual, one_sided};
use super::{meet, read, run, tls};
use crate::tls::{Acceptor, ClientTls, Connector, ServerTls};

/// Whether the second connection takes up the session of the first, in the eyes of both.
fn resumes(settings: fn() -> (ClientTls, ServerTls)) {
    run(move |any| async move {
        let (client, server) = settings();
        let client = Connector::new(&client).expect("settings");
        let server = Acceptor::new(&server).expect("settings");
        let mut first = None;
        // Each connection is to a listener of its own: the destinations differ.
        let listener = grenache_engine::TcpListener::bind(any).expect("a free port");
        for round in 0..3 {
            let near = grenache_engine::TcpStream::connect(listener.local_addr()).await;
            let near = near.expect("a connection");
            let (far, _) = listener.accept().await.expect("the other end");
            // A clone, as each core has one.
            let acceptor = server.clone();
            let accepting = grenache_engine::spawn_local(async move { acceptor.accept(far).await });
            let near = client.connect(near, super::HOST).await.expect("a session");
            let far = accepting.await.expect("no panic").expect("a session");
            // The ticket comes with the first bytes.
            far.write(b"ticket");
            read(&near, 6).await;
            assert_eq!(tls(&near).resumed(), round > 0, "round {round}");
            assert_eq!(tls(&far).resumed(), round > 0, "round {round}");
            let seen = (near.certificate().cloned(), far.certificate().cloned());
            assert_eq!(*first.get_or_insert_with(|| seen.clone()), seen);
        }
        // Another destination has other sessions.
        let (near, _far) = meet(any, &client, &server).await;
        assert!(!tls(&near.expect("a session")).resumed());
    });
}

#[test]
fn sessions_resume() {
    resumes(one_sided);
}

#[test]
fn sessions_resume_with_the_clients_certificate() {
    resumes(mutual);
}
