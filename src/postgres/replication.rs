//! A connection to a walsender, before it streams: who the server is, slots, the start.
//!
//! The commands go by the simple query protocol. Each has a limit, but for CREATE_REPLICATION_SLOT,
//! which waits for transactions of others. A future of this module that is dropped half way, or
//! ends with [`Error::TimedOut`], leaves the connection in an unknown state: drop the client too.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html>

use std::collections::HashMap;
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, Message};
use postgres_protocol::message::frontend;

use crate::config::{Postgres, Replication};
use crate::position::Lsn;

use super::auth;
use super::catalog::Catalog;
use super::connect::{self, Peer, within};
use super::error::{
    Error, FEATURE_NOT_SUPPORTED, NOT_IN_PREREQUISITE_STATE, OBJECT_IN_USE, PassfileWarning,
};
use super::exported::Exported;
use super::quote::{identifier, identifier_list, literal};
use super::report::Report;
use super::session::{self, Settings};
use super::socket::{Socket, TransportKind};
use super::stream::Stream;
use super::wire::{Wire, invalid, parse, unexpected};

/// A reply to a command of ours is small; the longest is a timeline's history.
const REPLY_BYTES_MAX: u64 = 16 << 20;

/// The oldest major version that streams in binary form and sends logical messages.
pub const SERVER_VERSION_MIN: u32 = 14;

/// What `IDENTIFY_SYSTEM` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// The cluster's identifier, the same on all its standbys.
    pub system_identifier: String,
    /// The current timeline.
    pub timeline: u32,
    /// The log is flushed up to here (on a standby: replayed).
    pub flush_lsn: Lsn,
    /// The database we are connected to.
    pub database: String,
}

/// A line of a timeline's history: an ancestor and where it was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The ancestor.
    pub timeline: u32,
    /// Its last position; the next timeline begins there.
    pub switch_lsn: Lsn,
}

/// How a stream is started.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The slot.
    pub slot: &'a str,
    /// From where; `0/0` is the slot's confirmed LSN, and so is everything before it.
    pub lsn: Lsn,
    /// The publications.
    pub publications: &'a [String],
    /// Values in binary form.
    pub is_binary: bool,
    /// Also logical messages.
    pub has_messages: bool,
}

/// A connection to a walsender.
#[derive(Debug)]
pub struct ReplicationClient {
    wire: Wire,
    peer: Peer,
    settings: HashMap<String, String>,
    server_major: u32,
    /// When the server was started, in its words.
    server_started: String,
    /// Of each command, as for the catalog's queries: for a server that does not answer at all.
    timeout: Duration,
}

impl ReplicationClient {
    /// Connects to the first host that takes us.
    ///
    /// # Errors
    ///
    /// If no host does.
    pub async fn connect(postgres: &Postgres, replication: &Replication) -> Result<Self, Error> {
        let asked = Settings::with(&[
            ("wal_sender_timeout", session::shown(replication.wal_sender_timeout)),
            // From version 18 on only a warning tells that changes are missing from the stream.
            ("client_min_messages", "warning".to_owned()),
            // Each command has a limit of ours, or is to have none: a slot moves through all that is
            // between, for as long as decoding it takes.
            ("statement_timeout", "0".to_owned()),
        ]);
        let start = |socket, peer| Self::start(postgres, &asked, socket, peer);
        connect::establish(postgres, start).await
    }

    async fn start(
        postgres: &Postgres,
        asked: &Settings,
        socket: Socket,
        peer: Peer,
    ) -> Result<Self, Error> {
        let mut wire = Wire::new(socket);
        let own = [
            ("user", postgres.user.as_str()),
            ("database", &postgres.database),
            ("replication", "database"),
            ("application_name", &postgres.application_name),
        ];
        let parameters: Vec<_> = own.into_iter().chain(asked.parameters()).collect();
        let settings = auth::start(&mut wire, postgres, &peer, &parameters).await?;
        let timeout = postgres.statement_timeout + postgres.connect_timeout;
        let reported = |name: &str| settings.get(name).map(String::as_str);
        let server_major = session::suits(postgres, &peer.host, reported)?;
        let server_started = String::new();
        let mut client = Self { wire, peer, settings, server_major, server_started, timeout };
        let asked = asked.clone().on(server_major);
        let encoding = client.settings.get("server_encoding").cloned().unwrap_or_default();
        let is_encoded = encoding != session::NO_ENCODING;
        if let (true, Some(asked)) = (is_encoded, postgres.text_encoding) {
            let (host, asked) = (client.peer.host, asked.name());
            return Err(Error::TextEncoding { host, asked, found: encoding });
        }
        client.settle(&if is_encoded { asked } else { asked.unconverted() }).await?;
        Ok(client)
    }

