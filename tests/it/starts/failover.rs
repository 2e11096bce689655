//! A primary that is gone, and a standby in its place.

use super::{TABLE, TEST_LIMIT, ids};
use crate::support::flow::{self, LIMIT, ends_with, position, query, until_value};
use crate::support::postgres::{Options, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Walbrook, command};
use crate::support::{records, run, until_async};

/// A standby that has everything: its timeline is another, and the pipeline goes on there by
/// itself, exactly once. A standby that lacks what is in Kafka is refused, with the place where
/// the timelines part.
#[test]
fn a_promoted_standby_is_followed_if_it_has_all_that_is_in_kafka() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let mut primary = Postgres::start(&Options::since(17));
        let space = Space::new(&primary, "failover").await;
        primary.execute(&space.database, TABLE).await;
        primary.stop("INT");
        let mut standby = primary.standby(&[
            format!(
                "primary_conninfo = 'host=127.0.0.1 port={} user=postgres dbname={}'",
                primary.port(),
                space.database
            ),
            "primary_slot_name = 'standby'".to_owned(),
            "hot_standby_feedback = on".to_owned(),
        ]);
        primary.launch();
        let reserve = "SELECT pg_create_physical_replication_slot('standby', true)";
        primary.execute("postgres", reserve).await;
        standby.launch();

        let hosts = [&primary, &standby].map(|server| format!("\"127.0.0.1:{}\"", server.port()));
        let socket = format!("\"{}\"", stack.postgres.socket_folder().display());
        let config = flow::config(stack, &space, &[]).replace(&socket, &hosts.join(", "));
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&primary, &mut walbrook).await;
        synced(&primary, &standby, &space).await;
        insert(&primary, &space, 100).await;
        // It hands over all that the standby lacks before it ends.
        primary.stop("INT");
        promote(&standby).await;
        insert(&standby, &space, 100).await;
        flow::drained(&standby, &space, LIMIT).await.unwrap();
        check_once(&standby, &space).await;
        assert_eq!(timeline(&space), 2);
        assert!(walbrook.ended().is_none(), "{}", walbrook.tail());

        // Its own copy lags: Kafka has a row that this one never had.
        assert!(walbrook.stop(LIMIT).success());
        standby.stop("INT");
        let mut lagging = standby.standby(&["primary_conninfo = ''".to_owned()]);
        standby.launch();
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&standby, &mut walbrook).await;
        insert(&standby, &space, 1).await;
        flow::drained(&standby, &space, LIMIT).await.unwrap();
        assert!(walbrook.stop(LIMIT).success());
        standby.stop("INT");
        lagging.launch();
        promote(&lagging).await;
        insert(&lagging, &space, 100).await;
        let [from, to] = [&standby, &lagging].map(|server| format!(":{}\"", server.port()));
        let config = config.replace(&from, &to);
        let error = ends_with(&mut Walbrook::spawn(&config), 5);
        println!("{error}");
        for part in
            ["is on timeline 3, which left the checkpoint's timeline 2", "checkpoint accept"]
        {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    });
}

/// Without failover slots, as before version 17, the standby has none. Promoted it is refused, with the
/// way out; what is missing then is what was said, and no more.
#[test]
fn a_promoted_standby_without_the_slot_is_refused_until_the_gap_is_accepted() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let mut primary = Postgres::start(&Options::default());
        let space = Space::new(&primary, "slotless").await;
        primary.execute(&space.database, TABLE).await;
        let standby = primary.followed(&[]);
        let hosts = [&primary, &standby].map(|server| format!("\"127.0.0.1:{}\"", server.port()));
        let socket = format!("\"{}\"", stack.postgres.socket_folder().display());
        let config = flow::config(stack, &space, &[]).replace(&socket, &hosts.join(", "));
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&primary, &mut walbrook).await;
        insert(&primary, &space, 5).await;
        flow::drained(&primary, &space, LIMIT).await.unwrap();
        let client = standby.client(&space.database).await;
        until_value(&client, "SELECT count(*) FROM t", "5").await;

        primary.stop("INT");
        promote(&standby).await;
        insert(&standby, &space, 3).await;
        let error = ends_with(&mut walbrook, 5);
        println!("{error}");
        for part in ["does not exist", "checkpoint accept"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
        let accepted = command(&config, &["checkpoint", "accept", "--reason", "failover"]);
        assert!(accepted.status.success(), "{accepted:?}");
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&standby, &mut walbrook).await;
        insert(&standby, &space, 10).await;
        flow::drained(&standby, &space, LIMIT).await.unwrap();
        let rows = query(&client, "SELECT id FROM t ORDER BY id").await.concat();
        let wanted: Vec<i64> = rows.iter().map(|id| id.parse().unwrap()).collect();
        let (before, since) = (&wanted[..5], &wanted[8..]);
        let topic = format!("{}.public.t", space.prefix);
        let records = records::read_committed(&stack.kafka, &[&topic]);
        assert_eq!(ids(stack, &records), [before, since].concat());
        super::check_positions(&records);
        assert!(walbrook.stop(LIMIT).success());
    });
}

