//! How rows change: replica identity, unchanged large values, keys, tombstones, TRUNCATE,
//! partitioned tables, ALTER TABLE under way, names, headers, timestamps and partitions.

use apache_avro::types::Value as Avro;

use super::TEST_LIMIT;
use crate::support::flow::{Flow, plain, position, query};
use crate::support::run;
use crate::support::stack::shared;

async fn check(flow: &mut Flow<'_>, table: &str, wanted: &[&str]) {
    let told = flow.told(table).await;
    assert_eq!(told, wanted, "{table}: {told:#?}");
}

/// Every replica identity × insert, update, delete and change of the key.
#[test]
fn replica_identities() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE def (a text, id int PRIMARY KEY, b int NOT NULL);
            CREATE TABLE ful (LIKE def INCLUDING ALL);
            ALTER TABLE ful REPLICA IDENTITY FULL;
            CREATE TABLE ind (a text, id int PRIMARY KEY, b int NOT NULL UNIQUE);
            ALTER TABLE ind REPLICA IDENTITY USING INDEX ind_b_key;
            CREATE TABLE wide (a text, id int PRIMARY KEY, b int NOT NULL, UNIQUE (b, id));
            ALTER TABLE wide REPLICA IDENTITY USING INDEX wide_b_id_key;
            CREATE TABLE non (LIKE def INCLUDING ALL);
            ALTER TABLE non REPLICA IDENTITY NOTHING;
            CREATE TABLE keyless (a text, id int, b int NOT NULL);
            CREATE TABLE keyless_full (LIKE keyless);
            ALTER TABLE keyless_full REPLICA IDENTITY FULL;
            CREATE PUBLICATION walbrook FOR TABLE def, ful, ind, wide, keyless_full;
            CREATE PUBLICATION inserts FOR TABLE non, keyless WITH (publish = 'insert');
        ";
        let mut flow = Flow::start(shared(), "identity", ddl, &[]).await;
        flow.stop();
        flow.config = flow.config.replace(r#"["walbrook"]"#, r#"["walbrook", "inserts"]"#);
        flow.restart().await;
        for table in ["def", "ful", "ind", "wide", "keyless_full", "non", "keyless"] {
            flow.execute(&format!(
                "INSERT INTO {table} VALUES ('x', 1, 10);
                 UPDATE {table} SET a = NULL;
                 UPDATE {table} SET id = 2;
                 UPDATE {table} SET b = 20, a = '';
                 DELETE FROM {table};"
            ))
            .await;
        }
        let by_id = [
            r#"c {"id":1} null {"a":"x","id":1,"b":10}"#,
            r#"u {"id":1} null {"a":null,"id":1,"b":10}"#,
            r#"d {"id":1} {"a":null,"id":1,"b":null} null"#,
            r#"- {"id":1}"#,
            r#"c {"id":2} null {"a":null,"id":2,"b":10}"#,
            r#"u {"id":2} null {"a":"","id":2,"b":20}"#,
            r#"d {"id":2} {"a":null,"id":2,"b":null} null"#,
            r#"- {"id":2}"#,
        ];
        check(&mut flow, "public.def", &by_id).await;
        let full = [
            r#"c {"id":1} null {"a":"x","id":1,"b":10}"#,
            r#"u {"id":1} {"a":"x","id":1,"b":10} {"a":null,"id":1,"b":10}"#,
            r#"d {"id":1} {"a":null,"id":1,"b":10} null"#,
            r#"- {"id":1}"#,
            r#"c {"id":2} null {"a":null,"id":2,"b":10}"#,
            r#"u {"id":2} {"a":null,"id":2,"b":10} {"a":"","id":2,"b":20}"#,
            r#"d {"id":2} {"a":"","id":2,"b":20} null"#,
            r#"- {"id":2}"#,
        ];
        check(&mut flow, "public.ful", &full).await;
        // Deletes carry b and not id, so b is the key.
        let by_index = [
            r#"c {"b":10} null {"a":"x","id":1,"b":10}"#,
            r#"u {"b":10} null {"a":null,"id":1,"b":10}"#,
            r#"u {"b":10} null {"a":null,"id":2,"b":10}"#,
            r#"d {"b":10} {"a":null,"id":null,"b":10} null"#,
            r#"- {"b":10}"#,
            r#"c {"b":20} null {"a":"","id":2,"b":20}"#,
            r#"d {"b":20} {"a":null,"id":null,"b":20} null"#,
            r#"- {"b":20}"#,
        ];
        check(&mut flow, "public.ind", &by_index).await;
        // The identity covers the primary key, which stays the key.
        let by_wide_index = [
            r#"c {"id":1} null {"a":"x","id":1,"b":10}"#,
            r#"u {"id":1} null {"a":null,"id":1,"b":10}"#,
            r#"d {"id":1} {"a":null,"id":1,"b":10} null"#,
            r#"- {"id":1}"#,
            r#"c {"id":2} null {"a":null,"id":2,"b":10}"#,
            r#"u {"id":2} {"a":null,"id":2,"b":10} {"a":"","id":2,"b":20}"#,
            r#"d {"id":2} {"a":null,"id":2,"b":20} null"#,
            r#"- {"id":2}"#,
        ];
        check(&mut flow, "public.wide", &by_wide_index).await;
        check(&mut flow, "public.non", &by_id[..1]).await;
        check(&mut flow, "public.keyless", &[r#"c null null {"a":"x","id":1,"b":10}"#]).await;
        let keyless = [
            r#"c null null {"a":"x","id":1,"b":10}"#,
            r#"u null {"a":"x","id":1,"b":10} {"a":null,"id":1,"b":10}"#,
            r#"u null {"a":null,"id":1,"b":10} {"a":null,"id":2,"b":10}"#,
            r#"u null {"a":null,"id":2,"b":10} {"a":"","id":2,"b":20}"#,
            r#"d null {"a":"","id":2,"b":20} null"#,
        ];
        check(&mut flow, "public.keyless_full", &keyless).await;
        flow.stop();
    });
}