    /// Holds the session against what was asked for.
    async fn settle(&mut self, asked: &Settings) -> Result<(), Error> {
        let row = only(self.query("the look at the settings", &asked.question()).await?)?;
        let found = row.iter().map(Option::as_deref);
        self.server_started = asked.settle(&self.peer.host, found)?;
        Ok(())
    }

    /// Whether the catalog is of the same server: each connection goes its own way through hosts and
    /// addresses, and its facts would be of other tables.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn same_server(&self, catalog: &Catalog) -> Result<(), Error> {
        if self.server_started == catalog.server_started() {
            return Ok(());
        }
        let (host, catalog) = (self.peer.host.clone(), catalog.host().to_owned());
        Err(Error::ServersDiffer { host, catalog })
    }

    pub(super) fn server_started(&self) -> &str {
        &self.server_started
    }

    /// `IDENTIFY_SYSTEM`.
    ///
    /// # Errors
    ///
    /// If the server refuses, answers nonsense or nothing.
    pub async fn identify_system(&mut self) -> Result<System, Error> {
        let row = only(self.query("IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM").await?)?;
        match row.as_slice() {
            [Some(system), Some(timeline), Some(lsn), Some(database), ..] => Ok(System {
                system_identifier: system.clone(),
                timeline: timeline.parse().map_err(|_| unreadable("timeline"))?,
                flush_lsn: lsn.parse().map_err(|_| unreadable("LSN"))?,
                database: database.clone(),
            }),
            _ => Err(unreadable("answer to IDENTIFY_SYSTEM")),
        }
    }

    /// The timeline that the server writes or, as a standby, replays; asked for at most so long.
    ///
    /// # Errors
    ///
    /// As [`identify_system`](Self::identify_system).
    pub async fn timeline(&mut self, limit: Duration) -> Result<u32, Error> {
        let host = self.peer.host.clone();
        let found = within(limit, &host, "IDENTIFY_SYSTEM", self.identify_system()).await?;
        Ok(found.timeline)
    }

    /// `TIMELINE_HISTORY`: the ancestors of a timeline, oldest first. The first has none.
    ///
    /// # Errors
    ///
    /// If the server does not have the history file.
    pub async fn timeline_history(&mut self, timeline: u32) -> Result<Vec<Fork>, Error> {
        if timeline < 2 {
            return Ok(Vec::new());
        }
        let command = format!("TIMELINE_HISTORY {timeline}");
        let row = only(self.query("TIMELINE_HISTORY", &command).await?)?;
        match row.as_slice() {
            [Some(_), Some(content)] => forks(content),
            _ => Err(unreadable("answer to TIMELINE_HISTORY")),
        }
    }

    /// Creates a logical slot for pgoutput; returns its consistent point. Waits until the
    /// transactions that are running now have ended, without a limit. `is_failover` asks for FAILOVER where the
    /// server can use it ([`Self::can_failover`]) and means nothing elsewhere.
    ///
    /// # Errors
    ///
    /// If the server refuses.
    pub async fn create_slot(&mut self, slot: &str, is_failover: bool) -> Result<Lsn, Error> {
        Ok(Exported::read(&self.new_slot(slot, is_failover, false).await?, false)?.lsn)
    }

    /// The same, and exports the snapshot of that point.
    ///
    /// # Errors
    ///
    /// If the server refuses, as a standby does.
    pub async fn create_slot_exporting(
        &mut self,
        slot: &str,
        is_failover: bool,
    ) -> Result<Exported, Error> {
        Exported::read(&self.new_slot(slot, is_failover, true).await?, true)
    }

    async fn new_slot(
        &mut self,
        slot: &str,
        is_failover: bool,
        is_exported: bool,
    ) -> Result<Row, Error> {
        let is_failover = is_failover && self.can_failover();
        let options = match (self.server_version(), is_exported, is_failover) {
            (..15, false, _) => "NOEXPORT_SNAPSHOT",
            (..15, true, _) => "EXPORT_SNAPSHOT",
            (_, false, false) => "(SNAPSHOT 'nothing')",
            (_, false, true) => "(SNAPSHOT 'nothing', FAILOVER true)",
            (_, true, false) => "(SNAPSHOT 'export')",
            (_, true, true) => "(SNAPSHOT 'export', FAILOVER true)",
        };
        let slot = identifier(slot);
        let command = format!("CREATE_REPLICATION_SLOT {slot} LOGICAL pgoutput {options}");
        only(self.answer(&command).await?)
    }

    /// Drops a slot.
    ///
    /// # Errors
    ///
    /// [`Error::SlotActive`] if it is in use; otherwise if the server refuses.
    pub async fn drop_slot(&mut self, slot: &str) -> Result<(), Error> {
        let command = format!("DROP_REPLICATION_SLOT {}", identifier(slot));
        let outcome = self.query("DROP_REPLICATION_SLOT", &command).await;
        outcome.map(drop).map_err(|error| self.slot_error(slot, error))
    }

    /// Moves a slot on to `lsn`. The server decodes its log up to there, without a limit of ours, and
    /// asks for no publication.
    ///
    /// # Errors
    ///
    /// [`Error::SlotActive`] if it is in use; otherwise if the server refuses, as it does to move a
    /// slot back.
    pub async fn advance_slot(&mut self, slot: &str, lsn: Lsn) -> Result<(), Error> {
        let (name, to) = (literal(slot), literal(&lsn.to_string()));
        let command = format!("SELECT pg_catalog.pg_replication_slot_advance({name}, {to})");
        let outcome = self.answer(&command).await;
        outcome.map(drop).map_err(|error| self.slot_error(slot, error))
    }

    /// Takes the slot and starts the stream.
    ///
    /// # Errors
    ///
    /// [`Error::SlotActive`] if another process has it; otherwise if the server refuses or does not
    /// answer.
    pub async fn start_replication(mut self, start: Start<'_>) -> Result<Stream, Error> {
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        within(limit, &host, "START_REPLICATION", self.copy_both(start.slot, &start.command()))
            .await?;
        Ok(Stream::new(self.wire))
    }

    /// Sends the command and waits for the beginning of CopyBoth.
    async fn copy_both(&mut self, slot: &str, command: &str) -> Result<(), Error> {
        frontend::query(command, &mut self.wire.output).map_err(auth::unsendable)?;
        self.wire.flush().await?;
        loop {
            let Some((tag, body)) = self.wire.input.take(REPLY_BYTES_MAX)? else {
                self.wire.fill().await?;
                continue;
            };
            if tag == COPY_BOTH_RESPONSE_TAG {
                return Ok(());
            }
            match parse(tag, self.wire.input.body(body))? {
                Message::NoticeResponse(notice) => self.wire.notices.on_notice(notice.fields())?,
                Message::ParameterStatus(_) => {}
                Message::ErrorResponse(body) => {
                    let server = Report::parse(body.fields())?.server;
                    return Err(self.slot_error(slot, Error::Server(server)));
                }
                _ => return Err(unexpected("the start of replication")),
            }
        }
    }

    /// Ends the connection.
    pub async fn close(mut self) {
        frontend::terminate(&mut self.wire.output);
        // The server also notices a connection that just ends.
        if self.wire.flush().await.is_ok() {
            let _ = self.wire.shutdown().await;
        }
    }

    /// The server's major version, such as 17.
    #[must_use]
    pub fn server_version(&self) -> u32 {
        self.server_major
    }

    /// Whether the server is a standby.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.settings.get("in_hot_standby").is_some_and(|is_standby| is_standby == "on")
    }

    /// Whether a slot with FAILOVER can be created here: version 17 or newer, not a standby.
    #[must_use]
    pub fn can_failover(&self) -> bool {
        17 <= self.server_version() && !self.is_standby()
    }

    /// What carries the connection.
    #[must_use]
    pub fn transport_kind(&self) -> TransportKind {
        self.wire.kind()
    }

    /// The host we are connected to, for logs: `name:port`, or the socket's path.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.peer.host
    }

    /// Why the password file was ignored, if it was.
    #[must_use]
    pub fn passfile_warning(&self) -> Option<&PassfileWarning> {
        self.peer.warning.as_ref()
    }

    /// What an error of a command about a slot means.
    fn slot_error(&self, slot: &str, error: Error) -> Error {
        let Error::Server(server) = error else { return error };
        match server.code.as_str() {
            OBJECT_IN_USE => Error::SlotActive { slot: slot.to_owned(), pid: server.pid() },
            // A slot that is still being synchronised becomes usable when the standby is promoted; a
            // server that was the primary, and may be again, has its own slot still.
            FEATURE_NOT_SUPPORTED | NOT_IN_PREREQUISITE_STATE if self.is_standby() => {
                Error::Standby { host: self.peer.host.clone(), server }
            }
            _ => Error::Server(server),
        }
    }

    /// The rows of a command's answer, which comes within the limit.
    async fn query(&mut self, doing: &'static str, command: &str) -> Result<Vec<Row>, Error> {
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        within(limit, &host, doing, self.answer(command)).await
    }

    pub(super) async fn answer(&mut self, command: &str) -> Result<Vec<Row>, Error> {
        frontend::query(command, &mut self.wire.output).map_err(auth::unsendable)?;
        self.wire.flush().await?;
        let mut rows = Vec::new();
        let mut refusal = None;
        loop {
            match self.wire.message(REPLY_BYTES_MAX).await {
                Ok(Message::DataRow(body)) => rows.push(row(&body)?),
                Ok(Message::CommandComplete(_) | Message::RowDescription(_)) => {}
                Ok(Message::ParameterStatus(body)) => {
                    let name = body.name().map_err(invalid)?.to_owned();
                    self.settings.insert(name, body.value().map_err(invalid)?.to_owned());
                }
                Ok(Message::ErrorResponse(body)) => {
                    refusal = Some(Report::parse(body.fields())?.server);
                }
                Ok(Message::ReadyForQuery(_)) => break,
                Ok(_) => return Err(unexpected("the answer to a command")),
                // After a FATAL error the server hangs up.
                Err(error) => return Err(refusal.map_or(error, Error::Server)),
            }
        }
        refusal.map_or(Ok(rows), |server| Err(Error::Server(server)))
    }
}

