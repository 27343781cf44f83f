//! TLS on both sides: the services' with a certificate of a throw-away authority, the floor's that trusts what it is told.

use std::io::{Error, Result};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, IpAddr, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What the services answer with.
///
/// # Panics
/// If the files hold no certificate and key.
#[must_use]
pub fn acceptor(certificate: &Path, key: &Path) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(key).expect("a private key");
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a key that is the certificate's");
    TlsAcceptor::from(Arc::new(config))
}

/// A client that trusts the authorities of a PEM file.
///
/// # Errors
/// The file can't be read.
pub fn connector(authorities: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(authorities).map_err(Error::other)?;
    roots.add_parsable_certificates(read.flatten());
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Makes a connection that stands to `127.0.0.1` an encrypted one.
///
/// # Errors
/// The certificate is not trusted, or the connection broke.
pub async fn connect(connector: &TlsConnector, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
    let local = std::net::Ipv4Addr::LOCALHOST.into();
    let name = ServerName::IpAddress(IpAddr::V4(local));
    connector.connect(name, stream).await
}
