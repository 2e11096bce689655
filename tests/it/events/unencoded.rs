//! A database without an encoding (SQL_ASCII), whose text is whatever bytes applications wrote.

use super::TEST_LIMIT;
use crate::support::flow::{Flow, LIMIT, config, edit, ends_with, said};
use crate::support::process::folder;
use crate::support::stack::{NOTHING_FROM_BEFORE, Space, shared};
use crate::support::walbrook::{Walbrook, command};
use crate::support::{run, unique};

const DDL: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v text, many text[]);
    CREATE TABLE named (name text PRIMARY KEY);
    CREATE PUBLICATION walbrook FOR TABLE t, named";

/// A database of these tables that has no encoding.
async fn space(name: &str) -> Space {
    let (postgres, database) = (&shared().postgres, unique(name));
    let create =
        format!("CREATE DATABASE {database} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'");
    postgres.execute("postgres", &create).await;
    postgres.execute(&database, DDL).await;
    Space::on(&database, name)
}

/// The server cannot say what such bytes are, and takes all; UTF-8 among them is itself. The error says
/// which value it is, or it is null, but not in a key.
#[test]
fn text_in_another_encoding_is_an_error_or_null() {
    run(TEST_LIMIT, async {
        let mut flow = Flow::start_on(shared(), space("unencoded").await, &[]).await;
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

/// Text is what the encoding says, wherever a value has it, and a row has one key.
#[test]
fn text_in_an_encoding_that_is_named_arrives() {
    run(TEST_LIMIT, async {
        let named = ("postgres", "text_encoding = \"windows-1252\"");
        let space = space("encoded").await;
        // Rows from before are read by default; here they cannot be.
        shared().postgres.execute(&space.database, "INSERT INTO t VALUES (9, 'before')").await;
        let config = config(shared(), &space, &[named]).replace(NOTHING_FROM_BEFORE, "");
        let mut flow = Flow::run(shared(), space, config).await;
        let unread = "the rows that tables had before are not read";
        flow.walbrook.wait_for(LIMIT, unread, |line| said(line, "message").starts_with(unread));
        let checked = command(&flow.config, &["check"]).stdout;
        for part in ["its text is read as windows-1252", unread] {
            assert!(checked.contains(part), "{part}: {checked}");
        }
        flow.execute("INSERT INTO t VALUES (1, E'caf\\351', ARRAY['a', E'\\351, b', E'\\200'])")
            .await;
        flow.execute("UPDATE t SET v = E'\\200' WHERE id = 1").await;
        let text = r#"c {"id":1} null {"id":1,"v":"café","many":["a","é, b","€"]}"#;
        let euro = r#"u {"id":1} null {"id":1,"v":"€","many":["a","é, b","€"]}"#;
        assert_eq!(flow.told("public.t").await, [text, euro]);
        flow.execute("INSERT INTO named VALUES (E'\\351')").await;
        flow.execute("UPDATE named SET name = E'\\340'; DELETE FROM named").await;
        let expect = [
            r#"c {"name":"é"} null {"name":"é"}"#,
            r#"d {"name":"é"} {"name":"é"} null"#,
            r#"- {"name":"é"}"#,
            r#"c {"name":"à"} null {"name":"à"}"#,
            r#"d {"name":"à"} {"name":"à"} null"#,
            r#"- {"name":"à"}"#,
        ];
        assert_eq!(flow.told("public.named").await, expect);
        flow.stop();

        // What it does not define is a value that no field holds, as before; the file has it, too.
        flow.config = flow.config.replace("windows-1252", "windows-1253");
        flow.restart().await;
        flow.execute("INSERT INTO t VALUES (2, E'\\341', ARRAY[E'\\322\\222'])").await;
        let error = ends_with(&mut flow.walbrook, 4);
        assert!(error.contains("column many") && error.contains("not UTF-8"), "{error}");
        let (_, position) = error.split_once("checkpoint skip --position ").expect(&error);
        let position = position.split(' ').next().unwrap();
        let file = folder("unencoded").join("kept.json");
        let arguments = ["--file", file.to_str().unwrap(), "--reason", "known"];
        let skip = [&["checkpoint", "skip", "--position", position], &arguments[..]].concat();
        let skipped = command(&flow.config, &skip);
        assert_eq!(skipped.status.code(), Some(0), "{}", skipped.stderr);
        let kept = std::fs::read_to_string(&file).unwrap();
        assert!(kept.contains("\"α\"") && kept.contains("ffd2e28099"), "{kept}");
    });
}

/// The server converts by itself there, and would be contradicted.
#[test]
fn an_encoding_is_not_named_for_a_database_that_has_one() {
    run(TEST_LIMIT, async {
        let mut flow = Flow::start(shared(), "has_encoding", DDL, &[]).await;
        flow.stop();
        flow.config = edit(&flow.config, "postgres", "text_encoding = \"windows-1252\"");
        flow.walbrook = Walbrook::spawn(&flow.config);
        let error = ends_with(&mut flow.walbrook, 4);
        for part in ["postgres.text_encoding is windows-1252", "UTF8", "remove"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        let checked = command(&flow.config, &["check"]);
        assert_eq!(checked.status.code(), Some(3), "{}", checked.stdout);
        assert!(checked.stdout.contains("remove postgres.text_encoding"), "{}", checked.stdout);
    });
}

/// Names, labels and defaults have no other way than through the catalog, which is asked in UTF-8.
#[test]
fn a_label_in_another_encoding_is_told_once() {
    run(TEST_LIMIT, async {
        let space = space("label").await;
        let mood = "CREATE TYPE mood AS ENUM (E'g\\351nial'); ALTER TABLE t ADD COLUMN mood mood";
        shared().postgres.execute(&space.database, mood).await;
        let config = config(shared(), &space, &[]);
        let error = ends_with(&mut Walbrook::spawn(&config), 4);
        for part in ["22021", "enum's label", "SQL_ASCII"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    });
}
