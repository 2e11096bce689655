//! Keys as their values' texts become keys as the stream has them, by the server.

use super::chunk::{Key, SnapshotTable};
use super::dialogue::{Stage, Value, refused};
use super::error::ChunkError;
use super::rows::Rows;
use super::table::Shape;
use super::{ChunkReader, Ending, ROWS, malformed};
use crate::wal::Tuples;

impl ChunkReader {
    pub(super) async fn keyed(
        &mut self,
        table: &SnapshotTable<'_>,
        keys: &[Key],
        is_binary: bool,
    ) -> Result<Vec<Box<[u8]>>, ChunkError> {
        let place = self.lock(table).await?;
        let shape = self.shape(place, table).await?;
        let texts = keys.iter().map(|key| shape.values(key)).collect::<Result<Vec<_>, _>>()?;
        let texts = texts.concat();
        let types = shape.key.iter().cycle().map(|column| column.type_oid);
        let values = texts.iter().zip(types);
        let values = values.map(|(bytes, type_oid)| Value { type_oid, is_binary: false, bytes });
        let values = values.collect::<Vec<_>>();
        let forms = shape.forms(is_binary);
        let form = |index: usize| forms.get(index).copied().unwrap_or_default();
        let forms = shape.key.iter().map(|column| form(column.index)).collect::<Vec<_>>();
        self.dialogue.open(ROWS, &question(&shape, keys.len()), &values, &forms)?;
        self.dialogue.call(ROWS, 0)?;
        let mut rows = Rows::new(forms, Vec::new(), (u32::MAX, usize::MAX), 0);
        let ending = self.dialogue.portion(|row| rows.push(row).map_err(malformed)).await?;
        let is_input = matches!(ending, Ending::Refused { stage: Stage::Bind, .. });
        if let Some(server) = refused(ending) {
            let table = shape.place.name;
            return Err(match is_input {
                true => ChunkError::Key { table, server: Some(server) },
                false => super::Error::Server(server).into(),
            });
        }
        self.dialogue.run("COMMIT").await?;
        let bytes = rows.into_bytes();
        let mut found = Vec::with_capacity(keys.len());
        let mut rest = bytes.as_slice();
        while let Some(row) = Tuples::new(rest).next().transpose().map_err(malformed)? {
            let (key, behind) = rest.split_at_checked(row.byte_len()).unwrap_or((rest, &[]));
            found.push(key.into());
            rest = behind;
        }
        Ok(found)
    }
}

/// `$1` and so on are the keys' values.
fn question(shape: &Shape, count: usize) -> String {
    let width = shape.key.len();
    let one = |number: usize| {
        let values: Vec<_> =
            (1..=width).map(|place| format!("${}", number * width + place)).collect();
        format!("({})", values.join(", "))
    };
    let all: Vec<_> = (0..count).map(one).collect();
    format!("VALUES {}", all.join(", "))
}
