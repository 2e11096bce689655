//! What publications publish, read without the view that says it: the view waits for locks.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use walbrook::config::Postgres as Settings;
use walbrook::postgres::Catalog;
use walbrook::wal::Relation;

use super::catalog::open;
use super::local;
use crate::support::postgres::{Options, Postgres};
use crate::support::run;

#[test]
fn it_is_what_the_view_says_also_while_tables_are_locked() {
    run(LIMIT, async {
        for version in [14, 15, 16, 17, 18] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            drop(open(&server).await);
            server.execute("postgres", &statements(version)).await;
            let reader = Settings { user: "reader".to_owned(), ..local(&server, "postgres") };
            let mut catalog = Catalog::connect(&reader).await.unwrap();
            let client = server.client("postgres").await;
            let expect = of_view(&client).await;
            let count = expect.len();
            assert_eq!(count, [9, 13, 13, 13, 15][version as usize - 14], "{version}");
            client.batch_execute("BEGIN; LOCK shop.item, shop.made, shop.part_1").await.unwrap();
            client.batch_execute("LOCK deep.root, deep.low_low").await.unwrap();
            for (publication, expect) in expect {
                let published = of_catalog(&mut catalog, &[&publication]).await;
                assert_eq!(published, expect, "{publication} on {version}");
            }
        }
    });
}

/// Where the view is not what the stream is: partitions of which nothing is logged, one that is being
/// detached, and publications that are read together.
#[test]
fn it_is_what_the_stream_has_where_the_view_is_not() {
    run(LIMIT, async {
        for version in [14, 18] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            let mut catalog = open(&server).await;
            server.execute("postgres", &(statements(version) + MIXED)).await;
            detach_halfway(&server).await;
            for (publications, expect) in [
                (&["m_leaves"][..], &["deep.mixed_a"][..]),
                (&["m_root"], &["deep.mixed"]),
                (&["m_root", "m_leaves", "m_leaf"], &["deep.mixed"]),
                (&["p_middle", "p_leaves"], &["deep.low", "shop.high"]),
            ] {
                let tables = of_catalog(&mut catalog, publications).await;
                let names: Vec<_> = tables.iter().map(|(table, _)| table.as_str()).collect();
                let names = names.into_iter().filter(|name| !ORDINARY.contains(name));
                assert_eq!(names.collect::<Vec<_>>(), expect, "{publications:?} on {version}");
            }
        }
    });
}

/// What `p_leaves` publishes beside partitions.
const ORDINARY: &[&str] = &["deep.without_columns", "shop.child", "shop.made", "shop.parent"];

/// Lets the detaching of a partition end between its two transactions.
async fn detach_halfway(server: &Postgres) {
    let reader = server.client("postgres").await;
    reader.batch_execute("BEGIN; LOCK ONLY deep.mixed IN ACCESS SHARE MODE").await.unwrap();
    let detaching = server.client("postgres").await;
    detaching.batch_execute("SET statement_timeout = '1s'").await.unwrap();
    let detach = "ALTER TABLE deep.mixed DETACH PARTITION deep.mixed_b CONCURRENTLY";
    let error = detaching.batch_execute(detach).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
}

const MIXED: &str = "
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE TABLE deep.mixed (a int) PARTITION BY LIST (a);
CREATE TABLE deep.mixed_a PARTITION OF deep.mixed FOR VALUES IN (1);
CREATE TABLE deep.mixed_b PARTITION OF deep.mixed FOR VALUES IN (2);
CREATE UNLOGGED TABLE deep.mixed_c PARTITION OF deep.mixed FOR VALUES IN (3);
CREATE FOREIGN TABLE deep.mixed_d PARTITION OF deep.mixed FOR VALUES IN (4) SERVER nowhere;
CREATE PUBLICATION m_leaf FOR TABLE deep.mixed_a WITH (publish_via_partition_root);
CREATE PUBLICATION m_leaves FOR TABLE deep.mixed;
CREATE PUBLICATION m_root FOR TABLE deep.mixed WITH (publish_via_partition_root);
";

/// Tables, each with its columns.
type Tables = Vec<(String, Vec<String>)>;

async fn of_view(client: &Client) -> Vec<(String, Tables)> {
    let publications = client.query("SELECT pubname::text FROM pg_publication", &[]).await.unwrap();
    let mut all = Vec::new();
    for publication in &publications {
        let name: String = publication.get(0);
        let rows = client.query(VIEW, &[&name]).await.unwrap();
        all.push((name, rows.iter().map(|row| (row.get(0), row.get(1))).collect()));
    }
    all
}

