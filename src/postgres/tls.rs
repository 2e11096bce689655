//! TLS to PostgreSQL: files to a rustls configuration, and the verifier of libpq's modes.
//!
//! The provider (ring) is named here and never installed as the process's default. Whatever the
//! mode verifies of the certificate, the handshake's signatures are always checked.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature,
    verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Postgres, SslRootCert};

use super::certificate;
use super::error::Error;
use super::sslmode::{self, Verify};

/// Reads the files that the settings name and builds the configuration.
///
/// # Errors
///
/// If a file cannot be used, or the settings contradict each other.
pub(super) fn connector(postgres: &Postgres) -> Result<TlsConnector, Error> {
    let verify = sslmode::verify(postgres.ssl_mode, &postgres.ssl_root_cert)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(verify, &postgres.ssl_root_cert, &provider)?;
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

/// Verifies what the mode asks for.
#[derive(Debug)]
struct Verifier {
    verify: Verify,
    roots: RootCertStore,
    /// The certificates of the root file as they are: a server's own self-signed certificate may
    /// be in it, which OpenSSL takes and webpki does not.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(verify: Verify, root: &SslRootCert, provider: &CryptoProvider) -> Result<Self, Error> {
        let trusted = match root {
            SslRootCert::File(path) => certificates("sslrootcert", path)?,
            SslRootCert::None => Vec::new(),
            SslRootCert::System => system_certificates()?,
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().cloned());
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { verify, roots, trusted, algorithms })
    }

    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if self.trusted.iter().any(|trusted| trusted == end_entity) {
            return certificate::verify_validity(end_entity, now);
        }
        let Ok(parsed) = ParsedCertificate::try_from(end_entity) else {
            let algorithms = self.algorithms.all;
            return certificate::verify_old(end_entity, &self.trusted, now, algorithms);
        };
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.verify != Verify::Nothing {
            self.verify_chain(end_entity, intermediates, now)?;
        }
        if self.verify == Verify::ChainAndName {
            certificate::verify_name(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if ParsedCertificate::try_from(certificate).is_ok() {
            return verify_tls13_signature(message, certificate, signature, &self.algorithms);
        }
        let key = certificate::public_key(certificate)?;
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| file_error(what, path, error.to_string()))?;
    if certificates.is_empty() {
        return Err(file_error(what, path, "holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

fn system_certificates() -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let text = "sslrootcert is \"system\", but the operating system has no certificates of \
                    authorities: install them (package ca-certificates)";
        return Err(Error::TlsSettings(text.to_owned()));
    }
    Ok(found.certs)
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
