//! Keys that a running process is told to repair: after a lost slot the topic has what the table has,
//! deletes too, and nothing that was right is written again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::thread::{JoinHandle, spawn};

use serde_json::{Value, json};

use super::TEST_LIMIT;
use super::commands::{open_xact, start, until_table};
use super::fold::check;
use crate::support::flow::{Flow, LIMIT, query};
use crate::support::run;
use crate::support::walbrook::command;

/// Tells of keys; what is answered, later.
fn tell(flow: &Flow<'_>, table: &str, columns: &[&str], keys: &[Vec<String>]) -> JoinHandle<Value> {
    let order = json!({
        "command": "snapshot", "action": "repair", "table": table, "gap": "a test",
        "columns": columns, "keys": keys
    });
    self::order(flow, &order)
}

/// Tells the running process.
fn order(flow: &Flow<'_>, order: &Value) -> JoinHandle<Value> {
    let socket = flow.config.split_once("[control]\nsocket = \"").unwrap().1;
    let socket = socket.split_once('"').unwrap().0;
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, "{order}").unwrap();
    spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line);
        serde_json::from_str(&line).unwrap_or_default()
    })
}

fn ids(ids: impl Iterator<Item = u32>) -> Vec<Vec<String>> {
    ids.map(|id| vec![id.to_string()]).collect()
}

/// The gap that the status has.
fn gap(flow: &Flow<'_>) -> Value {
    let status = command(&flow.config, &["snapshot", "status", "--json"]).stdout;
    serde_json::from_str::<Value>(&status).unwrap()["gap"].clone()
}

/// Tells that a gap is repaired; what is answered.
fn tell_mended(flow: &Flow<'_>, gap: &str) -> Value {
    order(flow, &json!({ "command": "snapshot", "action": "mended", "gap": gap })).join().unwrap()
}

/// Drops the slot, changes tables, and goes on behind the gap.
async fn lose_slot(flow: &mut Flow<'_>, gap: &str) {
    flow.drain().await;
    flow.stop();
    flow.stack.postgres.slot_active(&flow.space.slot, false).await;
    flow.execute(&format!("SELECT pg_drop_replication_slot('{}')", flow.space.slot)).await;
    flow.execute(gap).await;
    let accepted = command(&flow.config, &["checkpoint", "accept", "--reason", "test"]);
    assert_eq!(accepted.status.code(), Some(0), "{}", accepted.stderr);
    flow.restart().await;
}

