//! Chunks that are read on a standby.

use std::time::Duration;

use walbrook::edges::Class;
use walbrook::position::{Lsn, Xid};
use walbrook::postgres::{Catalog, ChunkError, ChunkReader, Error, Seen};
use walbrook::snapshot::Visibility;

use super::super::local;
use super::{LIMIT, LIMITS, Scene, Table, rows, sorted};
use crate::support::flow::{query, until_value};
use crate::support::postgres::{Options, Postgres};
use crate::support::{run, until_async};

const SETUP: &str = "
CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item SELECT n, 'note ' || n FROM generate_series(1, 100) AS n;
CREATE PUBLICATION walbrook FOR TABLE item;";

#[test]
fn a_chunk_of_a_standby_tells_what_was_replayed_and_received() {
    run(LIMIT, async {
        let mut primary = Postgres::start(&Options::default());
        let standby = primary.followed(&["max_standby_streaming_delay = 0"]);
        let scene = Scene::on(&primary, "postgres", SETUP).await;
        let item = scene.table("item", &["id"]).await;
        let client = standby.client("postgres").await;
        until_value(&client, "SELECT count(*) FROM pg_publication", "1").await;
        let settings = local(&standby, "postgres");
        let mut reader = ChunkReader::connect(&settings, LIMITS).await.unwrap();

        // What is logged and not replayed does not show, and is before the end.
        query(&client, "SELECT pg_wal_replay_pause()").await;
        until_value(&client, "SELECT pg_get_wal_replay_pause_state()", "paused").await;
        scene.run("INSERT INTO item VALUES (101, 'late')").await;
        let wanted = lsn(&scene, "SELECT pg_current_wal_flush_lsn()::text").await;
        until_async(LIMIT, "it is received", async || {
            let chunk = reader.read(&item.whole()).await.unwrap();
            let Seen::Replayed { from, to } = chunk.seen else { panic!("{:?}", chunk.seen) };
            assert!(from < to && to < wanted);
            assert_eq!(chunk.count, 100);
            if wanted <= chunk.end { Ok(()) } else { Err(chunk.end.to_string()) }
        })
        .await;
        let error = reader.has_replayed(wanted).await.unwrap_err();
        assert!(matches!(error, ChunkError::Behind { .. }), "{error}");
        assert_eq!(error.class(), Class::Retry);
        query(&client, "SELECT pg_wal_replay_resume()").await;
        until_async(LIMIT, "it is replayed", async || {
            reader.has_replayed(wanted).await.map_err(|error| error.to_string())
        })
        .await;
        let chunk = reader.read(&item.whole()).await.unwrap();
        assert!(matches!(chunk.seen, Seen::Replayed { from, .. } if wanted <= from));
        assert_eq!(sorted(rows(&chunk)).len(), 101);

        conflict(&scene, &item, &mut reader).await;
        running(&scene, &primary, &standby).await;
        let mut other = scene.reader().await;
        let error = other.has_replayed(Lsn::ZERO).await.unwrap_err();
        let is_no_standby = |error: &Error| matches!(error, Error::NotStandby { .. });
        assert!(matches!(&error, ChunkError::Postgres(error) if is_no_standby(error)), "{error}");

        // Where the rest of the log comes from is not known.
        primary.stop("INT");
        until_async(LIMIT, "the receiver is gone", async || {
            match reader.read(&item.whole()).await {
                Err(ChunkError::Unconnected { .. }) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    });
}

/// The recovery does not wait for who reads what it removes.
async fn conflict(scene: &Scene, item: &Table, reader: &mut ChunkReader) {
    let slow = Table { condition: Some("pg_sleep(0.1) IS NOT NULL".to_owned()), ..item.clone() };
    let request = slow.whole();
    let removing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.run("DELETE FROM item WHERE id <= 50").await;
        scene.run("VACUUM item").await;
    };
    let (read, ()) = tokio::join!(reader.read(&request), removing);
    let error = read.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(error.class(), Class::Retry);
    assert!(reader.is_usable(), "{error}");
    assert_eq!(reader.read(&item.whole()).await.unwrap().count, 51);
}

/// A standby lists nothing as in progress; but it knows the oldest that is.
async fn running(scene: &Scene, primary: &Postgres, standby: &Postgres) {
    scene.run("BEGIN; INSERT INTO item VALUES (999, 'open')").await;
    let xid = scene.number("SELECT pg_current_xact_id()::text::int8").await;
    let mut catalog = Catalog::connect(&local(standby, "postgres")).await.unwrap();
    let xid = Xid(u32::try_from(xid).unwrap());
    // Flushes the open one's records, too.
    primary.execute("postgres", "CREATE TABLE other ()").await;
    until_async(LIMIT, "the standby knows of it", async || {
        let shows = catalog.visibility().await.unwrap();
        if xid.0 < shows.next.0 { Ok(()) } else { Err(format!("{shows:?}")) }
    })
    .await;
    let shows = catalog.visibility().await.unwrap();
    let listed = Visibility::Listed { end: xid, running: Vec::new() };
    assert_eq!(shows.visibility, listed);
    scene.run("COMMIT").await;
    let logged = lsn(scene, "SELECT pg_current_wal_flush_lsn()::text").await;
    until_async(LIMIT, "it has ended", async || {
        let shows = catalog.visibility().await.unwrap();
        let has_ended = matches!(shows.visibility, Visibility::Listed { end, .. } if xid.0 < end.0);
        if has_ended && logged <= shows.logged { Ok(()) } else { Err(format!("{shows:?}")) }
    })
    .await;
}

async fn lsn(scene: &Scene, query: &str) -> Lsn {
    let text: String = scene.client.query_one(query, &[]).await.unwrap().get(0);
    text.parse().unwrap()
}
