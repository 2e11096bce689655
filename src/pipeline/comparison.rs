//! `walbrook verify`, and the first half of `repair`: tables beside the latest state of their topics,
//! exactly.
//!
//! ```text
//!  topics up to now ─▶ a slot's snapshot, as of C ─▶ the checkpoint covers C ─▶ topics up to now,
//!  what commits before C ─▶ the table's rows, one beside its key's state after the other
//! ```
//!
//! The topics come first, so that the snapshot is held for what came meanwhile and the rows alone. Of
//! the topics a hash of each key and row is kept; if that is too much, one stretch of hashes after the
//! other is compared, each as of a point of its own. Nothing is written, joined or fenced.

mod error;
mod sum;
mod tables;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use tracing::info;

pub use error::Error;
use sum::Sum;

use super::clock;
use super::error::Error as PipelineError;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::kafka::{self, TopicReader};
use crate::plan::{SchemaId, Sharing, TABLE_HEADER, Whose};
use crate::position::Lsn;
use crate::postgres::{Catalog, Exported, ImportedReader, ReplicationClient, SnapshotTable};
use crate::registry::Registry;
use crate::verify::{Fold, Point, Record, Schemas, Side};
use crate::wal::RelationId;

/// What is to be compared, and within which limits.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// Tables, as `schema.table`; none is all that are published.
    pub tables: &'a [String],
    /// How much memory the keys may take, about.
    pub memory_bytes: usize,
    /// How long to wait for a transaction that holds up the slot, and for the checkpoint.
    pub wait: Duration,
    /// How often keys that change are looked at.
    pub rounds: u32,
    /// How many differing keys of a table are shown.
    pub keys_max: usize,
    /// How much memory the values of differing keys may take, about; 0 if nobody asks for them.
    pub values_bytes: usize,
}

/// A table and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// `schema.table`.
    pub table: String,
    /// Its topic.
    pub topic: String,
    /// The names of its key's columns, if it was compared.
    pub key: Vec<String>,
    /// What came of it; else why it was not compared.
    pub outcome: Result<Outcome, String>,
    /// Whether what it was not compared for passes, or can be put right.
    pub is_passing: bool,
}

/// What the comparison of a table found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Rows that are alike.
    pub alike: u64,
    /// Those among them of which the last record has no value of some column.
    pub partial: u64,
    /// Keys that both have, with other values.
    pub different: u64,
    /// Keys that the table alone has.
    pub missing: u64,
    /// Keys that the topic alone has.
    pub extra: u64,
    /// Keys that changed whenever they were looked at.
    pub changing: u64,
    /// Columns that are not judged, and the type of their field.
    pub unjudged: Vec<(String, String)>,
    /// The first of the keys that differ.
    pub differences: Vec<Difference>,
    /// How many keys there are, where values were asked for, whose values cannot be told, by why.
    pub untold: BTreeMap<String, u64>,
}

/// A key in which table and topic differ.
#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// Who has it.
    pub side: Side,
    /// Its values as a JSON object, for who asked to see them.
    pub shown: Option<String>,
    /// PostgreSQL's texts of its columns' values, for who asked for them; `None` if they cannot be told.
    pub values: Option<Vec<String>>,
}

impl std::fmt::Debug for Difference {
    /// Never the key (I7).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Difference({:?})", self.side)
    }
}

impl Outcome {
    /// Whether table and topic differ.
    #[must_use]
    pub fn differs(&self) -> bool {
        0 < self.different + self.missing + self.extra
    }

    /// Whether all of the table was compared.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.changing + self.partial == 0 && self.unjudged.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.alike += other.alike;
        self.partial += other.partial;
        self.different += other.different;
        self.missing += other.missing;
        self.extra += other.extra;
        self.differences.extend(other.differences);
        for (why, keys) in other.untold {
            *self.untold.entry(why).or_default() += keys;
        }
    }
}

