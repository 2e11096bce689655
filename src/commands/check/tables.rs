//! Publications, their tables and columns, and the plans that would be made of them.

use std::collections::BTreeMap;

use super::left_out;
use super::report::Report;
use super::sql::{alter_table, identifier, table};
use crate::config::{Binary, Config, OnTruncate, Outbox, SharedTopic};
use crate::facts::TableFacts;
use crate::plan::{self, Draft, Registered, Settings};
use crate::postgres::{
    Catalog, Error, Publication, PublishedColumn, PublishedTable, UnloggedColumn,
};
use crate::wal::{Relation, ReplicaIdentity};

/// A topic that the pipeline will write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic: String,
    /// Whether all its records have a key.
    pub(super) has_key: bool,
    /// The schema of that, of a table's.
    pub(super) key: Option<String>,
}

/// What tables and outboxes need elsewhere.
#[derive(Default)]
pub(super) struct Needs {
    pub(super) topics: Vec<Wanted>,
    pub(super) tables: Vec<Captured>,
}

/// A table, or outbox, that can be written.
pub(super) struct Captured {
    pub(super) relation: Relation,
    pub(super) facts: TableFacts,
    pub(super) draft: Draft,
}

/// Looks at publications and tables; returns what they need.
pub(super) async fn inspect(
    config: &Config,
    catalog: &mut Catalog,
    report: &mut Report,
) -> Result<Needs, Error> {
    let names = &config.replication.publications;
    let publications = catalog.publications(names).await?;
    let tables = catalog.published_tables(names).await?;
    judge_publications(config, &publications, &tables, report);
    let unlogged = catalog.unlogged_columns(names).await?;
    judge_patterns(config, &tables, report);
    judge_tables(config, &publications, &tables, &unlogged, report);
    judge_unlogged(&unlogged, report);
    judge_types(config, &catalog.published_types(names).await?, report);
    let relations = catalog.published_relations(names).await?;
    left_out::inspect(config, catalog, &relations, report).await?;
    plans(config, catalog, &relations, report).await
}

/// Judges the publications.
fn judge_publications(
    config: &Config,
    found: &[Publication],
    tables: &[PublishedTable],
    report: &mut Report,
) {
    const NAME: &str = "postgres.publication";
    for name in &config.replication.publications {
        match found.iter().find(|publication| publication.name == *name) {
            Some(publication) => judge_publication(config, publication, tables, report),
            None => report.failed(
                NAME,
                format!("publication {name:?} does not exist"),
                format!(
                    "as the owner of the tables: CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true);",
                    identifier(name),
                    example_tables(&config.outboxes)
                ),
            ),
        }
    }
    if tables.is_empty() && !found.is_empty() && config.message_outbox.is_none() {
        let name = found.first().map(|publication| identifier(&publication.name));
        report.failed(
            NAME,
            "the publications hold no table, so nothing would be captured",
            format!(
                "ALTER PUBLICATION {} ADD TABLE {};",
                name.unwrap_or_default(),
                example_tables(&config.outboxes)
            ),
        );
    }
}

fn example_tables(outboxes: &[Outbox]) -> String {
    if outboxes.iter().all(Outbox::is_pattern) {
        return "public.…".to_owned();
    }
    let named = outboxes.iter().filter(|outbox| !outbox.is_pattern());
    let tables = named.map(|outbox| table(&outbox.namespace, &outbox.table));
    tables.collect::<Vec<_>>().join(", ")
}

fn judge_publication(
    config: &Config,
    publication: &Publication,
    tables: &[PublishedTable],
    report: &mut Report,
) {
    const NAME: &str = "postgres.publication";
    let name = &publication.name;
    // Of an outbox only the inserts are events.
    let is_only_outboxes = tables.iter().all(|table| is_outbox(config, table));
    let missing: Vec<&str> = [
        ("insert", publication.has_insert, true),
        ("update", publication.has_update, !is_only_outboxes),
        ("delete", publication.has_delete, !is_only_outboxes),
        (
            "truncate",
            publication.has_truncate,
            !is_only_outboxes && config.tables.truncate != OnTruncate::LeftOut,
        ),
    ]
    .into_iter()
    .filter_map(|(operation, is_published, is_wanted)| {
        (is_wanted && !is_published).then_some(operation)
    })
    .collect();
    if missing.is_empty() {
        report.ok(NAME, format!("{name:?} exists"));
    } else {
        report.warning(
            NAME,
            format!(
                "{name:?} does not publish {}: those changes do not reach Kafka",
                missing.join(", ")
            ),
            format!(
                "ALTER PUBLICATION {} SET (publish = 'insert, update, delete, truncate');",
                identifier(name)
            ),
        );
    }
    let partitions: Vec<String> = tables
        .iter()
        .filter(|table| table.is_partition)
        .map(|it| format!("{}.{}", it.namespace, it.name))
        .collect();
    if !publication.is_via_root && !partitions.is_empty() {
        report.warning(
            NAME,
            format!(
                "{name:?} publishes partitions as tables of their own, each with its own topic: {}",
                shortened(&partitions)
            ),
            format!(
                "ALTER PUBLICATION {} SET (publish_via_partition_root = true);",
                identifier(name)
            ),
        );
    }
}

