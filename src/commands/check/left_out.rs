//! What the publications leave out of the stream, of which PostgreSQL never tells: outboxes, unlogged
//! tables, rows and columns.

use super::report::Report;
use super::sql::{identifier, table};
use super::tables::shortened;
use crate::config::{Children, Config, Outbox};
use crate::facts::{Leaf, TableFacts};
use crate::postgres::{Catalog, Child, Error, Survey, SurveyedTable};
use crate::wal::Relation;

/// Looks at what is left out.
pub(super) async fn inspect(
    config: &Config,
    catalog: &mut Catalog,
    relations: &[Relation],
    report: &mut Report,
) -> Result<(), Error> {
    let publications = &config.replication.publications;
    let names: Vec<String> = config.outboxes.iter().map(|it| it.table.clone()).collect();
    let limit = config.postgres.statement_timeout;
    let survey = catalog.survey(publications, &[], &names, limit).await?;
    for outbox in outboxes(config, &survey, report) {
        judge_outbox(config, &outbox, &survey, report);
        let Some((table, relation)) = partitioned(&outbox, &survey, relations) else { continue };
        let facts = catalog.describe(relation).await?;
        judge_moves(&outbox, &survey, table, &facts, report);
    }
    judge_extents(&survey, report);
    judge_children(config, &catalog.children(publications).await?, report);
    let unlogged = catalog.unlogged_tables(publications).await?;
    if !unlogged.is_empty() {
        report.warning(
            "postgres.unlogged",
            format!(
                "unlogged tables are not in the WAL, so their changes do not reach Kafka, though a publication is of all tables: {}",
                shortened(&unlogged)
            ),
            "leave it so, or ALTER TABLE … SET LOGGED; what they hold by then is not delivered",
        );
    }
    Ok(())
}

/// The outboxes, each under its own name, where one is configured by a pattern.
fn outboxes(config: &Config, survey: &Survey, report: &mut Report) -> Vec<Outbox> {
    let mut named = Vec::new();
    for outbox in &config.outboxes {
        if !outbox.is_pattern() {
            named.push(outbox.clone());
            continue;
        }
        let is_own = |it: &&SurveyedTable| {
            let own = Outbox::of(&config.outboxes, &it.namespace, &it.name);
            own.is_some_and(|own| std::ptr::eq(own, outbox)) && survey.is_published(it)
        };
        let found: Vec<_> = survey.tables.iter().filter(is_own).collect();
        let Outbox { namespace, table, .. } = outbox;
        if found.is_empty() {
            report.warning(
                "postgres.outbox",
                format!("outbox.table: \"{namespace}.{table}\" matches no published table"),
                "leave it so if such tables are to come, or correct the pattern",
            );
        }
        named.extend(
            found.iter().map(|it| Outbox { namespace: it.namespace.clone(), ..outbox.clone() }),
        );
    }
    named
}

/// Judges whether the inserts of an outbox are in the stream; its columns are the plan's matter.
pub(super) fn judge_outbox(config: &Config, outbox: &Outbox, survey: &Survey, report: &mut Report) {
    const NAME: &str = "postgres.outbox";
    let Outbox { namespace, table: name, .. } = outbox;
    let is_it = |it: &&SurveyedTable| it.namespace == *namespace && it.name == *name;
    let publication = config.replication.publications.first().map(|name| identifier(name));
    let publication = publication.unwrap_or_default();
    let Some(found) = survey.tables.iter().find(is_it).filter(|it| survey.is_published(it)) else {
        return report.failed(
            NAME,
            format!(
                "outbox table {namespace}.{name} is in none of the publications, or does not exist"
            ),
            format!("ALTER PUBLICATION {publication} ADD TABLE {};", table(namespace, name)),
        );
    };
    if !found.is_named {
        report.warning(
            NAME,
            format!("outbox table {namespace}.{name} is published by its partitions; their rows are its events"),
            format!(
                "leave it so, or ALTER PUBLICATION {publication} SET (publish_via_partition_root = true);"
            ),
        );
    }
}

/// An outbox that is published as one table, and has partitions.
fn partitioned<'a>(
    outbox: &Outbox,
    survey: &'a Survey,
    relations: &'a [Relation],
) -> Option<(&'a SurveyedTable, &'a Relation)> {
    let Outbox { namespace, table: name, .. } = outbox;
    let is_it = |it: &&SurveyedTable| it.namespace == *namespace && it.name == *name;
    let found = survey.tables.iter().find(is_it).filter(|it| it.is_partitioned && it.is_named)?;
    let is_it = |it: &&Relation| it.namespace == *namespace && it.name == *name;
    Some((found, relations.iter().find(is_it)?))
}

