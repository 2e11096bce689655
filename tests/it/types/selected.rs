//! A table's rows as SELECT gives them, put into pgoutput's frames. The values come from the types'
//! own output and send functions, which pgoutput calls too.

use std::error::Error;

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, SimpleQueryMessage};

/// A frame that tells of a table in `public`, and one for each of its rows.
pub(super) async fn frames(client: &Client, table: &str, is_binary: bool) -> Vec<Vec<u8>> {
    let row = client.query_one("SELECT $1::text::regclass::oid", &[&table]).await.unwrap();
    let id: u32 = row.get(0);
    let query = format!("SELECT * FROM {table}");
    let rows = if is_binary { sent(client, &query).await } else { printed(client, &query).await };
    let mut frames = vec![relation(client, id, table).await];
    let tag = if is_binary { b'b' } else { b't' };
    frames.extend(rows.iter().map(|row| insert(id, tag, row)));
    frames
}

type Row = Vec<Option<Vec<u8>>>;

async fn printed(client: &Client, query: &str) -> Vec<Row> {
    let messages = client.simple_query(query).await.unwrap();
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let text = |at| row.get(at).map(|text| text.as_bytes().to_vec());
            Some((0..row.len()).map(text).collect())
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

async fn sent(client: &Client, query: &str) -> Vec<Row> {
    let rows = client.query(query, &[]).await.unwrap();
    let row = |row: &tokio_postgres::Row| {
        (0..row.len()).map(|at| row.get::<_, Option<Raw>>(at).map(|Raw(bytes)| bytes)).collect()
    };
    rows.iter().map(row).collect()
}

/// The bytes of any type.
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, bytes: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(bytes.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>
async fn relation(client: &Client, id: u32, table: &str) -> Vec<u8> {
    let columns = "SELECT attname::text, atttypid, atttypmod FROM pg_attribute
        WHERE attrelid = $1 AND 0 < attnum AND NOT attisdropped ORDER BY attnum";
    let columns = client.query(columns, &[&id]).await.unwrap();
    let mut frame = vec![b'R'];
    frame.extend(id.to_be_bytes());
    frame.extend(format!("public\0{table}\0d").as_bytes());
    frame.extend(count(columns.len()));
    for column in &columns {
        let (name, kind, modifier): (&str, u32, i32) =
            (column.get(0), column.get(1), column.get(2));
        frame.push(0);
        frame.extend(format!("{name}\0").as_bytes());
        frame.extend(kind.to_be_bytes());
        frame.extend(modifier.to_be_bytes());
    }
    frame
}

fn insert(id: u32, tag: u8, row: &Row) -> Vec<u8> {
    let mut frame = vec![b'I'];
    frame.extend(id.to_be_bytes());
    frame.push(b'N');
    frame.extend(count(row.len()));
    for column in row {
        match column {
            None => frame.push(b'n'),
            Some(value) => {
                frame.push(tag);
                frame.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                frame.extend(value);
            }
        }
    }
    frame
}

fn count(columns: usize) -> [u8; 2] {
    u16::try_from(columns).unwrap().to_be_bytes()
}