/// The same of all three questions that walbrook asks.
async fn of_catalog(catalog: &mut Catalog, publications: &[&str]) -> Tables {
    let publications: Vec<_> = publications.iter().map(|&name| name.to_owned()).collect();
    let relations = catalog.published_relations(&publications).await.unwrap();
    let table = |it: &Relation| {
        let columns = it.columns.iter().map(|column| column.name.clone()).collect();
        (format!("{}.{}", it.namespace, it.name), columns)
    };
    let all: Tables = relations.iter().map(table).collect();
    let tables = catalog.published_tables(&publications).await.unwrap();
    let tables: Vec<_> = tables.iter().map(|it| format!("{}.{}", it.namespace, it.name)).collect();
    let names: Vec<_> = all.iter().map(|(table, _)| table.clone()).collect();
    assert_eq!(tables, names, "{publications:?}");
    let types = catalog.published_types(&publications).await.unwrap();
    let mut typed: Vec<_> = types
        .iter()
        .map(|it| (format!("{}.{}", it.namespace, it.table), it.name.clone()))
        .collect();
    let each = |(table, columns): &(String, Vec<String>)| {
        columns.iter().map(|column| (table.clone(), column.clone())).collect::<Vec<_>>()
    };
    let mut columns: Vec<_> = all.iter().flat_map(each).collect();
    typed.sort();
    columns.sort();
    assert_eq!(typed, columns, "{publications:?}");
    all
}

/// Those that a version knows.
fn statements(version: u32) -> String {
    let all = [(14, PUBLICATIONS), (15, PUBLICATIONS_15), (18, PUBLICATIONS_18)];
    all.iter().filter(|(since, _)| *since <= version).map(|(_, statements)| *statements).collect()
}

/// Before version 15 it has no columns, before 18 generated ones that are not in the stream.
const VIEW: &str = "
SELECT format('%s.%s', schemaname, tablename), ARRAY(
    SELECT a.attname::text FROM pg_attribute a
    WHERE attrelid = format('%I.%I', schemaname, tablename)::regclass
      AND 0 < attnum AND NOT attisdropped
      AND (attgenerated = '' OR 180000 <= current_setting('server_version_num')::int)
      AND coalesce(to_jsonb(pt) -> 'attnames' ? a.attname::text, true)
    ORDER BY attnum)
FROM pg_publication_tables pt WHERE pubname = $1 ORDER BY schemaname, tablename";

const PUBLICATIONS: &str = "
CREATE ROLE reader LOGIN;
CREATE TABLE shop.made (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE shop.parent (id int PRIMARY KEY);
CREATE TABLE shop.child () INHERITS (shop.parent);
CREATE UNLOGGED TABLE shop.quick (id int);
CREATE VIEW shop.seen AS SELECT 1;
CREATE SCHEMA deep;
CREATE TABLE deep.root (a int, b int, c text) PARTITION BY RANGE (a);
CREATE TABLE deep.low PARTITION OF deep.root FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (b);
CREATE TABLE deep.low_low PARTITION OF deep.low FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.high PARTITION OF deep.root FOR VALUES FROM (10) TO (20);
CREATE TABLE deep.without_columns ();
CREATE PUBLICATION p_all FOR ALL TABLES;
CREATE PUBLICATION p_all_root FOR ALL TABLES WITH (publish_via_partition_root);
CREATE PUBLICATION p_empty;
CREATE PUBLICATION p_leaf FOR TABLE deep.low_low, shop.part_1 WITH (publish_via_partition_root);
CREATE PUBLICATION p_leaves FOR TABLE deep.root, shop.made, shop.parent, deep.without_columns;
CREATE PUBLICATION p_middle FOR TABLE deep.low, shop.high WITH (publish_via_partition_root);
CREATE PUBLICATION p_root FOR TABLE deep.root, ONLY shop.parent WITH (publish_via_partition_root);
";

const PUBLICATIONS_15: &str = "
CREATE PUBLICATION p_both FOR TABLE deep.root, deep.low WITH (publish_via_partition_root);
CREATE PUBLICATION p_columns FOR TABLE shop.item (b, a, code), deep.root (a, c)
    WITH (publish_via_partition_root);
CREATE PUBLICATION p_schema FOR TABLES IN SCHEMA shop, TABLE deep.low;
CREATE PUBLICATION p_schema_root FOR TABLES IN SCHEMA deep, shop
    WITH (publish_via_partition_root);
";

const PUBLICATIONS_18: &str = "
CREATE PUBLICATION p_made FOR TABLE shop.made (twice, id);
CREATE PUBLICATION p_made_too FOR TABLES IN SCHEMA shop WITH (publish_generated_columns = stored);
";

const LIMIT: Duration = Duration::from_secs(120);
