//! How rows reach their reader, in binary and in text mode: from a logical slot, or by SELECT from
//! a server that decodes none.

use tokio_postgres::Client;
use walbrook::wal::{Message, Relation, RelationId, Tuple};

use super::family::reason;
use super::selected;
use crate::support::unique;

/// A way of rows.
pub(super) enum Road {
    /// A slot that ends with its session: rows that are written after it was made.
    Slot(String),
    /// SELECT, by the functions that pgoutput calls too.
    Select,
}

impl Road {
    pub(super) async fn slot(client: &Client) -> Self {
        let slot = unique("types");
        let create =
            format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput', true)");
        client.batch_execute(&create).await.unwrap();
        Self::Slot(slot)
    }

    /// The bodies of all frames that tell of the tables, which are all that are published.
    pub(super) async fn frames(
        &self,
        client: &Client,
        tables: &[String],
        is_binary: bool,
    ) -> Vec<Vec<u8>> {
        match self {
            Self::Slot(slot) => peek(client, slot, is_binary).await,
            Self::Select => {
                let mut frames = Vec::new();
                for table in tables {
                    frames.extend(selected::frames(client, table, is_binary).await);
                }
                frames
            }
        }
    }
}

async fn peek(client: &Client, slot: &str, is_binary: bool) -> Vec<Vec<u8>> {
    let query = format!(
        "SELECT data FROM pg_logical_slot_peek_binary_changes('{slot}', NULL, NULL,
            'proto_version', '1', 'publication_names', 'walbrook', 'binary', '{is_binary}')"
    );
    let rows = client.query(&query, &[]).await;
    rows.unwrap_or_else(|error| panic!("{}", reason(&error))).iter().map(|row| row.get(0)).collect()
}

/// The tables of which the frames speak, and their rows.
pub(super) fn read(frames: &[Vec<u8>]) -> (Vec<Relation>, Vec<(RelationId, Tuple<'_>)>) {
    let (mut relations, mut rows) = (Vec::new(), Vec::new());
    for frame in frames {
        match Message::parse(frame).unwrap() {
            Message::Relation(relation) => relations.push(relation.to_owned()),
            Message::Insert { relation, new } => rows.push((relation, new)),
            _ => {}
        }
    }
    (relations, rows)
}
