//! What was found of a table in one pass, and the values of keys that differ.

use std::collections::{BTreeMap, HashSet};

use super::{Difference, Outcome};
use crate::postgres::{ChunkError, ImportedReader, SnapshotTable, WayBack};
use crate::verify::{Found, Side, Table};

/// What was found so far.
#[derive(Default)]
pub(super) struct Sum {
    pub(super) outcome: Outcome,
    /// Keys that changed, by their hashes.
    pub(super) changing: HashSet<u128>,
    /// So many keys are shown.
    pub(super) keys_max: usize,
    /// So much memory there is for the values of keys, about.
    pub(super) room: usize,
    /// From a key's plain texts to its values, or why there is no way; `None` if nobody asks for them.
    pub(super) back: Option<Result<WayBack, String>>,
}

/// What is told of a key: its values for people, if they are wanted, and as texts. Of a row these are
/// PostgreSQL's, of a record the plain ones.
pub(super) type Told = (Option<String>, Option<Vec<String>>);

impl Sum {
    /// Counts what was found; `tell` says a key's values, the first if it is called with true.
    pub(super) fn add(&mut self, found: Found, tell: impl FnOnce(Option<&[u8]>, bool) -> Told) {
        match found {
            Found::Alike { is_partial } => {
                self.outcome.alike += 1;
                self.outcome.partial += u64::from(is_partial);
            }
            Found::Changing { hash } => drop(self.changing.insert(hash)),
            Found::Differs { side, key } => {
                *match side {
                    Side::Both => &mut self.outcome.different,
                    Side::Table => &mut self.outcome.missing,
                    Side::Topic => &mut self.outcome.extra,
                } += 1;
                self.keep(side, |is_shown| tell(key.as_deref(), is_shown));
            }
            Found::Left => {}
        }
    }

    fn keep(&mut self, side: Side, tell: impl FnOnce(bool) -> Told) {
        let is_shown = self.outcome.differences.len() < self.keys_max;
        let is_wanted = match &self.back {
            Some(Err(why)) if side == Side::Topic => {
                count(&mut self.outcome.untold, why);
                false
            }
            Some(_) => 0 < self.room,
            None => false,
        };
        if !is_shown && !is_wanted {
            return;
        }
        let (shown, values) = tell(is_shown);
        if is_wanted && values.is_none() {
            count(&mut self.outcome.untold, NULL);
        }
        let values = values.filter(|_| is_wanted);
        if !is_shown && values.is_none() {
            return;
        }
        let difference = Difference { side, shown, values };
        self.room = self.room.saturating_sub(difference.bytes());
        self.outcome.differences.push(difference);
    }

    /// Has PostgreSQL say the values of the keys that the topic alone has.
    pub(super) async fn turn_back(
        &mut self,
        table: &SnapshotTable<'_>,
        reader: &mut ImportedReader,
    ) -> Result<(), ChunkError> {
        let Some(Ok(back)) = &self.back else { return Ok(()) };
        let Outcome { differences, untold, .. } = &mut self.outcome;
        let is_plain = |it: &&mut Difference| it.side == Side::Topic && it.values.is_some();
        let found: Vec<_> = differences.iter_mut().filter(is_plain).collect();
        let plain: Vec<_> = found.iter().filter_map(|it| it.values.clone()).collect();
        if plain.is_empty() {
            return Ok(());
        }
        let turned = reader.turn_back(table, back, &plain).await?;
        for (difference, values) in found.into_iter().zip(turned) {
            if values.is_none() {
                count(untold, NO_VALUE);
            }
            difference.values = values;
        }
        Ok(())
    }
}

/// One more.
fn count(untold: &mut BTreeMap<String, u64>, why: &str) {
    match untold.get_mut(why) {
        Some(keys) => *keys += 1,
        None => drop(untold.insert(why.to_owned(), 1)),
    }
}

impl Difference {
    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.values.iter().flatten().chain(&self.shown);
        2 * size_of::<Self>() + texts.map(|text| size_of::<String>() + text.len()).sum::<usize>()
    }
}

/// The way from the plain texts of the table's keys to their values.
pub(super) fn way_back(table: &Table) -> Result<WayBack, String> {
    let key_len = table.key_len();
    let texts: Vec<_> = (1..=key_len).map(WayBack::text_name).collect();
    Ok(WayBack {
        inverses: table.key_inverses(&texts)?,
        rules: table.expressions().iter().take(key_len).cloned().collect(),
        values: table.key_values(),
    })
}

const NULL: &str = "a column of the key is NULL";
const NO_VALUE: &str = "the table's columns cannot have the key's values";
