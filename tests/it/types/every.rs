//! No column is ever dropped: every type that the server knows goes by the text road.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use walbrook::postgres::Catalog;
use walbrook::wal::Column;

use super::judged::Judged;
use super::roads::{self, Road};
use super::shown::shown;
use super::{database, session};
use crate::postgres::local;
use crate::support::postgres::Postgres;

/// Says of which type a NULL or a value does not arrive.
pub(super) async fn judge(server: &Postgres) -> Vec<String> {
    let database = database(server).await;
    let client = session(server.client(&database).await).await;
    client.batch_execute(SETUP).await.unwrap();
    let road = Road::slot(&client).await;
    let (types, mut findings) = make_tables(&client).await;
    let tables: Vec<_> = types.keys().cloned().collect();
    let frames = road.frames(&client, &tables, false).await;
    let (relations, rows) = roads::read(&frames);
    let mut catalog = Catalog::connect(&local(server, &database)).await.unwrap();
    let mut arrived = BTreeMap::new();
    for relation in &relations {
        let facts = catalog.describe(relation).await.unwrap();
        let columns = Judged::all(relation, &relation.columns[0], &facts);
        for (_, row) in rows.iter().filter(|(id, _)| *id == relation.id) {
            *arrived.entry(relation.name.as_str()).or_insert(0) += 1;
            let value = row.columns().next().unwrap();
            for column in &columns {
                let outcome = match (value, column.encode(value)) {
                    (_, Err(error)) => Err(error.to_string()),
                    (Column::Text(text), Ok(bytes)) => column.arrives(text, &bytes).map(drop),
                    (_, Ok(bytes)) => column.null(Ok(bytes)),
                };
                if let Err(finding) = outcome {
                    let finding = format!("{}: {finding}", shown(value));
                    findings.push(column.told(&types[&relation.name].0, &finding));
                }
            }
        }
    }
    assert!(TYPES_MIN < types.len(), "{} types", types.len());
    for (table, (name, rows)) in &types {
        let arrived = arrived.get(table.as_str()).copied().unwrap_or_default();
        if arrived != *rows {
            findings.push(format!("{name}: {arrived} of {rows} rows"));
        }
    }
    findings
}

/// A table for each type: its name, its type and how many rows it has.
async fn make_tables(client: &Client) -> (BTreeMap<String, (String, i32)>, Vec<String>) {
    let literals: Vec<String> = LITERALS.iter().map(|&literal| literal.to_owned()).collect();
    let element = |literal: &String| format!("{{\"{}\"}}", literal.replace('"', "\\\""));
    let arrays: Vec<_> = literals.iter().map(element).collect();
    let made = client.query(MAKE, &[&literals, &arrays]).await.unwrap();
    let (mut types, mut findings) = (BTreeMap::new(), Vec::new());
    for row in &made {
        let (table, name, rows, reason): (String, String, i32, String) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        match rows {
            0 if reason.contains("pseudo-type") => {}
            0 => findings.push(format!("{name}: no column: {reason}")),
            1 if !WITHOUT_INPUT.contains(&name.trim_end_matches("[]")) => {
                findings.push(format!("{name}: no literal: {reason}"));
            }
            _ => {}
        }
        if 0 < rows {
            types.insert(table, (name, rows));
        }
    }
    (types, findings)
}

/// Fewer than any version has, arrays and the rows of system tables among them.
const TYPES_MIN: usize = 500;

/// Types that have no input, or one that this test can't give.
const WITHOUT_INPUT: &[&str] = &[
    "gtsvector",
    "ghstore",
    "ltree_gist",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_ndistinct",
    "pg_node_tree",
];

const SETUP: &str = r#"
CREATE EXTENSION citext; CREATE EXTENSION cube; CREATE EXTENSION hstore; CREATE EXTENSION isn;
CREATE EXTENSION ltree; CREATE EXTENSION seg;
CREATE SCHEMA "Odd ""name""";
CREATE TYPE "Odd ""name"""."A type" AS ENUM ('a');
CREATE TYPE "Odd ""name""".pair AS (a int, b text);
CREATE DOMAIN "Odd ""name""".list AS int[];
CREATE TYPE "Odd ""name""".span AS RANGE (SUBTYPE = text);
CREATE PUBLICATION walbrook FOR ALL TABLES;
CREATE FUNCTION make(oid oid, type text, literals text[], OUT rows int, OUT reason text)
LANGUAGE plpgsql AS $$
DECLARE literal text;
BEGIN
    rows := 0;
    reason := '';
    EXECUTE format('CREATE TABLE public.t%s (v %s)', oid, type);
    EXECUTE format('INSERT INTO public.t%s VALUES (NULL)', oid);
    rows := 1;
    FOREACH literal IN ARRAY literals LOOP
        BEGIN
            EXECUTE format('INSERT INTO public.t%s VALUES (%L)', oid, literal);
            rows := 2;
            RETURN;
        EXCEPTION WHEN OTHERS THEN
            reason := SQLERRM;
        END;
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    reason := SQLERRM;
END $$"#;

const MAKE: &str = "
SELECT 't' || t.oid, t.oid::regtype::text, rows, reason
FROM (SELECT * FROM pg_type ORDER BY oid) AS t
LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid
LEFT JOIN pg_class c ON c.oid = coalesce(e.typrelid, t.typrelid),
LATERAL (SELECT '(' || repeat(',', greatest(c.relnatts - 1, 0)) || ')') AS blank (row),
LATERAL make(t.oid, t.oid::regtype::text, CASE
    WHEN c.oid IS NULL AND e.oid IS NULL THEN $1::text[]
    WHEN c.oid IS NULL THEN $2::text[] || '{}'::text
    WHEN e.oid IS NULL THEN ARRAY[row] ELSE ARRAY['{\"' || row || '\"}'] END)
WHERE t.typtype IN ('b', 'c', 'd', 'e', 'm', 'r')";

const LITERALS: &[&str] = &[
    "1",
    "a",
    "(1,1)",
    "[1,2)",
    "{[1,2)}",
    "<(1,1),1>",
    "((0,0),(1,1))",
    "{1,1,1}",
    "{1}",
    "2024-01-01",
    "12:00",
    "[2024-01-01,2024-01-02)",
    "{[2024-01-01,2024-01-02)}",
    "10.0.0.0/8",
    "08:00:2b:01:02:03",
    "1/1",
    "1:1:",
    "00000000-0000-0000-0000-000000000000",
    "{\"a\":1}",
    "t",
    "a=>1",
    "simple",
    "int4",
    "now",
    "abs(int)",
    "+(int,int)",
    "postgres",
    "pg_catalog",
    "\"C\"",
    "YES",
    "postgres=r/postgres",
    "0-306-40615-2",
    "978-0-306-40615-7",
    "979-0-2600-0043-8",
    "M-2600-0043-8",
    "1436-4522",
    "9771436452008",
    "036000291452",
];
