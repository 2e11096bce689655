//! PostgreSQL's side: the connection, the server's settings, the role, the slot.
//!
//! What is asked and what is made of the answer are apart: the judgements are functions of facts.

use std::time::Duration;

use super::super::said;
use super::report::Report;
use super::sql::identifier;
use super::tables::{self, Needs};
use crate::config::{Config, MessageOutbox};
use crate::pipeline::{self, start};
use crate::postgres::{
    Catalog, Error, ReplicationClient, SERVER_VERSION_MIN, Server, SlotFacts, Walsender,
};

/// What PostgreSQL told, for what is asked later.
pub(super) struct Source {
    pub(super) catalog: Catalog,
    /// `None` if the role may not replicate.
    pub(super) client: Option<ReplicationClient>,
    pub(super) slot: Option<SlotFacts>,
    /// What the published tables need.
    pub(super) needs: Needs,
}

/// Looks at everything on PostgreSQL's side; `None` if there is no connection.
pub(super) async fn inspect(config: &Config, report: &mut Report) -> Option<Source> {
    let mut catalog = match Catalog::connect(&config.postgres).await {
        Ok(catalog) => catalog,
        Err(error) => {
            report.error("postgres.connection", &error, connection_advice(config, &error));
            report.skipped("postgres", "without a connection neither settings nor role, publications, tables and slot can be looked at");
            return None;
        }
    };
    let (user, database) = (&config.postgres.user, &config.postgres.database);
    let host = catalog.host().to_owned();
    report.ok("postgres.connection", format!("{host}, database {database:?}, role {user:?}"));
    if let Some(warning) = catalog.passfile_warning() {
        report.warning("postgres.passfile", said(warning), "chmod 0600, or set the password");
    }
    let server = match catalog.server().await {
        Ok(server) => server,
        Err(error) => {
            report.error("postgres.catalog", &error, None);
            return None;
        }
    };
    judge_server(config, &server, report);
    let client = replication(config, &server, &catalog, report).await;
    let mut source = Source { catalog, client, slot: None, needs: Needs::default() };
    // Each on its own: that one cannot be looked at says nothing of the other.
    if let Err(error) = slot(config, &server, &mut source, report).await {
        report.error("postgres.slot", &error, None);
    }
    match tables::inspect(config, &mut source.catalog, report).await {
        Ok(needs) => source.needs = needs,
        Err(error) => report.error("postgres.publication", &error, None),
    }
    Some(source)
}

/// What to do about a connection that cannot be made, where the error does not say it itself.
fn connection_advice(config: &Config, error: &Error) -> Option<String> {
    let role = identifier(&config.postgres.user);
    let database = identifier(&config.postgres.database);
    Some(match error {
        Error::Password { .. } => format!(
            "set the role's password (in psql: \\password {role}) and the same one in postgres.password_file, postgres.password_env, the password file or what postgres.password_command asks"
        ),
        Error::NoPassword { .. } => {
            "set postgres.password_file, postgres.password_command, postgres.password_env or a line of the password file".into()
        }
        Error::Refused { server, .. } | Error::Server(server) => match server.code.as_str() {
            "3D000" => format!("set postgres.database, or: CREATE DATABASE {database};"),
            "28000" => hba_advice(config),
            "42501" => format!("GRANT CONNECT ON DATABASE {database} TO {role};"),
            "53300" => "raise max_connections (and restart the server), or end connections".into(),
            _ => return None,
        },
        Error::Connect { .. } | Error::TimedOut { .. } | Error::Closed | Error::Io(_) => {
            "check postgres.hosts and postgres.port, that the server runs, its listen_addresses, and firewalls".into()
        }
        Error::NotPrimary { .. } | Error::ReadOnly { .. } | Error::Standby { .. } => {
            "list the primary in postgres.hosts, or set postgres.target_session_attrs = \"any\"".into()
        }
        Error::Pooler { .. } | Error::Setting { .. } => {
            "set postgres.hosts and postgres.port to those of PostgreSQL itself, behind the pooler".into()
        }
        Error::ServersDiffer { .. } => {
            "list servers one by one in postgres.hosts, instead of a name that leads to several".into()
        }
        Error::ServerTooOld { .. } => format!("upgrade PostgreSQL to {SERVER_VERSION_MIN} or later"),
        Error::Tls { .. } | Error::TlsFile { .. } | Error::TlsSettings(_) => {
            "check postgres.ssl_mode, ssl_root_cert, ssl_cert and ssl_key".into()
        }
        _ => return None,
    })
}

