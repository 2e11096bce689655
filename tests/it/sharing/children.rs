//! `tables.children = "parent"`: rows of children by inheritance are on the topic of their parent.

use super::{TEST_LIMIT, start, told_with_tables, topics, until_parked, until_read};
use crate::support::flow::{LIMIT, edit, lines_at, said};
use crate::support::run;
use crate::support::walbrook::command;

const PARENT: &str = "[tables]\nchildren = \"parent\"\n";

/// A table with chunks as its children, with the chunks in a PostgreSQL schema that is published, and columns in another
/// order in one of them.
const METRICS: (&str, &[&str]) = (
    "
    CREATE SCHEMA chunks;
    CREATE TABLE metrics (ts int NOT NULL, dev int NOT NULL, v text, PRIMARY KEY (ts, dev));
    CREATE TABLE chunks.chunk_1 (LIKE metrics INCLUDING ALL) INHERITS (metrics);
    INSERT INTO metrics VALUES (0, 0, 'parent'); INSERT INTO chunks.chunk_1 VALUES (1, 0, 'before');
    CREATE PUBLICATION walbrook FOR ALL TABLES;",
    &["public.metrics", "chunks.chunk_1"],
);

#[test]
fn rows_of_children_are_on_the_topic_of_their_parent() {
    run(TEST_LIMIT, async {
        let mut flow = start("children", METRICS, &["public.metrics"], PARENT).await;
        flow.execute("INSERT INTO chunks.chunk_1 VALUES (1, 1, 'a')").await;
        // Each week another one, and what its rows have more is left out.
        flow.execute(
            "CREATE TABLE chunks.chunk_2 (own text, dev int NOT NULL, v text, ts int NOT NULL, PRIMARY KEY (dev, ts)) INHERITS (metrics);
             CREATE TABLE chunks.chunk_3 (LIKE chunks.chunk_2 INCLUDING ALL) INHERITS (chunks.chunk_2)",
        )
        .await;
        flow.execute(
            "INSERT INTO chunks.chunk_2 (own, ts, dev, v) VALUES ('x', 2, 1, 'b');
             INSERT INTO chunks.chunk_3 (own, ts, dev, v) VALUES ('y', 3, 1, 'c');
             UPDATE metrics SET v = v || '!' WHERE ts = 2; DELETE FROM metrics WHERE ts = 1 AND dev = 1;
             INSERT INTO chunks.chunk_3 (own, ts, dev, v) VALUES ('y', 4, 1, 'd');
             TRUNCATE chunks.chunk_3; INSERT INTO chunks.chunk_1 VALUES (4, 1, 'moved')",
        )
        .await;
        flow.drain().await;
        // Whatever is new is read, too: it has to be over before a repair.
        until_read(&flow, &["chunks.chunk_2", "chunks.chunk_3"]);
        let told = told_with_tables(&flow, "public.metrics");
        let (read, streamed): (Vec<_>, Vec<_>) =
            told.iter().map(String::as_str).partition(|line| line.contains(": r "));
        for row in [
            r#"(none): r {"ts":0,"dev":0} null {"ts":0,"dev":0,"v":"parent"}"#,
            r#"chunks.chunk_1: r {"ts":1,"dev":0} null {"ts":1,"dev":0,"v":"before"}"#,
        ] {
            assert_eq!(read.iter().filter(|line| **line == row).count(), 1, "{row}: {told:#?}");
        }
        assert_eq!(
            streamed,
            [
                r#"chunks.chunk_1: c {"ts":1,"dev":1} null {"ts":1,"dev":1,"v":"a"}"#,
                r#"chunks.chunk_2: c {"ts":2,"dev":1} null {"ts":2,"dev":1,"v":"b"}"#,
                r#"chunks.chunk_3: c {"ts":3,"dev":1} null {"ts":3,"dev":1,"v":"c"}"#,
                r#"chunks.chunk_2: u {"ts":2,"dev":1} null {"ts":2,"dev":1,"v":"b!"}"#,
                r#"chunks.chunk_1: d {"ts":1,"dev":1} {"ts":1,"dev":1,"v":null} null"#,
                r#"chunks.chunk_1: - {"ts":1,"dev":1}"#,
                r#"chunks.chunk_3: c {"ts":4,"dev":1} null {"ts":4,"dev":1,"v":"d"}"#,
                r#"chunks.chunk_1: c {"ts":4,"dev":1} null {"ts":4,"dev":1,"v":"moved"}"#,
            ]
        );
        assert_eq!(topics(&flow), [flow.topic("public.metrics")]);
        let mut subjects = flow.stack.registry.subjects();
        subjects.retain(|it| it.starts_with(&flow.space.prefix));
        assert_eq!(subjects.len(), 2, "{subjects:?}");
        let warned = lines_at(&flow.walbrook, "WARN");
        let left_out =
            warned.iter().filter(|it| said(it, "message").contains("TRUNCATE makes no record"));
        assert_eq!(left_out.map(|it| said(it, "table")).collect::<Vec<_>>(), ["chunks.chunk_3"]);

        // What is not written for a child a comparison finds, and it is put right, without harm to a key
        // that is another child's by now.
        let checked = command(&flow.config, &["check"]).stdout;
        assert!(
            checked.contains("children of public.metrics by inheritance go to its topic"),
            "{checked}"
        );
        let compared = |code: i32, arguments: &[&str]| {
            let said = command(&flow.config, arguments);
            assert_eq!(
                said.status.code(),
                Some(code),
                "{}\n{}\n{}",
                said.stdout,
                said.stderr,
                flow.walbrook.tail()
            );
            said.stdout
        };
        let differs = compared(8, &["verify"]);
        assert!(differs.contains("public.metrics: alike: 1 rows"), "{differs}");
        assert!(differs.contains("chunks.chunk_1: alike: 2 rows"), "{differs}");
        assert!(
            differs.contains("chunks.chunk_3: DIFFERS")
                && differs.contains("1 are in the topic alone"),
            "{differs}"
        );
        let repaired = compared(0, &["repair"]);
        assert!(repaired.contains("1 were in the topic alone"), "{repaired}");
        let last = told_with_tables(&flow, "public.metrics");
        let gone = r#"chunks.chunk_3: d {"ts":3,"dev":1}"#;
        assert!(last.iter().any(|line| line.starts_with(gone)), "{last:#?}");
        assert!(!last.iter().any(|line| line.contains(r#": d {"ts":4"#)), "{last:#?}");
        flow.stop();
    });
}

/// A TRUNCATE of the parent takes the children's rows, and is a record.
#[test]
fn a_truncate_of_the_parent_is_one_of_all() {
    run(TEST_LIMIT, async {
        let mut flow = start("children_truncated", METRICS, &["public.metrics"], PARENT).await;
        flow.execute("INSERT INTO chunks.chunk_1 VALUES (5, 1, 'a'); TRUNCATE metrics; INSERT INTO chunks.chunk_1 VALUES (6, 1, 'b')").await;
        flow.drain().await;
        let told = told_with_tables(&flow, "public.metrics");
        assert_eq!(
            told.iter().filter(|line| line.contains(": t null")).collect::<Vec<_>>(),
            ["(none): t null null null"],
            "{told:#?}"
        );
        let said = command(&flow.config, &["verify"]);
        assert_eq!(said.status.code(), Some(0), "{}\n{}", said.stdout, said.stderr);
        assert!(said.stdout.contains("chunks.chunk_1: alike: 1 rows"), "{}", said.stdout);
        flow.stop();
    });
}

/// Of its old rows nobody could say which row of the topic they are.
#[test]
fn a_child_that_does_not_log_the_key_waits() {
    run(TEST_LIMIT, async {
        let mut flow = start("children_odd", (METRICS.0, &[]), &[], PARENT).await;
        flow.execute(
            "CREATE TABLE chunks.odd (id int PRIMARY KEY) INHERITS (metrics);
             INSERT INTO chunks.odd VALUES (9, 9, 'o', 1); INSERT INTO chunks.chunk_1 VALUES (8, 8, 'fine')",
        )
        .await;
        let reason = until_parked(&flow, "chunks.odd", 1);
        for part in ["table chunks.odd", r#""public"."metrics""#, "lacks ts"] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        flow.drain().await;
        // As what it is by then: what waits is judged by the replica identity of its time.
        flow.execute("ALTER TABLE chunks.odd REPLICA IDENTITY FULL; INSERT INTO chunks.odd VALUES (10, 9, 'p', 2)").await;
        flow.drain().await;
        let left =
            command(&flow.config, &["unpark", "chunks.odd", "--leave-out", "1", "--reason", "key"]);
        assert!(left.status.success(), "{left:?}\n{}", flow.walbrook.tail());
        let told = told_with_tables(&flow, "public.metrics");
        for row in [
            r#"chunks.chunk_1: c {"ts":8,"dev":8} null {"ts":8,"dev":8,"v":"fine"}"#,
            r#"chunks.odd: c {"ts":10,"dev":9} null {"ts":10,"dev":9,"v":"p"}"#,
        ] {
            assert!(told.iter().any(|line| line == row), "{row}: {told:#?}");
        }
        flow.stop();
    });
}

/// Of rows that wait, the catalog has other names by the time that they come.
#[test]
fn a_column_that_is_renamed_while_rows_wait_is_not_left_out() {
    run(TEST_LIMIT, async {
        let mut flow = start("children_renamed", METRICS, &[], PARENT).await;
        flow.walbrook.kill();
        flow.stack.postgres.slot_active(&flow.space.slot, false).await;
        flow.execute(
            "INSERT INTO chunks.chunk_1 VALUES (5, 1, 'a'); INSERT INTO metrics VALUES (6, 1, 'b')",
        )
        .await;
        flow.execute("ALTER TABLE metrics RENAME v TO value").await;
        flow.execute(
            "INSERT INTO chunks.chunk_1 VALUES (7, 1, 'c'); INSERT INTO metrics VALUES (8, 1, 'd')",
        )
        .await;
        flow.restart().await;
        flow.drain().await;
        let told = told_with_tables(&flow, "public.metrics");
        for row in [
            r#"chunks.chunk_1: c {"ts":5,"dev":1} null {"ts":5,"dev":1,"v":"a"}"#,
            r#"(none): c {"ts":6,"dev":1} null {"ts":6,"dev":1,"v":"b"}"#,
            r#"chunks.chunk_1: c {"ts":7,"dev":1} null {"ts":7,"dev":1,"value":"c"}"#,
            r#"(none): c {"ts":8,"dev":1} null {"ts":8,"dev":1,"value":"d"}"#,
        ] {
            assert!(told.iter().any(|line| line == row), "{row}: {told:#?}");
        }
        flow.stop();
    });
}

/// Its own row is what the stream tells of it by.
#[test]
fn a_parent_that_is_renamed_takes_its_children_along() {
    run(TEST_LIMIT, async {
        let mut flow = start("children_moved", (METRICS.0, &[]), &[], PARENT).await;
        flow.execute("INSERT INTO chunks.chunk_1 VALUES (5, 1, 'a')").await;
        flow.drain().await;
        flow.execute("ALTER TABLE metrics RENAME TO measures").await;
        flow.execute("INSERT INTO measures VALUES (6, 1, 'b')").await;
        flow.execute("INSERT INTO chunks.chunk_1 VALUES (7, 1, 'c')").await;
        flow.drain().await;
        assert_eq!(
            told_with_tables(&flow, "public.metrics"),
            [r#"chunks.chunk_1: c {"ts":5,"dev":1} null {"ts":5,"dev":1,"v":"a"}"#]
        );
        assert_eq!(
            told_with_tables(&flow, "public.measures"),
            [
                r#"(none): c {"ts":6,"dev":1} null {"ts":6,"dev":1,"v":"b"}"#,
                r#"chunks.chunk_1: c {"ts":7,"dev":1} null {"ts":7,"dev":1,"v":"c"}"#,
            ]
        );
        flow.stop();
    });
}

/// Those that had rows before are still of the name that it had then.
#[test]
fn a_parent_that_is_renamed_is_no_rival_of_its_own_children() {
    run(TEST_LIMIT, async {
        let shared = "[[topics.shared]]\ntables = [\"public.me*\"]\ntopic = \"{prefix}.all\"\nkey_value = \"{schema}\"\n";
        let sections = format!("{PARENT}{shared}");
        let mut flow = start("children_shared", (METRICS.0, &[]), &[], &sections).await;
        flow.execute("INSERT INTO chunks.chunk_1 VALUES (5, 1, 'a')").await;
        flow.drain().await;
        flow.execute(
            "ALTER TABLE metrics RENAME TO measures;
             CREATE TABLE chunks.chunk_2 (LIKE measures INCLUDING ALL) INHERITS (measures);
             INSERT INTO chunks.chunk_2 VALUES (6, 1, 'b'); INSERT INTO chunks.chunk_1 VALUES (7, 1, 'c')",
        )
        .await;
        flow.drain().await;
        assert_eq!(
            told_with_tables(&flow, "all"),
            [
                r#"chunks.chunk_1: c {"source_table":"public","ts":5,"dev":1} null {"ts":5,"dev":1,"v":"a"}"#,
                r#"chunks.chunk_2: c {"source_table":"public","ts":6,"dev":1} null {"ts":6,"dev":1,"v":"b"}"#,
                r#"chunks.chunk_1: c {"source_table":"public","ts":7,"dev":1} null {"ts":7,"dev":1,"v":"c"}"#,
            ]
        );
        flow.stop();
    });
}

/// What its parents were then is kept with them, whatever the configuration was.
#[test]
fn rows_that_were_parked_before_children_go_to_their_parent_go_there_too() {
    run(TEST_LIMIT, async {
        let mut flow = start("children_parked", (METRICS.0, &[]), &[], "").await;
        // As one field each of its own columns is refused.
        flow.execute(
            "CREATE TABLE chunks.odd (\"a-b\" int, a_b int, PRIMARY KEY (ts, dev)) INHERITS (metrics);
             INSERT INTO chunks.odd VALUES (9, 9, 'o', 1, 2)",
        )
        .await;
        until_parked(&flow, "chunks.odd", 1);
        flow.stop();
        flow.config = edit(&flow.config, "", PARENT);
        flow.restart().await;
        let is_back = |line: &serde_json::Value| {
            said(line, "table") == "chunks.odd" && said(line, "message").contains("is back")
        };
        flow.walbrook.wait_for(LIMIT, "the parked row", is_back);
        flow.drain().await;
        assert_eq!(
            told_with_tables(&flow, "public.metrics"),
            [r#"chunks.odd: c {"ts":9,"dev":9} null {"ts":9,"dev":9,"v":"o"}"#]
        );
        flow.stop();
    });
}
