//! Fingerprints of certificates.
