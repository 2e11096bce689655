//! `check --sql`: what a DBA runs so that PostgreSQL is ready. Made from the configuration alone;
//! connects to nothing. Every statement can be run again.

use std::fmt::Write as _;

use crate::config::{Config, Outbox, SnapshotMode};

/// A name as SQL has it.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL has it, with standard_conforming_strings on.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A table as SQL has it.
pub(super) fn table(namespace: &str, name: &str) -> String {
    format!("{}.{}", identifier(namespace), identifier(name))
}

/// A change of a table.
pub(super) fn alter_table(namespace: &str, name: &str, change: &str) -> String {
    format!("ALTER TABLE {} {change};", table(namespace, name))
}

/// A body between dollars; the tag is one that the body does not hold.
fn quoted_body(body: &str) -> String {
    let mut tag = "$walbrook$".to_owned();
    while body.contains(&tag) {
        tag.insert(1, '_');
    }
    format!("DO {tag}\n{body}\n{tag};\n")
}

/// The outboxes that a publication should hold.
fn outbox_tables(outboxes: &[Outbox]) -> Vec<String> {
    let named = outboxes.iter().filter(|outbox| !outbox.is_pattern());
    named.map(|outbox| table(&outbox.namespace, &outbox.table)).collect()
}

/// The statements, with the reason of each.
pub(super) fn statements(config: &Config) -> String {
    let role = identifier(&config.postgres.user);
    let database = identifier(&config.postgres.database);
    let mut out = format!(
        "-- For pipeline {pipeline:?}: run as a superuser, connected to database {database:?}.\n\
         -- Every statement can be run again. walbrook itself makes and alters none of this.\n\n\
         -- Logical decoding. Takes a restart of the server; from version 19 on replica, the default,\n\
         -- suffices, and this is not needed; on managed services it is a parameter\n\
         -- instead (Amazon: rds.logical_replication = 1; Google: cloudsql.logical_decoding = on;\n\
         -- Azure: wal_level).\n\
         ALTER SYSTEM SET wal_level = 'logical';\n\n\
         -- A slot keeps WAL for as long as walbrook does not read it. Above this limit the server\n\
         -- gives the slot up rather than fill its disk. Choose it and take the dashes away:\n\
         -- ALTER SYSTEM SET max_slot_wal_keep_size = '100GB';\n\
         -- SELECT pg_reload_conf();\n\n\
         -- The role. On managed services instead of REPLICATION: GRANT rds_replication TO {role}\n\
         -- (Amazon). For the stream it needs no privilege on the tables: rows come from the WAL.\n",
        pipeline = config.pipeline,
        database = config.postgres.database,
    );
    out += &quoted_body(&format!(
        "BEGIN\n  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN\n    \
         CREATE ROLE {role} LOGIN;\n  END IF;\nEND",
        name = literal(&config.postgres.user),
    ));
    let _ = write!(
        out,
        "ALTER ROLE {role} LOGIN REPLICATION;\n\
         -- Its password, in psql (it is sent encrypted and not logged): \\password {role}\n\
         GRANT CONNECT ON DATABASE {database} TO {role};\n\
         -- Where a second instance stands by: it must see for how long the first is silent.\n\
         -- GRANT pg_read_all_stats TO {role};\n\n\
         -- pg_hba.conf must let it in; a logical replication connection matches the database's\n\
         -- name, not the word \"replication\":\n\
         -- hostssl  {database}  {role}  <address of walbrook>/32  scram-sha-256\n\n\
         -- The publication: the tables that are captured. Only their owner can publish them.\n",
    );
    for (name, is_first) in config.replication.publications.iter().zip(first()) {
        publication(name, if is_first { &config.outboxes } else { &[] }, &mut out);
    }
    if !config.snapshot.is_off() {
        snapshots(config, &mut out);
    }
    pending(config, &mut out);
    if let Some(outbox) = &config.message_outbox {
        message_outbox(&outbox.prefix, &mut out);
    }
    out
}

/// True once.
fn first() -> impl Iterator<Item = bool> {
    std::iter::once(true).chain(std::iter::repeat(false))
}

