//! A script on stage: its database, and the walbrooks and Debeziums that read it, each in another
//! setting. All see the same changes.

use super::settings::{Script, Setting};
use super::{Written, topics};
use crate::support::connect::{Connect, Connector};
use crate::support::flow::Flow;
use crate::support::stack::{Space, Stack, shared};

/// A script's database, with a walbrook for each setting.
pub(super) struct Scene {
    script: &'static Script,
    database: String,
    flows: Vec<Flow<'static>>,
}

impl Scene {
    /// Makes the database and starts walbrook on it in each of the script's settings.
    pub(super) async fn start(script: &'static Script) -> Self {
        let stack = shared();
        let database = Space::new(&stack.postgres, script.name).await.database;
        stack.postgres.execute(&database, script.tables).await;
        let mut flows = Vec::new();
        for setting in script.settings {
            let sections = setting.sections();
            let sections: Vec<_> = sections.iter().map(|(name, lines)| (*name, &**lines)).collect();
            flows.push(Flow::start_on(stack, space(&database, "ours"), &sections).await);
        }
        Self { script, database, flows }
    }

    /// Makes the changes, and one more.
    ///
    /// With an event Debezium confirms the transaction before that of the event. So the position at
    /// which it is awaited lies before the last change but one: it confirms that when the last one is
    /// in Kafka, and not before.
    pub(super) async fn change(&mut self) {
        let client = shared().postgres.client(&self.database).await;
        let statements = self.script.changes.split(";\n");
        let statements: Vec<_> = statements.filter(|text| !text.trim().is_empty()).collect();
        let (last, others) = statements.split_last().expect("a change");
        let end = "CREATE TABLE changes_end AS SELECT pg_current_wal_insert_lsn() AS lsn";
        for statement in others.iter().chain(&[end, last, "INSERT INTO emptied VALUES (2)"]) {
            let done = client.batch_execute(statement).await;
            done.unwrap_or_else(|error| panic!("{error:?}: {statement}"));
        }
    }

    /// Waits until walbrook has confirmed the changes; returns what it wrote in each setting.
    pub(super) async fn ours(self) -> Vec<(&'static Setting, Written)> {
        let mut ours = Vec::new();
        for (setting, mut flow) in self.script.settings.iter().zip(self.flows) {
            flow.drain().await;
            ours.push((*setting, topics::read(flow.stack, &flow.space.prefix, setting.format)));
            flow.stop();
        }
        ours
    }
}

/// A Debezium for each setting of some scenes.
pub(super) struct Debezium {
    connect: Connect,
    connectors: Vec<Connector>,
}

impl Debezium {
    /// Starts them all.
    pub(super) async fn start(scenes: &[Scene]) -> Self {
        let connectors = scenes.iter().flat_map(|scene| {
            scene.script.settings.iter().map(|setting| Connector {
                space: space(&scene.database, "theirs"),
                format: setting.format,
                properties: setting.properties(),
            })
        });
        let connectors: Vec<_> = connectors.collect();
        Self { connect: Connect::start(shared(), &connectors).await, connectors }
    }

    /// Waits until all have confirmed the changes.
    pub(super) async fn confirms(&mut self) {
        for connector in &self.connectors {
            let lsn = changes_end(shared(), &connector.space).await;
            self.connect.confirms(shared(), &connector.space, &lsn).await;
        }
    }

    /// Stops them all; returns what they wrote, in the order of scenes and settings.
    pub(super) fn stop(self) -> Vec<Written> {
        drop(self.connect);
        let read = |connector: &Connector| {
            topics::read(shared(), &connector.space.prefix, connector.format)
        };
        self.connectors.iter().map(read).collect()
    }
}

/// A space on a database, with a prefix that no mode adjusts.
fn space(database: &str, name: &str) -> Space {
    let space = Space::on(database, name);
    Space { prefix: space.prefix.replace('_', ""), ..space }
}

async fn changes_end(stack: &Stack, space: &Space) -> String {
    let client = stack.postgres.client(&space.database).await;
    client.query_one("SELECT lsn::text FROM changes_end", &[]).await.unwrap().get(0)
}
