//! `walbrook schema check`: a migration is tried, and what it does to schemas is told before it ships.

use std::collections::BTreeSet;

use super::super::{failed, print, said};
use super::newest;
use super::report;
use super::trial::{self, Failure, Migration, Table, Tried};
use super::verdict::{self, Answer, Pair, Seen};
use crate::cli::{CheckDdl, Exit};
use crate::config::Config;
use crate::edges::Class;
use crate::plan::{self, Draft, Newest, Registered, SchemaRequest, Settings};
use crate::registry::{Error, Registration, Registry};
use crate::wal::{Relation, RelationId};

/// Tries the migration and prints what it does.
///
/// # Errors
///
/// If standard output cannot be written.
pub(super) async fn check(config: &Config, arguments: &CheckDdl) -> anyhow::Result<Exit> {
    let exit = match tried(config, arguments).await {
        Ok(report) => {
            print(&if arguments.json { report.to_json() } else { report.to_text() })?;
            report.exit()
        }
        Err(Failure::Usage(error)) => {
            tracing::error!(error, "the migration cannot be tried");
            Exit::Usage
        }
        Err(Failure::Refused(error)) => {
            tracing::error!(error, "the migration is not tried here");
            Exit::Refused
        }
        Err(Failure::Statement(error)) => {
            tracing::error!(error, "PostgreSQL refuses the migration");
            Exit::Permanent
        }
        Err(Failure::Pipeline(error)) => failed(&error),
    };
    Ok(exit)
}

async fn tried(config: &Config, arguments: &CheckDdl) -> Result<report::Report, Failure> {
    let files = trial::read(&arguments.ddl)?;
    let migration = Migration::parse(&files)?;
    let Tried { before, after, dropped } = Box::pin(migration.on(config, arguments)).await?;
    let mut asker = Asker::new(config);
    let mut report = report::Report {
        applied: migration.applied,
        notes: migration.notes,
        is_partial: migration.is_partial,
        ..report::Report::default()
    };
    for (was, is) in pairs(before, after) {
        let pair = asker.pair(was, is, &dropped).await;
        match verdict::judge(config, pair) {
            Some(verdict) => report.verdicts.push(verdict),
            None => report.unchanged += 1,
        }
    }
    report.silence = asker.silence;
    Ok(report)
}

/// Tables before and behind it: the same by OID, else by name.
fn pairs(before: Vec<Table>, after: Vec<Table>) -> Vec<(Option<Table>, Option<Table>)> {
    let mut before: Vec<_> = before.into_iter().map(Some).collect();
    let ids: BTreeSet<RelationId> = after.iter().map(|it| it.relation.id).collect();
    let name = |it: &Relation| (it.namespace.clone(), it.name.clone());
    let mut pairs = Vec::new();
    for is in after {
        let is_same = |was: &Relation| {
            was.id == is.relation.id || !ids.contains(&was.id) && name(was) == name(&is.relation)
        };
        let found =
            before.iter_mut().find(|it| it.as_ref().is_some_and(|it| is_same(&it.relation)));
        pairs.push((found.and_then(Option::take), Some(is)));
    }
    pairs.extend(before.into_iter().flatten().map(|was| (Some(was), None)));
    pairs
}

/// Asks the registry, for as long as it answers.
struct Asker<'a> {
    config: &'a Config,
    settings: Settings,
    registry: Option<Registry>,
    /// Why it was not asked any more.
    silence: Option<String>,
}

impl<'a> Asker<'a> {
    fn new(config: &'a Config) -> Self {
        let mut asker =
            Self { config, settings: Settings::new(config), registry: None, silence: None };
        if let Some(it) = &asker.config.registry {
            asker.registry = asker.settled(Registry::new(it));
        }
        asker
    }

    /// An answer; without one nothing more is asked.
    fn settled<T>(&mut self, answer: Result<T, Error>) -> Option<T> {
        answer
            .inspect_err(|error| {
                self.registry = None;
                self.silence.get_or_insert_with(|| said(error));
            })
            .ok()
    }

