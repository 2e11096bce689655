//! Every `sslmode`, client certificates, and certificates that are wrong.

use std::time::Duration;

use walbrook::config::{Postgres as Settings, SslMode, SslRootCert};
use walbrook::edges::Class;
use walbrook::postgres::{Error, TransportKind};

use super::{Secured, connect, local, settings, text};
use crate::support::postgres::{Options, Postgres};
use crate::support::{process, run};

const LIMIT: Duration = Duration::from_secs(120);

const MODES: [SslMode; 6] = [
    SslMode::Disable,
    SslMode::Allow,
    SslMode::Prefer,
    SslMode::Require,
    SslMode::VerifyCa,
    SslMode::VerifyFull,
];

/// One letter an outcome: p plain, t TLS, or the first letter of the error.
async fn outcomes(settings: &Settings) -> String {
    let mut out = String::new();
    for ssl_mode in MODES {
        let outcome = connect(&Settings { ssl_mode, ..settings.clone() }).await;
        out.push(match &outcome {
            Ok(TransportKind::Tcp) => 'p',
            Ok(TransportKind::Tls) => 't',
            Ok(TransportKind::Unix) => 'u',
            Err(Error::Refused { .. }) => 'R',
            Err(Error::Tls { .. }) => 'V',
            Err(Error::TlsUnavailable { .. }) => 'N',
            Err(error) => panic!("{ssl_mode:?}: {error}"),
        });
        let class = outcome.as_ref().map_err(Error::class);
        assert!(!matches!(class, Err(Class::Retry | Class::Fenced)), "{ssl_mode:?}: {outcome:?}");
    }
    out
}

/// Modes in the order disable, allow, prefer, require, verify-ca, verify-full; the outcomes are
/// those of libpq.
#[test]
fn each_sslmode_does_what_libpq_does() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let at = |host: &str, user: &str, root: &str| Settings {
            ssl_root_cert: SslRootCert::File(secured.path(root)),
            ..settings(host, secured.server.port(), user)
        };
        let cases = [
            ("localhost", "trusted", "root.crt", "pptttt"),
            ("localhost", "only_tls", "root.crt", "Rttttt"),
            ("localhost", "only_plain", "root.crt", "pppRRR"),
            // The certificate is for localhost only.
            ("127.0.0.1", "trusted", "root.crt", "pptttV"),
            // Not signed by this authority.
            ("localhost", "trusted", "other.crt", "pppVVV"),
            ("localhost", "only_tls", "other.crt", "RVVVVV"),
        ];
        for (host, user, root, expect) in cases {
            assert_eq!(outcomes(&at(host, user, root)).await, expect, "{host} {user} {root}");
        }
        let bare = Postgres::start(&Options::default());
        let root = SslRootCert::File(secured.path("root.crt"));
        let tcp = Settings {
            ssl_root_cert: root.clone(),
            ..settings("localhost", bare.port(), "postgres")
        };
        assert_eq!(outcomes(&tcp).await, "pppNNN");
        let unix = Settings { ssl_root_cert: root, ..local(&bare, "postgres") };
        assert_eq!(outcomes(&unix).await, "uuuuuu");
    });
}

#[test]
fn without_roots_require_verifies_nothing_and_verify_modes_refuse() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let by = |ssl_mode, ssl_root_cert| Settings {
            ssl_mode,
            ssl_root_cert,
            ..secured.settings("trusted")
        };
        let kind = connect(&by(SslMode::Require, SslRootCert::None)).await.unwrap();
        assert_eq!(kind, TransportKind::Tls);
        for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
            let error = connect(&by(mode, SslRootCert::None)).await.unwrap_err();
            assert!(matches!(error, Error::TlsSettings(_)), "{error}");
            assert_eq!(error.class(), Class::Fatal);
        }
        let error = connect(&by(SslMode::Require, SslRootCert::System)).await.unwrap_err();
        assert!(error.to_string().contains("verify-full"), "{error}");
        let missing = SslRootCert::File(secured.path("missing.crt"));
        let error = connect(&by(SslMode::VerifyCa, missing)).await.unwrap_err();
        assert!(error.to_string().contains("missing.crt"), "{error}");
    });
}

#[test]
fn a_client_certificate_is_shown_and_checked() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let with = |name: &str| Settings {
            ssl_client_cert: Some((
                secured.path(&format!("{name}.crt")),
                secured.path(&format!("{name}.key")),
            )),
            ssl_root_cert: secured.root(),
            ssl_mode: SslMode::VerifyFull,
            ..secured.settings("certificate")
        };
        assert_eq!(connect(&with("client")).await.unwrap(), TransportKind::Tls);
        let without = Settings { ssl_client_cert: None, ..with("client") };
        let error = connect(&without).await.unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("28000"), Class::Fatal), "{error}");
        // Signed by an authority that the server does not know.
        let error = connect(&with("stranger")).await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. } | Error::Io(_)), "{error:?}");
    });
}

/// OpenSSL takes a server's own certificate as its root; so do we, and by its common name.
#[test]
fn a_self_signed_certificate_can_be_its_own_root() {
    run(LIMIT, async {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "LocalHost");
        let certificate = params.self_signed(&key).unwrap().pem();
        let tls = Some((certificate.clone(), key.serialize_pem(), certificate.clone()));
        let server = Postgres::start(&Options { tls, ..Options::default() });
        let root = process::folder("root").join("root.crt");
        std::fs::write(&root, certificate).unwrap();
        let by = |host: &str| Settings {
            ssl_root_cert: SslRootCert::File(text(&root).into()),
            ..settings(host, server.port(), "postgres")
        };
        assert_eq!(outcomes(&by("localhost")).await, "pptttt");
        assert_eq!(outcomes(&by("127.0.0.1")).await, "pptttV");
    });
}
