use std::sync::Arc;
use std::time::Duration;

use grenache_engine::{spawn_local, timeout};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use super::certificates::{
    Authority, expired, mutual, named, of_host, of_itself, one_sided, signed_by_itself,
};
use super::{HOST, meet_as, meet_well, pair, read, refusal, run, run_everywhere, simulate};
use crate::Fingerprint;
use crate::channel::Channel;
use crate::tls::{
    Acceptor, Authorities, ClientTls, Clients, Connector, Error, Identity, Name, PROVIDER,
    ServerTls, Stream,
};

#[test]
fn both_see_the_others_certificate() {
    run_everywhere(|any| async move {
        let (client, server) = mutual();
        let (near, far) = meet_well(any, &client, &server).await;
        let seen = near.certificate().expect("the server's");
        assert_eq!(**seen, server.identity.certificate());
        let seen = far.certificate().expect("the client's");
        let expected = client.identity.expect("one").certificate();
        assert_eq!(**seen, expected);
        assert_eq!(seen.sha1(), Fingerprint::sha1(expected.der()));
        assert_eq!(seen.sha256(), Fingerprint::sha256(expected.der()));
    });
}

#[test]
fn clients_need_no_certificate_unless_asked() {
    run_everywhere(|any| async move {
        let (client, server) = one_sided();
        let (_near, far) = meet_well(any, &client, &server).await;
        assert!(far.certificate().is_none());
    });
}