fn is_outbox(config: &Config, table: &PublishedTable) -> bool {
    config.outboxes.iter().any(|it| it.is(&table.namespace, &table.name))
}

/// The first few of a list.
pub(super) fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Judges whether `[tables]` and `[[topics.shared]]` name tables that are there.
fn judge_patterns(config: &Config, tables: &[PublishedTable], report: &mut Report) {
    let name = |it: &PublishedTable| (it.namespace.clone(), it.name.clone());
    let tables: Vec<_> = tables.iter().map(name).collect();
    let selected = config.tables.selection.unmatched(&tables);
    let shared = SharedTopic::unmatched(&config.topics.shared, &tables);
    let shared = shared.map(|pattern| ("topics.shared.tables", pattern));
    for (key, pattern) in selected.chain(shared) {
        report.warning(
            "postgres.tables",
            format!("{key}: {:?} matches no published table", pattern.text),
            "leave it so if such tables are to come, or correct the pattern",
        );
    }
}

/// Whether the configuration leaves the table out.
fn is_excluded(config: &Config, table: &PublishedTable) -> bool {
    !is_outbox(config, table) && config.tables.selection.excludes(&table.namespace, &table.name)
}

/// Judges the replica identities. What PostgreSQL refuses it refuses also of tables that we leave out,
/// but what becomes of them is not ours to judge.
fn judge_tables(
    config: &Config,
    publications: &[Publication],
    tables: &[PublishedTable],
    unlogged: &[UnloggedColumn],
    report: &mut Report,
) {
    const NAME: &str = "postgres.identity";
    let is_needed = publications.iter().any(|it| it.has_update || it.has_delete);
    let lacking: Vec<_> = tables.iter().filter(|it| is_needed && !it.has_usable_identity).collect();
    if !tables.is_empty() && lacking.is_empty() && unlogged.is_empty() {
        let count = tables.len();
        report.ok(NAME, format!("published tables: {count}, each with a usable replica identity"));
    }
    for it in lacking {
        let why = match it.identity {
            ReplicaIdentity::Nothing => "REPLICA IDENTITY NOTHING",
            ReplicaIdentity::Index => "its identity index is gone",
            _ if it.is_partitioned => "a partition has none",
            _ if it.has_primary_key => "its primary key is deferrable",
            _ => "no primary key and REPLICA IDENTITY DEFAULT",
        };
        let change = |change| alter_table(&it.namespace, &it.name, change);
        let text = format!(
            "table {}.{} has no usable replica identity ({why}): PostgreSQL refuses every UPDATE and DELETE of it while it is published",
            it.namespace, it.name
        );
        if is_excluded(config, it) {
            let fix = "take it out of the publication, or leave it so";
            report.warning(NAME, format!("{text}, though it is left out here"), fix);
            continue;
        }
        report.failed(
            NAME,
            text,
            format!(
                "one of:\n{}\n{}\n{}{}",
                change("ADD PRIMARY KEY (…)"),
                change("REPLICA IDENTITY USING INDEX …"),
                change("REPLICA IDENTITY FULL"),
                if it.is_partitioned { "\nand the same for each partition" } else { "" }
            ),
        );
    }
}

/// Judges generated columns that replica identities have and the stream has not.
fn judge_unlogged(columns: &[UnloggedColumn], report: &mut Report) {
    for it in columns {
        let harm = if it.is_refused {
            format!(
                "publication {:?} does not publish it: PostgreSQL refuses every UPDATE and DELETE of the table",
                it.publication
            )
        } else {
            "the stream does not have it: updates and deletes do not say of which row they are"
                .to_owned()
        };
        let change = |change| alter_table(&it.namespace, &it.table, change);
        let fix = match (it.is_refused, it.is_stored) {
            (true, true) => format!(
                "ALTER PUBLICATION {} SET (publish_generated_columns = stored);",
                identifier(&it.publication)
            ),
            (true, false) => format!(
                "one of:\n{}\n{}",
                change("REPLICA IDENTITY DEFAULT"),
                change("REPLICA IDENTITY USING INDEX …")
            ),
            (false, _) => change("REPLICA IDENTITY FULL"),
        };
        report.failed(
            "postgres.identity",
            format!(
                "table {}.{}: column {} of its replica identity is generated, and {harm}",
                it.namespace, it.table, it.name
            ),
            fix,
        );
    }
}