fn hba_advice(config: &Config) -> String {
    format!(
        "in pg_hba.conf, above what rejects it (a logical replication connection matches the database's name, not the word \"replication\"):\n\
         hostssl  {}  {}  <address of walbrook>/32  scram-sha-256\nthen: SELECT pg_reload_conf(); and, if the role does not exist: walbrook check --sql",
        identifier(&config.postgres.database),
        identifier(&config.postgres.user)
    )
}

/// Opens a replication connection, the only proof that the role may.
async fn replication(
    config: &Config,
    server: &Server,
    catalog: &Catalog,
    report: &mut Report,
) -> Option<ReplicationClient> {
    const NAME: &str = "postgres.replication";
    let asked = async {
        let mut client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
        client.same_server(catalog)?;
        client.identify_system().await.map(|system| (client, system))
    };
    match asked.await {
        Ok((client, system)) => {
            let (id, timeline) = (&system.system_identifier, system.timeline);
            report.ok(NAME, format!(
                "a replication connection opens, with wal_sender_timeout {:?} of its own; system {id}, timeline {timeline}",
                config.replication.wal_sender_timeout
            ));
            Some(client)
        }
        Err(error) => {
            report.error(NAME, &error, replication_advice(config, server, &error));
            None
        }
    }
}

fn replication_advice(config: &Config, server: &Server, error: &Error) -> Option<String> {
    let role = identifier(&config.postgres.user);
    Some(match error.sqlstate() {
        Some("42501") => match server.managed_role.as_deref() {
            Some("rds_replication") => format!("GRANT rds_replication TO {role};"),
            Some(admin) => format!("as a member of {admin}: ALTER ROLE {role} REPLICATION;"),
            None => format!("ALTER ROLE {role} REPLICATION;"),
        },
        Some("28000") => hba_advice(config),
        Some("53300") => "ALTER SYSTEM SET max_wal_senders = …; and restart the server".into(),
        _ => return connection_advice(config, error),
    })
}

/// The version from which on a logical slot raises `effective_wal_level` by itself.
///
/// Source: <https://www.postgresql.org/docs/19/runtime-config-wal.html>
const LOGICAL_ON_DEMAND: i32 = 19;

/// Judges the server's settings.
pub(super) fn judge_server(config: &Config, server: &Server, report: &mut Report) {
    let version = server.version_num / 10_000;
    report.ok("postgres.version", format!("PostgreSQL {version}"));
    if server.wal_level == "logical" {
        report.ok("postgres.wal_level", "wal_level is logical");
    } else if server.wal_level == "replica" && LOGICAL_ON_DEMAND <= version {
        report.ok("postgres.wal_level", "wal_level is replica, which suffices: from version 19 on the first logical slot makes the server log what decoding needs, until the last one is dropped");
    } else {
        report.failed(
            "postgres.wal_level",
            format!("wal_level is {}: logical decoding needs logical", server.wal_level),
            wal_level_advice(server),
        );
    }
    if server.in_recovery {
        report.warning(
            "postgres.standby",
            "this server is a standby: from version 16 on a slot can be read from it, before that not at all, and nothing carries the slot over to the primary",
            "list the primary in postgres.hosts, and leave postgres.target_session_attrs at \"primary\"",
        );
    }
    judge_output_plugins(server, report);
    judge_encoding(config, server, report);
    judge_synchronous(config, server, report);
    judge_wal_limit(server, report);
    judge_idle_timeout(server, report);
    judge_message_outbox(config.message_outbox.as_ref(), server, report);
}

/// A server may be told which plugins it may decode with.
fn judge_output_plugins(server: &Server, report: &mut Report) {
    let Some(listed) = &server.output_plugins else { return };
    if !listed.split(',').any(|name| name.trim().trim_matches('"') == "pgoutput") {
        report.failed(
            "postgres.output_plugin",
            format!("output_plugin_libraries ({listed}) does not have pgoutput, with which the server decodes for walbrook"),
            "ALTER SYSTEM SET output_plugin_libraries = pgoutput, …; SELECT pg_reload_conf();\nwith those that others use behind it",
        );
    }
}

