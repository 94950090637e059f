//! TLS by rustls: settings, certificates and connections.
