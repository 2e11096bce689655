//! What befalls tables while walbrook is killed: schemas that the registry refuses, records that a broker
//! does, and a migration every now and then. Nothing of it is lost, and nothing comes twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio_postgres::Client;

use super::Case;
use crate::support::stack::{Space, Stack};
use crate::support::walbrook::command;

/// Columns that no writer writes: what they become is what troubles.
pub(super) const COLUMNS: &str = "
    ALTER TABLE line ADD COLUMN trouble text;
    ALTER TABLE account ADD COLUMN trouble text;";

/// Up to so long one thing lasts.
const LASTS_MS: u64 = 2500;

/// The tables that are troubled.
const TABLES: [&str; 2] = ["account", "line"];

/// A broker takes nothing that is larger than this: rows are, the marks of transactions are not.
const TINY: &str = "120";
const ROOMY: &str = "1000000";

/// Troubles tables until told to stop; then all is right again.
pub(super) async fn trouble(
    stack: &'static Stack,
    (client, prefix, config): (Client, String, String),
    mut rng: Rng,
    stop: Arc<AtomicBool>,
) {
    let mut migrations = 0;
    while !stop.load(Ordering::Relaxed) {
        let table = TABLES[rng.usize(0..TABLES.len())];
        let topic = format!("{prefix}.public.{table}");
        match rng.u32(0..4) {
            0 => {
                stack.kafka.alter_topic(&topic, "max.message.bytes", TINY).await;
                rest(&mut rng).await;
                stack.kafka.alter_topic(&topic, "max.message.bytes", ROOMY).await;
            }
            1 | 2 => {
                let (subject, to) = (format!("{topic}-value"), ["int", "text"]);
                stack.registry.bind(&subject);
                for to in to {
                    let retype =
                        format!("ALTER TABLE {table} ALTER trouble TYPE {to} USING NULL::{to}");
                    client.batch_execute(&retype).await.unwrap();
                    rest(&mut rng).await;
                }
                stack.registry.free(&subject);
            }
            _ => {}
        }
        migrations += 1;
        let migrate = if migrations % 2 == 0 {
            format!("ALTER TABLE {table} ADD COLUMN m{migrations} int NOT NULL DEFAULT 7")
        } else {
            format!("ALTER TABLE {table} DROP COLUMN IF EXISTS m{}", migrations - 1)
        };
        client.batch_execute(&migrate).await.unwrap();
        // It may not run, or be killed meanwhile: it tries again by itself, too.
        let config = config.clone();
        let told = tokio::task::spawn_blocking(move || command(&config, &["unpark", "--all"]));
        drop(told.await);
        rest(&mut rng).await;
    }
}

async fn rest(rng: &mut Rng) {
    tokio::time::sleep(Duration::from_millis(rng.u64(200..LASTS_MS))).await;
}

/// Nothing is parked in the end.
pub(super) fn settle(case: &Case) {
    let Case { stack, space, config, .. } = case;
    let told = command(config, &["unpark", "--all"]);
    assert!(told.status.success(), "{told:?}");
    let Space { pipeline, .. } = space;
    let topic = format!("walbrook.{pipeline}.parked");
    let kept = crate::support::records::read_committed(&stack.kafka, &[&topic]).len();
    println!("kill test: {kept} records were parked");
    assert!(0 < kept);
}
