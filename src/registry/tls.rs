//! TLS to the schema registry, by the same library as to PostgreSQL.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::Error;
use crate::config;

/// The configured authorities, certificate and key.
pub(super) fn client_config(config: &config::Registry) -> Result<ClientConfig, Error> {
    let roots = match &config.ca_file {
        Some(file) => roots_of(file)?,
        None => system_roots()?,
    };
    let builder = builder()?.with_root_certificates(roots);
    let Some((certificate, key)) = &config.client_cert else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| unusable(certificate, &error))
}

/// For plain HTTP, where nothing is verified and no authorities need to be loaded.
pub(super) fn trusting_nobody() -> Result<ClientConfig, Error> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))
}

fn roots_of(file: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| unusable(file, &error))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    // Systems carry some certificates that no library takes; the others still count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(Error::Tls(
            "the operating system has no certificate authorities: install ca-certificates, or set registry.ca_file".into(),
        ));
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(file, &error))?;
    if found.is_empty() {
        return Err(Error::Tls(format!("{} holds no certificate", file.display())));
    }
    Ok(found)
}

fn unusable(file: &Path, error: &dyn std::error::Error) -> Error {
    Error::Tls(format!("{} is not usable: {error}", file.display()))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use rustls::server::WebPkiClientVerifier;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    pub(in crate::registry) fn certificates_of(file: &Path) -> Vec<CertificateDer<'static>> {
        certificates(file).unwrap()
    }

    /// Answers one request of a client that shows a certificate; returns its port and the request.
    pub(in crate::registry) fn server(
        clients: RootCertStore,
        certificate: &Path,
        key: &Path,
    ) -> (u16, JoinHandle<String>) {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider))
                .build()
                .unwrap();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates_of(certificate), key)
            .unwrap();
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let session = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(session, stream));
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                stream.read_line(&mut request).unwrap();
            }
            let stream = stream.get_mut();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n[\"AVRO\"]").unwrap();
            stream.flush().unwrap();
            request
        });
        (port, thread)
    }
}
