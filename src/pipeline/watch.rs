//! What is missing from the stream: PostgreSQL does not tell of rows that it does not send, but its
//! catalog shows why it does not send them.
//!
//! A [`Watch`] remembers what was published since the process began; each [`Survey`] is held against
//! that. What is published when the process begins is taken as it is meant, except for the outboxes
//! of the configuration. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::config::{Config, Outbox, Selection};
use crate::postgres::{Publication, Survey, SurveyedColumn, SurveyedTable};
use crate::wal::RelationId;

/// Something that does not reach Kafka, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Finding {
    /// A column list has lost columns.
    #[error(
        "table {table}: the publication's column list has lost columns, which are not in records any more"
    )]
    ColumnsLost {
        /// The table.
        table: String,
    },
    /// A publication has no tables any more, or none at all.
    #[error(
        "publication {publication} holds no table, so nothing of it reaches Kafka: ALTER PUBLICATION … ADD TABLE …"
    )]
    Empty {
        /// The publication.
        publication: String,
    },
    /// A table has another row filter.
    #[error(
        "table {table}: the publication has a row filter that it had not; rows that do not pass it do not reach Kafka"
    )]
    Filtered {
        /// The table.
        table: String,
    },
    /// A publication publishes fewer operations.
    #[error(
        "publication {publication} does not publish {operations} any more: ALTER PUBLICATION … SET (publish = …)"
    )]
    Narrower {
        /// The publication.
        publication: String,
        /// The operations that it published before.
        operations: String,
    },
    /// A publication is gone.
    #[error(
        "publication {publication} does not exist any more: make it again at once, since what is written meanwhile is not delivered"
    )]
    NoPublication {
        /// The publication.
        publication: String,
    },
    /// A table is not published, under its name.
    #[error(
        "table {table} is in none of the publications ({why}), so its changes do not reach Kafka: ALTER PUBLICATION … ADD TABLE …; what is written meanwhile is not delivered"
    )]
    NotPublished {
        /// The table.
        table: String,
        /// Why that is.
        why: Why,
    },
    /// A table seems to be an outbox that is not configured.
    #[error(
        "table {table} has the columns of outbox {outbox} and is not configured: its first row parks it; set [[outbox]] table = {table:?}, or leave it out of the publication"
    )]
    OutboxLike {
        /// The table.
        table: String,
        /// The outbox that it is like.
        outbox: String,
    },
    /// An outbox of the configuration does not exist.
    #[error("outbox table {outbox} does not exist{}", elsewhere(at))]
    OutboxMissing {
        /// The outbox.
        outbox: String,
        /// Tables of its name in other PostgreSQL schemas.
        at: Vec<String>,
    },
    /// A table was rewritten with other values.
    #[error(
        "table {table} was rewritten (the type of a column was changed, or one was added with a default that is not a constant), and PostgreSQL sends no change for that: consumers have the old values; update the rows (UPDATE … SET … = …) where that matters"
    )]
    Rewritten {
        /// The table.
        table: String,
    },
    /// A table is not in the WAL.
    #[error(
        "table {table} was made UNLOGGED: its changes are not in the WAL and do not reach Kafka, also after SET LOGGED"
    )]
    Unlogged {
        /// The table.
        table: String,
    },
    /// A publication lost `publish_via_partition_root`.
    #[error(
        "publication {publication} has lost publish_via_partition_root: rows of partitions go to topics of their own: ALTER PUBLICATION … SET (publish_via_partition_root = true)"
    )]
    ViaRootLost {
        /// The publication.
        publication: String,
    },
    /// A table was not in the WAL for a while.
    #[error(
        "table {table} was UNLOGGED for a while: what was written then did not reach Kafka; update the rows where that matters (deleted ones are not told of)"
    )]
    WasUnlogged {
        /// The table.
        table: String,
    },
}

/// Why a table is not published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Why {
    /// It has another name now.
    #[error("it is {to} now")]
    Moved {
        /// Its schema and name.
        to: String,
    },
    /// Another table has its name.
    #[error("it was made again, or another table was given its name")]
    Remade,
    /// It was taken out, or never in.
    #[error("it was not added, or was taken out")]
    TakenOut,
}

fn elsewhere(at: &[String]) -> String {
    if at.is_empty() {
        return ": make and publish it, or correct [[outbox]] table".to_owned();
    }
    format!("; correct [[outbox]] table if it is meant to be {}", at.join(" or "))
}

/// A table's PostgreSQL schema and name.
type Name = (String, String);

/// How many tables are remembered that are not there any more, by OID or by name.
const GONE_MAX: usize = 1000;

