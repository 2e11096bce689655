//! A database without an encoding (SQL_ASCII), whose text is whatever bytes applications wrote.

use super::TEST_LIMIT;
use crate::support::flow::{Flow, edit, ends_with};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::command;
use crate::support::{run, unique};

const DDL: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v text, many text[]);
    CREATE TABLE named (name text PRIMARY KEY);
    CREATE PUBLICATION walbrook FOR TABLE t, named";

/// The server cannot say what such bytes are, and takes all; UTF-8 among them is itself. The error says
/// which value it is, or it is null, but not in a key.
#[test]
fn text_in_another_encoding_is_an_error_or_null() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let database = unique("unencoded");
        let create = format!(
            "CREATE DATABASE {database} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'"
        );
        stack.postgres.execute("postgres", &create).await;
        stack.postgres.execute(&database, DDL).await;
        let mut flow = Flow::start_on(stack, Space::on(&database, "unencoded"), &[]).await;
        let checked = command(&flow.config, &["check"]).stdout;
        assert!(checked.contains("postgres.encoding"), "{checked}");
        flow.execute("INSERT INTO t VALUES (1, E'caf\\303\\251', '{b}')").await;
        flow.drain().await;
        flow.execute("INSERT INTO t VALUES (2, E'caf\\351', ARRAY['a', E'\\351'])").await;
        let error = ends_with(&mut flow.walbrook, 4);
        for part in ["public.t", "column v", "not UTF-8", "at "] {
            assert!(error.contains(part), "{part}: {error}");
        }

        flow.config = edit(&flow.config, "values", "on_unrepresentable = \"null\"");
        flow.restart().await;
        let whole = r#"c {"id":1} null {"id":1,"v":"café","many":["b"]}"#;
        let null = r#"c {"id":2} null {"id":2,"v":null,"many":null}"#;
        assert_eq!(flow.told("public.t").await, [whole, null]);
        flow.stop();

        // In text form it is the same.
        flow.config = edit(&flow.config, "replication", "binary = \"never\"");
        flow.restart().await;
        flow.execute("UPDATE t SET v = E'\\351' WHERE id = 1").await;
        let null = r#"u {"id":1} null {"id":1,"v":null,"many":["b"]}"#;
        assert_eq!(flow.told("public.t").await[2], null);
        flow.execute("INSERT INTO named VALUES (E'\\351')").await;
        let error = ends_with(&mut flow.walbrook, 4);
        for part in ["public.named", "not UTF-8"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    });
}
