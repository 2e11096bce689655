//! `walbrook schema check`: what it says of a migration is what comes of it, and it leaves nothing behind.

mod limits;

use std::process::{Command, Output};

use serde_json::Value;

use super::TEST_LIMIT;
use crate::registry::client;
use crate::support::flow::{Flow, config, query};
use crate::support::run;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{command, write_config, write_file};

/// What is done to a table of its own, and what is said of it.
struct Case {
    name: &'static str,
    /// In place of `T` is the table.
    made: &'static str,
    /// With a row, so that walbrook meets what is done.
    ddl: &'static str,
    level: &'static str,
    /// The answer to the schema of the value.
    answer: &'static str,
    said: &'static [&'static str],
}

const PLAIN: &str = "CREATE TABLE T (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 1); INSERT INTO T VALUES (1, '1')";

const fn case(
    name: &'static str,
    ddl: &'static str,
    (level, answer): (&'static str, &'static str),
    said: &'static [&'static str],
) -> Case {
    Case { name, made: PLAIN, ddl, level, answer, said }
}

const CASES: &[Case] = &[
    case(
        "add_nullable",
        "ALTER TABLE T ADD w text; INSERT INTO T VALUES (2)",
        ("ok", "compatible"),
        &["field w is new (string or null): readers of the newer schema find null there"],
    ),
    case(
        "add_not_null",
        "ALTER TABLE T ADD w int NOT NULL DEFAULT 7; INSERT INTO T VALUES (2)",
        ("ok", "compatible"),
        &["field w is new (int): readers of the newer schema find 7 there"],
    ),
    case(
        "django_adds",
        "ALTER TABLE T ADD w varchar(20) DEFAULT 'new' NOT NULL; ALTER TABLE T ALTER w DROP DEFAULT; INSERT INTO T VALUES (2, '', 1, '')",
        ("ok", "compatible"),
        &["field w is new (string): readers of the newer schema find \\\"new\\\" there"],
    ),
    case(
        "drop_nullable",
        "ALTER TABLE T DROP v; INSERT INTO T VALUES (2)",
        ("readers", "compatible"),
        &["field v is gone: readers of the older schema find null there, in all newer records"],
    ),
    case(
        "widen",
        "ALTER TABLE T ALTER n TYPE bigint; INSERT INTO T VALUES (2)",
        ("readers", "compatible"),
        &["field n was int, and is long: readers of the older schema cannot read newer records"],
    ),
    case(
        "to_number",
        "ALTER TABLE T ALTER v TYPE int USING v::int; INSERT INTO T VALUES (2)",
        ("refused", "refused"),
        &["the registry refuses the schema of", "walbrook parks the table"],
    ),
    case(
        "rename_column",
        "ALTER TABLE T RENAME v TO w; INSERT INTO T VALUES (2)",
        ("readers", "compatible"),
        &["field v is gone", "field w is new"],
    ),
    case(
        "may_be_null",
        "ALTER TABLE T ALTER n DROP NOT NULL; INSERT INTO T VALUES (2)",
        ("readers", "compatible"),
        &["readers of the older schema cannot read a record with a null there"],
    ),
    case(
        "longer",
        "ALTER TABLE T ALTER v TYPE varchar(200); INSERT INTO T VALUES (2)",
        ("ok", "unchanged"),
        &["readers see the same as before"],
    ),
    case(
        "wider_key",
        "ALTER TABLE T DROP CONSTRAINT T_pkey; ALTER TABLE T ADD PRIMARY KEY (id, n); INSERT INTO T VALUES (2)",
        ("refused", "unchanged"),
        &["the key was (id), and is (id, n)", "-key"],
    ),
    case(
        "long_key",
        "ALTER TABLE T ALTER id TYPE bigint; INSERT INTO T VALUES (2)",
        ("readers", "compatible"),
        &["keys have another schema"],
    ),
    Case {
        name: "no_identity",
        made: PLAIN,
        ddl: "ALTER TABLE T DROP CONSTRAINT T_pkey; INSERT INTO T VALUES (2)",
        level: "refused",
        answer: "compatible",
        said: &[
            "has no usable replica identity any more",
            "the key was (id), and records have none",
        ],
    },
    case(
        "less_before",
        "ALTER TABLE T REPLICA IDENTITY FULL; INSERT INTO T VALUES (2)",
        ("ok", "unchanged"),
        &["REPLICA IDENTITY is FULL"],
    ),
    case(
        "as_it_was",
        "ALTER TABLE T ADD w int; ALTER TABLE T DROP w; INSERT INTO T VALUES (2)",
        ("", "unchanged"),
        &[],
    ),
];