/// What was published since the process began.
#[derive(Debug)]
pub struct Watch {
    outboxes: Vec<Outbox>,
    selection: Selection,
    publications: Vec<String>,
    gone_max: usize,
    /// Whether a publication without tables has its use: logical messages.
    has_messages: bool,
    /// The most that each publication offered.
    offers: BTreeMap<String, Offer>,
    tables: BTreeMap<Name, Known>,
    files: BTreeMap<RelationId, File>,
    /// What happened and cannot be undone.
    lasting: BTreeSet<Finding>,
}

/// What a publication offered.
#[derive(Clone, Debug, Default)]
struct Offer {
    operations: BTreeSet<&'static str>,
    is_via_root: bool,
    has_tables: bool,
}

/// A table that is, or was, in the stream under its name.
#[derive(Clone, Debug)]
struct Known {
    /// `None` for an outbox that was not seen yet.
    relation: Option<RelationId>,
    is_partition: bool,
    /// The widest row filter and column list; `None` until it is seen published.
    extent: Option<(Option<String>, Option<Vec<i16>>)>,
}

/// Where the rows of a table lie.
#[derive(Clone, Debug)]
struct File {
    number: u32,
    columns: Vec<SurveyedColumn>,
    is_logged: bool,
}

impl Watch {
    /// Begins with what the configuration says.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let outbox = |outbox: &Outbox| (outbox.namespace.clone(), outbox.table.clone());
        let named = config.outboxes.iter().filter(|outbox| !outbox.is_pattern());
        let unseen = Known { relation: None, is_partition: false, extent: None };
        Self {
            outboxes: config.outboxes.clone(),
            selection: config.tables.selection.clone(),
            publications: config.replication.publications.clone(),
            gone_max: GONE_MAX,
            has_messages: config.message_outbox.is_some(),
            offers: BTreeMap::new(),
            tables: named.map(|it| (outbox(it), unseen.clone())).collect(),
            files: BTreeMap::new(),
            lasting: BTreeSet::new(),
        }
    }

    /// Remembers a table of which a row came, also if it is not published any more.
    pub fn know(&mut self, relation: RelationId, namespace: &str, name: &str) {
        let known = Known { relation: Some(relation), is_partition: false, extent: None };
        self.tables.entry((namespace.to_owned(), name.to_owned())).or_insert(known);
    }

    /// The tables to survey beside those that are published: by OID, and by name.
    #[must_use]
    pub fn subjects(&self) -> (Vec<RelationId>, Vec<String>) {
        let known = self.tables.values().filter_map(|known| known.relation);
        let outboxes = self.outboxes.iter().map(|outbox| &outbox.table);
        let names: BTreeSet<&String> =
            self.tables.keys().map(|(_, name)| name).chain(outboxes).collect();
        let relations: BTreeSet<RelationId> = known.chain(self.files.keys().copied()).collect();
        (relations.into_iter().collect(), names.into_iter().cloned().collect())
    }

    /// What is missing now, and what cannot be undone.
    pub fn look(&mut self, survey: &Survey) -> BTreeSet<Finding> {
        let mut findings = BTreeSet::new();
        self.look_at_publications(survey, &mut findings);
        self.look_at_names(survey, &mut findings);
        self.look_at_outboxes(survey, &mut findings);
        let is_captured = |table: &&SurveyedTable| table.is_named && !self.leaves_out(table);
        for table in survey.tables.iter().filter(is_captured).collect::<Vec<_>>() {
            self.look_at_extent(table, &mut findings);
        }
        self.look_at_files(survey, &mut findings);
        self.forget(survey);
        findings.extend(self.lasting.iter().cloned());
        findings
    }

    /// Whether the configuration leaves out a table that the stream names: nothing of it is missed.
    fn leaves_out(&self, table: &SurveyedTable) -> bool {
        let SurveyedTable { namespace, name, .. } = table;
        table.is_named
            && !self.outboxes.iter().any(|outbox| outbox.is(namespace, name))
            && self.selection.excludes(namespace, name)
    }

    fn look_at_publications(&mut self, survey: &Survey, findings: &mut BTreeSet<Finding>) {
        for name in &self.publications {
            let publication = || name.clone();
            let Some(found) = survey.publications.iter().find(|it| it.name == *name) else {
                findings.insert(Finding::NoPublication { publication: publication() });
                continue;
            };
            let has_tables = survey.tables.iter().any(|table| table.publications.contains(name));
            let operations = operations(found);
            let best = self.offers.entry(name.clone()).or_default();
            let lost: Vec<&str> = best.operations.difference(&operations).copied().collect();
            if !lost.is_empty() {
                let operations = lost.join(", ");
                findings.insert(Finding::Narrower { publication: publication(), operations });
            }
            if best.is_via_root && !found.is_via_root {
                findings.insert(Finding::ViaRootLost { publication: publication() });
            }
            let is_in_use = self.has_messages || found.is_open;
            if !has_tables && (best.has_tables || !is_in_use) {
                findings.insert(Finding::Empty { publication: publication() });
            }
            best.operations.extend(operations);
            best.is_via_root |= found.is_via_root;
            best.has_tables |= has_tables;
        }
    }

    /// Tables that are known and not in the stream under their name. One that was dropped for good
    /// misses nothing, nor does a partition that was detached.
    fn look_at_names(&self, survey: &Survey, findings: &mut BTreeSet<Finding>) {
        let by_name: HashMap<(&str, &str), &SurveyedTable> =
            survey.tables.iter().map(|it| ((&*it.namespace, &*it.name), it)).collect();
        let by_relation: HashMap<RelationId, &SurveyedTable> =
            survey.tables.iter().map(|it| (it.relation, it)).collect();
        for ((namespace, name), known) in &self.tables {
            let here = by_name.get(&(&**namespace, &**name)).copied();
            let it = known.relation.and_then(|relation| by_relation.get(&relation).copied());
            let Some(found) = here.or(it) else { continue };
            if survey.is_published(found) || known.is_partition && !found.is_partition {
                continue;
            }
            let table = format!("{namespace}.{name}");
            let why = match here {
                Some(here) if !here.is_logged => {
                    findings.insert(Finding::Unlogged { table });
                    continue;
                }
                Some(here) if known.relation.is_none_or(|it| it == here.relation) => Why::TakenOut,
                Some(_) => Why::Remade,
                None => Why::Moved { to: full_name(found) },
            };
            findings.insert(Finding::NotPublished { table, why });
        }
    }

    fn look_at_outboxes(&self, survey: &Survey, findings: &mut BTreeSet<Finding>) {
        let is_outbox = |table: &SurveyedTable| {
            self.outboxes.iter().any(|it| it.is(&table.namespace, &table.name))
        };
        let found = survey.tables.iter().filter(|table| is_outbox(table));
        let outboxes: Vec<RelationId> = found.map(|table| table.relation).collect();
        for outbox in &self.outboxes {
            let full = format!("{}.{}", outbox.namespace, outbox.table);
            let namesakes: Vec<_> =
                survey.tables.iter().filter(|it| it.name == outbox.table).collect();
            // Tables of a pattern may come.
            let is_there = namesakes.iter().any(|it| outbox.is(&it.namespace, &it.name));
            if !is_there && !outbox.is_pattern() {
                let at = namesakes.iter().map(|it| full_name(it)).collect();
                findings.insert(Finding::OutboxMissing { outbox: full.clone(), at });
            }
            for table in namesakes {
                let is_configured =
                    is_outbox(table) || table.above.iter().any(|it| outboxes.contains(it));
                let mut columns = outbox.columns();
                let has_columns =
                    columns.all(|name| table.columns.iter().any(|it| it.name == name));
                let is_meant = is_configured || self.leaves_out(table);
                if table.is_published() && !is_meant && has_columns {
                    let (table, outbox) = (full_name(table), full.clone());
                    findings.insert(Finding::OutboxLike { table, outbox });
                }
            }
        }
    }

    /// Forgets tables of which nothing is left, when they are many: one that is made again under the
    /// name of a former one is not expected by then.
    fn forget(&mut self, survey: &Survey) {
        let there: HashSet<RelationId> = survey.tables.iter().map(|it| it.relation).collect();
        let names: HashSet<(&str, &str)> =
            survey.tables.iter().map(|it| (&*it.namespace, &*it.name)).collect();
        let stays = |(namespace, name): &Name, known: &Known| {
            let name = (&**namespace, &**name);
            known.relation.is_some_and(|it| there.contains(&it))
                || names.contains(&name)
                || self.outboxes.iter().any(|it| (&*it.namespace, &*it.table) == name)
        };
        let gone = self.tables.iter().filter(|(name, known)| !stays(name, known)).count();
        if self.gone_max < gone {
            self.tables.retain(|name, known| stays(name, known));
        }
    }

    /// Holds what is published of a table against the most that was, and remembers the table.
    fn look_at_extent(&mut self, table: &SurveyedTable, findings: &mut BTreeSet<Finding>) {
        let relation = Some(table.relation);
        let name = (table.namespace.clone(), table.name.clone());
        let fresh = Known { relation, is_partition: table.is_partition, extent: None };
        let known = self.tables.entry(name).or_insert_with(|| fresh.clone());
        if known.relation != relation {
            *known = fresh;
        }
        known.is_partition = table.is_partition;
        let now = || (table.row_filter.clone(), table.column_list.clone());
        let (filter, list) = known.extent.get_or_insert_with(now);
        match &table.row_filter {
            None => *filter = None,
            found if *found == *filter => {}
            Some(_) => {
                findings.insert(Finding::Filtered { table: full_name(table) });
            }
        }
        let is_listed = |number: &i16| {
            table.column_list.as_ref().is_none_or(|numbers| numbers.contains(number))
        };
        let is_there = |number: &&i16| table.columns.iter().any(|it| it.number == **number);
        let has_all = match list {
            None => table.column_list.is_none(),
            Some(numbers) => numbers.iter().filter(is_there).all(is_listed),
        };
        if has_all {
            list.clone_from(&table.column_list);
        } else {
            findings.insert(Finding::ColumnsLost { table: full_name(table) });
        }
    }

    /// Rewrites, and tables that are not in the WAL. Those of partitions count as well.
    fn look_at_files(&mut self, survey: &Survey, findings: &mut BTreeSet<Finding>) {
        let there: HashSet<RelationId> = survey.tables.iter().map(|it| it.relation).collect();
        self.files.retain(|relation, _| there.contains(relation));
        let is_watched = |it: &&SurveyedTable| !it.is_partitioned && !self.leaves_out(it);
        for table in survey.tables.iter().filter(is_watched).collect::<Vec<_>>() {
            let name = || full_name(table);
            let before = self.files.get_mut(&table.relation);
            match before {
                Some(before) if !table.is_logged => {
                    before.is_logged = false;
                    findings.insert(Finding::Unlogged { table: name() });
                }
                Some(before) if table.is_published() => {
                    if !before.is_logged {
                        self.lasting.insert(Finding::WasUnlogged { table: name() });
                    } else if before.number != table.file
                        && has_new_values(&before.columns, &table.columns)
                    {
                        self.lasting.insert(Finding::Rewritten { table: name() });
                    }
                    *before = File::of(table);
                }
                None if table.is_published() => {
                    self.files.insert(table.relation, File::of(table));
                }
                _ => {}
            }
        }
    }
}

