//! TLS to PostgreSQL: files to a rustls configuration, as libpq's modes mean it.
//!
//! The provider (ring) is named here and never installed as the process's default.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Postgres, SslRootCert};
use crate::tls::{self, Verifier};

use super::error::Error;
use super::sslmode;

/// Reads the files that the settings name and builds the configuration.
///
/// # Errors
///
/// If a file cannot be used, or the settings contradict each other.
pub(super) fn connector(postgres: &Postgres) -> Result<TlsConnector, Error> {
    let verify = sslmode::verify(postgres.ssl_mode, &postgres.ssl_root_cert)?;
    let trusted = match &postgres.ssl_root_cert {
        SslRootCert::File(path) => certificates("sslrootcert", path)?,
        SslRootCert::None => Vec::new(),
        SslRootCert::System => system_certificates()?,
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(verify, trusted, &provider);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::TlsSettings(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match &postgres.ssl_client_cert {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("sslcert", certificate)?;
            config
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(|error| file_error("sslkey", key, error.to_string()))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Does the handshake. `host` is the name or address as configured.
pub(super) async fn handshake(
    connector: &TlsConnector,
    host: &str,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    connector.connect(name, stream).await
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    tls::certificates(path).map_err(|reason| file_error(what, path, reason))
}

fn system_certificates() -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = tls::system_certificates();
    if found.is_empty() {
        let text = "sslrootcert is \"system\", but the operating system has no certificates of \
                    authorities: install them (package ca-certificates)";
        return Err(Error::TlsSettings(text.to_owned()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let metadata =
        fs::metadata(path).map_err(|error| file_error("sslkey", path, error.to_string()))?;
    // As in libpq: a key of root's may be readable by a group.
    let forbidden = if metadata.uid() == 0 { 0o027 } else { 0o077 };
    if metadata.permissions().mode() & forbidden != 0 {
        let reason = "has group or world access; permissions should be u=rw (0600) or less";
        return Err(file_error("sslkey", path, reason.to_owned()));
    }
    PrivateKeyDer::from_pem_file(path).map_err(|_| {
        let reason = "holds no private key in PEM form without a passphrase";
        file_error("sslkey", path, reason.to_owned())
    })
}

fn file_error(what: &'static str, path: &Path, reason: String) -> Error {
    Error::TlsFile { what, path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("client.key");
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(&path, key.serialize_pem()).unwrap();
        for (mode, is_usable) in [(0o600, true), (0o400, true), (0o604, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(private_key(&path).is_ok(), is_usable, "{mode:o}");
        }
    }
}
