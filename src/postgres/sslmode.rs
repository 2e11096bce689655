//! `sslmode`, decided: what to try first, what a refusal means, what is verified. Pure.
//!
//! ```text
//!            first   server says N   TLS fails   server refuses   verified
//! disable    plain        –              –            end          –
//! allow      plain       end            end       TLS, if plain    chain, if a root file
//! prefer     TLS        plain          plain      plain, if TLS    chain, if a root file
//! require    TLS         end            end           end          chain, if a root file
//! verify-ca  TLS         end            end           end          chain
//! verify-full TLS        end            end           end          chain and name
//! ```
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>, and
//! `fe-connect.c`, `fe-secure-openssl.c` for what the table there leaves out.

use crate::config::{SslMode, SslRootCert};
use crate::tls::Verify;

use super::error::{Error, INVALID_AUTHORIZATION};

/// How one connection is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// In plain text.
    Plain,
    /// With TLS; when the server has none, in plain text over the same connection.
    TlsOrPlain,
    /// With TLS or not at all.
    Tls,
}

/// The first attempt at a host.
pub(super) fn first(mode: SslMode, is_unix_socket: bool) -> Attempt {
    match mode {
        _ if is_unix_socket => Attempt::Plain,
        SslMode::Allow | SslMode::Disable => Attempt::Plain,
        SslMode::Prefer => Attempt::TlsOrPlain,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Attempt::Tls,
    }
}

/// The second and last attempt after `error`, if the mode has one. `was_tls` says whether the
/// failed attempt ended up with TLS, or broke in its handshake.
pub(super) fn second(
    mode: SslMode,
    is_unix_socket: bool,
    was_tls: bool,
    error: &Error,
) -> Option<Attempt> {
    let is_refusal = matches!(error, Error::Password { .. } | Error::Refused { .. });
    match mode {
        _ if is_unix_socket => None,
        SslMode::Allow if !was_tls && is_refusal => Some(Attempt::Tls),
        SslMode::Prefer if was_tls && (is_refusal || matches!(error, Error::Tls { .. })) => {
            Some(Attempt::Plain)
        }
        _ => None,
    }
}

/// Of the errors of two attempts, the one that tells the operator more: that no line of
/// pg_hba.conf fits the other kind of connection says little.
pub(super) fn telling(first: Error, second: Error) -> Error {
    let is_unmatched = |error: &Error| error.sqlstate() == Some(INVALID_AUTHORIZATION);
    let is_first_better = match &second {
        Error::TlsUnavailable { .. } => true,
        second => is_unmatched(second) && !is_unmatched(&first),
    };
    if is_first_better { first } else { second }
}

/// What is verified of the server's certificate.
///
/// # Errors
///
/// If the mode verifies and there is nothing to verify against, or the roots demand a stronger
/// mode.
pub(super) fn verify(mode: SslMode, root: &SslRootCert) -> Result<Verify, Error> {
    match (mode, root) {
        (SslMode::VerifyFull, SslRootCert::File(_) | SslRootCert::System) => {
            Ok(Verify::ChainAndName)
        }
        // Anybody can have a certificate from a public authority, so a chain without the name
        // proves nothing.
        (_, SslRootCert::System) => Err(Error::TlsSettings(
            "sslrootcert \"system\" needs sslmode \"verify-full\"; a weaker mode would accept \
             anybody's certificate"
                .to_owned(),
        )),
        (_, SslRootCert::File(_)) => Ok(Verify::Chain),
        (SslMode::VerifyCa | SslMode::VerifyFull, SslRootCert::None) => Err(Error::TlsSettings(
            "sslmode \"verify-ca\" and \"verify-full\" need sslrootcert: a PEM file with the \
             authority's certificate, or \"system\" with verify-full"
                .to_owned(),
        )),
        (_, SslRootCert::None) => Ok(Verify::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::super::error::ServerError;
    use super::*;

    const MODES: [SslMode; 6] = [
        SslMode::Disable,
        SslMode::Allow,
        SslMode::Prefer,
        SslMode::Require,
        SslMode::VerifyCa,
        SslMode::VerifyFull,
    ];

    fn refusal(code: &str) -> Error {
        let server = ServerError::new(code, "FATAL", "no");
        Error::Refused { host: "db".to_owned(), server }
    }

    fn broken() -> Error {
        Error::Tls { host: "db".to_owned(), source: io::Error::other("no") }
    }

    #[test]
    fn each_mode_begins_as_libpq_does() {
        use Attempt::{Plain, Tls, TlsOrPlain};
        let expect = [Plain, Plain, TlsOrPlain, Tls, Tls, Tls];
        assert_eq!(MODES.map(|mode| first(mode, false)), expect);
        assert_eq!(MODES.map(|mode| first(mode, true)), [Plain; 6]);
    }

    #[test]
    fn only_allow_and_prefer_try_again() {
        use Attempt::{Plain, Tls};
        let after = |was_tls, error: &Error| MODES.map(|mode| second(mode, false, was_tls, error));
        let closed = Error::Closed;
        let table = [
            (false, &refusal("28000"), [None, Some(Tls), None, None, None, None]),
            (true, &refusal("28P01"), [None, None, Some(Plain), None, None, None]),
            (true, &broken(), [None, None, Some(Plain), None, None, None]),
            (false, &closed, [None; 6]),
            (true, &closed, [None; 6]),
        ];
        for (was_tls, error, expect) in table {
            assert_eq!(after(was_tls, error), expect, "{was_tls} {error}");
        }
        assert_eq!(second(SslMode::Allow, true, false, &refusal("28000")), None);
    }

    #[test]
    fn the_more_telling_error_is_reported() {
        let told = |a: &str, b: &str| telling(refusal(a), refusal(b)).sqlstate().map(str::to_owned);
        assert_eq!(told("28P01", "28000").as_deref(), Some("28P01"));
        assert_eq!(told("28000", "28P01").as_deref(), Some("28P01"));
        assert_eq!(told("3D000", "3D000").as_deref(), Some("3D000"));
        assert!(matches!(telling(broken(), refusal("28000")), Error::Tls { .. }));
        let absent = Error::TlsUnavailable { host: "db".to_owned() };
        assert!(matches!(telling(refusal("3D000"), absent), Error::Refused { .. }));
    }

    #[test]
    fn what_is_verified_follows_mode_and_roots() {
        let file = SslRootCert::File(PathBuf::from("root.crt"));
        let by = |root: &SslRootCert| MODES.map(|mode| verify(mode, root).ok());
        let [chain, full, nothing] =
            [Verify::Chain, Verify::ChainAndName, Verify::Nothing].map(Some);
        assert_eq!(by(&file), [chain, chain, chain, chain, chain, full]);
        assert_eq!(by(&SslRootCert::None), [nothing, nothing, nothing, nothing, None, None]);
        assert_eq!(by(&SslRootCert::System), [None, None, None, None, None, full]);
    }
}