/// The stream of a standby outlives the promotion of the server that it follows, and its own. What it
/// brings then is of the new timeline from the first row on, so that the next start finds nothing that
/// this server never had, even if nothing but that row was committed.
#[test]
fn a_stream_from_a_standby_goes_on_through_promotions() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let mut primary = Postgres::start(&Options::since(16));
        let space = Space::new(&primary, "promoted").await;
        primary.execute(&space.database, TABLE).await;
        primary.stop("INT");
        let follow = |server: &Postgres| {
            [
                format!("primary_conninfo = 'host=127.0.0.1 port={} user=postgres'", server.port()),
                "hot_standby_feedback = on".to_owned(),
            ]
        };
        let mut middle = primary.standby(&follow(&primary));
        let mut last = primary.standby(&follow(&middle));
        primary.launch();
        middle.launch();
        last.launch();
        let any = ("postgres", "target_session_attrs = \"any\"");
        let config = flow::moved(&flow::config(stack, &space, &[any]), &stack.postgres, &last);
        flow::slot_on_standby(&primary, &config).await;
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&last, &mut walbrook).await;
        insert(&primary, &space, 10).await;
        arrived(&space, 10).await;
        assert_eq!(timeline(&space), 1);
        primary.stop("INT");
        promote(&middle).await;
        insert(&middle, &space, 1).await;
        arrived(&space, 11).await;
        walbrook.kill();
        assert_eq!(timeline(&space), 2);

        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&last, &mut walbrook).await;
        insert(&middle, &space, 10).await;
        arrived(&space, 21).await;
        middle.stop("INT");
        promote(&last).await;
        insert(&last, &space, 1).await;
        arrived(&space, 22).await;
        walbrook.kill();
        assert_eq!(timeline(&space), 3);

        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&last, &mut walbrook).await;
        insert(&last, &space, 10).await;
        flow::drained(&last, &space, LIMIT).await.unwrap();
        check_once(&last, &space).await;
        assert!(walbrook.stop(LIMIT).success());
    });
}

async fn insert(postgres: &Postgres, space: &Space, rows: u32) {
    let insert = format!("INSERT INTO t (v) SELECT 'v' FROM generate_series(1, {rows})");
    postgres.execute(&space.database, &insert).await;
}

/// Waits for so many records, and no longer.
async fn arrived(space: &Space, count: usize) {
    let topic = format!("{}.public.t", space.prefix);
    until_async(LIMIT, "the rows are in Kafka", async || {
        let found = records::read_committed(&shared().kafka, &[&topic]).len();
        if count <= found { Ok(()) } else { Err(format!("{found} of {count}")) }
    })
    .await;
}

/// Waits until the standby has the slot for good. (Its worker would look for it at its leisure.)
async fn synced(primary: &Postgres, standby: &Postgres, space: &Space) {
    let sync = standby.client(&space.database).await;
    let is_there = format!(
        "SELECT count(*) FROM pg_replication_slots
         WHERE slot_name = '{}' AND synced AND NOT temporary",
        space.slot
    );
    until_async(LIMIT, "the slot on the standby", async || {
        // The standby takes a slot over once the primary's has moved on behind it.
        insert(primary, space, 1).await;
        primary.execute("postgres", "SELECT pg_log_standby_snapshot()").await;
        flow::drained(primary, space, LIMIT).await?;
        let synced = sync.batch_execute("SELECT pg_sync_replication_slots()").await;
        synced.map_err(|error| format!("{error:?}"))?;
        let found = query(&sync, &is_there).await;
        if found[0][0] == "1" { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

async fn promote(standby: &Postgres) {
    let client = standby.client("postgres").await;
    query(&client, "SELECT pg_promote()").await;
    until_value(&client, "SELECT pg_is_in_recovery()", "f").await;
}

/// Every row that the server has is in Kafka once.
async fn check_once(postgres: &Postgres, space: &Space) {
    let client = postgres.client(&space.database).await;
    let rows = query(&client, "SELECT id FROM t ORDER BY id").await;
    let wanted: Vec<i64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    let stack = shared();
    let topic = format!("{}.public.t", space.prefix);
    let records = records::read_committed(&stack.kafka, &[&topic]);
    assert_eq!(ids(stack, &records), wanted);
    super::check_positions(&records);
    for partition in 0..3 {
        let records = records.iter().filter(|record| record.partition == partition);
        assert!(records.map(position).is_sorted(), "positions go up in every partition (I3)");
    }
}

/// The timeline of the last checkpoint.
fn timeline(space: &Space) -> u64 {
    let topic = format!("walbrook.{}.checkpoint", space.pipeline);
    let last = records::read_committed(&shared().kafka, &[&topic]).pop().unwrap();
    let last: serde_json::Value = serde_json::from_slice(&last.value.unwrap()).unwrap();
    last["timeline"].as_u64().unwrap()
}
