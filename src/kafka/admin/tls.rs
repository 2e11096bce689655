//! TLS of our own connections, with the meaning that librdkafka gives the same options.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::super::error::Error;
use super::property;
use crate::config::{Kafka, KafkaTls};
use crate::tls::{self, Verifier, Verify};

/// The configured authorities, certificate and key; `None` without TLS.
pub(super) fn client_config(config: &Kafka) -> Result<Option<ClientConfig>, Error> {
    let Some(files) = &config.security.tls else { return Ok(None) };
    let verify = verify(config)?;
    let trusted = match &files.ca_file {
        _ if verify == Verify::Nothing => Vec::new(),
        Some(file) => tls::certificates(file).map_err(|reason| unusable(file, &reason))?,
        None => system_certificates()?,
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(verify, trusted, &provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls { reason: error.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = &files.client_cert else {
        return Ok(Some(builder.with_no_client_auth()));
    };
    let chain = tls::certificates(certificate).map_err(|reason| unusable(certificate, &reason))?;
    let built = builder.with_client_auth_cert(chain, private_key(files, key)?);
    built.map(Some).map_err(|error| unusable(certificate, &error.to_string()))
}

/// What librdkafka verifies by these options of its own.
fn verify(config: &Kafka) -> Result<Verify, Error> {
    let is = |name, values: &[&str]| -> Result<bool, Error> {
        let found = property(config, name)?.map(|value| value.to_lowercase());
        Ok(found.is_some_and(|value| values.contains(&&*value)))
    };
    if is("enable.ssl.certificate.verification", &["false", "f", "0"])? {
        return Ok(Verify::Nothing);
    }
    let is_any_name = is("ssl.endpoint.identification.algorithm", &["none"])?;
    Ok(if is_any_name { Verify::Chain } else { Verify::ChainAndName })
}

fn system_certificates() -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = tls::system_certificates();
    if found.is_empty() {
        return Err(Error::Tls {
            reason: "the operating system has no certificate authorities: install ca-certificates, or set kafka.tls.ca_file".into(),
        });
    }
    Ok(found)
}

fn private_key(files: &KafkaTls, key: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(key).map_err(|error| match &files.key_password {
        Some(_) => unusable(
            key,
            "only librdkafka opens a key with a password: have it without one, or create the topics yourself",
        ),
        None => unusable(key, &error.to_string()),
    })
}

fn unusable(file: &Path, reason: &str) -> Error {
    Error::Tls { reason: format!("{} is not usable: {reason}", file.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::kafka::client::tests::config as sink;

    #[test]
    fn librdkafkas_options_decide_what_is_verified() {
        let check = |properties: &[(&str, &str)], expect| {
            let mut config = sink("b:1").kafka;
            config.properties = properties
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).into()).into()))
                .collect();
            assert_eq!(verify(&config).unwrap(), expect, "{properties:?}");
        };
        let name = "ssl.endpoint.identification.algorithm";
        check(&[], Verify::ChainAndName);
        check(&[(name, "https")], Verify::ChainAndName);
        check(&[(name, "none")], Verify::Chain);
        check(&[("enable.ssl.certificate.verification", "False")], Verify::Nothing);
        check(&[("enable.ssl.certificate.verification", "true")], Verify::ChainAndName);
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        let certificate = file("certificate", &certificate);
        let [plain, other] = [key, rcgen::KeyPair::generate().unwrap()].map(|key| {
            let name = if folder.path().join("plain").exists() { "other" } else { "plain" };
            file(name, &key.serialize_pem())
        });
        let locked = file(
            "locked",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        let check = |ca_file: &Path, key: &Path, has_password: bool, expect: &str| {
            let mut config = sink("b:1").kafka;
            let password = has_password.then(|| Secret::new("cAnArY".into()).into());
            config.security.tls = Some(KafkaTls {
                ca_file: Some(ca_file.to_owned()),
                client_cert: Some((certificate.clone(), key.to_owned())),
                key_password: password,
            });
            let found = client_config(&config).map(|built| built.is_some());
            let found = found.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(found.contains(expect), "{found}");
            assert_eq!(found.is_empty(), expect.is_empty(), "{found}");
        };
        check(&certificate, &plain, false, "");
        check(&certificate, &plain, true, "");
        check(&plain, &plain, false, "plain is not usable: holds no certificate");
        check(&certificate, &other, false, "certificate is not usable: ");
        check(&certificate, &locked, false, "locked is not usable: ");
        check(&certificate, &locked, true, "locked is not usable: only librdkafka opens a key");
        check(Path::new("/nonexistent"), &plain, false, "/nonexistent is not usable: ");
    }
}