/// Where the database has an encoding, the replication connection says what `text_encoding` is worth.
fn judge_encoding(config: &Config, server: &Server, report: &mut Report) {
    const NAME: &str = "postgres.encoding";
    if server.encoding != "SQL_ASCII" {
        return;
    }
    match config.postgres.text_encoding {
        Some(encoding) => {
            let name = encoding.name();
            report.ok(NAME, format!("the database has no encoding (SQL_ASCII): its text is read as {name}, which the slot sends in text form"));
        }
        None => report.warning(
            NAME,
            "the database has no encoding (SQL_ASCII): text that is not UTF-8 is a value that its field cannot hold, and parks its table unless values.on_unrepresentable is \"null\"",
            "find out in which encoding applications write, and set postgres.text_encoding, or move to a database that has it (pg_dump --encoding)",
        ),
    }
}

/// A walsender of a name that is listed there is waited for by every commit.
fn judge_synchronous(config: &Config, server: &Server, report: &mut Report) {
    let (names, own) = (&server.synchronous_standby_names, &config.postgres.application_name);
    if server.waits_for(own) {
        report.warning(
            "postgres.synchronous",
            format!("synchronous_standby_names ({names}) holds for walbrook, whose application_name is {own:?}: each commit on the server waits until it is in Kafka and confirmed, so for seconds, and as long as Kafka is away"),
            "list the standbys by name in synchronous_standby_names, or set postgres.application_name to a name that is not listed",
        );
    }
}

fn wal_level_advice(server: &Server) -> &'static str {
    match server.managed_role.as_deref() {
        Some("rds_replication") => {
            "set rds.logical_replication = 1 in the parameter group and restart the server"
        }
        Some("cloudsqlsuperuser") => {
            "set the flag cloudsql.logical_decoding = on and restart the server"
        }
        Some("azure_pg_admin") => {
            "set the server parameter wal_level to logical and restart the server"
        }
        _ => "ALTER SYSTEM SET wal_level = 'logical'; and restart the server",
    }
}

fn judge_wal_limit(server: &Server, report: &mut Report) {
    const NAME: &str = "postgres.wal_limit";
    if server.max_slot_wal_keep_size_mb < 0 {
        return report.warning(
            NAME,
            "nothing limits the slot's WAL (max_slot_wal_keep_size = -1): while walbrook or Kafka is down the server's disk can fill",
            "ALTER SYSTEM SET max_slot_wal_keep_size = '100GB'; SELECT pg_reload_conf();\nas large as the disk allows: beyond it the slot is lost. Alert on the slot's safe_wal_size, or on the disk",
        );
    }
    let size = server.max_slot_wal_keep_size_mb;
    report.ok(NAME, format!("the slot keeps at most {size} MiB of WAL; beyond that it is lost"));
}

/// Shorter than this an outage of a night loses the slot.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_hours(24);

fn judge_idle_timeout(server: &Server, report: &mut Report) {
    const NAME: &str = "postgres.idle_timeout";
    let timeout = server.idle_slot_timeout;
    if timeout.is_zero() {
        return;
    }
    let text = format!(
        "a slot that nobody reads for {timeout:?} is lost (idle_replication_slot_timeout), as while walbrook is down or waits for Kafka"
    );
    if timeout < IDLE_TIMEOUT_MIN {
        let fix = "ALTER SYSTEM SET idle_replication_slot_timeout = '3d'; SELECT pg_reload_conf();\nor 0: max_slot_wal_keep_size protects the disk better";
        return report.warning(NAME, text, fix);
    }
    report.ok(NAME, text);
}

fn judge_message_outbox(outbox: Option<&MessageOutbox>, server: &Server, report: &mut Report) {
    const NAME: &str = "postgres.message_outbox";
    let Some(outbox) = outbox else { return };
    if server.is_emit_message_public {
        return report.warning(
            NAME,
            format!(
                "any user of the database may call pg_logical_emit_message, also with prefix {:?}, and so write events",
                outbox.prefix
            ),
            super::sql::revoke_emit_message(),
        );
    }
    report.ok(NAME, "only those to whom it was granted may call pg_logical_emit_message");
}

