//! `walbrook check` knows what a snapshot needs beside the stream.

use super::{Checked, LIMIT, as_user, space, statements, with};
use crate::support::walbrook::command;
use crate::support::{run, unique};

const NAME: &str = "snapshot.tables";

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
