//! What OpenSSL, and so libpq and librdkafka, takes of a server's certificate and webpki does not. Pure.
//!
//! - A version 1 certificate: `openssl x509 -req`, as PostgreSQL's manual showed it for decades,
//!   writes one unless it is given extensions.
//! - A self-signed certificate that is its own root.
//! - The host's name as the common name, where there are no alternative names of its kind.
//!
//! Source: <https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-CERTIFICATE-CREATION>, and
//! `fe-secure-common.c` of PostgreSQL.

use rustls::CertificateError;
use rustls::client::verify_server_name;
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::ParsedCertificate;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::{Certificate, Version};

/// That the certificate is valid now.
pub(super) fn verify_validity(
    certificate: &CertificateDer<'_>,
    now: UnixTime,
) -> Result<(), rustls::Error> {
    is_valid(&parse(certificate)?, now)
}

/// That a version 1 certificate is valid now and signed by one of the roots themselves: such a
/// certificate can have no intermediates that webpki would take.
pub(super) fn verify_old(
    certificate: &CertificateDer<'_>,
    roots: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), rustls::Error> {
    let certificate = parse(certificate)?;
    if certificate.tbs_certificate().version() != Version::V1 {
        return Err(CertificateError::BadEncoding.into());
    }
    is_valid(&certificate, now)?;
    let is_signed = roots.iter().any(|root| {
        parse(root).is_ok_and(|root| {
            is_valid(&root, now).is_ok() && is_signed_by(&certificate, &root, algorithms)
        })
    });
    if is_signed { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
}

/// That the certificate is for this host: alternative names by webpki, else the common name.
pub(super) fn verify_name(
    certificate: &CertificateDer<'_>,
    host: &ServerName<'_>,
) -> Result<(), rustls::Error> {
    let by_alternative = ParsedCertificate::try_from(certificate)
        .and_then(|certificate| verify_server_name(&certificate, host));
    let Err(error) = by_alternative else { return Ok(()) };
    let certificate = parse(certificate)?;
    let is_by_common_name = !has_alternative_of_kind(&certificate, host)
        && common_name(&certificate).is_some_and(|name| matches_name(&name, &host.to_str()));
    match error {
        _ if is_by_common_name => Ok(()),
        // It tells the names that the certificate has.
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }) => {
            Err(error)
        }
        _ => Err(CertificateError::NotValidForName.into()),
    }
}

