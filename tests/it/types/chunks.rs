//! The third road: chunks of a snapshot have the same bytes as the stream, so that all that is judged
//! of those is true of these.

use std::time::Duration;

use walbrook::config::Postgres;
use walbrook::postgres::{ChunkLimits, ChunkReader, ChunkRequest, SnapshotTable};
use walbrook::wal::{Relation, RelationId, Tuple, Tuples};

/// Says where the rows of the tables, read as chunks, are others than those of the stream.
pub(super) async fn compare(
    settings: &Postgres,
    relations: &[Relation],
    streamed: &[(RelationId, Tuple<'_>)],
    is_binary: bool,
) -> Vec<String> {
    let mut reader = ChunkReader::connect(settings, LIMITS).await.unwrap();
    let (publications, key) = (["walbrook".to_owned()], ["id".to_owned()]);
    let mut findings = Vec::new();
    for relation in relations {
        let table = SnapshotTable {
            relation: relation.id,
            publications: &publications,
            key: &key,
            condition: None,
        };
        let request = ChunkRequest {
            table,
            after: None,
            to: None,
            keys: None,
            rows_max: u32::MAX - 1,
            bytes_max: usize::MAX,
            is_binary,
        };
        let chunk = reader.read(&request).await.unwrap();
        assert_eq!(chunk.relation, *relation);
        let streamed = streamed.iter().filter(|(id, _)| *id == relation.id).map(|(_, row)| row);
        let streamed: Vec<_> = streamed.collect();
        let rows = Tuples::new(&chunk.rows).map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(rows.len(), streamed.len(), "{}", relation.name);
        for (row, streamed) in rows.iter().zip(streamed) {
            for ((column, read), sent) in
                relation.columns.iter().zip(row.columns()).zip(streamed.columns())
            {
                if read != sent {
                    let name = &column.name;
                    findings
                        .push(format!("{}.{name}: {read:?} read, {sent:?} sent", relation.name));
                }
            }
        }
    }
    reader.close().await;
    findings
}

const LIMITS: ChunkLimits = ChunkLimits {
    lock_timeout: Duration::from_secs(10),
    statement_timeout: Duration::from_secs(60),
};
