//! What can be wrong, and what is said of it: never a value, and the reader goes on where it can.

use std::time::Duration;

use walbrook::edges::Class;
use walbrook::position::Lsn;
use walbrook::postgres::{
    Catalog, ChunkError, ChunkLimits, ChunkReader, ChunkRequest, Error, Key, Seen,
};
use walbrook::wal::RelationId;

use super::super::local;
use super::{LIMIT, LIMITS, Scene, Table, rows, shared};
use crate::support::postgres::{Options, Postgres};
use crate::support::{run, unique, until_async};

const SETUP: &str = "
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT n, 'canary ' || n FROM generate_series(1, 100) AS n;
CREATE TABLE secret (id int PRIMARY KEY, note text);
INSERT INTO secret VALUES (1, 'canary');
CREATE PUBLICATION walbrook FOR TABLE item, secret;";

fn short(lock_timeout_ms: u64) -> ChunkLimits {
    ChunkLimits { lock_timeout: Duration::from_millis(lock_timeout_ms), ..LIMITS }
}

/// The error of a reading, after which the reader reads another table.
async fn refused(reader: &mut ChunkReader, table: &Table, other: &Table) -> ChunkError {
    let error = reader.read(&table.whole()).await.unwrap_err();
    assert!(reader.is_usable(), "{error}");
    assert_eq!(reader.read(&other.whole()).await.unwrap().count, 100);
    let text = format!("{error} {error:?}");
    assert!(!text.contains("canary"), "{text}");
    error
}

fn told(error: &ChunkError, class: Class, parts: &[&str]) {
    assert_eq!(error.class(), class, "{error}");
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn tables_that_are_not_there_or_not_published() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        let item = scene.table("item", &["id"]).await;
        let mut reader = scene.reader().await;
        let unknown = Table { relation: RelationId(4_000_000_000), ..item.clone() };
        let error = refused(&mut reader, &unknown, &item).await;
        assert!(matches!(error, ChunkError::Gone { .. }));
        told(&error, Class::Retry, &["4000000000"]);
        scene.run("CREATE TABLE other (id int PRIMARY KEY); CREATE VIEW seen AS TABLE item").await;
        let error = refused(&mut reader, &scene.table("other", &["id"]).await, &item).await;
        told(&error, Class::Retry, &["\"public\".\"other\"", "not published"]);
        let error = refused(&mut reader, &scene.table("seen", &["id"]).await, &item).await;
        assert!(matches!(error, ChunkError::Gone { .. }));
        let error = refused(&mut reader, &scene.table("item", &["idx"]).await, &item).await;
        told(&error, Class::Retry, &["\"item\"", "changed"]);
        scene.run("DROP TABLE secret").await;
        let error = reader.ranges(&unknown.named(), 4).await.unwrap_err();
        assert!(matches!(error, ChunkError::Gone { .. }));
        assert_eq!(reader.ranges(&item.named(), 4).await.unwrap().rows, 100);
    });
}

/// At once, or not at all.
#[test]
fn a_table_without_a_key_is_read_whole() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        let table = scene.table("item", &[]).await;
        let mut reader = scene.reader().await;
        let chunk = reader.read(&table.whole()).await.unwrap();
        assert_eq!((chunk.count, chunk.is_last, chunk.last), (100, true, None));
        let just = ChunkRequest { rows_max: 100, ..table.whole() };
        assert_eq!(reader.read(&just).await.unwrap().count, 100);
        for request in [
            ChunkRequest { rows_max: 99, ..table.whole() },
            ChunkRequest { bytes_max: 1000, ..table.whole() },
        ] {
            let error = reader.read(&request).await.unwrap_err();
            told(&error, Class::Fatal, &["\"item\"", "no key", "batch.max_records"]);
            assert!(reader.is_usable());
        }
    });
}

