//! Tables are read on a standby, so that the primary feels nothing but the slot.

use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Client;

use super::fold::check;
use super::keyless::check_rows;
use super::{FORMAT, INITIAL, PUBLICATION, TEST_LIMIT, is_complete};
use crate::support::flow::{self, LIMIT, query, said, until_value};
use crate::support::postgres::{Options, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Walbrook, command};
use crate::support::{process, records, run};

const DDL: &str = "
CREATE TABLE t (id int PRIMARY KEY, v int, toast text);
ALTER TABLE t ALTER toast SET STORAGE EXTERNAL;
INSERT INTO t SELECT i, i, repeat(i::text, 700) FROM generate_series(1, 3000) i;
CREATE TABLE emptied (id int PRIMARY KEY, v int);
INSERT INTO emptied SELECT i, i FROM generate_series(1, 3000) i;
CREATE TABLE bare (a int, b text);
ALTER TABLE bare REPLICA IDENTITY FULL;
INSERT INTO bare SELECT i % 7, 'row' FROM generate_series(1, 300) i;
CREATE TABLE few (id int PRIMARY KEY);
INSERT INTO few SELECT generate_series(1, 3);
ANALYZE";

const TABLES: [&str; 3] = ["t", "emptied", "bare"];

/// Small chunks, so that much is written between them.
const BATCH: (&str, &str) = ("batch", "target_records = 200\nmax_records = 800");

/// Between two writes, which else would be all that the servers do.
const PAUSE: Duration = Duration::from_millis(3);

/// A primary with a database, and a standby of it.
async fn servers(options: &Options, name: &str) -> (Postgres, Postgres, Space) {
    let mut primary = Postgres::start(options);
    let space = Space::new(&primary, name).await;
    primary.execute(&space.database, &format!("{PUBLICATION} {DDL}")).await;
    let standby = primary.followed(&["hot_standby_feedback = on"]);
    (primary, standby, space)
}

fn hosts(server: &Postgres) -> (&'static str, String) {
    ("snapshot", format!("hosts = [\"127.0.0.1:{}\"]", server.port()))
}

#[test]
fn chunks_come_from_a_standby_that_is_one_of_the_slots_server() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let (primary, standby, space) = servers(&Options::default(), "standbys").await;
        let mut stranger = Postgres::start(&Options::default());
        stranger.execute("postgres", &format!("CREATE DATABASE {}", space.database)).await;
        stranger.stop("INT");
        let mut stranger = stranger.standby(&["primary_conninfo = ''".to_owned()]);
        stranger.launch();
        let config = flow::config(stack, &space, &[FORMAT, INITIAL, BATCH]);
        let config = flow::moved(&config, &stack.postgres, &primary);
        let socket = process::folder("standbys").join("socket");
        let config =
            config.replace("socket = \"off\"", &format!("socket = \"{}\"", socket.display()));
        // Neither the primary nor a standby of another one is read.
        for (wrong, part) in [(&primary, "is no standby"), (&stranger, "its system identifier is")]
        {
            let config = flow::edit(&config, "snapshot", &hosts(wrong).1);
            let mut walbrook = Walbrook::spawn(&config);
            walbrook.wait_for(LIMIT, part, |line| said(line, "error").contains(part));
            assert!(walbrook.stop(LIMIT).success());
        }

        let on_standby = standby.client(&space.database).await;
        query(&on_standby, "SELECT pg_wal_replay_pause()").await;
        until_value(&on_standby, "SELECT pg_get_wal_replay_pause_state()", "paused").await;
        let client = primary.client(&space.database).await;
        write(&client, 0..50).await;
        let config = flow::edit(&config, "snapshot", &hosts(&standby).1);
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&primary, &mut walbrook).await;
        write(&client, 50..100).await;
        flow::drained(&primary, &space, LIMIT).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(read(&space), 0, "what the standby has not replayed is not read");
        let named = "SELECT count(*) FROM pg_stat_activity
                     WHERE application_name = 'walbrook snapshot'";
        assert_ne!(query(&on_standby, named).await[0][0], "0", "the standby");
        query(&on_standby, "SELECT pg_wal_replay_resume()").await;
        walbrook.wait_for(LIMIT, "few", |line| is_complete(line, "public.few"));
        let mut round = 100;
        let is_done = || TABLES.iter().all(|table| is_read(&walbrook, table));
        while !is_done() {
            write(&client, round..round + 10).await;
            round += 10;
            assert!(round < 20_000, "{}", walbrook.tail());
            assert_eq!(query(&client, named).await[0][0], "0", "the primary");
        }
        println!("{round} transactions");
        until_value(&on_standby, named, "0").await;
        flow::drained(&primary, &space, LIMIT).await.unwrap();
        is_right(&client, &space).await;
        start_waits(&config, &primary, &on_standby, &walbrook).await;
        assert!(walbrook.stop(LIMIT).success());
    });
}