/// Compares the tables; with that the point as of which the first of them was read, if one could be.
///
/// # Errors
///
/// If a server cannot be reached or refuses; of a table that cannot be compared the answer says why.
pub async fn compare(
    config: &Config,
    wanted: Comparison<'_>,
) -> Result<(Vec<Compared>, Option<Lsn>), PipelineError> {
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let checkpoint =
        kafka::read_checkpoint(config).map_err(of_kafka)?.ok_or(Error::NoCheckpoint)?;
    let mut reader = ImportedReader::connect(&config.postgres, &catalog).await?;
    let found = tables::find(config, &mut catalog, &mut reader, &checkpoint, wanted.tables).await?;
    reader.close().await;
    let tables::Tables { ready, mut left } = found;
    let registry = config.registry.as_ref().map(Registry::new).transpose()?;
    let mut work = Work {
        config,
        wanted,
        catalog,
        registry,
        reader: TopicReader::new(&config.kafka).map_err(of_kafka)?,
        schemas: Schemas::default(),
        system: checkpoint.system_identifier,
        tables: ready,
        point: None,
        records: 0,
        told: clock::now(),
    };
    if !work.tables.is_empty() {
        work.run().await?;
    }
    left.extend(work.tables.into_iter().map(|table| Compared {
        outcome: Ok(Outcome { unjudged: table.judged.unjudged(), ..table.outcome }),
        table: table.name,
        topic: table.topic,
        key: table.key,
        is_passing: false,
    }));
    left.sort_by(|one, other| one.table.cmp(&other.table));
    Ok((left, work.point))
}

/// A table that can be compared.
struct Ready {
    relation: RelationId,
    name: String,
    topic: String,
    /// The names of its key's columns.
    key: Vec<String>,
    judged: crate::verify::Table,
    /// How its records are told from others' in its topic.
    sharing: Sharing,
    /// Up to where each partition of its topic was read in this pass.
    read: Vec<i64>,
    outcome: Outcome,
}

struct Work<'a> {
    config: &'a Config,
    wanted: Comparison<'a>,
    catalog: Catalog,
    registry: Option<Registry>,
    reader: TopicReader,
    schemas: Schemas,
    /// The system identifier of the checkpoint.
    system: String,
    tables: Vec<Ready>,
    /// As of when the first of them was read.
    point: Option<Lsn>,
    /// Records read in this pass.
    records: u64,
    told: Instant,
}

/// Keys by their hashes, for each table.
type Keys = Vec<HashSet<u128>>;