#[test]
fn rights_are_named() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let scene = Scene::on(&server, "postgres", SETUP).await;
        scene
            .run(
                "CREATE ROLE \"a reader\" LOGIN; GRANT SELECT ON item TO \"a reader\";
                 CREATE SCHEMA hidden; CREATE TABLE hidden.item (id int PRIMARY KEY);
                 ALTER PUBLICATION walbrook ADD TABLE hidden.item",
            )
            .await;
        let mut settings = local(&server, "postgres");
        settings.user = "a reader".to_owned();
        let mut reader = ChunkReader::connect(&settings, LIMITS).await.unwrap();
        let item = scene.table("item", &["id"]).await;
        let secret = scene.table("secret", &["id"]).await;
        let hidden = scene.table("hidden.item", &["id"]).await;
        let error = refused(&mut reader, &secret, &item).await;
        told(&error, Class::Fatal, &["GRANT SELECT ON \"public\".\"secret\" TO \"a reader\""]);
        let error = refused(&mut reader, &hidden, &item).await;
        told(&error, Class::Fatal, &["GRANT USAGE ON SCHEMA \"hidden\" TO \"a reader\""]);
        // What the error names is all that is needed.
        scene.run("GRANT SELECT ON secret TO \"a reader\"; GRANT USAGE ON SCHEMA hidden TO \"a reader\"; GRANT SELECT ON hidden.item TO \"a reader\"").await;
        for table in [&secret, &hidden] {
            reader.read(&table.whole()).await.unwrap();
        }
        scene.run("ALTER TABLE secret ENABLE ROW LEVEL SECURITY").await;
        let error = refused(&mut reader, &secret, &item).await;
        assert!(matches!(error, ChunkError::RowSecurity { .. }));
        told(&error, Class::Fatal, &["\"secret\"", "\"a reader\"", "BYPASSRLS"]);
        scene.run("ALTER ROLE \"a reader\" BYPASSRLS").await;
        assert_eq!(reader.read(&secret.whole()).await.unwrap().count, 1);
    });
}

#[test]
fn conditions_and_keys_that_do_not_fit() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        let item = scene.table("item", &["id"]).await;
        let mut reader = scene.reader().await;
        for (condition, code) in [
            ("id <", "42601"),
            ("idx = 1", "42703"),
            ("nothing(id)", "42883"),
            ("id", "42804"),
            ("EXISTS (SELECT FROM nothing)", "42P01"),
            ("true) OR (true; DROP TABLE item", "42601"),
            ("id = 'canary'", "22P02"),
            ("1 / (id - 50) = 0", "22012"),
        ] {
            let table = Table { condition: Some(condition.to_owned()), ..item.clone() };
            let error = refused(&mut reader, &table, &item).await;
            assert!(matches!(error, ChunkError::Condition { .. }), "{condition}: {error}");
            told(&error, Class::Fatal, &["condition", "\"public\".\"item\"", code]);
            assert_eq!(error.sqlstate(), Some(code));
            let error = reader.ranges(&table.named(), 4).await.unwrap_err();
            assert!(matches!(error, ChunkError::Condition { .. }), "{condition}: {error}");
        }
        for key in [&["canary"][..], &["1", "2"], &[], &["99999999999999"]] {
            let key = Key(key.iter().map(|&it| it.to_owned()).collect());
            for request in [
                ChunkRequest { after: Some(&key), ..item.whole() },
                ChunkRequest { to: Some(&key), ..item.whole() },
            ] {
                let error = reader.read(&request).await.unwrap_err();
                assert!(matches!(error, ChunkError::Key { .. }), "{error}");
                told(&error, Class::Fatal, &["\"item\""]);
                assert!(!format!("{error} {error:?} {request:?}").contains("canary"));
            }
        }
        assert_eq!(reader.read(&item.whole()).await.unwrap().count, 100);
    });
}