/// The key of a certificate that webpki does not read.
pub(super) fn public_key(
    certificate: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, rustls::Error> {
    let key = parse(certificate)?.tbs_certificate().subject_public_key_info().to_der();
    key.map(SubjectPublicKeyInfoDer::from).map_err(|_| CertificateError::BadEncoding.into())
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, rustls::Error> {
    Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

fn is_valid(certificate: &Certificate, now: UnixTime) -> Result<(), rustls::Error> {
    let validity = certificate.tbs_certificate().validity();
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(CertificateError::NotValidYet.into());
    }
    if validity.not_after.to_unix_duration().as_secs() < now.as_secs() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

fn is_signed_by(
    certificate: &Certificate,
    root: &Certificate,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> bool {
    let (signed, issuer) = (certificate.tbs_certificate(), root.tbs_certificate());
    if signed.issuer() != issuer.subject() {
        return false;
    }
    let key = issuer.subject_public_key_info();
    let parts = (
        identifier(&key.algorithm),
        identifier(certificate.signature_algorithm()),
        key.subject_public_key.as_bytes(),
        certificate.signature().as_bytes(),
        signed.to_der(),
    );
    let (Some(of_key), Some(of_signature), Some(key), Some(signature), Ok(message)) = parts else {
        return false;
    };
    algorithms
        .iter()
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == of_key)
        .filter(|algorithm| algorithm.signature_alg_id().as_ref() == of_signature)
        .any(|algorithm| algorithm.verify_signature(key, &message, signature).is_ok())
}

/// An AlgorithmIdentifier as rustls writes it: without the header of its SEQUENCE.
fn identifier(algorithm: &impl Encode) -> Option<Vec<u8>> {
    let encoded = algorithm.to_der().ok()?;
    Some(AnyRef::from_der(&encoded).ok()?.value().to_vec())
}

fn has_alternative_of_kind(certificate: &Certificate, host: &ServerName<'_>) -> bool {
    let names = match certificate.tbs_certificate().get_extension::<SubjectAltName>() {
        Ok(Some((_, names))) => names.0,
        Ok(None) => return false,
        Err(_) => return true,
    };
    names.iter().any(|name| match host {
        ServerName::IpAddress(_) => matches!(name, GeneralName::IpAddress(_)),
        _ => matches!(name, GeneralName::DnsName(_)),
    })
}

fn common_name(certificate: &Certificate) -> Option<String> {
    let name = certificate.tbs_certificate().subject().common_name().ok()??;
    Some(name.value().into_owned())
}

/// A common name against a host; `*.` stands for one label, as in libpq.
fn matches_name(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let (Some(domain), Some((label, rest))) = (pattern.strip_prefix("*."), host.split_once('.'))
    else {
        return false;
    };
    !label.is_empty() && domain.contains('.') && domain.eq_ignore_ascii_case(rest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn der(base64: &str) -> CertificateDer<'static> {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn a_common_name_matches_as_in_libpq() {
        let cases = [
            ("db.example.com", "DB.example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.com", "example.com", false),
            ("*", "db", false),
            ("db.example.com", "db.example.org", false),
        ];
        for (pattern, host, expect) in cases {
            assert_eq!(matches_name(pattern, host), expect, "{pattern} {host}");
        }
    }

    #[test]
    fn a_version_1_certificate_is_verified_against_its_root() {
        let (server, root, namesake) = (der(SERVER_V1), der(ROOT), der(NAMESAKE));
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let verify = |certificate: &CertificateDer<'_>, roots: &[CertificateDer<'_>], now| {
            verify_old(certificate, roots, at(now), algorithms)
        };
        assert!(ParsedCertificate::try_from(&server).is_err());
        let roots = [namesake.clone(), root.clone()];
        verify(&server, &roots, YEAR_2030).unwrap();
        // The same name with another key, no root at all, too early, too late, tampered with.
        assert!(verify(&server, &[namesake], YEAR_2030).is_err());
        assert!(verify(&server, &[], YEAR_2030).is_err());
        assert!(verify(&server, &roots, 0).is_err());
        assert!(verify(&server, &roots, 10 * YEAR_2030).is_err());
        let mut bytes = server.to_vec();
        let name = bytes.windows(9).position(|window| window == b"localhost").unwrap();
        bytes[name] = b'L';
        assert!(verify(&CertificateDer::from(bytes), &roots, YEAR_2030).is_err());
        // What webpki reads is webpki's to judge.
        assert!(verify(&root, &roots, YEAR_2030).is_err());
        verify_name(&server, &ServerName::try_from("localhost").unwrap()).unwrap();
        assert!(verify_name(&server, &ServerName::try_from("other").unwrap()).is_err());
    }

    const YEAR_2030: u64 = 1_900_000_000;
    const ROOT: &str = "\
MIIBdDCCARugAwIBAgIUMVi4YNy4OJrOKb7LINmvQS0vXfIwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEcm9vdDAgFw0yNjExM
jMwNjE0NDJaGA8yMTI2MTAzMDA2MTQ0MlowDzENMAsGA1UEAwwEcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGJWY/
6+6nd+NIRXZrioO+L79pm60HFTGoKPzRPCb5fz8fNw/DwZzuEChDYuMfhpLK85Z/9knqhDZCt9lbYD6xOjUzBRMB0GA1UdDgQ
WBBT9RqX0Qx0mHp1LII3uxsSPwM7bFzAfBgNVHSMEGDAWgBT9RqX0Qx0mHp1LII3uxsSPwM7bFzAPBgNVHRMBAf8EBTADAQH/
MAoGCCqGSM49BAMCA0cAMEQCIF+kc+iNyzfHtFG3/GnmNs+8JZlpeIoCL0MFXVWFVdaLAiBc8X6zDaZZIIkS9VdqWQ33oPXSl
hsdKqQu83jl1k/0Kg==";
    const SERVER_V1: &str = "\
MIIBHjCBxgIUQXFK8XUCB4p+mhwHa5kEupGnJK0wCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEcm9vdDAgFw0yNjExMjMwNjE0N
DJaGA8yMTI2MTAzMDA2MTQ0MlowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEecqLTT
IJlaxBOTdCyiagz5HtrjwHssI9qqh+nL9tU10CBtZ46+9bpp5HgbRIxw9QQEH+rhVqIRiTMBIqT01NFjAKBggqhkjOPQQDAgN
HADBEAiBeSbYlPuqNflR7xkceBW9pn1zGomCQ6I3VvzHShvC8dwIgGYggN+c7JEDS+9DhgwnhXhCoHAU9DmXHYpY4xlZisYw=";
    /// Another authority of the same name.
    const NAMESAKE: &str = "\
MIIBdTCCARugAwIBAgIUNXHZyGLdX2PQCj/YcqlY5X5BgUQwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEcm9vdDAgFw0yNjExM
jMwNjE0NDJaGA8yMTI2MTAzMDA2MTQ0MlowDzENMAsGA1UEAwwEcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABI0C1L
jZ7j7vuzwRPhU0Mb2ltbjVP7Bj7xmnOVjMASUa/wmcIG+Li2cHcc3cGnIHfee9TufJSP2lch0l6dVdTPijUzBRMB0GA1UdDgQ
WBBQ7mC3rxf72RNwtuyQv3OOb3FJJsjAfBgNVHSMEGDAWgBQ7mC3rxf72RNwtuyQv3OOb3FJJsjAPBgNVHRMBAf8EBTADAQH/
MAoGCCqGSM49BAMCA0gAMEUCIE6s33spxE3B77zxwCo1zbOUm20o4G9uWWmgkrQy3ONPAiEAqIINuIFBow5nVgVDXdYfSZYf5
uztfErQGKmhUCJ3GEw=";
}