/// Looks at the slot, and who holds it.
async fn slot(
    config: &Config,
    server: &Server,
    source: &mut Source,
    report: &mut Report,
) -> Result<(), Error> {
    source.slot = source.catalog.slot(&config.replication.slot).await?;
    let holder = match source.slot.as_ref().and_then(|slot| slot.active_pid) {
        Some(pid) => source.catalog.walsender(pid).await?,
        None => None,
    };
    judge_slot(config, server, source.slot.as_ref(), holder.as_ref(), report);
    Ok(())
}

/// Judges the slot, or whether there is room for one.
pub(super) fn judge_slot(
    config: &Config,
    server: &Server,
    slot: Option<&SlotFacts>,
    holder: Option<&Walsender>,
    report: &mut Report,
) {
    const NAME: &str = "postgres.slot";
    let name = &config.replication.slot;
    let Some(slot) = slot else {
        return judge_room(name, server, report);
    };
    if let Err(refusal) = pipeline::readable_slot(config, slot) {
        return report.error(NAME, &refusal, None);
    }
    if slot.is_active {
        let who = holder.map_or_else(String::new, |holder| {
            let from = holder.client_address.as_deref().unwrap_or("a Unix socket");
            format!(", {:?} from {from}", holder.application_name)
        });
        let pid = slot.active_pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string());
        report.ok(NAME, format!("{name:?} exists and is held by process {pid}{who}"));
    } else if let Some(reason) = slot.invalidation() {
        report.failed(
            NAME,
            format!("{name:?} is lost ({reason}): changes after {} are gone", confirmed(slot)),
            format!("{}; then walbrook checkpoint accept --reason … makes the slot anew and goes on with the gap", start::prevention(reason)),
        );
    } else {
        report
            .ok(NAME, format!("{name:?} exists and is free, confirmed up to {}", confirmed(slot)));
    }
    if slot.is_failover && !server.absent_standby_slots.is_empty() {
        let names = server.absent_standby_slots.join(", ");
        report.warning(
            "postgres.standby_slots",
            format!("{name:?} is a failover slot: it gives only what the slots in synchronized_standby_slots have, and no standby reads {names}; until one does nothing arrives, and WAL is kept"),
            "start those standbys, or take the names out: ALTER SYSTEM SET synchronized_standby_slots = …; SELECT pg_reload_conf();",
        );
    }
    if slot.wal_status.as_deref() == Some("unreserved") {
        report.warning(
            "postgres.slot_wal",
            format!("{name:?} keeps more WAL than max_slot_wal_keep_size allows and is lost at the next checkpoint of the server"),
            "start walbrook, or raise max_slot_wal_keep_size; SELECT pg_reload_conf();",
        );
    }
}

fn confirmed(slot: &SlotFacts) -> String {
    slot.confirmed_flush.map_or_else(|| "(nothing)".to_owned(), |lsn| lsn.to_string())
}

/// Whether a new slot, and the walsenders that a run needs, find room.
fn judge_room(name: &str, server: &Server, report: &mut Report) {
    report.ok("postgres.slot", format!("{name:?} does not exist yet; the first start creates it"));
    // The second one of a standby tells its timeline.
    let wal_senders = 1 + i64::from(server.in_recovery);
    for (item, what, setting, wanted, used, limit) in [
        (
            "postgres.free_slots",
            "replication slots",
            "max_replication_slots",
            1,
            server.replication_slots,
            server.replication_slots_max,
        ),
        (
            "postgres.free_walsenders",
            "walsenders",
            "max_wal_senders",
            wal_senders,
            server.wal_senders,
            server.wal_senders_max,
        ),
    ] {
        let text = format!("{used} of {limit} {what} are in use ({setting})");
        if used + wanted <= i64::from(limit) {
            report.ok(item, text);
        } else {
            let more = i64::from(limit) + 5;
            let fix = format!("ALTER SYSTEM SET {setting} = {more}; and restart the server");
            report.failed(item, text, fix);
        }
    }
}