const LARGE: &str = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 640) n)";

/// An unchanged large value is Debezium's placeholder, or the old row's value under FULL; types
/// without a placeholder are null, also in a column that is NOT NULL, and never stop the pipeline.
#[test]
fn unchanged_large_values() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE def (
                id int PRIMARY KEY, n int NOT NULL, large text NOT NULL, doc jsonb, raw bytea,
                texts text[], wholes bigint[] NOT NULL);
            CREATE TABLE ful (LIKE def INCLUDING ALL);
            ALTER TABLE ful REPLICA IDENTITY FULL;
            CREATE TABLE hard (
                id int PRIMARY KEY, n int NOT NULL, vector double precision[] NOT NULL,
                long numeric NOT NULL);
            ALTER TABLE hard ALTER long SET STORAGE EXTERNAL;
            CREATE TABLE keyed (k text PRIMARY KEY, n int, large text);
            ALTER TABLE keyed ALTER k SET STORAGE EXTERNAL;
            CREATE PUBLICATION walbrook FOR TABLE def, ful, hard, keyed;";
        let mut flow = Flow::start(shared(), "toast", ddl, &[]).await;
        for table in ["def", "ful"] {
            flow.execute(&format!(
                "INSERT INTO {table} SELECT 1, 1, l, to_jsonb(l), convert_to(l, 'UTF8'), ARRAY[l],
                    (SELECT array_agg(n * 7919) FROM generate_series(1, 9000) n) FROM {LARGE} AS l(l);
                 UPDATE {table} SET n = 2;
                 UPDATE {table} SET large = 'short', texts = NULL;
                 DELETE FROM {table};"
            ))
            .await;
        }
        flow.execute(&format!(
            "INSERT INTO hard SELECT 1, 1, (SELECT array_agg(sqrt(n)) FROM generate_series(1, 9000) n),
                 ('1' || repeat('7919', 2500))::numeric;
             UPDATE hard SET n = 2;
             INSERT INTO hard VALUES (2, 1, '{{1}}', 1);
             INSERT INTO keyed SELECT left(l, 2600), 1, l FROM {LARGE} AS l(l);
             UPDATE keyed SET n = 2;
             DELETE FROM keyed;"
        ))
        .await;
        flow.drain().await;
        let large =
            query(&flow.client, &format!("SELECT l FROM {LARGE} AS l(l)")).await.concat().concat();
        let value = |table: &str, at: usize| {
            let record = &flow.records(table)[at];
            plain(record.value(&flow.stack.registry).unwrap())
        };
        let placeholder = "__debezium_unavailable_value";
        let inserted = value("public.def", 0);
        assert_eq!(inserted["after"]["large"], large);
        let updated = value("public.def", 1)["after"].clone();
        assert_eq!(updated["n"], 2);
        assert_eq!(updated["large"], placeholder);
        assert_eq!(updated["doc"], placeholder);
        let bytes: String = placeholder.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(updated["raw"], bytes);
        assert_eq!(updated["texts"], serde_json::json!([placeholder]));
        let numbers: Vec<u8> = placeholder.bytes().collect();
        assert_eq!(updated["wholes"], serde_json::json!(numbers));
        let shortened = value("public.def", 2)["after"].clone();
        assert_eq!(shortened["large"], "short");
        assert_eq!(shortened["texts"], serde_json::Value::Null);
        assert_eq!(shortened["doc"], placeholder);

        let inserted = value("public.ful", 0)["after"].clone();
        assert_eq!(inserted["large"], large);
        let updated = value("public.ful", 1);
        let mut wanted = inserted.clone();
        wanted["n"] = 2.into();
        assert_eq!(updated["after"], wanted);
        assert_eq!(updated["before"], inserted);
        let shortened = value("public.ful", 2);
        assert_eq!(shortened["before"], wanted);
        assert_eq!(shortened["after"]["wholes"], wanted["wholes"]);
        assert_eq!(value("public.ful", 3)["before"]["doc"], wanted["doc"]);

        let updated = value("public.hard", 1)["after"].clone();
        assert_eq!(updated, serde_json::json!({"id": 1, "n": 2, "vector": null, "long": null}));
        assert_eq!(value("public.hard", 2)["after"]["long"], "1");
        let keys: Vec<_> =
            flow.records("public.keyed").into_iter().map(|record| record.key).collect();
        assert_eq!(keys.len(), 4, "insert, update, delete, tombstone");
        assert!(keys.iter().all(|key| *key == keys[0]), "they have one key");
        flow.stop();
    });
}