#[test]
fn a_lock_is_waited_for_but_not_for_ever() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        scene
            .run(
                "CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
                 CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (1) TO (9);
                 CREATE PUBLICATION by_root FOR TABLE root WITH (publish_via_partition_root)",
            )
            .await;
        let item = scene.table("item", &["id"]).await;
        let root = scene.table("root", &["id"]).await;
        let root = Table { publications: vec!["by_root".to_owned()], ..root };
        let mut reader = ChunkReader::connect(&scene.settings, short(300)).await.unwrap();
        let pid = scene.number("SELECT pg_backend_pid()::int8").await;
        for (statement, table, other) in
            [("LOCK item", &item, None), ("LOCK leaf", &root, Some(&item))]
        {
            scene.run(&format!("BEGIN; {statement}")).await;
            let error = reader.read(&table.whole()).await.unwrap_err();
            assert!(matches!(error, ChunkError::Locked { .. }), "{error}");
            told(&error, Class::Retry, &["300 ms", &format!("process {pid}")]);
            if let Some(other) = other {
                reader.read(&other.whole()).await.unwrap();
            }
            scene.run("ROLLBACK").await;
            reader.read(&table.whole()).await.unwrap();
        }
        // What others do every day is not in the way.
        scene
            .run("BEGIN; LOCK item IN SHARE ROW EXCLUSIVE MODE; DELETE FROM item WHERE id = 1")
            .await;
        assert_eq!(reader.read(&item.whole()).await.unwrap().count, 100);
        scene.run("COMMIT").await;
    });
}

/// The lock comes before the snapshot: with one from before it, the table would be empty.
#[test]
fn what_a_truncate_leaves_is_seen_when_it_ends() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        let item = scene.table("item", &["id"]).await;
        for (ending, expect) in [("COMMIT", "1000"), ("ROLLBACK", "1")] {
            scene.run("BEGIN; TRUNCATE item; INSERT INTO item SELECT 1000 + n FROM generate_series(0, 9) n").await;
            let (settings, table) = (scene.settings.clone(), item.clone());
            let before = scene.number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await;
            assert_eq!(before, 0);
            let reading = tokio::spawn(async move {
                let mut reader = ChunkReader::connect(&settings, LIMITS).await.unwrap();
                reader.read(&ChunkRequest { is_binary: false, ..table.whole() }).await
            });
            until_async(LIMIT, "the reader waits", async || {
                let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                               AND wait_event_type = 'Lock' AND application_name = 'walbrook snapshot'";
                let client = shared().client(&scene.settings.database).await;
                let waiting: i64 = client.query_one(waiting, &[]).await.unwrap().get(0);
                if waiting == 1 { Ok(()) } else { Err(format!("{waiting} wait")) }
            })
            .await;
            scene.run(ending).await;
            let chunk = reading.await.unwrap().unwrap();
            let first = rows(&chunk).first().and_then(|row| row[0].clone()).unwrap();
            assert_eq!(first, expect.as_bytes(), "{ending}");
            if ending == "COMMIT" {
                scene.run("TRUNCATE item; INSERT INTO item VALUES (1)").await;
            }
        }
    });
}

#[test]
fn a_snapshot_says_what_it_has_seen_and_ends_behind_it() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        let item = scene.table("item", &["id"]).await;
        let mut reader = scene.reader().await;
        let open = shared().client(&scene.settings.database).await;
        open.batch_execute("BEGIN; INSERT INTO item VALUES (1000)").await.unwrap();
        let xid = "SELECT pg_current_xact_id()::text::int8";
        let running: i64 = open.query_one(xid, &[]).await.unwrap().get(0);
        scene.run("BEGIN; INSERT INTO item VALUES (1001)").await;
        let seen = scene.number(xid).await;
        scene.run("COMMIT").await;
        let commit: String = scene
            .client
            .query_one("SELECT pg_current_wal_flush_lsn()::text", &[])
            .await
            .unwrap()
            .get(0);
        let chunk = reader.read(&item.whole()).await.unwrap();
        assert_eq!(chunk.count, 101);
        let (running, seen) = (running.cast_unsigned(), seen.cast_unsigned());
        let Seen::Listed(visibility) = &chunk.seen else { panic!("{:?}", chunk.seen) };
        assert!(visibility.xip.contains(&running), "{visibility:?}");
        assert!(!visibility.xip.contains(&seen) && seen < visibility.xmax);
        assert!(visibility.xmin <= running);
        assert!(commit.parse::<Lsn>().unwrap() <= chunk.end);
        let now = scene.number("SELECT (extract(epoch FROM now()) * 1000000)::int8").await;
        assert!((now - 60_000_000..=now).contains(&chunk.taken_us), "{}", chunk.taken_us);
        open.batch_execute("COMMIT").await.unwrap();
        assert_eq!(reader.read(&item.whole()).await.unwrap().count, 102);
    });
}

