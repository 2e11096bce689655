//! The second proof: walbrook is killed again and again while it reads tables that are written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio_postgres::Client;

use super::fold::check;
use super::{FORMAT, INITIAL, PUBLICATION, TEST_LIMIT, is_complete};
use crate::support::flow::{self, LIMIT, drained};
use crate::support::run;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::Walbrook;

/// Skewed keys and values out of line; keys of text and uuid; one that is truncated now and then;
/// partitions.
const DDL: &str = "
CREATE TABLE skewed (id bigint PRIMARY KEY, v int, toast text);
ALTER TABLE skewed ALTER toast SET STORAGE EXTERNAL;
INSERT INTO skewed SELECT CASE WHEN i % 50 = 0 THEN i::bigint * 1000000007 ELSE i END, i, repeat(i::text, 700)
FROM generate_series(1, 6000) i;
CREATE TABLE pair (a text, b uuid, v int, toast text, PRIMARY KEY (a, b));
ALTER TABLE pair ALTER toast SET STORAGE EXTERNAL;
INSERT INTO pair SELECT 'É' || i % 5, md5(i::text)::uuid, i, repeat(i::text, 700)
FROM generate_series(1, 6000) i;
CREATE TABLE emptied (id int PRIMARY KEY, v int);
INSERT INTO emptied SELECT i, i FROM generate_series(1, 6000) i;
CREATE TABLE part (id int, v int, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT i, i FROM generate_series(1, 6000) i;
ANALYZE";

const TABLES: [&str; 4] = ["skewed", "pair", "emptied", "part"];
const WRITERS: u64 = 2;
const ROUNDS_MAX: usize = 60;
const LIVES_MIN: usize = 5;
/// Up to so long after it streams walbrook is ended.
const LIFE_MS: u64 = 2500;

#[test]
fn nothing_is_lost_doubled_or_overwritten_while_it_is_killed() {
    run(TEST_LIMIT, async {
        let seed = std::env::var("WALBROOK_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("WALBROOK_SEED={seed}");
        let mut rng = Rng::with_seed(seed);
        let stack = shared();
        let space = Space::new(&stack.postgres, "snapshot_kill").await;
        stack.postgres.execute(&space.database, &format!("{PUBLICATION} {DDL}")).await;
        let batch = ("batch", "target_records = 300\nmax_records = 1200");
        let config = flow::config(stack, &space, &[FORMAT, INITIAL, batch]);
        let is_over = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let client = stack.postgres.client(&space.database).await;
            let rng = Rng::with_seed(seed ^ (number + 1));
            writers.push(tokio::spawn(write(client, rng, Arc::clone(&is_over))));
        }
        let (mut kills, mut complete) = (0, [false; TABLES.len()]);
        for _ in 0..ROUNDS_MAX {
            let mut walbrook = Walbrook::spawn(&config);
            walbrook.wait_for_message(LIMIT, "streaming");
            let life = Duration::from_millis(rng.u64(..LIFE_MS));
            tokio::time::sleep(life).await;
            if rng.u8(..3) == 0 {
                walbrook.stop(LIMIT);
            } else {
                walbrook.kill();
            }
            kills += 1;
            for (table, is_done) in TABLES.iter().zip(&mut complete) {
                let name = format!("public.{table}");
                let lines = walbrook.log();
                *is_done |= lines.iter().any(|line| {
                    is_complete(&serde_json::from_str(line).unwrap_or_default(), &name)
                });
            }
            println!("life {kills} of {life:?}: {complete:?}");
            if LIVES_MIN <= kills && complete.iter().all(|is_done| *is_done) {
                break;
            }
        }
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            println!("{} transactions", writer.await.unwrap());
        }
        if let Err(complaint) = drained(&stack.postgres, &space, LIMIT).await {
            panic!("{complaint}\n{}", walbrook.tail());
        }
        assert!(complete.iter().all(|is_done| *is_done), "{complete:?} after {kills} lives");
        let client = stack.postgres.client(&space.database).await;
        for table in TABLES {
            let topic = format!("{}.public.{table}", space.prefix);
            let reads = check(&client, &topic, table).await;
            println!("{table}: {reads} rows were read");
        }
        assert!(walbrook.stop(LIMIT).success());
    });
}

/// Transactions of up to four statements, some of which are rolled back; returns how many there were.
async fn write(client: Client, mut rng: Rng, is_over: Arc<AtomicBool>) -> u64 {
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let statements: String = (0..rng.u8(1..5)).map(|_| statement(&mut rng)).collect();
        let end = if rng.u8(..8) == 0 { "ROLLBACK" } else { "COMMIT" };
        // Keys may clash, and writers may wait for each other.
        if client.batch_execute(&format!("BEGIN; {statements} {end}")).await.is_err() {
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        count += 1;
        tokio::time::sleep(Duration::from_millis(rng.u64(..30))).await;
    }
    count
}

fn statement(rng: &mut Rng) -> String {
    let (v, id) = (rng.u32(..), rng.u32(1..6000));
    let (v, other) = (v / 2, 10_000 + rng.u32(..200_000));
    match rng.u8(..14) {
        0 | 1 => format!("UPDATE skewed SET v = {v} WHERE id = {id};"),
        2 => format!("UPDATE skewed SET id = {other}, v = {v} WHERE id = {id};"),
        3 => format!("DELETE FROM skewed WHERE id = {id};"),
        4 => format!(
            "INSERT INTO skewed VALUES ({id}, {v}, repeat('n', 2500)) ON CONFLICT (id) DO UPDATE SET toast = EXCLUDED.toast;"
        ),
        5 | 6 => format!("UPDATE pair SET v = {v} WHERE b = md5('{id}')::uuid;"),
        7 => format!("UPDATE pair SET a = 'z{v}' WHERE b = md5('{id}')::uuid;"),
        8 => format!("DELETE FROM pair WHERE b = md5('{id}')::uuid;"),
        9 if rng.u8(..30) == 0 => "TRUNCATE emptied;".to_owned(),
        9 | 10 => format!(
            "INSERT INTO emptied VALUES ({id}, {v}) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;"
        ),
        11 => format!("UPDATE part SET id = {other} WHERE id = {id};"),
        12 => format!("UPDATE part SET v = {v} WHERE id = {id};"),
        _ => format!("DELETE FROM emptied WHERE id = {id};"),
    }
}