#[test]
fn truncate_partitions_and_columns_that_come_and_go() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE one (id int PRIMARY KEY);
            CREATE TABLE two (id int PRIMARY KEY, one int REFERENCES one);
            CREATE TABLE hidden (id int PRIMARY KEY, one int REFERENCES one);
            CREATE TABLE part (id int, day date, v text, PRIMARY KEY (day, id))
                PARTITION BY RANGE (day);
            CREATE TABLE part_a PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
            -- Another order of columns, as an attached partition can have.
            CREATE TABLE part_b (v text, gone int, day date NOT NULL, id int NOT NULL);
            ALTER TABLE part_b DROP COLUMN gone;
            ALTER TABLE part ATTACH PARTITION part_b FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
            CREATE TABLE ddl (id int PRIMARY KEY, a text, d int DEFAULT 9);
            CREATE PUBLICATION walbrook FOR TABLE one, two, part, ddl
                WITH (publish_via_partition_root);";
        let mut flow = Flow::start(shared(), "ddl", ddl, &[]).await;
        flow.execute(
            "INSERT INTO one VALUES (1); INSERT INTO two VALUES (1, 1);
             TRUNCATE one, two, hidden;
             INSERT INTO one VALUES (1);
             INSERT INTO part VALUES (1, '2024-01-02', 'x'), (2, '2024-02-02', 'y');
             UPDATE part SET v = 'z';
             UPDATE part SET day = '2024-02-03' WHERE id = 1;
             DELETE FROM part WHERE id = 2;
             TRUNCATE part;",
        )
        .await;
        check(
            &mut flow,
            "public.one",
            &[r#"c {"id":1} null {"id":1}"#, "t null null null", r#"c {"id":1} null {"id":1}"#],
        )
        .await;
        check(
            &mut flow,
            "public.two",
            &[r#"c {"id":1} null {"id":1,"one":1}"#, "t null null null"],
        )
        .await;
        let truncates = ["public.one", "public.two"].map(|table| position(&flow.records(table)[1]));
        let [(lsn, ordinal, part), other] = truncates;
        assert_eq!(other, (lsn, ordinal, 1 - part), "one change, two parts");
        check(
            &mut flow,
            "public.part",
            &[
                r#"c {"day":19724,"id":1} null {"id":1,"day":19724,"v":"x"}"#,
                r#"c {"day":19755,"id":2} null {"id":2,"day":19755,"v":"y"}"#,
                r#"u {"day":19724,"id":1} null {"id":1,"day":19724,"v":"z"}"#,
                r#"u {"day":19755,"id":2} null {"id":2,"day":19755,"v":"z"}"#,
                r#"d {"day":19724,"id":1} {"id":1,"day":19724,"v":null} null"#,
                r#"- {"day":19724,"id":1}"#,
                r#"c {"day":19756,"id":1} null {"id":1,"day":19756,"v":"z"}"#,
                r#"d {"day":19755,"id":2} {"id":2,"day":19755,"v":null} null"#,
                r#"- {"day":19755,"id":2}"#,
                "t null null null",
            ],
        )
        .await;
        let record = flow.records("public.part").remove(0);
        let Avro::Record(key) = record.key(&flow.stack.registry).unwrap() else { panic!() };
        assert_eq!(key[0].0, "day", "the primary key's order: {key:?}");

        columns(&mut flow).await;
        flow.stop();
    });
}