    async fn newest(&mut self, table: &Table) -> Vec<Newest> {
        let subjects = plan::subjects(&table.relation, &table.facts, &self.settings);
        let Some(registry) = &mut self.registry else { return Vec::new() };
        let found = newest(registry, subjects).await;
        self.settled(found).unwrap_or_default()
    }

    /// The plans of a table, as a running walbrook makes them one after the other, and what the registry
    /// says to the second.
    async fn pair(
        &mut self,
        was: Option<Table>,
        is: Option<Table>,
        dropped: &BTreeSet<RelationId>,
    ) -> Pair {
        let is_dropped = was.as_ref().is_some_and(|it| dropped.contains(&it.relation.id));
        let (mut registered, mut known) = (Vec::new(), Vec::new());
        let mut before = None;
        if let Some(table) = was {
            registered = self.newest(&table).await;
            let mut draft = self.compile(&table, &registered);
            if let Ok(draft) = &mut draft {
                draft.keep(&registered);
            }
            known.extend(draft.iter().flat_map(schemas));
            before = Some(Seen { table, draft });
        }
        let is_behind = !registered.is_empty()
            && !known.iter().all(|it| plan::is_laid_out_as_newest(it, &registered));
        let mut after = None;
        let mut answers = Vec::new();
        if let Some(table) = is {
            for (subject, text) in self.newest(&table).await {
                if known.iter().all(|(other, _)| *other != subject) {
                    known.push((subject, text));
                }
            }
            let subjects = plan::subjects(&table.relation, &table.facts, &self.settings);
            let own: Vec<Newest> =
                known.iter().filter(|(it, _)| subjects.contains(it)).cloned().collect();
            let draft = self.compile(&table, &own);
            for request in draft.iter().flat_map(|draft| &draft.schemas) {
                let answer = self.answer(request, &own, &registered).await;
                answers.push((request.subject.clone(), answer));
            }
            after = Some(Seen { table, draft });
        }
        for (subject, _) in before.iter().flat_map(|it| it.draft.iter().flat_map(schemas)) {
            if answers.iter().all(|(other, _)| *other != subject) {
                answers.push((subject, Answer::Gone));
            }
        }
        Pair { before, after, is_dropped, answers, is_behind }
    }

    fn compile(&self, table: &Table, newest: &[Newest]) -> Result<Draft, plan::Error> {
        let registered = Registered::parse(newest, &self.settings);
        plan::compile(&table.relation, &table.facts, &registered, &self.settings)
    }

    async fn answer(
        &mut self,
        request: &SchemaRequest,
        known: &[Newest],
        registered: &[Newest],
    ) -> Answer {
        let SchemaRequest { subject, schema_json } = request;
        let is_it = |newest: &[Newest]| newest.iter().any(|(_, text)| text == schema_json);
        if is_it(known) {
            return Answer::Unchanged;
        }
        let Some(registry) = &mut self.registry else { return Answer::NotAsked };
        let answer = if registry.registers() {
            registry.rehearse(subject, schema_json).await
        } else {
            registry.registered(subject, schema_json).await.map(|_| Registration::Found)
        };
        match answer {
            Ok(Registration::Found) => Answer::Registered,
            Err(Error::Unregistered { .. }) => Answer::Unregistered(schema_json.clone()),
            Ok(Registration::New) if registered.iter().any(|(it, _)| it == subject) => {
                Answer::Compatible(schema_json.clone())
            }
            Ok(Registration::New) => Answer::New(schema_json.clone()),
            Ok(Registration::Incompatible { message }) => Answer::Refused(message),
            // Of this subject it may not be asked: 403 is no word about the schema.
            Err(error @ Error::Refused { status, .. }) if status != 403 => {
                Answer::Refused(said(&error))
            }
            Err(error) if error.class() == Class::Fatal => {
                self.silence.get_or_insert_with(|| said(&error));
                Answer::NotAsked
            }
            Err(error) => {
                self.registry = None;
                self.silence.get_or_insert_with(|| said(&error));
                Answer::NotAsked
            }
        }
    }
}

fn schemas(draft: &Draft) -> impl Iterator<Item = Newest> {
    draft.schemas.iter().map(|it| (it.subject.clone(), it.schema_json.clone()))
}