/// What is told is done when the standby has come as far, and not refused because it has not yet.
async fn start_waits(config: &str, primary: &Postgres, on_standby: &Client, walbrook: &Walbrook) {
    let database = query(on_standby, "SELECT current_database()").await;
    query(on_standby, "SELECT pg_wal_replay_pause()").await;
    until_value(on_standby, "SELECT pg_get_wal_replay_pause_state()", "paused").await;
    primary.execute(&database[0][0], "INSERT INTO few VALUES (4)").await;
    let config = config.to_owned();
    let told = tokio::task::spawn_blocking(move || {
        command(&config, &["snapshot", "start", "--table", "public.few"])
    });
    // It is tried every second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!told.is_finished(), "{:?}", told.await);
    query(on_standby, "SELECT pg_wal_replay_resume()").await;
    let told = told.await.unwrap();
    assert!(told.status.success() && told.stdout.contains("begun"), "{told:?}");
    let is_again = |line: &Value| is_complete(line, "public.few") && line["rows"] == 4;
    walbrook.wait_for(LIMIT, "few again", is_again);
}

/// Each topic has what its table has.
async fn is_right(client: &Client, space: &Space) {
    for table in TABLES {
        let topic = format!("{}.public.{table}", space.prefix);
        if table == "bare" {
            check_rows(shared(), client, &topic, table).await;
        } else {
            println!("{table}: {} rows were read", check(client, &topic, table).await);
        }
    }
}

/// A slot that is on a standby is read with the rows of that standby, also when it is promoted
/// meanwhile.
#[test]
fn a_standby_with_the_slot_is_read_itself() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let (mut primary, standby, space) = servers(&Options::since(16), "own").await;
        let any = ("postgres", "target_session_attrs = \"any\"");
        let initial = flow::config(stack, &space, &[FORMAT, INITIAL, BATCH, any]);
        let initial = flow::moved(&initial, &stack.postgres, &standby);
        let config = initial.replace("\"initial\"", "\"only\"");
        flow::slot_on_standby(&primary, &config).await;
        let client = primary.client(&space.database).await;
        // It wrote to the table before, and its end is waited for.
        let open = primary.client(&space.database).await;
        open.batch_execute("BEGIN; UPDATE t SET v = -1 WHERE id = 2999").await.unwrap();
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&standby, &mut walbrook).await;
        write(&client, 0..50).await;
        assert_eq!(read(&space), 0, "what is open is waited for");
        open.batch_execute("COMMIT").await.unwrap();
        let mut round = 50;
        while read(&space) == 0 {
            write(&client, round..round + 10).await;
            round += 10;
        }
        write(&client, round..round + 50).await;
        primary.stop("INT");
        let client = standby.client(&space.database).await;
        query(&client, "SELECT pg_promote()").await;
        until_value(&client, "SELECT pg_is_in_recovery()", "f").await;
        write(&client, 0..50).await;
        assert_eq!(walbrook.wait(LIMIT).code(), Some(0), "{}", walbrook.tail());
        let mut walbrook = Walbrook::spawn(&initial);
        flow::drained(&standby, &space, LIMIT).await.unwrap();
        is_right(&client, &space).await;
        assert!(walbrook.stop(LIMIT).success());
    });
}

fn is_read(walbrook: &Walbrook, table: &str) -> bool {
    let name = format!("public.{table}");
    let lines = walbrook.log();
    lines.iter().any(|line| is_complete(&serde_json::from_str(line).unwrap_or_default(), &name))
}

/// How many records of snapshots there are.
fn read(space: &Space) -> usize {
    let topics = TABLES.map(|table| format!("{}.public.{table}", space.prefix));
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let records = records::read_committed(&shared().kafka, &topics);
    records.iter().filter(|record| record.header("walbrook.xid").is_none()).count()
}

/// Updates that do and do not change what is out of line, changes of keys, deletes, a truncate now and
/// then.
async fn write(client: &Client, rounds: std::ops::Range<i32>) {
    for round in rounds {
        let (id, other) = (1 + round * 37 % 3000, 10_000 + round);
        let statement = match round % 8 {
            0 => format!("UPDATE t SET v = -{round} WHERE id = {id}"),
            1 => format!("UPDATE t SET id = {other} WHERE id = {id}"),
            2 => format!("DELETE FROM t WHERE id = {id}"),
            3 => format!("UPDATE t SET toast = repeat('n', 2500) WHERE id = {id}"),
            4 if round % 200 == 4 => "TRUNCATE emptied".to_owned(),
            4 => format!("DELETE FROM emptied WHERE id = {id}"),
            5 => format!("UPDATE bare SET a = a + 1 WHERE ctid = '(0,{})'", 1 + round % 100),
            6 => format!("INSERT INTO bare VALUES ({round}, 'new')"),
            _ => format!(
                "INSERT INTO emptied VALUES ({id}, {round}) ON CONFLICT (id) DO UPDATE SET v = {round}"
            ),
        };
        client.batch_execute(&statement).await.unwrap();
        tokio::time::sleep(PAUSE).await;
    }
}
