//! SCRAM channel binding `tls-server-end-point`: the hash of the server's certificate. Pure.
//!
//! It ties the password exchange to this TLS session: somebody in the middle with another
//! certificate cannot pass it on.
//!
//! Source: RFC 5929, section 4.1 (<https://www.rfc-editor.org/rfc/rfc5929#section-4.1>): the hash
//! of the certificate's own signature, except that MD5 and SHA-1 become SHA-256.

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier};
use x509_cert::der::{Decode, Reader, SliceReader, TagNumber};
use x509_cert::spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};

/// The binding data for a certificate; `None` where its signature names no hash that is defined
/// for this purpose (Ed25519), which PostgreSQL itself cannot bind either.
pub(super) fn server_end_point(certificate_der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Certificate::from_der(certificate_der).ok()?;
    match hash_of(certificate.signature_algorithm())? {
        Hash::Sha256 => Some(Sha256::digest(certificate_der).to_vec()),
        Hash::Sha384 => Some(Sha384::digest(certificate_der).to_vec()),
        Hash::Sha512 => Some(Sha512::digest(certificate_der).to_vec()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

fn hash_of(algorithm: &AlgorithmIdentifierOwned) -> Option<Hash> {
    if algorithm.oid != RSASSA_PSS {
        return SIGNATURES.iter().find(|(oid, _)| *oid == algorithm.oid).map(|(_, hash)| *hash);
    }
    let parameters = algorithm.parameters.as_ref()?;
    match pss_hash(AnyRef::from(parameters)) {
        Ok(Some(oid)) => DIGESTS.iter().find(|(known, _)| *known == oid).map(|(_, hash)| *hash),
        // The default of RSASSA-PSS is SHA-1.
        Ok(None) => Some(Hash::Sha256),
        Err(_) => None,
    }
}

/// `hashAlgorithm [0]` of `RSASSA-PSS-params` (RFC 4055, section 3.1).
fn pss_hash(parameters: AnyRef<'_>) -> Result<Option<ObjectIdentifier>, x509_cert::der::Error> {
    let mut reader = SliceReader::new(parameters.value())?;
    let field =
        ContextSpecific::<AlgorithmIdentifierRef<'_>>::decode_explicit(&mut reader, TagNumber(0))?;
    reader.drain(reader.remaining_len())?;
    Ok(field.map(|field| field.value.oid))
}

const fn oid(text: &'static str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const RSASSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");

/// Signature algorithms that name their hash.
const SIGNATURES: [(ObjectIdentifier, Hash); 10] = [
    (oid("1.2.840.113549.1.1.4"), Hash::Sha256), // md5WithRSAEncryption
    (oid("1.2.840.113549.1.1.5"), Hash::Sha256), // sha1WithRSAEncryption
    (oid("1.2.840.113549.1.1.11"), Hash::Sha256), // sha256WithRSAEncryption
    (oid("1.2.840.113549.1.1.12"), Hash::Sha384), // sha384WithRSAEncryption
    (oid("1.2.840.113549.1.1.13"), Hash::Sha512), // sha512WithRSAEncryption
    (oid("1.2.840.10045.4.1"), Hash::Sha256),    // ecdsa-with-SHA1
    (oid("1.2.840.10045.4.3.2"), Hash::Sha256),  // ecdsa-with-SHA256
    (oid("1.2.840.10045.4.3.3"), Hash::Sha384),  // ecdsa-with-SHA384
    (oid("1.2.840.10045.4.3.4"), Hash::Sha512),  // ecdsa-with-SHA512
    (oid("2.16.840.1.101.3.4.3.2"), Hash::Sha256), // dsa-with-sha256
];

/// Hashes that RSASSA-PSS names in its parameters.
const DIGESTS: [(ObjectIdentifier, Hash); 4] = [
    (oid("1.3.14.3.2.26"), Hash::Sha256),          // SHA-1
    (oid("2.16.840.1.101.3.4.2.1"), Hash::Sha256), // SHA-256
    (oid("2.16.840.1.101.3.4.2.2"), Hash::Sha384), // SHA-384
    (oid("2.16.840.1.101.3.4.2.3"), Hash::Sha512), // SHA-512
];

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        let p256 = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(server_end_point(&p256), Some(Sha256::digest(&p256).to_vec()));
        let p384 = certificate(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(server_end_point(&p384), Some(Sha384::digest(&p384).to_vec()));
        let ed25519 = certificate(&rcgen::PKCS_ED25519);
        assert_eq!(server_end_point(&ed25519), None);
        assert_eq!(server_end_point(b"not a certificate"), None);
    }

    #[test]
    fn pss_names_its_hash_in_the_parameters() {
        // SEQUENCE { [0] { SEQUENCE { OID sha384, NULL } }, [2] { INTEGER 48 } }
        let sha384 = [
            0x30, 0x16, 0xA0, 0x0F, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
            0x04, 0x02, 0x02, 0x05, 0x00, 0xA2, 0x03, 0x02, 0x01, 0x30,
        ];
        let cases: [(&[u8], Option<Hash>); 3] = [
            (&sha384, Some(Hash::Sha384)),
            (&[0x30, 0x00], Some(Hash::Sha256)),
            (&[0x05, 0x00], Some(Hash::Sha256)),
        ];
        for (parameters, expect) in cases {
            let parameters = Some(x509_cert::der::Any::from_der(parameters).unwrap());
            let algorithm = AlgorithmIdentifierOwned { oid: RSASSA_PSS, parameters };
            assert_eq!(hash_of(&algorithm), expect);
        }
    }
}
