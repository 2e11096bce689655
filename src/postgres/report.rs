//! What the server reports, as an error or as a notice, and which report tells that changes are
//! missing from the stream.

use std::collections::HashMap;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorFields;
use tracing::{info, warn};

use super::error::{Error, NOT_IN_PREREQUISITE_STATE, ServerError};
use super::wire::invalid;
use crate::position::Lsn;

/// An ErrorResponse or NoticeResponse, without anything that could be a row's value.
pub(super) struct Report {
    /// What it says.
    pub(super) server: ServerError,
    /// The server's function that reported it, which no translation changes.
    routine: String,
    /// The change that was being decoded.
    lsn: Option<Lsn>,
}

impl Report {
    /// Reads its fields.
    pub(super) fn parse(mut fields: ErrorFields<'_>) -> Result<Self, Error> {
        let (mut code, mut severity, mut message) = (String::new(), String::new(), String::new());
        let (mut routine, mut lsn) = (String::new(), None);
        while let Some(field) = fields.next().map_err(invalid)? {
            let value = String::from_utf8_lossy(field.value_bytes());
            match field.type_() {
                b'C' => code = value.into_owned(),
                b'M' => message = value.into_owned(),
                b'R' => routine = value.into_owned(),
                // 'S' is translated; 'V' is not, and servers since 9.6 send it.
                b'V' => severity = value.into_owned(),
                b'S' if severity.is_empty() => severity = value.into_owned(),
                b'W' => lsn = decoded_lsn(&value),
                _ => {}
            }
        }
        Ok(Self { server: ServerError::new(&code, &severity, &message), routine, lsn })
    }

    /// Whether changes are left out of the stream, for a publication that was missing then.
    ///
    /// Source: `src/backend/replication/pgoutput/pgoutput.c` of PostgreSQL, `LoadPublications`.
    fn tells_of_a_missing_publication(&self) -> bool {
        matches!(
            (self.server.code.as_str(), self.routine.as_str()),
            (UNDEFINED_OBJECT, "get_publication_oid")
                | (NOT_IN_PREREQUISITE_STATE, "LoadPublications")
        )
    }

    /// The error that it is in the stream.
    pub(super) fn into_error(self) -> Error {
        if self.tells_of_a_missing_publication() {
            return Error::MissingPublication { server: self.server, lsn: self.lsn };
        }
        match self.lsn {
            Some(lsn) => Error::Decoding { server: self.server, lsn },
            None => Error::Server(self.server),
        }
    }
}

/// How often the server has said what on one connection, by SQLSTATE and routine.
#[derive(Debug, Default)]
pub(super) struct Notices(HashMap<(String, String), u64>);

impl Notices {
    /// Logs a notice, unless it tells of what is missing from the stream: that is an error. One that
    /// is repeated is logged ever more rarely.
    pub(super) fn on_notice(&mut self, fields: ErrorFields<'_>) -> Result<(), Error> {
        let notice = Report::parse(fields)?;
        if notice.tells_of_a_missing_publication() {
            return Err(notice.into_error());
        }
        let Report { server: notice, routine, .. } = notice;
        let said = (notice.code.clone(), routine.clone());
        if NOTICES_MAX <= self.0.len() && !self.0.contains_key(&said) {
            return Ok(());
        }
        let times = self.0.entry(said).or_default();
        *times += 1;
        let times = *times;
        match notice.severity.as_str() {
            _ if !times.is_power_of_two() => {}
            "WARNING" => {
                warn!(%notice, routine, times, "postgresql warns on the replication connection");
            }
            _ => info!(%notice, routine, times, "postgresql says on the replication connection"),
        }
        Ok(())
    }
}

/// So many kinds of notices are told apart; of more nothing is said.
const NOTICES_MAX: usize = 64;

/// `undefined_object`.
const UNDEFINED_OBJECT: &str = "42704";

/// The LSN of a change that was being decoded, from the line of CONTEXT that has nothing but names
/// and that: `slot "s", output plugin "pgoutput", in the change callback, associated LSN 0/1945CB0`.
fn decoded_lsn(context: &str) -> Option<Lsn> {
    let line = context.lines().find(|line| line.contains("pgoutput"))?;
    let words = line.rsplit(|c: char| !c.is_ascii_hexdigit() && c != '/');
    words.filter_map(|word| word.parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lsn_is_read_from_the_line_of_the_output_plugin() {
        let cases = [
            (
                "slot \"s\", output plugin \"pgoutput\", in the change callback, associated LSN 0/1945CB0",
                Some(Lsn(0x194_5CB0)),
            ),
            (
                "Slot »1/2«, Output-Plugin »pgoutput«, im Callback change, zugehörige LSN 16/B374D848",
                Some(Lsn(0x16_B374_D848)),
            ),
            (
                "row 1/2\nスロット\"s\"、出力プラグイン\"pgoutput\"、changeコールバック、LSN 2/A。\nrow 3/4",
                Some(Lsn(0x2_0000_000A)),
            ),
            ("slot \"s\", output plugin \"pgoutput\", in the startup callback", None),
            ("row 1/2", None),
        ];
        for (context, expect) in cases {
            assert_eq!(decoded_lsn(context), expect, "{context}");
        }
    }
}