fn publication(name: &str, outboxes: &[Outbox], out: &mut String) {
    let publication = identifier(name);
    *out += &quoted_body(&format!(
        "BEGIN\n  IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = {}) THEN\n    \
         CREATE PUBLICATION {publication} WITH (publish_via_partition_root = true);\n  END IF;\nEND",
        literal(name)
    ));
    for outbox in outbox_tables(outboxes) {
        *out += &quoted_body(&format!(
            "BEGIN\n  ALTER PUBLICATION {publication} ADD TABLE {outbox};\n\
             EXCEPTION WHEN duplicate_object THEN NULL;\nEND",
        ));
    }
    let _ = write!(
        out,
        "-- Further tables, each with a primary key (or ALTER TABLE … REPLICA IDENTITY …, since\n\
         -- PostgreSQL refuses UPDATE and DELETE of a published table without an identity):\n\
         -- ALTER PUBLICATION {publication} ADD TABLE public.orders, public.customers;\n"
    );
}

/// What lets the role read the tables of snapshots.
fn snapshots(config: &Config, out: &mut String) {
    let list =
        |names: Vec<String>| names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
    let snapshot = &config.snapshot;
    let named = snapshot.tables.iter().map(|table| table.table.clone());
    let (patterns, outboxes): (Vec<_>, Vec<_>) =
        config.outboxes.iter().partition(|outbox| outbox.is_pattern());
    let outboxes = outboxes.into_iter().map(|it| format!("{}.{}", it.namespace, it.table));
    let (operator, names) = if snapshot.mode == SnapshotMode::Never {
        ("IN", named.filter(|table| snapshot.reads(table)).collect())
    } else {
        let unread = named.filter(|table| !snapshot.reads(table));
        ("NOT IN", unread.chain(outboxes).collect::<Vec<_>>())
    };
    let which = match names.is_empty() {
        true => String::new(),
        false => format!("\n      AND schemaname || '.' || tablename {operator} ({})", list(names)),
    };
    let selected = config.tables.selection.sql("schemaname", "tablename");
    let mut which = which + &selected.map_or_else(String::new, |it| format!("\n      AND {it}"));
    for Outbox { namespace, table, .. } in patterns {
        let like = ["\\", "_", "%"].iter().fold(namespace.clone(), |like, special| {
            like.replace(special, &format!("\\{special}"))
        });
        let (like, table) = (literal(&like.replace('*', "%")), literal(table));
        which += &format!("\n      AND NOT (schemaname LIKE {like} AND tablename = {table})");
    }
    let role = literal(&config.postgres.user);
    *out += "\n-- Snapshots read the tables that are published, and write nothing. Run this again when\n\
             -- more are.\n";
    *out += &quoted_body(&format!(
        "DECLARE t record;\nBEGIN\n  \
         FOR t IN SELECT DISTINCT schemaname, tablename FROM pg_publication_tables\n    \
         WHERE pubname IN ({publications}){which} LOOP\n    \
         EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', t.schemaname, {role});\n    \
         EXECUTE format('GRANT SELECT ON %I.%I TO %I', t.schemaname, t.tablename, {role});\n  \
         END LOOP;\nEND",
        publications = list(config.replication.publications.clone()),
    ));
}

/// What lets the role read the rows that are pending in outboxes.
fn pending(config: &Config, out: &mut String) {
    let mut wanted = config.outboxes.iter().filter(|it| it.pending.is_some()).peekable();
    if wanted.peek().is_some() {
        *out += "\n-- The first start reads the rows that are pending in outboxes (where one is published by its\n\
                 -- partitions, each of these), and writes nothing:\n";
    }
    let role = identifier(&config.postgres.user);
    for outbox in wanted {
        let (namespace, table) =
            (identifier(&outbox.namespace), table(&outbox.namespace, &outbox.table));
        let _ = write!(
            out,
            "GRANT USAGE ON SCHEMA {namespace} TO {role};\nGRANT SELECT ON {table} TO {role};\n"
        );
    }
}

/// The statement that takes `pg_logical_emit_message` from everybody, whatever its signature.
pub(super) fn revoke_emit_message() -> String {
    quoted_body(
        "DECLARE f regprocedure;\nBEGIN\n  \
         FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP\n    \
         EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);\n    \
         -- Whoever writes events, for example the role shop:\n    \
         -- EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f, 'shop');\n  \
         END LOOP;\nEND",
    )
}

fn message_outbox(prefix: &str, out: &mut String) {
    let _ = write!(
        out,
        "\n-- The outbox without a table: any user of the database may emit messages (of prefix\n\
         -- {prefix:?} too) until this is taken from them. Then grant it to those that write events.\n\
         {}",
        revoke_emit_message()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(table("a\"b", "Orders"), "\"a\"\"b\".\"Orders\"");
        assert_eq!(literal("it's"), "'it''s'");
        let body = quoted_body("SELECT '$walbrook$';");
        assert!(body.starts_with("DO $_walbrook$\n") && body.ends_with("\n$_walbrook$;\n"));
    }
}