impl File {
    fn of(table: &SurveyedTable) -> Self {
        let SurveyedTable { file, columns, is_logged, .. } = table;
        Self { number: *file, columns: columns.clone(), is_logged: *is_logged }
    }
}

/// Whether a rewrite gave rows other values: of another type, or of a new column that each row has
/// its own default in. (VACUUM FULL, CLUSTER and TRUNCATE change the file only.)
fn has_new_values(before: &[SurveyedColumn], now: &[SurveyedColumn]) -> bool {
    now.iter().any(|column| match before.iter().find(|it| it.number == column.number) {
        Some(same) => !is_kept(same.form, column.form),
        None => column.is_filled,
    })
}

/// Whether values stay as they are when a column gets another type and modifier: limits that are
/// longer or gone. Others may need no rewrite either, such as a domain's; a rewrite of another cause
/// must then come within one look.
///
/// Source: `varchar_support`, `numeric_support` and their like in
/// <https://github.com/postgres/postgres/tree/REL_18_STABLE/src/backend/utils/adt>
fn is_kept(before: (u32, i32), now: (u32, i32)) -> bool {
    const UNLIMITED: i32 = -1;
    let (type_oid, limit) = now;
    if before.0 != type_oid {
        return matches!((before.0, now), (VARCHAR, (TEXT, _)) | (TEXT, (VARCHAR, UNLIMITED)));
    }
    let is_longer = || before.1 != UNLIMITED && before.1 <= limit;
    // A numeric's modifier is its precision above its scale, and 4.
    let scale = |modifier: i32| (modifier - 4) & 0xffff;
    before.1 == limit
        || match type_oid {
            VARCHAR | VARBIT | TIME | TIMETZ | TIMESTAMP | TIMESTAMPTZ => {
                limit == UNLIMITED || is_longer()
            }
            NUMERIC => limit == UNLIMITED || is_longer() && scale(before.1) == scale(limit),
            INTERVAL => limit == UNLIMITED,
            _ => false,
        }
}

const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const INTERVAL: u32 = 1186;
const TIMETZ: u32 = 1266;
const VARBIT: u32 = 1562;
const NUMERIC: u32 = 1700;

fn operations(publication: &Publication) -> BTreeSet<&'static str> {
    [
        ("insert", publication.has_insert),
        ("update", publication.has_update),
        ("delete", publication.has_delete),
        ("truncate", publication.has_truncate),
    ]
    .into_iter()
    .filter_map(|(operation, is_published)| is_published.then_some(operation))
    .collect()
}

fn full_name(table: &SurveyedTable) -> String {
    format!("{}.{}", table.namespace, table.name)
}

#[cfg(test)]
mod tests;
