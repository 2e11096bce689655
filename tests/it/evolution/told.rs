//! The topic of schema changes: one record before the first row that has other columns, whatever happened
//! to walbrook meanwhile.

use serde_json::Value;

use super::TEST_LIMIT;
use crate::support::flow::{Flow, LIMIT, config, position};
use crate::support::records::Record;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::command;
use crate::support::{process, run, until_async};

const ON: (&str, &str) = ("schema_changes", "enabled = true");

/// What was told of a table: each as `kind: old > new`, its columns as `name type`, with `!` for the key and
/// `?` where null may be.
#[track_caller]
fn told(flow: &Flow<'_>, table: &str) -> Vec<String> {
    let records = flow.records("schema-changes");
    let places: Vec<_> = records.iter().map(position).collect();
    assert!(places.is_sorted_by(|left, right| left < right), "{places:?}");
    let its = records.iter().filter(|it| it.key.as_deref() == Some(table.as_bytes()));
    let columns = |of: &Value| {
        let column = |it: &Value| {
            let mark = |key: &str, mark| if it[key] == true { mark } else { "" };
            let (name, declared) = (it["name"].as_str().unwrap(), it["type"].as_str().unwrap());
            format!("{name} {declared}{}{}", mark("key", "!"), mark("nullable", "?"))
        };
        of.as_array().into_iter().flatten().map(column).collect::<Vec<_>>().join(", ")
    };
    let shown = |record| {
        let value = value(record);
        assert_eq!(value["table"], table);
        let kind = value["kind"].as_str().unwrap();
        format!("{kind}: {} > {}", columns(&value["old"]), columns(&value["new"]))
    };
    its.map(shown).collect()
}

fn value(record: &Record) -> Value {
    serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()
}

/// What is behind the `>`.
fn newest(told: &[String]) -> &str {
    told.last().unwrap().split_once("> ").unwrap().1
}

#[test]
fn columns_that_change_are_told_of_before_the_first_row_that_has_them() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN price AS numeric(9,2);
                   CREATE TABLE shop (id int PRIMARY KEY, v varchar(20), n numeric(10,2) NOT NULL);
                   CREATE TABLE secret (id int PRIMARY KEY);
                   CREATE TABLE other (id int, m mood[], p price, t timestamptz(3));
                   CREATE PUBLICATION walbrook FOR ALL TABLES";
        let more = [ON, ("tables", "exclude = [\"public.secret\"]")];
        let mut flow = Flow::start(shared(), "told", ddl, &more).await;
        flow.execute("INSERT INTO shop VALUES (1, 'a', 1); INSERT INTO secret VALUES (1)").await;
        flow.execute("INSERT INTO other VALUES (1); INSERT INTO shop VALUES (2, 'b', 2)").await;
        flow.drain().await;
        let first = "id integer!, v character varying(20)?, n numeric(10,2)";
        assert_eq!(told(&flow, "public.shop"), [format!("first:  > {first}")]);
        let other = "first:  > id integer?, m public.mood[]?, p public.price?, t timestamp(3) with time zone?";
        assert_eq!(told(&flow, "public.other"), [other]);
        assert_eq!(flow.records("schema-changes").len(), 2);

        // Two changes in a transaction, with rows between.
        flow.execute(
            "BEGIN; INSERT INTO shop VALUES (3, 'c', 3); ALTER TABLE shop ADD w text;
             INSERT INTO shop VALUES (4, 'd', 4, 'w'); UPDATE shop SET v = 'e' WHERE id = 1;
             ALTER TABLE shop RENAME v TO note; ALTER TABLE shop ALTER id TYPE bigint;
             DELETE FROM shop WHERE id = 2; INSERT INTO shop VALUES (5, 'f', 5, 'g'); COMMIT",
        )
        .await;
        flow.drain().await;
        let second = "id integer!, v character varying(20)?, n numeric(10,2), w text?";
        let third = "id bigint!, note character varying(20)?, n numeric(10,2), w text?";
        let all = [
            format!("first:  > {first}"),
            format!("changed: {first} > {second}"),
            format!("changed: {second} > {third}"),
        ];
        assert_eq!(told(&flow, "public.shop"), all);
        of_their_rows(&flow);

        // The stream does not say what may be null.
        flow.execute("ALTER TABLE shop ALTER n DROP NOT NULL; INSERT INTO shop VALUES (6)").await;
        flow.drain().await;
        assert_eq!(told(&flow, "public.shop"), all);
        flow.stop();
        let checked = command(&flow.config, &["check"]);
        let topic = flow.topic("schema-changes");
        assert!(checked.stdout.contains(&format!("{topic} keeps all")), "{checked:?}");
    });
}