fn of(case: &Case, statements: &str) -> String {
    let mut text = String::new();
    for word in statements.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        text += &match word.strip_prefix('T') {
            Some(rest) if rest.len() < 2 => format!("{}{rest}", case.name),
            _ => word.to_owned(),
        };
    }
    text
}

/// All that a check could leave: what the catalog has, and what the registry has.
async fn everything(flow: &Flow<'_>) -> String {
    let catalog = "SELECT string_agg(x::text, '' ORDER BY x::text) FROM (
        SELECT a FROM pg_attribute a WHERE attrelid >= 16384 UNION ALL
        SELECT NULL::pg_attribute FROM pg_prepared_xacts) AS t (x)";
    let rows = query(&flow.client, catalog).await;
    let mut subjects = flow.stack.registry.subjects();
    subjects.retain(|subject| subject.starts_with(&flow.space.prefix));
    let versions: Vec<_> = subjects.iter().map(|it| flow.stack.registry.versions(it)).collect();
    format!("{rows:?} {subjects:?} {versions:?}")
}

fn tables(stdout: &str) -> Vec<Value> {
    let report: Value = serde_json::from_str(stdout).unwrap();
    report["tables"].as_array().unwrap().clone()
}

fn subject<'v>(table: &'v Value, side: &str) -> Option<&'v Value> {
    let mut subjects = table["subjects"].as_array().unwrap().iter();
    subjects.find(|it| it["subject"].as_str().unwrap().ends_with(side))
}

fn answer<'v>(table: &'v Value, side: &str) -> &'v str {
    subject(table, side).map_or("none", |it| it["answer"].as_str().unwrap())
}

#[test]
fn what_is_said_of_a_migration_is_what_comes_of_it() {
    run(TEST_LIMIT, async {
        let all = "CREATE PUBLICATION walbrook FOR ALL TABLES";
        let space = Space::new(&shared().postgres, "checked").await;
        shared().postgres.execute(&space.database, all).await;
        let park = config(shared(), &space, &[]).replace("on_refused = \"stop\"\n", "");
        let mut flow = Flow::run(shared(), space, park).await;
        for case in CASES {
            flow.execute(&of(case, case.made)).await;
        }
        flow.drain().await;
        let ddl: String = CASES.iter().map(|case| of(case, case.ddl) + ";\n").collect();
        let file = write_file("migration.sql", &format!("BEGIN;\n{ddl}COMMIT;\n"));
        let before = everything(&flow).await;
        let file = file.to_str().unwrap();
        // A database with a slot is somebody's.
        let refused = command(&flow.config, &["schema", "check", "--ddl", file]);
        assert_eq!(refused.status.code(), Some(5), "{refused:?}");
        assert!(refused.stderr.contains("--in-place"), "{refused:?}");
        let found =
            command(&flow.config, &["schema", "check", "--in-place", "--json", "--ddl", file]);
        assert_eq!(found.status.code(), Some(3), "{found:?}");
        assert_eq!(everything(&flow).await, before);
        let found = tables(&found.stdout);
        for case in CASES {
            let name = format!("public.{}", case.name);
            let Some(table) = found.iter().find(|it| it["table"] == name) else {
                assert_eq!(case.level, "", "{name}: {found:?}");
                continue;
            };
            assert_eq!(table["level"], case.level, "{table}");
            assert_eq!(answer(table, "-value"), case.answer, "{table}");
            for words in case.said {
                assert!(table["found"].to_string().contains(words), "{words}: {table}");
            }
        }
        come_true(&mut flow, &found).await;
        flow.stop();
    });
}