/// Nobody writes: the stream gets to where the log is flushed, and a chunk's end may not be behind it.
#[test]
fn on_an_idle_server_the_end_is_where_the_stream_gets_to() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let scene = Scene::on(&server, "postgres", SETUP).await;
        let item = scene.table("item", &["id"]).await;
        let mut reader = scene.reader().await;
        // Ends a page, but for what the server itself logs meanwhile.
        let fill = "SELECT pg_logical_emit_message(false, 'x', repeat('x', greatest(0,
            (8192 - (pg_current_wal_insert_lsn() - '0/0') % 8192 - 56)::int)))";
        let mut boundaries = 0;
        for _ in 0..60 {
            scene.run(fill).await;
            let insert = "SELECT ((pg_current_wal_insert_lsn() - '0/0') % 8192)::int8";
            boundaries += i32::from(matches!(scene.number(insert).await, 24 | 40));
            let chunk = reader.read(&item.whole()).await.unwrap();
            let end = chunk.end.to_string();
            until_async(Duration::from_secs(10), "all is flushed", async || {
                let flushed = format!("SELECT (pg_current_wal_flush_lsn() - '{end}')::int8");
                let behind = scene.number(&flushed).await;
                if 0 <= behind { Ok(()) } else { Err(format!("{behind} bytes")) }
            })
            .await;
        }
        assert!(0 < boundaries, "no record ended with a page");
    });
}

#[test]
fn a_connection_that_ends_and_one_of_another_server() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        let item = scene.table("item", &["id"]).await;
        let mut reader = scene.reader().await;
        let catalog = Catalog::connect(&scene.settings).await.unwrap();
        reader.same_server(&catalog).unwrap();
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE application_name = 'walbrook snapshot' AND datname = current_database()";
        assert_eq!(scene.number(end).await, 1);
        let error = reader.read(&item.whole()).await.unwrap_err();
        assert_eq!((error.class(), reader.is_usable()), (Class::Retry, false), "{error}");
        let error = reader.read(&item.whole()).await.unwrap_err();
        assert!(matches!(error, ChunkError::Postgres(error) if matches!(*error, Error::Closed)));
        let other = Postgres::start(&Options::default());
        let catalog = Catalog::connect(&local(&other, "postgres")).await.unwrap();
        let reader = scene.reader().await;
        assert!(matches!(reader.same_server(&catalog), Err(Error::ServersDiffer { .. })));
        reader.close().await;
    });
}

#[test]
fn a_statement_has_a_limit_and_a_reader_writes_nothing() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), SETUP).await;
        let item = scene.table("item", &["id"]).await;
        let limits = ChunkLimits { statement_timeout: Duration::from_millis(400), ..LIMITS };
        let mut reader = ChunkReader::connect(&scene.settings, limits).await.unwrap();
        let slow = Table { condition: Some("pg_sleep(5) IS NOT NULL".to_owned()), ..item.clone() };
        let error = refused(&mut reader, &slow, &item).await;
        assert!(matches!(error, ChunkError::Slow { .. }), "{error}");
        told(&error, Class::Retry, &["\"item\"", "400 ms", "57014"]);
        let name = unique("written");
        let writes =
            format!("lo_create(0) = 0 OR set_config('application_name', '{name}', true) = ''");
        let writing = Table { condition: Some(writes), ..item.clone() };
        let error = refused(&mut reader, &writing, &item).await;
        assert_eq!(error.sqlstate(), Some("25006"), "{error}");
    });
}