/// Judges the columns' types.
fn judge_types(config: &Config, columns: &[PublishedColumn], report: &mut Report) {
    const NAME: &str = "postgres.types";
    let mut unknown: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for column in columns.iter().filter(|column| !column.kind.is_known()) {
        let kind = match &column.kind {
            crate::types::Kind::Other { name } => name.as_str(),
            _ => "an array of such",
        };
        let of = (column.namespace.as_str(), column.table.as_str());
        unknown.entry(of).or_default().push(format!("{} ({kind})", column.name));
    }
    if unknown.is_empty() && !columns.is_empty() {
        report.ok(NAME, "every published column is of a known type");
    }
    for ((namespace, table), columns) in unknown {
        let is_outbox = config.outboxes.iter().any(|it| it.is(namespace, table));
        let is_excluded = !is_outbox && config.tables.selection.excludes(namespace, table);
        let speed = match config.replication.binary {
            Binary::Auto => ", and the whole slot is read in text form, which is slower",
            Binary::Never if is_excluded => continue,
            Binary::Never => "",
        };
        let what =
            if is_excluded { "the table is left out" } else { "PostgreSQL's text is published" };
        report.warning(
            NAME,
            format!(
                "table {namespace}.{table}: walbrook does not know the type of {}: {what}{speed}",
                columns.join(", ")
            ),
            "leave it so, or leave the column out of the publication by a column list (PostgreSQL 15 and later)",
        );
    }
}

/// Compiles the plans as the stream will, and collects what they need.
async fn plans(
    config: &Config,
    catalog: &mut Catalog,
    relations: &[Relation],
    report: &mut Report,
) -> Result<Needs, Error> {
    const NAME: &str = "postgres.tables";
    let settings = Settings::new(config);
    let mut needs = Needs::default();
    let (mut compiled, mut excluded) = (0, Vec::new());
    for relation in relations {
        let facts = catalog.describe(relation).await?;
        match plan::compile(relation, &facts, &Registered::default(), &settings) {
            Ok(draft) if draft.is_excluded() => {
                excluded.push(format!("{}.{}", relation.namespace, relation.name));
            }
            Ok(draft) => {
                if let Err(error) = refuse_claim(&draft, &needs) {
                    report.error(NAME, &error, way_out(&error, relation));
                    continue;
                }
                judge_leaf(relation, &draft, report);
                compiled += 1;
                let wanted = topics(&draft).filter(|it| !needs.topics.contains(it));
                needs.topics.extend(wanted.collect::<Vec<_>>());
                needs.tables.push(Captured { relation: relation.clone(), facts, draft });
            }
            Err(error) => report.error(NAME, &error, None),
        }
    }
    match plan::compile_message_outbox(&settings) {
        Ok(draft) => needs.topics.extend(draft.iter().flat_map(topics)),
        Err(error) => report.error(NAME, &error, None),
    }
    if !excluded.is_empty() {
        let (count, shown) = (excluded.len(), shortened(&excluded));
        report.ok(NAME, format!("tables that are left out, by [tables]: {count}: {shown}"));
        if excluded.len() == relations.len() && config.message_outbox.is_none() {
            let fix = "correct tables.include and tables.exclude";
            report.failed(
                NAME,
                "every published table is left out, so nothing would be captured",
                fix,
            );
        }
    }
    if 0 < compiled {
        report.ok(NAME, format!("tables that can be written: {compiled}"));
    }
    Ok(needs)
}

/// Refuses a table that cannot stand beside those before it in one topic.
fn refuse_claim(draft: &Draft, needs: &Needs) -> Result<(), plan::Error> {
    let others = needs.tables.iter().filter_map(|it| it.draft.claim.as_ref());
    draft.claim.as_ref().map_or(Ok(()), |claim| claim.refuse(others))
}

/// What a table is to do whose topic is another one's by accident.
fn way_out(error: &plan::Error, relation: &Relation) -> Option<String> {
    matches!(error, plan::Error::SharedTopic { .. })
        .then(|| alter_table(&relation.namespace, &relation.name, "RENAME TO …"))
}

/// Judges whether old rows are logged by the partitions as the table promises.
fn judge_leaf(relation: &Relation, draft: &Draft, report: &mut Report) {
    let Some((namespace, name)) = &draft.odd_leaf else { return };
    let lacking = match relation.identity {
        ReplicaIdentity::Full => "the columns outside of it",
        _ if draft.has_key() => "columns of the key, which parks the table",
        _ => "a key",
    };
    report.failed(
        "postgres.identity",
        format!(
            "table {}.{}: its partition {namespace}.{name}, and each like it, has a replica identity of its own (it is not inherited), so in updates and deletes of its rows the stream lacks {lacking}",
            relation.namespace, relation.name
        ),
        alter_table(namespace, name, "REPLICA IDENTITY FULL"),
    );
}

/// The topics of a plan, and what key it gives its records.
fn topics(draft: &Draft) -> impl Iterator<Item = Wanted> {
    draft.topics.iter().map(|topic| Wanted {
        topic: topic.clone(),
        has_key: draft.has_key(),
        key: draft.layouts.get(1).cloned(),
    })
}