/// The migration is done, and the registry has by then what was said.
async fn come_true(flow: &mut Flow<'_>, found: &[Value]) {
    let versions = |flow: &Flow<'_>, case: &Case, side: &str| {
        let subject = format!("{}{side}", flow.topic(&format!("public.{}", case.name)));
        match flow.stack.registry.subjects().contains(&subject) {
            true => flow.stack.registry.versions(&subject),
            false => 0,
        }
    };
    let sides = ["-value", "-key"];
    let counts = |flow: &Flow<'_>| -> Vec<_> {
        CASES.iter().flat_map(|case| sides.map(|side| versions(flow, case, side))).collect()
    };
    let before = counts(flow);
    for case in CASES {
        flow.execute(&of(case, case.ddl)).await;
    }
    flow.drain().await;
    let after = counts(flow);
    let mut client = client(&[flow.stack.registry.url()]);
    let pairs = before.into_iter().zip(after);
    let cases = CASES.iter().flat_map(|case| sides.map(|side| (case, side)));
    for ((case, side), (before, after)) in cases.zip(pairs) {
        let table = found.iter().find(|it| it["table"] == format!("public.{}", case.name));
        let said = table.map_or("unchanged", |table| answer(table, side));
        let expect = if said == "compatible" { 1 } else { 0 };
        // What is refused of a key keeps the value's new version back, too.
        if said != "compatible" || table.is_none_or(|it| it["level"] != "refused") {
            assert_eq!(after - before, expect, "{}{side}: {said}", case.name);
            if let Some(it) =
                table.filter(|_| said == "compatible").and_then(|it| subject(it, side))
            {
                let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
                let newest = client.newest(it["subject"].as_str().unwrap()).await.unwrap();
                assert_eq!(parsed(it["schema"].as_str().unwrap()), parsed(&newest.unwrap()));
            }
        }
    }
}

/// `schema check` on a scratch database that libpq's variables name.
fn scratch(space: &Space, config: &str, arguments: &[&str]) -> Output {
    let postgres = &shared().postgres;
    Command::new(env!("CARGO_BIN_EXE_walbrook"))
        .args([&["schema", "check", "--scratch"], arguments].concat())
        .arg("--config")
        .arg(write_config(config))
        .env("PGHOST", postgres.socket_folder())
        .env("PGPORT", postgres.port().to_string())
        .env("PGUSER", "postgres")
        .env("PGDATABASE", &space.database)
        .output()
        .unwrap()
}

#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Both files are what sqlmigrate of Django 5.2.8 printed. The configuration is that of production, which is not there; nor is its registry.
#[test]
fn a_django_migration_is_checked_where_there_is_nothing_but_a_scratch_database() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "django").await;
        let initial = include_str!("../../golden/django/0001_initial.sql");
        let grow = include_str!("../../golden/django/0002_grow.sql");
        shared().postgres.execute(&space.database, initial).await;
        let away = config(shared(), &space, &[("registry", "urls = [\"http://127.0.0.1:1\"]")]);
        let away = away.replace(&format!("database = \"{}\"", space.database), "database = \"x\"");
        let file = write_file("0002_grow.sql", grow);
        let arguments = ["--ddl", file.to_str().unwrap()];
        let without = text(&scratch(&space, &away, &arguments), 5);
        assert!(without.contains("has no publication \\\"walbrook\\\""), "{without}");
        let publication = "CREATE PUBLICATION walbrook FOR ALL TABLES";
        shared().postgres.execute(&space.database, publication).await;
        let told = text(&scratch(&space, &away, &arguments), 10);
        for words in [
            "0002_grow.sql:24: a step is not SQL here",
            "the registry was not asked everything",
            "READERS  public.shop_order",
            "! field legacy is gone",
            "! field quantity was int, and is long",
            // The change of a type behind it rewrites the table, and with it what older rows hold.
            "field status is new (string or null): readers of the newer schema find null there",
            "field paid_at is new",
            "OK       public.shop_tag",
            "1 as before",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        // Nothing is left, so it says the same again.
        assert_eq!(text(&scratch(&space, &away, &arguments), 10), told);
        let fine = write_file("fine.sql", "ALTER TABLE shop_order ADD w text");
        text(&scratch(&space, &away, &["--ddl", fine.to_str().unwrap()]), 9);
        let other = "ALTER TABLE shop_order ALTER note TYPE int USING 1";
        let other = write_file("other.sql", other);
        let told = text(&scratch(&space, &away, &["--ddl", other.to_str().unwrap()]), 3);
        assert!(
            told.contains("! field note was string, and is int: readers of the newer"),
            "{told}"
        );
    });
}