#[test]
fn keys_that_are_told_become_what_the_table_has_over_a_kill() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE odd (tenant text, n int, u uuid, v text,
                                     PRIMARY KEY (u, tenant, n));
                   ALTER TABLE odd REPLICA IDENTITY FULL;
                   INSERT INTO odd SELECT 'a' || i, i, md5('u')::uuid, 'v' FROM generate_series(1, 9) i";
        let mut flow = start("repair", ddl, &[]).await;
        flow.walbrook.wait_for(LIMIT, "odd", |line| super::is_complete(line, "public.odd"));
        lose_slot(
            &mut flow,
            "DELETE FROM t WHERE id <= 50;
             UPDATE t SET v = 'changed' WHERE id BETWEEN 101 AND 150;
             INSERT INTO t SELECT i, 'new' FROM generate_series(3001, 3040) i;
             DELETE FROM odd WHERE n < 3; UPDATE odd SET v = 'changed' WHERE n = 5",
        )
        .await;
        let before = flow.records("public.t").len();
        let lost = gap(&flow);
        let lost = lost.as_str().unwrap();
        let open = open_xact(&flow).await;
        let first = tell(&flow, "public.t", &["id"], &ids((1..=50).chain(101..=150)));
        until_table(&flow, "a repair", |table| table["rows_estimated"] == 100);
        flow.drain().await;
        flow.restart_after_kill().await;
        assert_eq!(first.join().unwrap(), Value::Null, "nobody answered");
        until_table(&flow, "that it goes on", |table| table["waits_for"].is_string());
        let second = tell(&flow, "public.t", &["id"], &ids(3001..=3040));
        until_table(&flow, "more keys", |table| table["rows_estimated"] == 140);
        // The stream has its say on some of them, before and after.
        flow.execute(
            "UPDATE t SET v = 'newer' WHERE id = 101; DELETE FROM t WHERE id = 102;
             INSERT INTO t VALUES (1, 'again'); UPDATE t SET id = 2 WHERE id = 103",
        )
        .await;
        open.batch_execute("COMMIT").await.unwrap();
        let said = second.join().unwrap();
        assert_eq!(said["done"], "40 keys are in the topic as the table has them", "{said}");
        flow.execute("UPDATE t SET v = 'last' WHERE id IN (3, 104)").await;
        flow.drain().await;
        check(&flow.client, &flow.topic("public.t"), "t").await;
        // Of what the stream has said it may say nothing, and of all others nothing.
        let records = flow.records("public.t");
        let mended: Vec<_> =
            records.iter().filter(|it| it.header("walbrook.gap") == Some("a test")).collect();
        let written = mended.iter().filter(|it| it.value.is_some()).count();
        assert!((136..=140).contains(&written), "{written}");
        let tombstones = mended.len() - written;
        assert!((48..=50).contains(&tombstones), "{tombstones}");
        assert!(records.len() - before <= 140 + 50 + 8, "{} of {before}", records.len());

        // The gap is known until it is said to be mended.
        assert_eq!(gap(&flow), lost);
        assert!(tell_mended(&flow, "0/1..0/2")["refused"].as_str().unwrap().contains(lost));
        assert!(tell_mended(&flow, lost)["done"].is_string());
        assert_eq!(gap(&flow), Value::Null);

        let keys = [("1", "a1"), ("2", "a2"), ("5", "a5")];
        let uuid = query(&flow.client, "SELECT md5('u')::uuid").await.concat().concat();
        let keys = keys.map(|(n, tenant)| vec![uuid.clone(), tenant.to_owned(), n.to_owned()]);
        let said = tell(&flow, "public.odd", &["u", "tenant", "n"], &keys).join().unwrap();
        assert!(said["done"].is_string(), "{said}");
        flow.drain().await;
        check(&flow.client, &flow.topic("public.odd"), "odd").await;
        let records = flow.records("public.odd");
        let deleted = records.iter().find(|it| it.header("walbrook.gap").is_some()).unwrap();
        let value: Value = serde_json::from_slice(deleted.value.as_ref().unwrap()).unwrap();
        // Of a whole row only the key is known.
        assert_eq!((&value["op"], &value["before"]), (&json!("d"), &Value::Null), "{value}");
    });
}

#[test]
fn what_cannot_be_repaired_is_refused_with_the_reason() {
    run(TEST_LIMIT, async {
        let ddl =
            "CREATE TABLE keyless (v text); CREATE TABLE other (a int, b int, PRIMARY KEY (a, b))";
        let flow = start("unrepaired", ddl, &[]).await;
        for (table, columns, keys, expect) in [
            ("public.no", &["id"][..], vec![vec!["1"]], "not published under this name"),
            ("public.keyless", &["v"], vec![vec!["1"]], "has no key"),
            ("public.t", &["v"], vec![vec!["1"]], "is of the columns id"),
            ("public.t", &["id"], vec![vec!["1"], vec!["x"]], "key"),
            ("public.other", &["a", "b"], vec![vec!["1"]], "key"),
        ] {
            let keys: Vec<Vec<String>> =
                keys.iter().map(|key| key.iter().map(|it| (*it).to_owned()).collect()).collect();
            let said = tell(&flow, table, columns, &keys).join().unwrap();
            assert!(said["refused"].as_str().is_some_and(|it| it.contains(expect)), "{said}");
        }
        let shown = flow.walbrook.log().iter().any(|line| line.contains("panicked"));
        assert!(!shown, "{}", flow.walbrook.tail());
    });
}