impl Start<'_> {
    fn command(&self) -> String {
        let Self { lsn, publications, .. } = self;
        let mut options = vec![
            format!("proto_version {}", literal("1")),
            format!("publication_names {}", identifier_list(publications)),
        ];
        if self.is_binary {
            options.push(format!("binary {}", literal("true")));
        }
        if self.has_messages {
            options.push(format!("messages {}", literal("true")));
        }
        let slot = identifier(self.slot);
        format!("START_REPLICATION SLOT {slot} LOGICAL {lsn} ({})", options.join(", "))
    }
}

/// A row in text form.
type Row = Vec<Option<String>>;

/// The single row of a command's answer.
pub(super) fn only(mut rows: Vec<Row>) -> Result<Row, Error> {
    match rows.pop() {
        Some(row) if rows.is_empty() => Ok(row),
        _ => Err(unreadable("number of rows")),
    }
}

fn row(body: &DataRowBody) -> Result<Row, Error> {
    let buffer = body.buffer();
    body.ranges()
        .map(|range| {
            let text = range.and_then(|range| buffer.get(range)).map(String::from_utf8_lossy);
            Ok(text.map(std::borrow::Cow::into_owned))
        })
        .collect()
        .map_err(invalid)
}

/// The lines of a history file: `timeline <tab> LSN <tab> reason`.
///
/// Source: `src/backend/access/transam/timeline.c` of PostgreSQL.
fn forks(content: &str) -> Result<Vec<Fork>, Error> {
    let lines = content.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut fields = line.split_whitespace();
            let timeline = fields.next().and_then(|field| field.parse().ok());
            let switch_lsn = fields.next().and_then(|field| field.parse().ok());
            match (timeline, switch_lsn) {
                (Some(timeline), Some(switch_lsn)) => Ok(Fork { timeline, switch_lsn }),
                _ => Err(unreadable("timeline history")),
            }
        })
        .collect()
}