/// Whatever a file holds, the database is as it was, and the error says where.
#[test]
fn a_file_commits_nothing_and_its_errors_have_a_line() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "commits").await;
        let ddl = "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL); INSERT INTO t VALUES (1, 'cAnArY');
                   CREATE TYPE mood AS ENUM ('a'); CREATE PUBLICATION walbrook FOR ALL TABLES;
                   CREATE TABLE one (id int PRIMARY KEY);
                   CREATE TABLE many (id int PRIMARY KEY, one int REFERENCES one DEFERRABLE INITIALLY DEFERRED);
                   CREATE TABLE now (id int PRIMARY KEY, one int REFERENCES one DEFERRABLE INITIALLY IMMEDIATE);
                   CREATE SEQUENCE s;
                   CREATE PROCEDURE commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'";
        shared().postgres.execute(&space.database, ddl).await;
        let config = config(shared(), &space, &[]);
        let client = shared().postgres.client(&space.database).await;
        let state = "SELECT count(*), (SELECT count(*) FROM pg_class),
                            (SELECT count(*) FROM pg_attribute), (SELECT count(*) FROM pg_prepared_xacts),
                            (SELECT last_value FROM s) FROM t";
        let before = query(&client, state).await;
        for (sql, code, words) in [
            (
                "ALTER TABLE t ADD a int;\nCOMMIT;\nALTER TABLE t ADD b int; /* */ END",
                0,
                "1 changed",
            ),
            ("ALTER TABLE t ADD a int; -- b\rCOMMIT;", 0, "1 changed"),
            ("ALTER TABLE t ADD a int;\nROLLBACK;", 2, "a.sql:2: the file takes back"),
            ("DELETE FROM t;\n\nPREPARE TRANSACTION 'x'", 2, "a.sql:3: prepared transactions"),
            (
                "ALTER TABLE t ADD a int;\nDO $$ BEGIN COMMIT; END $$",
                4,
                "a.sql:2: DO …: ERROR 2D000",
            ),
            ("ALTER TABLE t ADD a int;\nCALL commits()", 4, "a.sql:2: CALL commits …: ERROR 2D000"),
            // What would be several statements to the server, and is one to us.
            (
                "CREATE FUNCTION f() x; BEGIN; COMMIT; END",
                4,
                "a.sql:1: CREATE FUNCTION f …: ERROR 42601",
            ),
            (
                "-- a\nALTER TABLE t\n  ADD oops",
                4,
                "a.sql:3: ALTER TABLE t …: ERROR 42601: syntax error",
            ),
            ("ALTER TABLE nope ADD a int", 4, "a.sql:1: ALTER TABLE nope …: ERROR 42P01: relation"),
            ("-- nothing\n", 9, "a.sql: holds no statement"),
            (
                "BEGIN;\n-- THIS OPERATION CANNOT BE WRITTEN AS SQL\nCOMMIT;",
                9,
                "a.sql:2: a step is not SQL here",
            ),
            ("\n\\d t", 2, "a.sql:2: what begins with a backslash"),
            ("SELECT 'a", 2, "a.sql:1: a quote begins here"),
            (
                "CREATE UNIQUE INDEX CONCURRENTLY i ON t (v);\nVACUUM t;\nALTER TABLE t REPLICA IDENTITY USING INDEX i",
                10,
                "a.sql:2: VACUUM t: is left out",
            ),
            (
                "ALTER TYPE mood ADD VALUE 'b';\nALTER TABLE t ADD m mood DEFAULT 'b'",
                4,
                "a.sql:2: ALTER TABLE t …: ERROR 55P04",
            ),
            // Numbers are not taken back, and these could go down.
            (
                "SELECT pg_catalog.SetVal('s', 40, true);\nSELECT \"setval\" ('s', 41);\nWITH x AS (SELECT 42 AS n) SELECT setval('s', n) FROM x;\nCREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT setval('s', 43); END",
                0,
                "a.sql:3: WITH x AS: is left out: what setval does is not taken back",
            ),
            ("CREATE DATABASE other", 4, "a.sql:1: CREATE DATABASE other …: ERROR 25001"),
            // Where the file commits, what it deferred is checked, and not before.
            (
                "BEGIN; INSERT INTO many VALUES (1, 1); INSERT INTO one VALUES (1); COMMIT;
                 BEGIN; INSERT INTO many VALUES (2, 2); INSERT INTO one VALUES (2); COMMIT;
                 ALTER TABLE many ADD a int; INSERT INTO many VALUES (3, 1); ALTER TABLE many ADD b int",
                0,
                "7 statements tried and rolled back",
            ),
            // What is to be checked at once is, in the second transaction too.
            (
                "BEGIN; INSERT INTO one VALUES (1); COMMIT;
                 BEGIN; INSERT INTO now VALUES (1, 1); ALTER TABLE now ADD a int;
                 INSERT INTO many VALUES (1, 2); INSERT INTO one VALUES (2); COMMIT",
                0,
                "5 statements tried and rolled back",
            ),
            (
                "BEGIN;\nINSERT INTO many VALUES (1, 1);\nCOMMIT;\nDELETE FROM many",
                4,
                "a.sql:3: COMMIT …: ERROR 23503",
            ),
            ("INSERT INTO many VALUES (1, 1);\nSELECT 1", 4, "a.sql:1: INSERT INTO many …: ERROR 23503"),
            // The role that it goes on as may see nothing.
            (
                "CREATE ROLE checked_migrator; SET ROLE checked_migrator; CREATE TEMP TABLE x (a int)",
                0,
                "4 as before",
            ),
            // A row's value is in the server's words, and not in ours.
            (
                "ALTER TABLE t ALTER v TYPE int USING v::int",
                4,
                "a.sql:1: ALTER TABLE t …: ERROR 22P02",
            ),
            // It may set what our questions rely on.
            (
                "SET search_path = ''; SET extra_float_digits = 0; SET datestyle = 'SQL'; ALTER TABLE public.t ADD d date NOT NULL DEFAULT '2026-01-02'",
                0,
                "find 20455 there",
            ),
        ] {
            let file = write_file("a.sql", sql);
            let output = scratch(&space, &config, &["--ddl", file.to_str().unwrap()]);
            let told = text(&output, code);
            assert!(told.contains(words), "{sql}: {told}");
            assert!(!told.contains("cAnArY"), "{told}");
            assert_eq!(query(&client, state).await, before, "{sql}");
        }
    });
}

