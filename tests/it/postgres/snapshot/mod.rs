//! Chunks of tables: their rows are those of SELECT, in the bytes of the stream, and each comes once.

mod failures;
mod keys;
mod pending;
mod plan;
mod shapes;
mod standby;

use std::sync::OnceLock;
use std::time::Duration;

use tokio_postgres::Client;
use walbrook::config::Postgres as Settings;
use walbrook::postgres::{
    Chunk, ChunkError, ChunkLimits, ChunkReader, ChunkRequest, Key, SnapshotTable,
};
use walbrook::types::SESSION_SETTINGS;
use walbrook::wal::{Column, RelationId, Tuple, Tuples};

use super::local;
use crate::support::postgres::{Options, Postgres};
use crate::support::unique;

/// A server that the tests of this module share.
fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(&Options::default()))
}

/// A database of one test, and who writes into it.
struct Scene {
    settings: Settings,
    client: Client,
}

impl Scene {
    async fn new(server: &Postgres, setup: &str) -> Self {
        let database = unique("chunks");
        server.execute("postgres", &format!("CREATE DATABASE {database}")).await;
        Self::on(server, &database, setup).await
    }

    async fn on(server: &Postgres, database: &str, setup: &str) -> Self {
        let client = server.client(database).await;
        for (name, value) in SESSION_SETTINGS {
            client.batch_execute(&format!("SET {name} = '{value}'")).await.unwrap();
        }
        client.batch_execute(setup).await.unwrap();
        Self { settings: local(server, database), client }
    }

    async fn reader(&self) -> ChunkReader {
        ChunkReader::connect(&self.settings, LIMITS).await.unwrap()
    }

    async fn run(&self, statements: &str) {
        self.client.batch_execute(statements).await.unwrap();
    }

    /// A table as a reader wants it named.
    async fn table(&self, name: &str, key: &[&str]) -> Table {
        let query = "SELECT $1::text::regclass::oid";
        let relation = RelationId(self.client.query_one(query, &[&name]).await.unwrap().get(0));
        Table {
            relation,
            publications: vec!["walbrook".to_owned()],
            key: key.iter().map(|&name| name.to_owned()).collect(),
            condition: None,
        }
    }

    /// A number from a query.
    async fn number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    /// What a query says, in text form.
    async fn select(&self, query: &str) -> Vec<Row> {
        let rows = self.client.simple_query(query).await.unwrap();
        let row = |message: &tokio_postgres::SimpleQueryMessage| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                let text = |at| row.get(at).map(|text| text.as_bytes().to_vec());
                Some((0..row.len()).map(text).collect())
            }
            _ => None,
        };
        rows.iter().filter_map(row).collect()
    }
}

#[derive(Clone)]
struct Table {
    relation: RelationId,
    publications: Vec<String>,
    key: Vec<String>,
    condition: Option<String>,
}

impl Table {
    fn named(&self) -> SnapshotTable<'_> {
        SnapshotTable {
            relation: self.relation,
            publications: &self.publications,
            key: &self.key,
            condition: self.condition.as_deref(),
        }
    }

    /// All of it, in binary form.
    fn whole(&self) -> ChunkRequest<'_> {
        ChunkRequest {
            table: self.named(),
            after: None,
            to: None,
            keys: None,
            rows_max: u32::MAX,
            bytes_max: usize::MAX,
            is_binary: true,
        }
    }
}

/// Reads a range chunk by chunk; `hold` is held against each chunk.
async fn walk(
    reader: &mut ChunkReader,
    range: ChunkRequest<'_>,
    mut hold: impl FnMut(&Chunk),
) -> Result<Vec<Row>, ChunkError> {
    let mut all = Vec::new();
    let mut after: Option<Key> = range.after.cloned();
    loop {
        let chunk = reader.read(&ChunkRequest { after: after.as_ref(), ..range }).await?;
        hold(&chunk);
        let rows = rows(&chunk);
        assert_eq!(rows.len(), chunk.count as usize);
        assert_eq!(chunk.last.is_none(), rows.is_empty());
        all.extend(rows);
        if chunk.is_last {
            return Ok(all);
        }
        assert_ne!(chunk.last, after, "it goes on");
        after = chunk.last;
    }
}

fn rows(chunk: &Chunk) -> Vec<Row> {
    Tuples::new(&chunk.rows).map(|tuple| row(tuple.unwrap())).collect()
}

fn row(tuple: Tuple<'_>) -> Row {
    let value = |column| match column {
        Column::Binary(bytes) | Column::Text(bytes) => Some(bytes.to_vec()),
        Column::Null => None,
        Column::Unchanged => panic!("a chunk has no unchanged value"),
    };
    tuple.columns().map(value).collect()
}

type Row = Vec<Option<Vec<u8>>>;

/// The rows in an order of ours, as text for people.
fn sorted(rows: Vec<Row>) -> Vec<String> {
    let value = |value: &Option<Vec<u8>>| match value {
        Some(value) => String::from_utf8_lossy(value).into_owned(),
        None => "NULL".to_owned(),
    };
    let mut rows: Vec<_> =
        rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>().join("|")).collect();
    rows.sort();
    rows
}

const LIMITS: ChunkLimits = ChunkLimits {
    lock_timeout: Duration::from_secs(20),
    statement_timeout: Duration::from_secs(30),
};
const LIMIT: Duration = Duration::from_secs(120);
