//! HTTP for the tests. They are built together with what speaks TLS, where a client wants to know its cryptography even for
//! plain HTTP.

/// A client.
///
/// # Panics
/// When it cannot be made.
pub fn client() -> reqwest::Client {
    // Another client of this process may have named it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
