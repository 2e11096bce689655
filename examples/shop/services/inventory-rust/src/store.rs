//! What was counted, and up to where. A file of SQLite survives any end of this process.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};

use crate::Result;
use crate::follow::Event;

pub struct Store(Connection);

impl Store {
    pub fn open(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let database = Connection::open(folder.join("inventory.db"))?;
        database.busy_timeout(Duration::from_secs(5))?;
        // With a write-ahead log /state reads while events are counted.
        database.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE IF NOT EXISTS reserved (product INTEGER PRIMARY KEY, units INTEGER NOT NULL);
             CREATE TABLE IF NOT EXISTS seen (event TEXT PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS position (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);",
        )?;
        Ok(Self(database))
    }

    /// A partition's next offset, if any of it was counted.
    pub fn position(&self, partition: i32) -> Result<Option<i64>> {
        let sql = "SELECT max(next) FROM position WHERE partition = ?";
        Ok(self.0.query_row(sql, [partition], |row| row.get(0))?)
    }

    /// Counts some events, all of them or none.
    pub fn take(&mut self, events: &[Event]) -> Result<()> {
        // One that is not committed is rolled back where it is dropped.
        let transaction = self.0.transaction()?;
        for event in events {
            count(&transaction, event)?;
        }
        Ok(transaction.commit()?)
    }

    /// The answer to GET /state, in JSON.
    pub fn state(&self) -> Result<String> {
        let sql = "SELECT json_object('events', (SELECT count(*) FROM seen), 'reserved',
                   (SELECT json_group_object(product, units) FROM reserved WHERE units <> 0))";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }
}

/// Notes the offset behind an event and its id and, if that is new, what is reserved.
///
/// By the offsets alone no record is counted twice. By the id no event is, even if it comes as two
/// records: when a topic is read from its beginning again, or somebody publishes an event once more.
fn count(transaction: &Transaction<'_>, event: &Event) -> Result<()> {
    let next = params![event.partition, event.offset + 1];
    transaction.execute("REPLACE INTO position VALUES (?, ?)", next)?;
    let is_new = transaction.execute("INSERT OR IGNORE INTO seen VALUES (?)", [&event.id])? == 1;
    for line in event.lines.iter().filter(|_| is_new) {
        transaction.execute(
            "INSERT INTO reserved VALUES (?, ?) ON CONFLICT DO UPDATE SET units = units + excluded.units",
            params![line.product, event.sign * line.quantity],
        )?;
    }
    Ok(())
}