#[test]
fn a_client_without_the_certificate_asked_for_is_refused() {
    run_everywhere(|any| async move {
        let (mut client, server) = mutual();
        client.identity = None;
        let (near, far) = meet_as(any, &client, &server).await;
        let why = "the client has shown no certificate";
        assert_eq!(far.err(), Some(Error::Untrusted(why.into())));
        let why = "the server asks for a certificate; give this client one";
        assert_eq!(refusal(near).await, Error::Refused(why.into()));
    });
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_wrong() {
    run(|any| async move {
        let (mut client, mut server) = mutual();
        let Clients::Required(authorities) = server.clients else { unreachable!() };
        server.clients = Clients::Optional(authorities);
        let (_near, far) = meet_well(any, &client, &server).await;
        assert!(far.certificate().is_some());
        client.identity = None;
        let (_near, far) = meet_well(any, &client, &server).await;
        assert!(far.certificate().is_none());
        client.identity = Some(Authority::new().client().identity());
        let (_near, far) = meet_as(any, &client, &server).await;
        assert!(matches!(far, Err(Error::Untrusted(_))));
    });
}

#[test]
fn certificates_of_unknown_authorities_are_refused() {
    run_everywhere(|any| async move {
        let unknown = "certificate is of an authority that is not among those trusted";
        let (mut client, server) = mutual();
        client.authorities = Authority::new().trusted();
        let (near, far) = meet_as(any, &client, &server).await;
        assert_eq!(near.err(), Some(Error::Untrusted(format!("the server's {unknown}"))));
        assert!(text(&far.err()).contains("does not trust the authority of this server's"));

        // Nor do names help.
        let impostor = Authority::called("authority").server();
        client.authorities = Authority::called("authority").trusted();
        let server = ServerTls::new(impostor.identity());
        let (near, far) = meet_as(any, &client, &server).await;
        assert!(text(&near.err()).contains("is not signed by the authority it names"));
        assert!(text(&far.err()).contains("does not take this server's certificate"));

        let (mut client, server) = mutual();
        client.identity = Some(Authority::new().client().identity());
        let (near, far) = meet_as(any, &client, &server).await;
        assert_eq!(far.err(), Some(Error::Untrusted(format!("the client's {unknown}"))));
        let why = refusal(near).await.to_string();
        assert!(why.contains("does not trust the authority of this client's"), "{why}");
    });
}

#[test]
fn expired_certificates_are_refused() {
    run(|any| async move {
        let authority = Authority::new();
        let client = ClientTls::new(authority.trusted());
        let server = ServerTls::new(authority.issue(&expired(of_host())).identity());
        let (near, far) = meet_as(any, &client, &server).await;
        let why = "the server's certificate has expired";
        assert_eq!(near.err(), Some(Error::Untrusted(why.into())));
        assert!(text(&far.err()).contains("says that this server's certificate has expired"));

        let (mut client, mut server) = mutual();
        client.identity = Some(authority.issue(&expired(named("client"))).identity());
        client.authorities = authority.trusted();
        server.identity = authority.server().identity();
        server.clients = Clients::Required(authority.trusted());
        let (near, far) = meet_as(any, &client, &server).await;
        let why = "the client's certificate has expired";
        assert_eq!(far.err(), Some(Error::Untrusted(why.into())));
        let why = refusal(near).await.to_string();
        assert!(why.contains("says that this client's certificate has expired"), "{why}");
    });
}

#[test]
fn the_name_is_that_of_the_address_a_given_one_or_none() {
    run(|any| async move {
        let authority = Authority::new();
        let mut params = named("worker");
        params.subject_alt_names =
            vec![rcgen::SanType::DnsName("worker.example".try_into().expect("a name"))];
        let server = ServerTls::new(authority.issue(&params).identity());
        let mut client = ClientTls::new(authority.trusted());
        let (near, far) = meet_as(any, &client, &server).await;
        let why = "the server's certificate is not valid for 127.0.0.1: it carries \
                   DnsName(\"worker.example\"); issue one with that subject alternative name, or set \
                   the name to expect";
        assert_eq!(near.err(), Some(Error::Untrusted(why.into())));
        assert!(matches!(far, Err(Error::Refused(_))));
        client.name = Name::Is("worker.example".into());
        meet_well(any, &client, &server).await;
        client.name = Name::Unchecked;
        meet_well(any, &client, &server).await;
        client.name = Name::Is("other.example".into());
        assert!(matches!(meet_as(any, &client, &server).await.0, Err(Error::Untrusted(_))));
        // Without the name the rest still counts.
        client.name = Name::Unchecked;
        client.authorities = Authority::new().trusted();
        assert!(matches!(meet_as(any, &client, &server).await.0, Err(Error::Untrusted(_))));
    });
}

#[test]
fn lists_of_fingerprints_let_in_whom_they_name() {
    run_everywhere(|any| async move {
        let (mut client, mut server) = mutual();
        let of_server = server.identity.certificate();
        let of_client = client.identity.as_ref().expect("one").certificate();
        let other = Fingerprint::sha256(b"another");
        client.allow = vec![other, of_server.sha1()];
        server.allow = vec![of_client.sha256(), other];
        meet_well(any, &client, &server).await;

        server.allow = vec![other];
        let (near, far) = meet_as(any, &client, &server).await;
        let why = text(&far.err());
        let fingerprint = of_client.sha256();
        let expected = format!("{fingerprint} is not on the list of those allowed");
        assert!(why.contains(&expected), "{why}");
        assert!(
            refusal(near).await.to_string().contains("does not take this client's certificate")
        );

        server.allow.clear();
        client.allow = vec![Fingerprint::sha1(b"another")];
        let (near, far) = meet_as(any, &client, &server).await;
        assert!(matches!(near, Err(Error::Untrusted(_))));
        assert!(text(&far.err()).contains("does not take this server's certificate"));
    });
}

#[test]
fn a_list_is_enough_without_authorities() {
    run(|any| async move {
        let ours = signed_by_itself(&expired(named("anything"))).identity();
        let theirs = of_itself(named("something else")).identity();
        let mut client = ClientTls::new(Authorities::none());
        client.allow = vec![theirs.certificate().sha256()];
        client.identity = Some(ours.clone());
        let mut server = ServerTls::new(theirs);
        server.clients = Clients::Required(Authorities::none());
        server.allow = vec![ours.certificate().sha1()];
        meet_well(any, &client, &server).await;
        let (_, mut stranger) = one_sided();
        stranger.clients = server.clients;
        stranger.allow = server.allow;
        assert!(matches!(meet_as(any, &client, &stranger).await.0, Err(Error::Untrusted(_))));
    });
}

#[test]
fn a_certificate_that_is_listed_itself_is_taken_as_node_does() {
    run(|any| async move {
        for make in [of_itself, |params| signed_by_itself(&params)] {
            let shared = make(of_host());
            let mut client = ClientTls::new(shared.trusted());
            client.identity = Some(shared.identity());
            let mut server = ServerTls::new(shared.identity());
            server.clients = Clients::Required(shared.trusted());
            meet_well(any, &client, &server).await;
            // Its name and dates still count.
            let elsewhere = make(named("elsewhere"));
            client.authorities = elsewhere.trusted();
            server.identity = elsewhere.identity();
            assert!(matches!(meet_as(any, &client, &server).await.0, Err(Error::Untrusted(_))));
            let old = make(expired(of_host()));
            client.authorities = old.trusted();
            server.identity = old.identity();
            let why = "the server's certificate has expired";
            let near = meet_as(any, &client, &server).await.0;
            assert_eq!(near.err(), Some(Error::Untrusted(why.into())));
        }
    });
}

#[test]
fn the_certificate_of_a_ca_is_not_that_of_a_server_unless_listed() {
    run(|any| async move {
        let authority = Authority::new();
        let mut params = of_host();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let server = ServerTls::new(authority.issue(&params).identity());
        let client = ClientTls::new(authority.trusted());
        let (near, _) = meet_as(any, &client, &server).await;
        assert!(text(&near.err()).contains("is one of a CA"));
    });
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let (client, server) = one_sided();
    let mut nobody = client;
    nobody.authorities = Authorities::none();
    assert!(matches!(Connector::new(&nobody), Err(crate::Error::Config(_))));
    nobody.allow = vec![Fingerprint::sha1(b"somebody")];
    nobody.name = Name::Is("not a name".into());
    assert!(matches!(Connector::new(&nobody), Err(crate::Error::Config(_))));
    let mut listed = server;
    listed.allow = vec![Fingerprint::sha1(b"somebody")];
    assert!(matches!(Acceptor::new(&listed), Err(crate::Error::Config(_))));
    let authority = Authority::new();
    listed.clients = Clients::Optional(authority.trusted());
    assert!(matches!(Acceptor::new(&listed), Err(crate::Error::Config(_))));
    listed.clients = Clients::Required(authority.trusted());
    assert!(Acceptor::new(&listed).is_ok());
    let (one, other) = (authority.client(), authority.client());
    let tls = |outcome: Result<Identity, crate::Error>| match outcome {
        Err(crate::Error::Tls(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = tls(Identity::from_pem(one.certificate.as_bytes(), other.key.as_bytes()));
    assert_eq!(why, "the private key does not belong to the certificate");
    let why = tls(Identity::from_pem(one.certificate.as_bytes(), one.certificate.as_bytes()));
    assert!(why.starts_with("no private key in PEM"), "{why}");
    let why = tls(Identity::from_pem(one.key.as_bytes(), one.key.as_bytes()));
    assert_eq!(why, "no certificate in PEM");
    let why = tls(Identity::from_files("/nonexistent/certificate", "/nonexistent/key"));
    assert!(why.starts_with("/nonexistent/certificate: "), "{why}");
    let damaged = one.certificate.replace("MII", "MIJ");
    assert!(Authorities::from_pem(damaged.as_bytes()).is_err());
    assert!(!format!("{:?}", one.identity()).contains("key"));
}

#[test]
fn peers_of_tls_1_2_are_served() {
    static ONLY: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
    run_everywhere(move |any| async move {
        let authority = Authority::new();
        let mut server = ServerTls::new(authority.server().identity());
        server.clients = Clients::Required(authority.trusted());

        // An old client.
        let (near, far) = pair(any).await;
        let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&ONLY)
            .expect("versions")
            .with_root_certificates(authority.trusted().roots)
            .with_no_client_auth();
        config.client_auth_cert_resolver =
            Arc::new(rustls::sign::SingleCertAndKey::from(authority.client().identity().key));
        let acceptor = Acceptor::new(&server).expect("settings");
        let accepting = spawn_local(async move { acceptor.accept(far).await });
        let name = HOST.try_into().expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let near = Stream::handshake(near, session.into(), None, Duration::from_secs(10)).await;
        let near = Channel::Tls(near.expect("a session"));
        let far = accepting.await.expect("no panic").expect("a session");
        assert!(far.certificate().is_some());
        near.write(b"ping");
        assert_eq!(read(&far, 4).await, b"ping");

        // An old server, that asks for no certificate.
        let (near, far) = pair(any).await;
        let identity = authority.server().identity();
        let config = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&ONLY)
            .expect("versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity.key)));
        let session = ServerConnection::new(Arc::new(config)).expect("a session");
        let limit = Duration::from_secs(10);
        let accepting = spawn_local(Stream::handshake(far, session.into(), None, limit));
        let client = ClientTls::new(authority.trusted());
        let near = Connector::new(&client).expect("settings").connect(near, HOST).await;
        let near = near.expect("a session");
        let far = Channel::Tls(accepting.await.expect("no panic").expect("a session"));
        far.write(b"pong");
        assert_eq!(read(&near, 4).await, b"pong");
    });
}

#[test]
fn half_a_handshake_is_given_up_in_time() {
    simulate(|any| async move {
        let (mut client, mut server) = one_sided();
        client.handshake_timeout = Duration::from_secs(3);
        server.handshake_timeout = Duration::from_secs(5);
        let (near, far) = pair(any).await;
        near.write(&[22, 3, 1, 2]);
        let began = grenache_engine::now();
        let outcome = Acceptor::new(&server).expect("settings").accept(far).await;
        assert_eq!(outcome.err(), Some(Error::Timeout(Duration::from_secs(5))));
        let took = grenache_engine::now() - began;
        assert!((4_999..5_010).contains(&took.as_millis()), "{took:?}");
        assert!(near.recv().await.is_err(), "reset");

        let (near, far) = pair(any).await;
        let outcome = Connector::new(&client).expect("settings").connect(near, HOST).await;
        let error = outcome.err().expect("nobody answers");
        assert_eq!(error.to_string(), "the TLS handshake took longer than 3s");
        drop(far);
    });
}

#[test]
fn what_is_no_tls_is_refused_at_once() {
    let no_hello: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nhost: worker\r\n\r\n",
        &[0; 64],
        &[22, 3, 1, 0, 5, 9, 0, 0, 1, 0],
        &[22, 3, 1, 255, 255, 1],
        &[0xff; 3000],
    ];
    run_everywhere(move |any| async move {
        for bytes in no_hello {
            let (_, server) = one_sided();
            let (near, far) = pair(any).await;
            near.write(bytes);
            let outcome = Acceptor::new(&server).expect("settings").accept(far).await;
            let Some(Error::Protocol(why)) = outcome.err() else { panic!("{bytes:?}") };
            if bytes[0] != 22 {
                assert_eq!(why, "the client does not speak TLS");
            }
            // An alert, then the end.
            let alert = near.recv().await.expect("an alert").expect("an alert");
            assert_eq!(alert[0], 21);
            let rest = async { while let Ok(Some(_)) = near.recv().await {} };
            timeout(Duration::from_secs(5), rest).await.expect("the end");
        }
        let (client, _) = one_sided();
        let (near, far) = pair(any).await;
        far.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        let outcome = Connector::new(&client).expect("settings").connect(near, HOST).await;
        let why = "the server does not speak TLS";
        assert_eq!(outcome.err(), Some(Error::Protocol(why.into())));
        let (near, far) = pair(any).await;
        far.shutdown();
        let outcome = Connector::new(&client).expect("settings").connect(near, HOST).await;
        assert_eq!(outcome.err(), Some(Error::Truncated));
    });
}

fn text(error: &Option<Error>) -> String {
    error.as_ref().map(Error::to_string).unwrap_or_default()
}
