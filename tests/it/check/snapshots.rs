//! `walbrook check` knows what a snapshot needs beside the stream.

use super::{Checked, LIMIT, as_user, on_server, space, statements, with};
use crate::support::flow::edit;
use crate::support::postgres::{Options, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::command;
use crate::support::{run, unique};

const NAME: &str = "snapshot.tables";

const HOSTS: &str = "snapshot.hosts";

#[test]
fn tables_that_a_snapshot_cannot_read() {
    run(LIMIT, async {
        let ddl = "CREATE SCHEMA s;
                   CREATE TABLE s.closed (id int PRIMARY KEY);
                   CREATE TABLE part (id int PRIMARY KEY);
                   CREATE TABLE unread (id int PRIMARY KEY);
                   CREATE PUBLICATION walbrook FOR TABLE s.closed, part, unread";
        let (stack, space) = space("check_snapshots", ddl).await;
        let role = unique("check_snapshots");
        let create = format!("CREATE ROLE {role} LOGIN REPLICATION");
        stack.postgres.execute("postgres", &create).await;
        let grant = format!("GRANT SELECT ON part TO {role}");
        stack.postgres.execute(&space.database, &grant).await;
        let more = r#"[snapshot]
mode = "initial"
first = ["nowhere"]
tables = [{ table = "part", where = "idd < 10" }, { table = "unread", mode = "never" }]"#;
        let config = as_user(&space.config(stack, more), &role);
        let found = Checked::new(&config);
        found.failed(&[NAME]);
        found.says(NAME, "failed", &["may not read", "closed", "GRANT USAGE ON SCHEMA"]);
        found.says(NAME, "failed", &["the condition of", "part", "idd"]);
        found.says(NAME, "warning", &["public.nowhere", "not in the publications"]);
        let fixed = with(&config, "idd", "id");
        let sql = command(&fixed, &["check", "--sql"]);
        let client = stack.postgres.client(&space.database).await;
        for statement in statements(&sql.stdout) {
            let done = client.batch_execute(&statement).await;
            done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        let found = Checked::new(&fixed);
        found.failed(&[]);
        found.says(NAME, "ok", &["can be: 2"]);
        let asked = format!("SELECT has_table_privilege('{role}', 'unread', 'SELECT')");
        let may: bool = client.query_one(&asked, &[]).await.unwrap().get(0);
        assert!(!may, "what is not read is not granted");
    });
}

/// What a run would meet there: whether it is a standby of the slot's server, what may be read on it,
/// and what its settings mean.
#[test]
fn standbys_that_a_snapshot_reads() {
    run(LIMIT, async {
        let stack = shared();
        let mut primary = Postgres::start(&Options::default());
        let space = Space::new(&primary, "check_standbys").await;
        let ddl = "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE bare (v text);
                   ALTER TABLE bare REPLICA IDENTITY FULL;
                   CREATE PUBLICATION walbrook FOR TABLE t, bare";
        primary.execute(&space.database, ddl).await;
        let standby = primary.followed(&["max_standby_streaming_delay = 5s"]);
        let hosts = |ports: &[u16]| {
            let hosts: Vec<_> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
            let lines = format!("mode = \"initial\"\nhosts = [{}]", hosts.join(", "));
            on_server(stack, &edit(&space.config(stack, ""), "snapshot", &lines), &primary)
        };
        let found = Checked::new(&hosts(&[standby.port(), stack.postgres.port()]));
        found.failed(&[]);
        let on = format!("standby 127.0.0.1:{}", standby.port());
        found.says(HOSTS, "warning", &[&on, "can be read", "hot_standby_feedback = off", "5s"]);
        found.says(HOSTS, "warning", &["cannot be read", "until then another one is read"]);
        found.says(NAME, "ok", &[&on, "can be: 2"]);
        found.says("postgres.snapshot", "ok", &["public.bare"]);
        // Neither the slot's server nor anything else is its standby.
        let found = Checked::new(&hosts(&[primary.port(), 1]));
        found.failed(&[HOSTS]);
        found.says(HOSTS, "failed", &[&format!("127.0.0.1:{}", primary.port()), "standby"]);
        found.says(NAME, "ok", &["can be: 2"]);
    });
}