/// Judges whether an UPDATE that moves a row of a partitioned outbox can be told from a new event: by
/// the DELETE of the same id before it.
fn judge_moves(
    outbox: &Outbox,
    survey: &Survey,
    found: &SurveyedTable,
    facts: &TableFacts,
    report: &mut Report,
) {
    let Outbox { namespace, table: name, id_column, .. } = outbox;
    let mut publications = survey.publications.iter();
    let has_delete = publications.any(|it| it.has_delete && found.publications.contains(&it.name));
    // A partition's identity is its own, and by it its old rows are logged.
    let why = match facts.logging().find(|leaf| !leaf.carries(id_column)) {
        _ if !has_delete => "DELETE is not published".to_owned(),
        Some(Leaf { table: (schema, leaf), .. }) => format!(
            "the replica identity of its partition {schema}.{leaf}, and each like it, lacks the event's id"
        ),
        None => return,
    };
    report.warning(
        "postgres.outbox",
        format!(
            "outbox table {namespace}.{name} is partitioned and {why}: a row that an UPDATE moves to another partition becomes a second event"
        ),
        "never move rows; or publish DELETE, with the id in the replica identity of every partition; or (PostgreSQL 15 and later) let only rows of the first partition pass, by a row filter on the publication",
    );
}

/// Judges whether the children of tables are in the stream, which follows no inheritance: those of outboxes
/// are events of theirs, all others are tables of their own.
pub(super) fn judge_children(config: &Config, children: &[Child], report: &mut Report) {
    const NAME: &str = "postgres.inheritance";
    let is_left = |it: &&Child| config.tables.selection.excludes(&it.namespace, &it.name);
    let name = |it: &Child| format!("{}.{}", it.namespace, it.name);
    for children in children.chunk_by(|one, other| one.parent == other.parent) {
        let Some(Child { parent, .. }) = children.first() else { continue };
        let is_outbox = |it: &Outbox| {
            parent.split_once('.').is_some_and(|(namespace, name)| it.is(namespace, name))
        };
        let is_events = config.outboxes.iter().any(is_outbox);
        let mut own: Vec<_> = children.iter().filter(|it| !is_left(it)).collect();
        let missing: Vec<_> = own.extract_if(.., |it| !it.is_published).map(name).collect();
        if !missing.is_empty() {
            let first = children.iter().find(|it| !it.is_published && !is_left(it));
            let first = first.map(|it| table(&it.namespace, &it.name)).unwrap_or_default();
            report.warning(
                NAME,
                format!("children of {parent} by inheritance are in no publication, so their rows do not reach Kafka: {}", shortened(&missing)),
                format!("ALTER PUBLICATION … ADD TABLE {first}; and so for each that is made later, or publish their PostgreSQL schema (TABLES IN SCHEMA, PostgreSQL 15 and later)"),
            );
        }
        let own: Vec<_> = own.into_iter().map(name).collect();
        if own.is_empty() || is_events {
            continue;
        }
        if config.tables.children == Children::Parent {
            let shown = shortened(&own);
            report.ok(
                NAME,
                format!("children of {parent} by inheritance go to its topic, or to that of what it inherits from (tables.children): {shown}"),
            );
        } else {
            report.warning(
                NAME,
                format!("children of {parent} by inheritance are tables of their own here, each with its own topic: {}", shortened(&own)),
                "leave it so, or set tables.children = \"parent\", by which their rows go to its topic, or make them partitions",
            );
        }
    }
}

/// Says where rows and columns are left out: that is what the operator wanted, or forgot.
pub(super) fn judge_extents(survey: &Survey, report: &mut Report) {
    const NAME: &str = "postgres.extents";
    let named = |is_it: &dyn Fn(&SurveyedTable) -> bool| {
        let tables = survey.tables.iter().filter(|it| it.is_named && is_it(it));
        tables.map(|it| format!("{}.{}", it.namespace, it.name)).collect::<Vec<_>>()
    };
    let filtered = named(&|table| table.row_filter.is_some());
    if !filtered.is_empty() {
        report.ok(
            NAME,
            format!(
                "row filters leave out rows of {} (a row that comes to pass one arrives as a create, one that ceases to as a delete)",
                shortened(&filtered)
            ),
        );
    }
    let listed = named(&|table| table.column_list.is_some());
    if !listed.is_empty() {
        report.ok(NAME, format!("column lists leave out columns of {}", shortened(&listed)));
    }
}