async fn columns(flow: &mut Flow<'_>) {
    flow.execute("INSERT INTO ddl VALUES (1, 'a', NULL)").await;
    flow.drain().await;
    // Types and keys become others.
    for side in ["key", "value"] {
        flow.stack.registry.free(&format!("{}-{side}", flow.topic("public.ddl")));
    }
    flow.execute(
        "BEGIN;
         INSERT INTO ddl VALUES (2, 'b');
         ALTER TABLE ddl ADD COLUMN x numeric(4, 1) NOT NULL DEFAULT 1.5;
         INSERT INTO ddl VALUES (3, 'c', 3, 2.5);
         ALTER TABLE ddl DROP COLUMN d;
         ALTER TABLE ddl RENAME COLUMN a TO \"A a\";
         UPDATE ddl SET \"A a\" = 'd' WHERE id = 3;
         ALTER TABLE ddl ALTER x TYPE text;
         DELETE FROM ddl WHERE id = 3;
         COMMIT;
         ALTER TABLE ddl ALTER x DROP NOT NULL;
         INSERT INTO ddl VALUES (4, NULL, NULL);
         DELETE FROM ddl WHERE id = 4;
         ALTER TABLE ddl DROP CONSTRAINT ddl_pkey, ADD PRIMARY KEY (\"A a\", id);
         INSERT INTO ddl VALUES (5, 'e');",
    )
    .await;
    // What rewriting the table does to its rows is no change.
    check(
        flow,
        "public.ddl",
        &[
            r#"c {"id":1} null {"id":1,"a":"a","d":null}"#,
            r#"c {"id":2} null {"id":2,"a":"b","d":9}"#,
            r#"c {"id":3} null {"id":3,"a":"c","d":3,"x":"25"}"#,
            r#"u {"id":3} null {"id":3,"A_a":"d","x":"25"}"#,
            r#"d {"id":3} {"id":3,"A_a":null,"x":null} null"#,
            r#"- {"id":3}"#,
            r#"c {"id":4} null {"id":4,"A_a":null,"x":null}"#,
            r#"d {"id":4} {"id":4,"A_a":null,"x":null} null"#,
            r#"- {"id":4}"#,
            r#"c {"A_a":"e","id":5} null {"id":5,"A_a":"e","x":"1.5"}"#,
        ],
    )
    .await;
}

/// Debezium's `before`, names that neither Kafka nor Avro allows, no tombstones, no headers.
#[test]
fn settings_and_names() {
    run(TEST_LIMIT, async {
        let ddl = r#"
            CREATE SCHEMA "Ünï.x";
            CREATE TABLE "Ünï.x"."we ird/tä" (
                "1st" int PRIMARY KEY, "a-b" text NOT NULL, "c_d" text NOT NULL, "e f" bool NOT NULL,
                "ü🚲" date NOT NULL, "n" numeric(5, 2) NOT NULL, v numeric NOT NULL,
                u uuid NOT NULL, z timestamptz NOT NULL, o int);
            CREATE TABLE plain (id int PRIMARY KEY);
            CREATE PUBLICATION walbrook FOR TABLE "Ünï.x"."we ird/tä", plain;"#;
        let mut flow = Flow::start(
            shared(),
            "names",
            ddl,
            &[
                ("tables", "before = \"debezium\"\ntombstones = false\ntruncate = false"),
                ("records", "position_headers = false\ntimestamp = \"now\""),
            ],
        )
        .await;
        let u = "6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11";
        flow.execute(&format!(
            r#"INSERT INTO "Ünï.x"."we ird/tä" VALUES
                   (1, 'x', 'y', true, '2000-01-01', 1.5, 2.5, '{u}', '2000-01-01 00:00+00');
               DELETE FROM "Ünï.x"."we ird/tä";
               TRUNCATE "Ünï.x"."we ird/tä";"#
        ))
        .await;
        let before = query(&flow.client, "SELECT (extract(epoch FROM now()) * 1000)::bigint").await;
        flow.execute("INSERT INTO plain VALUES (1); TRUNCATE plain; INSERT INTO plain VALUES (2)")
            .await;
        let topic = "_n_.x.we_ird_t_";
        check(&mut flow, topic, &[
            &format!(
                r#"c {{"_1st":1}} null {{"_1st":1,"a_b":"x","c_d":"y","e_f":true,"___":10957,"n":"150","v":"2.5","u":"{u}","z":"2000-01-01T00:00:00.000000Z","o":null}}"#
            ),
            r#"d {"_1st":1} {"_1st":1,"a_b":"","c_d":"","e_f":false,"___":0,"n":"0","v":"0","u":"","z":"1970-01-01T00:00:00Z","o":null} null"#,
        ])
        .await;
        let mut records = flow.records("public.plain");
        records.sort_by_key(|record| record.timestamp_ms);
        assert_eq!(records.len(), 2, "TRUNCATE is off");
        for record in records {
            assert_eq!(record.headers, []);
            let value = plain(record.value(&flow.stack.registry).unwrap());
            assert!(before[0][0].parse::<i64>().unwrap() - 1000 <= record.timestamp_ms);
            assert_eq!(
                record.timestamp_ms,
                value["ts_ms"].as_i64().unwrap(),
                "the time of encoding"
            );
        }
        flow.stop();
    });
}

/// Timestamps, positions, transaction ids, partitions, column lists and row filters.
#[test]
fn headers_timestamps_partitions_and_filters() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE t (id int PRIMARY KEY, v text);
            CREATE TABLE listed (id int PRIMARY KEY, secret inet, v text, n int NOT NULL);
            CREATE TABLE filtered (id int PRIMARY KEY, v int, large text);
            ALTER TABLE filtered REPLICA IDENTITY FULL;
            CREATE TABLE unlisted (id int PRIMARY KEY);
            CREATE PUBLICATION walbrook
                FOR TABLE t, listed (v, id), filtered WHERE (v > 10);";
        let mut flow = Flow::start(shared(), "headers", ddl, &[]).await;
        flow.execute(&format!(
            "INSERT INTO unlisted VALUES (1);
             INSERT INTO listed VALUES (1, '::1', 'a', 1);
             UPDATE listed SET v = 'b'; DELETE FROM listed;
             INSERT INTO filtered SELECT 1, 5, l FROM {LARGE} AS l(l);
             UPDATE filtered SET v = 11; UPDATE filtered SET v = 6; DELETE FROM filtered;"
        ))
        .await;
        check(
            &mut flow,
            "public.listed",
            &[
                r#"c {"id":1} null {"id":1,"v":"a"}"#,
                r#"u {"id":1} null {"id":1,"v":"b"}"#,
                r#"d {"id":1} {"id":1,"v":null} null"#,
                r#"- {"id":1}"#,
            ],
        )
        .await;
        let filtered: Vec<_> =
            flow.told("public.filtered").await.iter().map(|line| line[..10].to_owned()).collect();
        assert_eq!(filtered, [r#"c {"id":1}"#, r#"d {"id":1}"#, r#"- {"id":1}"#]);

        flow.execute("BEGIN; INSERT INTO t SELECT n, 'x' FROM generate_series(1, 60) n").await;
        let xid = query(&flow.client, "SELECT txid_current()").await.concat().concat();
        flow.execute("SELECT pg_sleep(1.1); UPDATE t SET id = 100 WHERE id = 1").await;
        let times = "SELECT pg_current_wal_insert_lsn(), floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let before = query(&flow.client, times).await.remove(0);
        flow.execute("COMMIT").await;
        let after = query(&flow.client, times).await.remove(0);
        flow.drain().await;
        let records = flow.records("public.t");
        assert_eq!(records.len(), 63);
        let lsn = |text: &str| {
            let (high, low) = text.split_once('/').unwrap();
            let half = |text| u64::from_str_radix(text, 16).unwrap();
            half(high) << 32 | half(low)
        };
        let commit_lsn = position(&records[0]).0;
        assert!((lsn(&before[0])..lsn(&after[0])).contains(&commit_lsn.1));
        for (at, record) in records.iter().enumerate() {
            let at = u32::try_from(at).unwrap();
            let (ordinal, part) = if at < 60 { (u64::from(at) + 1, 0) } else { (61, at - 60) };
            assert_eq!(position(record), (commit_lsn, ordinal, part));
            let names: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["walbrook.position", "walbrook.xid"]);
            assert_eq!(record.header("walbrook.xid"), Some(xid.as_str()));
            let commit = before[1].parse::<i64>().unwrap()..=after[1].parse().unwrap();
            assert!(commit.contains(&record.timestamp_ms), "{commit:?} {}", record.timestamp_ms);
            let hash = murmur2(record.key.as_deref().unwrap()) & 0x7fff_ffff;
            assert_eq!(u32::try_from(record.partition).unwrap(), hash % 3);
            let Some(value) = record.value(&flow.stack.registry) else { continue };
            let value = plain(value);
            let source = &value["source"];
            assert_eq!(source["ts_ms"], record.timestamp_ms);
            assert_eq!(source["txId"].to_string(), xid);
            assert_eq!(source["db"], flow.space.database);
            assert_eq!(source["name"], flow.space.prefix);
            assert_eq!((&source["schema"], &source["table"]), (&"public".into(), &"t".into()));
            assert_eq!(source["snapshot"], "false");
            assert_eq!(source["connector"], "postgresql");
            let row_lsn = source["lsn"].as_u64().unwrap();
            assert!(row_lsn < commit_lsn.1, "the row's own LSN");
            let sequence = source["sequence"].as_str().unwrap();
            assert!(sequence.ends_with(&format!(",\"{row_lsn}\"]")), "{sequence}");
            assert_eq!(source["ts_us"].as_i64().unwrap() / 1000, record.timestamp_ms);
            assert_eq!(source["ts_ns"].as_i64().unwrap() / 1_000_000, record.timestamp_ms);
            assert!(record.timestamp_ms <= value["ts_ms"].as_i64().unwrap());
        }
        let partitions: std::collections::BTreeSet<_> =
            records.iter().map(|r| r.partition).collect();
        assert_eq!(partitions.len(), 3);
        flow.stop();
    });
}