pub(super) fn unreadable(what: &str) -> Error {
    Error::Protocol(format!("an unreadable {what}"))
}

/// CopyBothResponse, which postgres-protocol does not know.
const COPY_BOTH_RESPONSE_TAG: u8 = b'W';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_command_quotes_names() {
        let publications = ["shop".to_owned(), "it's \"odd\"".to_owned()];
        let start = Start {
            slot: "walbrook",
            lsn: Lsn(0x16_B374_D848),
            publications: &publications,
            is_binary: true,
            has_messages: true,
        };
        assert_eq!(
            start.command(),
            r#"START_REPLICATION SLOT "walbrook" LOGICAL 16/B374D848 (proto_version '1', publication_names '"shop","it''s ""odd"""', binary 'true', messages 'true')"#
        );
        let plain = Start { is_binary: false, has_messages: false, ..start };
        assert!(!plain.command().contains("binary") && !plain.command().contains("messages"));
    }

    /// The pipeline's tasks move between threads.
    #[test]
    fn connecting_and_streaming_can_move_between_threads() {
        fn is_send<T: Send>(_: fn() -> T) {}
        is_send(|| -> Option<ReplicationClient> { None });
        is_send(|| -> Option<Stream> { None });
        fn futures(postgres: &Postgres, replication: &Replication) -> impl Send {
            let connect = ReplicationClient::connect(postgres, replication);
            (connect, Catalog::connect(postgres))
        }
        let _ = futures;
    }

    #[test]
    fn a_history_file_lists_ancestors() {
        let text = "1\t0/3000060\tno recovery target specified\n\n# note\n2\t16/B374D848\tx y\n";
        let expect = [
            Fork { timeline: 1, switch_lsn: Lsn(0x300_0060) },
            Fork { timeline: 2, switch_lsn: Lsn(0x16_B374_D848) },
        ];
        assert_eq!(forks(text).unwrap(), expect);
        assert_eq!(forks("").unwrap(), []);
        for text in ["1", "x\t0/0\ty", "1\tzero\ty"] {
            assert!(forks(text).is_err(), "{text:?}");
        }
    }
}