#[test]
fn tables_come_and_go() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "come_and_go").await;
        let ddl = "CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE was (id int PRIMARY KEY);
                   CREATE TABLE unlisted (id int PRIMARY KEY); CREATE TABLE anew (id int PRIMARY KEY);
                   CREATE TABLE stays (id int PRIMARY KEY); CREATE TABLE hides (id int PRIMARY KEY);
                   CREATE TABLE secret_one (id int PRIMARY KEY);
                   CREATE PUBLICATION walbrook FOR TABLE gone, was, unlisted, anew, stays, hides, secret_one";
        shared().postgres.execute(&space.database, ddl).await;
        let config = config(shared(), &space, &[("tables", "exclude = [\"public.secret_*\"]")]);
        let first = write_file(
            "first.sql",
            "DROP TABLE gone; ALTER TABLE was RENAME TO is_now;
            ALTER TABLE hides RENAME TO secret_two; ALTER TABLE secret_one RENAME TO shown;
            ALTER PUBLICATION walbrook DROP TABLE unlisted; CREATE TABLE here (id int);
            ALTER PUBLICATION walbrook ADD TABLE here",
        );
        let second = write_file(
            "second.sql",
            "ALTER TABLE here ADD v text; DROP TABLE anew;
            CREATE TABLE anew (id bigint PRIMARY KEY); ALTER PUBLICATION walbrook ADD TABLE anew",
        );
        let (first, second) = (first.to_str().unwrap(), second.to_str().unwrap());
        let output = scratch(&space, &config, &["--json", "--ddl", first, "--ddl", second]);
        let told = text(&output, 3);
        let found = tables(&told);
        for (table, level, words) in [
            ("public.gone", "readers", "is dropped: topic"),
            ("public.is_now", "readers", "gets none any more"),
            ("public.unlisted", "readers", "is not published any more: topic"),
            ("public.anew", "readers", "public.anew is dropped, and made anew"),
            ("public.here", "refused", "has no usable replica identity"),
            ("public.secret_two", "readers", "is left out, by [tables] include and exclude: topic"),
            ("public.shown", "ok", "is captured: its records are in topic"),
        ] {
            let it = found.iter().find(|it| it["table"] == table).expect(table);
            assert_eq!(it["level"], level, "{it}");
            assert!(it["found"].to_string().contains(words), "{it}");
        }
        assert_eq!(found.len(), 7, "{told}");
    });
}