/// What is told is a record of the change that it is before: its part is the first, and the row's the next.
fn of_their_rows(flow: &Flow<'_>) {
    let rows = flow.records("public.shop");
    let told = flow.records("schema-changes");
    let of_shop = told.iter().filter(|it| it.key.as_deref() == Some(b"public.shop"));
    let (mut shifted, mut told) = (0, Vec::new());
    for record in of_shop {
        let (epoch, ordinal, part) = position(record);
        assert_eq!(part, 0);
        let value = value(record);
        let header = record.header("walbrook.position").unwrap();
        assert_eq!(header, format!("{}.0", value["position"].as_str().unwrap()));
        assert_eq!(record.header("walbrook.xid").unwrap(), value["xid"].to_string());
        let row = rows.iter().find(|row| position(row) == (epoch, ordinal, 1)).expect("its row");
        assert_eq!(row.timestamp_ms, value["commit_time_us"].as_i64().unwrap() / 1000);
        told.push((epoch, ordinal));
    }
    for row in &rows {
        let (epoch, ordinal, part) = position(row);
        shifted += usize::from(told.contains(&(epoch, ordinal)) && part == 1);
        assert!(part == 0 || told.contains(&(epoch, ordinal)) || row.value.is_none(), "{row:?}");
    }
    assert_eq!(shifted, told.len());
}

#[test]
fn a_change_is_told_of_once_whatever_happens_to_walbrook() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE shop (id int PRIMARY KEY, v text); CREATE PUBLICATION walbrook FOR ALL TABLES";
        let mut flow = Flow::start(shared(), "told_once", ddl, &[ON]).await;
        flow.execute("INSERT INTO shop VALUES (1)").await;
        flow.drain().await;
        assert_eq!(told(&flow, "public.shop"), ["first:  > id integer!, v text?"]);
        // A restart is no change.
        flow.stop();
        flow.restart().await;
        flow.execute("INSERT INTO shop VALUES (2)").await;
        flow.drain().await;
        assert_eq!(told(&flow, "public.shop").len(), 1);
        // What changes meanwhile is one; rows from before it have what they had.
        flow.stop();
        flow.execute(
            "INSERT INTO shop VALUES (3); ALTER TABLE shop ADD w int; INSERT INTO shop VALUES (4)",
        )
        .await;
        flow.restart().await;
        flow.drain().await;
        let all = told(&flow, "public.shop");
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(newest(&all), "id integer!, v text?, w integer?");
        // And so it is where it dies at any time.
        for round in 0..6 {
            let ddl = format!(
                "ALTER TABLE shop ADD x{round} int; INSERT INTO shop VALUES ({})",
                10 + round
            );
            flow.execute(&ddl).await;
            tokio::time::sleep(std::time::Duration::from_millis(7 * round)).await;
            flow.restart_after_kill().await;
        }
        flow.drain().await;
        let all = told(&flow, "public.shop");
        assert_eq!(all.len(), 8, "{all:?}");
        for (round, told) in all[2..].iter().enumerate() {
            assert!(told.ends_with(&format!(", x{round} integer?")), "{told}");
        }
        flow.stop();
    });
}

