//! What can go wrong at the server while it decodes, or with what it then sends, and comes again in
//! the same way each time that the same change is decoded.
//!
//! It is told by the SQLSTATE alone: whoever decides looks at whether it comes again at the same
//! place. Of the server's words only numbers are read here (I7).

use super::error::{Error, ServerError};
use crate::edges::Class;
use crate::position::Lsn;

impl Error {
    /// The SQLSTATE of an error that can come of what is decoded, and then comes each time that it
    /// is: neither one of the server's state and surroundings, nor one that is fatal anyway.
    #[must_use]
    pub fn repeatable(&self) -> Option<[u8; 5]> {
        match self {
            Self::Decoding { server, .. } | Self::Server(server)
                if server.severity == "ERROR" && self.class() == Class::Retry =>
            {
                let is_passing = PASSING_CLASSES.iter().any(|class| server.code.starts_with(class));
                server.code.as_bytes().try_into().ok().filter(|_| !is_passing)
            }
            Self::FrameTooLarge { .. } | Self::Protocol(_) => Some(*PROTOCOL_VIOLATION),
            _ => None,
        }
    }

    /// The change that the server was decoding, where it said so.
    #[must_use]
    pub fn change_lsn(&self) -> Option<Lsn> {
        match self {
            Self::Decoding { lsn, .. } => Some(*lsn),
            _ => None,
        }
    }

    /// Whether a row is larger than what can be sent in one message.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        match self {
            Self::Decoding { server, .. } | Self::Server(server) => server.is_too_large(),
            error => matches!(error, Self::FrameTooLarge { .. }),
        }
    }
}

impl ServerError {
    /// Whether a row is larger than a message of the server can be: 1 GiB.
    pub(super) fn is_too_large(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        self.code == PROGRAM_LIMIT_EXCEEDED || is_too_large_for_memory(&self.code, message)
    }
}

/// Classes that say something of the server's state and surroundings, so that they pass: the
/// connection, time-outs and rollbacks, resources, operators, the system.
const PASSING_CLASSES: &[&str] = &["08", "25", "40", "53", "55", "57", "58"];

/// A row that does not fit into the server's buffer for one message.
const PROGRAM_LIMIT_EXCEEDED: &str = "54000";

/// What we call bytes that are not the protocol's.
const PROTOCOL_VIOLATION: &[u8; 5] = b"08P01";

/// Names of what decoding can meet, where the server's words are withheld.
///
/// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(super) const NAMES: &[(&str, &str)] = &[
    ("22003", "numeric_value_out_of_range"),
    ("22007", "invalid_datetime_format"),
    ("22008", "datetime_field_overflow"),
    ("22012", "division_by_zero"),
    ("22021", "character_not_in_repertoire"),
    ("22P02", "invalid_text_representation"),
    ("22P03", "invalid_binary_representation"),
    ("22P05", "untranslatable_character"),
    ("2201B", "invalid_regular_expression"),
    ("22", "data_exception"),
    ("38", "external_routine_exception"),
    ("39", "external_routine_invocation_exception"),
    ("P0", "plpgsql_error"),
    ("XX001", "data_corrupted"),
    ("XX002", "index_corrupted"),
    ("XX", "internal_error"),
];

/// `invalid memory alloc request size 1887436803`, which is never translated.
pub(super) fn is_too_large_for_memory(code: &str, message: &str) -> bool {
    let size = message.strip_prefix("invalid memory alloc request size ");
    code == "XX000" && size.is_some_and(|size| size.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decoding_meets_can_repeat_itself_and_what_passes_cannot() {
        let server = |code, severity| Error::Server(ServerError::new(code, severity, ""));
        for code in ["22012", "22021", "54000", "XX000", "P0001", "38000"] {
            let repeatable = server(code, "ERROR").repeatable();
            assert_eq!(repeatable.as_ref().map(|it| &it[..]), Some(code.as_bytes()));
            assert_eq!(server(code, "FATAL").repeatable(), None, "{code}");
        }
        for code in
            ["57P01", "08006", "53200", "53300", "55006", "58030", "25P04", "40001", "42704", ""]
        {
            assert_eq!(server(code, "ERROR").repeatable(), None, "{code}");
        }
        assert!(Error::FrameTooLarge { bytes: 2, limit: 1 }.repeatable().is_some());
        assert!(Error::Protocol("?".to_owned()).repeatable().is_some());
        assert_eq!(Error::Closed.repeatable(), None);
    }

    #[test]
    fn a_row_that_is_too_large_is_known_by_what_the_server_says() {
        let is_too_large =
            |code, message| Error::Server(ServerError::new(code, "ERROR", message)).is_too_large();
        assert!(is_too_large("54000", "out of memory"));
        assert!(is_too_large(
            "54000",
            "string buffer exceeds maximum allowed length (1073741823 bytes)"
        ));
        assert!(is_too_large("XX000", "invalid memory alloc request size 1887436803"));
        assert!(!is_too_large("XX000", "invalid memory alloc request size canary"));
        assert!(!is_too_large("53200", "out of memory"));
    }
}
