//! The HTTP clients: one for plain registries and one for secured ones, each made when it is first needed.

use std::{error::Error, net::IpAddr, time::Duration};

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use tokio::sync::OnceCell;

use super::{Settings, proxy::Proxies};
use crate::OciError;

/// A registry that does not take a connection by then is not there.
const CONNECT_BOUND: Duration = Duration::from_secs(10);

/// A registry that sends nothing for this long has stopped; big blobs may take longer in all.
const SILENCE_BOUND: Duration = Duration::from_secs(60);

const USER_AGENT: &str = concat!("lab/", env!("CARGO_PKG_VERSION"));

/// The end of a certificate in a PEM file.
const END: &str = "-----END CERTIFICATE-----";

/// The clients of both schemes.
#[derive(Debug, Default)]
pub(super) struct Clients {
    plain: OnceCell<Client>,
    secured: OnceCell<Client>,
}

/// How a registry is talked to.
pub(super) struct Client {
    pub(super) scheme: &'static str,
    /// For manifests.
    pub(super) http: reqwest::Client,
    /// For logins and blobs.
    pub(super) library: oci_client::Client,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Client({})", self.scheme)
    }
}

impl Clients {
    pub(super) async fn get(
        &self,
        settings: &Settings,
        registry: &str,
    ) -> Result<&Client, OciError> {
        let is_plain = is_plain(settings, registry);
        let client = if is_plain { &self.plain } else { &self.secured };
        client
            .get_or_try_init(async || {
                client_for(settings, is_plain).map_err(|source| OciError::Client {
                    registry: registry.to_owned(),
                    source,
                })
            })
            .await
    }
}

fn is_plain(settings: &Settings, registry: &str) -> bool {
    is_loopback(registry) || settings.plain_http.iter().any(|plain| plain == registry)
}

fn is_loopback(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => registry.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback())
}

fn client_for(settings: &Settings, is_plain: bool) -> Result<Client, Box<dyn Error + Send + Sync>> {
    // An error says that the program has chosen its cryptography itself, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxies = Proxies::from_environment();
    let certificates = match &settings.ca_file {
        Some(path) => certificates(
            &std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        )
        .ok_or_else(|| format!("{} has no certificate in PEM", path.display()))?,
        None => Vec::new(),
    };
    let scheme = if is_plain { "http" } else { "https" };
    Ok(Client {
        scheme,
        http: http(&proxies, &certificates)?,
        library: library(is_plain, proxies, certificates)?,
    })
}

fn http(proxies: &Proxies, certificates: &[String]) -> Result<reqwest::Client, reqwest::Error> {
    let except = || reqwest::NoProxy::from_string(&proxies.except);
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_BOUND)
        .read_timeout(SILENCE_BOUND)
        .user_agent(USER_AGENT)
        // Those of the environment that are not named below.
        .no_proxy();
    if let Some(proxy) = &proxies.http {
        builder = builder.proxy(reqwest::Proxy::http(proxy)?.no_proxy(except()));
    }
    if let Some(proxy) = &proxies.https {
        builder = builder.proxy(reqwest::Proxy::https(proxy)?.no_proxy(except()));
    }
    let certificates = certificates
        .iter()
        .map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()));
    builder
        .tls_certs_merge(certificates.collect::<Result<Vec<_>, _>>()?)
        .build()
}

fn library(
    is_plain: bool,
    proxies: Proxies,
    certificates: Vec<String>,
) -> Result<oci_client::Client, oci_client::errors::OciDistributionError> {
    let certificates = certificates.into_iter().map(|pem| Certificate {
        encoding: CertificateEncoding::Pem,
        data: pem.into_bytes(),
    });
    // Not `Client::new`: it panics or trusts other certificates where this gives an error.
    ClientConfig {
        protocol: if is_plain {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        // One request for a blob, not one for each piece of the stream.
        use_monolithic_push: true,
        extra_root_certificates: certificates.collect(),
        connect_timeout: Some(CONNECT_BOUND),
        read_timeout: Some(SILENCE_BOUND),
        user_agent: USER_AGENT,
        http_proxy: proxies.http,
        https_proxy: proxies.https,
        no_proxy: Some(proxies.except),
        ..ClientConfig::default()
    }
    .try_into()
}

/// The certificates of a PEM file one by one, as the library takes them; `None` if it has none.
fn certificates(pem: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = pem
        .split_inclusive(END)
        .filter(|part| part.contains("-----BEGIN CERTIFICATE-----") && part.ends_with(END))
        .map(str::to_owned)
        .collect();
    (!parts.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_the_named_registries_are_plain() {
        let settings = Settings {
            plain_http: vec!["registry:5000".to_owned()],
            ..Settings::default()
        };
        for (registry, plain) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.1.2.3", true),
            ("[::1]:5000", true),
            ("registry:5000", true),
            ("registry:5001", false),
            ("quay.io", false),
            ("localhost.evil.io", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(is_plain(&settings, registry), plain, "{registry}");
        }
    }

    #[test]
    fn a_ca_file_without_a_certificate_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let settings = Settings {
            ca_file: Some(path.clone()),
            ..Settings::default()
        };
        let error = client_for(&settings, false).unwrap_err().to_string();
        assert!(error.starts_with("cannot read"), "{error}");
        std::fs::write(&path, "no certificate").unwrap();
        let error = client_for(&settings, false).unwrap_err().to_string();
        assert!(error.ends_with("has no certificate in PEM"), "{error}");
    }
}