impl Work<'_> {
    /// Compares all, and what changes again and again.
    async fn run(&mut self) -> Result<(), PipelineError> {
        let mut changing = self.round(None).await?;
        for _ in 1..self.wanted.rounds {
            if changing.iter().all(HashSet::is_empty) {
                return Ok(());
            }
            let keys: usize = changing.iter().map(HashSet::len).sum();
            info!(keys, "keys that change are looked at again");
            changing = self.round(Some(&changing)).await?;
        }
        for (table, keys) in self.tables.iter_mut().zip(changing) {
            table.outcome.changing = u64::try_from(keys.len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    /// Compares all keys, or those; returns which of them have newer records.
    async fn round(&mut self, only: Option<&Keys>) -> Result<Keys, PipelineError> {
        let mut changing: Keys = self.tables.iter().map(|_| HashSet::new()).collect();
        let (mut from, mut attempts) = (Some(0), 0);
        while let Some(begin) = from {
            let mut fold = Fold::new(self.tables.len(), begin, self.wanted.memory_bytes);
            for (index, keys) in only.into_iter().flatten().enumerate() {
                fold.only(index, keys.clone());
            }
            match self.pass(&mut fold).await {
                Err(PipelineError::Comparison(error))
                    if error.is_changed() && attempts < ATTEMPTS =>
                {
                    info!(%error, "this part of the comparison begins again");
                    attempts += 1;
                }
                Err(error) => return Err(error),
                Ok(outcomes) => {
                    from = fold.next_from();
                    for (index, (outcome, keys)) in outcomes.into_iter().enumerate() {
                        if let (Some(table), Some(all)) =
                            (self.tables.get_mut(index), changing.get_mut(index))
                        {
                            table.outcome.add(outcome);
                            all.extend(keys);
                        }
                    }
                    if from.is_some() {
                        info!("a part of the keys is compared; the next one is read");
                    }
                }
            }
        }
        Ok(changing)
    }

    /// Compares as many keys as have room, as of one point.
    async fn pass(
        &mut self,
        fold: &mut Fold,
    ) -> Result<Vec<(Outcome, HashSet<u128>)>, PipelineError> {
        self.records = 0;
        for table in &mut self.tables {
            table.read.clear();
        }
        self.fold(fold, None).await?;
        let (exported, mut reader) = self.snapshot().await?;
        let checkpoint = self.covered(exported.lsn).await?;
        self.fold(fold, Some((checkpoint.epoch, exported.lsn))).await?;
        self.point.get_or_insert(exported.lsn);
        let mut sums = Vec::with_capacity(self.tables.len());
        let mut room = self.room();
        for index in 0..self.tables.len() {
            let sum = self.hold(index, fold, &mut reader, room).await?;
            room = sum.room;
            sums.push(sum);
        }
        reader.leave().await.map_err(Error::Table)?;
        let mut outcomes = Vec::with_capacity(self.tables.len());
        for (table, mut sum) in self.tables.iter().zip(sums) {
            let publications = &self.config.replication.publications;
            sum.turn_back(&table.place(publications), &mut reader).await.map_err(Error::Table)?;
            outcomes.push((sum.outcome, sum.changing));
        }
        reader.close().await;
        Ok(outcomes)
    }

    /// How much memory there still is for values of keys that differ.
    fn room(&self) -> usize {
        let differences = self.tables.iter().flat_map(|table| &table.outcome.differences);
        self.wanted.values_bytes.saturating_sub(differences.map(Difference::bytes).sum())
    }

    /// Takes what the topics have behind what was read already.
    async fn fold(&mut self, fold: &mut Fold, point: Option<Point>) -> Result<(), PipelineError> {
        for index in 0..self.tables.len() {
            let Some(Ready { topic, .. }) = self.tables.get(index) else { continue };
            let topic = topic.clone();
            let partitions = self.reader.partitions(&topic).map_err(of_kafka)?.unwrap_or_default();
            for partition in 0..partitions {
                self.fold_partition(index, &topic, partition, fold, point).await?;
            }
        }
        Ok(())
    }

    async fn fold_partition(
        &mut self,
        index: usize,
        topic: &str,
        partition: i32,
        fold: &mut Fold,
        point: Option<Point>,
    ) -> Result<(), PipelineError> {
        let Self { reader, registry, schemas, tables, records, told, .. } = self;
        let Some(Ready { judged, sharing, read, name, .. }) = tables.get_mut(index) else {
            return Ok(());
        };
        let place = usize::try_from(partition).unwrap_or_default();
        let offsets = reader.offsets(topic, partition).map_err(of_kafka)?;
        let start = read.get(place).copied().unwrap_or_default().max(offsets.start);
        reader.seek(topic, partition, start..offsets.end.max(start)).map_err(of_kafka)?;
        while let Some(found) = reader.next_record().map_err(of_kafka)? {
            let whose = sharing.whose(found.header(TABLE_HEADER), found.key().is_some());
            if whose == Whose::Unrelated {
                continue;
            }
            let record = Record {
                partition,
                key: found.key(),
                value: found.value(),
                position: found.position(),
                unchanged: found.header(UNCHANGED),
                is_others: whose == Whose::Others,
            };
            while let Some(id) = judged.wants(&record, schemas) {
                let registry = registry.as_mut().ok_or(Error::NoRegistry)?;
                let schema = registry.schema(SchemaId(id)).await?;
                schemas.add(id, &schema).map_err(|source| Error::Schema { id, source })?;
            }
            fold.take(index, (judged, schemas), &record, point).map_err(|source| {
                let (topic, offset) = (topic.to_owned(), found.offset());
                Error::Record { topic, partition, offset, source }
            })?;
            *records += 1;
            if *records % TELL_RECORDS == 0 && TELL_EVERY < told.elapsed() {
                *told = clock::now();
                info!(table = &**name, records, "reading topics");
            }
        }
        if read.len() <= place {
            read.resize(place + 1, 0);
        }
        if let Some(read) = read.get_mut(place) {
            *read = offsets.end;
        }
        Ok(())
    }

    /// A snapshot that a slot has exported, and who reads in it. The slot is gone then.
    async fn snapshot(&mut self) -> Result<(Exported, ImportedReader), PipelineError> {
        let Self { config, catalog, wanted, .. } = self;
        let mut client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
        client.same_server(catalog)?;
        let system = client.identify_system().await?.system_identifier;
        if system != self.system {
            let checkpoint = self.system.clone();
            return Err(Error::OtherServer { checkpoint, found: system }.into());
        }
        let mut reader = ImportedReader::connect(&config.postgres, catalog).await?;
        let slot = format!("walbrook_verify_{}", std::process::id());
        let exported = client.export_snapshot(&slot, wanted.wait).await.map_err(Error::Snapshot)?;
        reader.import(&exported.snapshot).await.map_err(Error::Table)?;
        client.close().await;
        Ok((exported, reader))
    }

    /// Waits until all that commits before `lsn` is in Kafka.
    async fn covered(&self, lsn: Lsn) -> Result<Checkpoint, PipelineError> {
        let begin = clock::now();
        let mut is_told = false;
        loop {
            let checkpoint = kafka::read_checkpoint(self.config).map_err(of_kafka)?;
            let checkpoint = checkpoint.ok_or(Error::NoCheckpoint)?;
            let covered = checkpoint.confirm.max(checkpoint.position.commit_lsn);
            if lsn <= covered {
                return Ok(checkpoint);
            }
            if self.wanted.wait < begin.elapsed() {
                return Err(Error::Behind { covered, lsn, waited: self.wanted.wait }.into());
            }
            if !std::mem::replace(&mut is_told, true) {
                info!(%covered, %lsn, "waiting until the checkpoint of the running walbrook covers the snapshot");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Holds a table's rows beside the state of their keys.
    async fn hold(
        &mut self,
        index: usize,
        fold: &mut Fold,
        reader: &mut ImportedReader,
        room: usize,
    ) -> Result<Sum, PipelineError> {
        let wanted = self.wanted;
        let Some(table) = self.tables.get_mut(index) else { return Ok(Sum::default()) };
        let known = table.outcome.differences.len();
        let mut sum =
            Sum { keys_max: wanted.keys_max.saturating_sub(known), room, ..Sum::default() };
        let mut expressions = table.judged.expressions().to_vec();
        let judged_len = expressions.len();
        if 0 < wanted.values_bytes {
            expressions.extend(table.judged.key_values());
            sum.back = Some(sum::way_back(&table.judged));
        }
        let place = table.place(&self.config.replication.publications);
        let judged = &table.judged;
        let each = |texts: &[Option<&str>]| {
            let found = fold.row(index, judged, texts);
            sum.add(found, |_, is_shown| {
                let values = texts.get(judged_len..).unwrap_or_default().iter();
                let values = values.map(|text| text.map(str::to_owned)).collect();
                (is_shown.then(|| judged.key_shown(texts)), values)
            });
        };
        reader.rows(&place, &expressions, each).await.map_err(Error::Table)?;
        for found in fold.rest(index) {
            sum.add(found, |key, is_shown| {
                let judged = &mut table.judged;
                let texts = key.and_then(|key| judged.key_texts(key, &self.schemas).ok());
                let texts = texts.unwrap_or_default();
                let plain: Vec<_> = texts.iter().map(Option::as_deref).collect();
                (is_shown.then(|| judged.key_shown(&plain)), texts.into_iter().collect())
            });
        }
        Ok(sum)
    }
}

impl Ready {
    /// Where it is read.
    fn place<'a>(&'a self, publications: &'a [String]) -> SnapshotTable<'a> {
        SnapshotTable { relation: self.relation, publications, key: &self.key, condition: None }
    }
}

fn of_kafka(error: kafka::Error) -> PipelineError {
    PipelineError::Sink { class: error.class(), error: Box::new(error) }
}

/// The header of records that lack values which did not change.
const UNCHANGED: &str = "walbrook.unchanged";

/// How often a part is compared again whose table was emptied, rewritten or altered meanwhile.
const ATTEMPTS: u32 = 3;

/// How often the checkpoint is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often it is told how far the topics are read.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// So often the clock is looked at for that, in records.
const TELL_RECORDS: u64 = 10_000;