/// `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c_u32 ^ u32::try_from(data.len()).unwrap();
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes(chunk.try_into().unwrap()).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// Many tables, none of them in the slot's publication at first; FOR ALL TABLES finds new ones.
#[test]
fn tables_that_appear_later() {
    run(TEST_LIMIT, async {
        let mut flow =
            Flow::start(shared(), "later", "CREATE PUBLICATION walbrook FOR ALL TABLES", &[]).await;
        flow.execute(
            "CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);
             BEGIN; CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1); DROP TABLE b; COMMIT;
             CREATE TABLE c (id int PRIMARY KEY, n int NOT NULL); INSERT INTO c VALUES (1, 2);
             DROP TABLE c;
             CREATE TYPE fleeting AS ENUM ('x');
             CREATE TABLE e (id int PRIMARY KEY, f fleeting); INSERT INTO e VALUES (1, 'x');
             DROP TABLE e; DROP TYPE fleeting;
             ALTER TABLE a RENAME TO z; INSERT INTO z VALUES (2);
             CREATE MATERIALIZED VIEW m AS SELECT * FROM z; REFRESH MATERIALIZED VIEW m;
             CREATE UNLOGGED TABLE u (id int PRIMARY KEY); INSERT INTO u VALUES (1);
             CREATE TEMPORARY TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);",
        )
        .await;
        check(&mut flow, "public.a", &[r#"c {"id":1} null {"id":1}"#]).await;
        check(&mut flow, "public.z", &[r#"c {"id":2} null {"id":2}"#]).await;
        check(&mut flow, "public.c", &[r#"c {"id":1} null {"id":1,"n":2}"#]).await;
        check(&mut flow, "public.e", &[r#"c {"id":1} null {"id":1,"f":"x"}"#]).await;
        assert!(flow.records("public.u").is_empty());
        flow.stop();
    });
}