/// What types are called is the catalog's word of today, and no reason to tell.
#[test]
fn a_type_that_is_renamed_or_gone_later_is_no_change() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TYPE mood AS ENUM ('a'); CREATE TYPE size AS ENUM ('m');
                   CREATE TABLE shop (id int PRIMARY KEY, v mood, w size);
                   CREATE PUBLICATION walbrook FOR ALL TABLES";
        let mut flow = Flow::start(shared(), "told_types", ddl, &[ON]).await;
        flow.execute("INSERT INTO shop VALUES (1, 'a', 'm')").await;
        flow.drain().await;
        flow.stop();
        flow.execute("INSERT INTO shop VALUES (2, 'a', 'm')").await;
        flow.execute("ALTER TABLE shop ALTER v TYPE text; DROP TYPE mood").await;
        flow.execute("ALTER TYPE size RENAME TO sizes; INSERT INTO shop VALUES (3, 'b', 'm')")
            .await;
        flow.restart().await;
        flow.drain().await;
        let all = told(&flow, "public.shop");
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(newest(&all), "id integer!, v text?, w public.sizes?");
        let third = flow.records("public.shop").last().map(position).unwrap();
        let second = position(&flow.records("schema-changes")[1]);
        assert_eq!((second.0, second.1), (third.0, third.1));
        flow.stop();
    });
}

/// What waits is told of when it comes back.
#[test]
fn a_table_that_is_parked_is_told_of_with_its_changes() {
    run(TEST_LIMIT, async {
        let socket = process::folder("control").join("socket");
        let socket = format!("socket = \"{}\"", socket.display());
        let ddl = "CREATE TABLE shop (id int PRIMARY KEY, v text); CREATE PUBLICATION walbrook FOR ALL TABLES";
        let space = Space::new(&shared().postgres, "told_parked").await;
        shared().postgres.execute(&space.database, ddl).await;
        let config = config(shared(), &space, &[ON, ("control", &socket)]);
        let mut flow =
            Flow::run(shared(), space, config.replace("on_refused = \"stop\"\n", "")).await;
        flow.execute("INSERT INTO shop VALUES (1, '1')").await;
        flow.drain().await;
        flow.execute(
            "ALTER TABLE shop ALTER v TYPE int USING v::int; INSERT INTO shop VALUES (2, 2)",
        )
        .await;
        flow.drain().await;
        assert_eq!(told(&flow, "public.shop").len(), 1);
        flow.restart_after_kill().await;
        flow.stack.registry.free(&format!("{}-value", flow.topic("public.shop")));
        let unparked = command(&flow.config, &["unpark", "public.shop"]);
        assert_eq!(unparked.status.code(), Some(0), "{unparked:?}");
        flow.execute("INSERT INTO shop VALUES (3, 3)").await;
        flow.drain().await;
        let all = told(&flow, "public.shop");
        assert_eq!(all[1..], ["changed: id integer!, v text? > id integer!, v integer?"]);
        let records = flow.records("schema-changes");
        assert!(records[1].header("walbrook.parked").is_some(), "{records:?}");
        flow.stop();
    });
}

/// Rows that were there before are told of like others.
#[test]
fn a_table_that_is_read_is_told_of_before_its_rows() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE shop (id int PRIMARY KEY, v text);
                   INSERT INTO shop SELECT generate_series(1, 50);
                   CREATE PUBLICATION walbrook FOR ALL TABLES";
        let initial = ("snapshot", "mode = \"initial\"");
        let mut flow = Flow::start(shared(), "told_read", ddl, &[ON, initial]).await;
        until_async(LIMIT, "all rows are read", async || {
            let rows = flow.records("public.shop").len();
            if rows == 50 { Ok(()) } else { Err(format!("{rows} rows")) }
        })
        .await;
        flow.execute("INSERT INTO shop VALUES (51)").await;
        flow.drain().await;
        assert_eq!(told(&flow, "public.shop"), ["first:  > id integer!, v text?"]);
        let told = position(&flow.records("schema-changes")[0]);
        let mut rows: Vec<_> = flow.records("public.shop").iter().map(position).collect();
        rows.pop();
        let parts = 1..=50;
        assert_eq!(rows, parts.map(|n| (told.0, told.1, told.2 + n)).collect::<Vec<_>>());
        flow.stop();
    });
}
