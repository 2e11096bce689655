//! What holds whatever a file says: whose database it is tried in, and how long it may take.

use super::{scratch, text};
use crate::evolution::TEST_LIMIT;
use crate::support::flow::config;
use crate::support::run;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::write_file;

const TABLE: &str =
    "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION walbrook FOR ALL TABLES";

/// Often a scratch database is one of production's own cluster, where the slot is another database's.
#[test]
fn a_slot_of_another_database_of_the_cluster_is_not_in_the_way() {
    run(TEST_LIMIT, async {
        let production = Space::new(&shared().postgres, "production").await;
        let slot = &production.slot;
        let create = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        shared().postgres.execute(&production.database, &create).await;
        let space = Space::new(&shared().postgres, "beside").await;
        shared().postgres.execute(&space.database, TABLE).await;
        let file = write_file("a.sql", "ALTER TABLE t ADD w text");
        let arguments = ["--ddl", file.to_str().unwrap()];
        let told = scratch(&space, &config(shared(), &production, &[]), &arguments);
        let own = scratch(&production, &config(shared(), &production, &[]), &arguments);
        let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
        shared().postgres.execute(&production.database, &drop).await;
        text(&told, 0);
        assert!(text(&own, 5).contains(slot), "{own:?}");
    });
}

/// The head of a pg_dump takes all limits away.
#[test]
fn limits_hold_whatever_the_file_sets() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "limits").await;
        shared().postgres.execute(&space.database, TABLE).await;
        let config = config(shared(), &space, &[("postgres", "statement_timeout = \"4s\"")]);
        let head = "SET statement_timeout = 0;\nSET lock_timeout = 0;\n";
        let slow = write_file("slow.sql", &format!("{head}SELECT pg_sleep(60)"));
        let told = text(&scratch(&space, &config, &["--ddl", slow.to_str().unwrap()]), 4);
        assert!(told.contains("slow.sql:3: SELECT pg_sleep …: ERROR 57014"), "{told}");
        assert!(told.contains("postgres.statement_timeout"), "{told}");

        let reader = shared().postgres.client(&space.database).await;
        reader.batch_execute("BEGIN; SELECT FROM t").await.unwrap();
        let waits = write_file("waits.sql", &format!("{head}ALTER TABLE t ADD w text"));
        let arguments = ["--lock-timeout", "1", "--ddl", waits.to_str().unwrap()];
        let told = text(&scratch(&space, &config, &arguments), 4);
        assert!(told.contains("waits.sql:3: ALTER TABLE t …: ERROR 55P03"), "{told}");
    });
}
