//! The first proof: walbrook is killed again and again while writers write, and at the end Kafka
//! holds every committed change exactly once.
//!
//! The truth is written by triggers in the writers' own transactions, so what is rolled back has no
//! truth. Kills fall at random times after a start, the first start among them; the test counts
//! what they hit and fails when a kind was hit too rarely. `WALBROOK_SEED` repeats a run's draws.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apache_avro::types::Value;
use fastrand::Rng;
use tokio_postgres::Client;

use crate::support::flow::position;
use crate::support::records::{self, Record};
use crate::support::stack::{Space, Stack, shared};
use crate::support::walbrook::Walbrook;
use crate::support::{run, until_async};

const KILLS_MIN: usize = 20;
const KILLS_MAX: usize = 80;
const HITS_MIN: usize = 3;
const WRITERS: u64 = 3;
const ACCOUNTS: u64 = 30;
/// `batch.target_records`, `batch.max_records`: small, so that there are many Kafka transactions.
const TARGET: u64 = 200;
const MAX: u64 = 2000;

const TABLES: &str = "
    CREATE TABLE account (
        id bigint PRIMARY KEY, version int NOT NULL, balance numeric(12,2) NOT NULL, note text);
    ALTER TABLE account REPLICA IDENTITY FULL;
    CREATE TABLE line (
        id bigint, number int, version int NOT NULL, note text, PRIMARY KEY (id, number));
    CREATE TABLE outbox (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text NOT NULL,
        aggregateid text NOT NULL, type text NOT NULL, payload jsonb NOT NULL);
    CREATE TABLE truth (
        seq bigserial PRIMARY KEY, xid text NOT NULL DEFAULT pg_current_xact_id()::text,
        relation text NOT NULL, op text NOT NULL, key text NOT NULL, version int NOT NULL);
    CREATE FUNCTION note_account() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP <> 'DELETE' THEN
            INSERT INTO truth (relation, op, key, version) VALUES
                ('account', CASE TG_OP WHEN 'INSERT' THEN 'c' ELSE 'u' END, NEW.id, NEW.version);
        ELSE
            INSERT INTO truth (relation, op, key, version) VALUES ('account', 'd', OLD.id, OLD.version);
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION note_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO truth (relation, op, key, version)
                VALUES ('line', 'c', NEW.id || '/' || NEW.number, NEW.version);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO truth (relation, op, key, version)
                VALUES ('line', 'd', OLD.id || '/' || OLD.number, 0);
        ELSIF OLD.number <> NEW.number OR OLD.id <> NEW.id THEN
            INSERT INTO truth (relation, op, key, version) VALUES
                ('line', 'd', OLD.id || '/' || OLD.number, 0),
                ('line', 'c', NEW.id || '/' || NEW.number, NEW.version);
        ELSE
            INSERT INTO truth (relation, op, key, version)
                VALUES ('line', 'u', NEW.id || '/' || NEW.number, NEW.version);
        END IF;
        RETURN NULL;
    END $$;
    CREATE FUNCTION note_outbox() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO truth (relation, op, key, version)
            VALUES ('outbox', 'c', NEW.aggregateid, (NEW.payload->>'version')::int);
        RETURN NULL;
    END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON account
        FOR EACH ROW EXECUTE FUNCTION note_account();
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON line
        FOR EACH ROW EXECUTE FUNCTION note_line();
    CREATE TRIGGER note AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION note_outbox();
    CREATE PUBLICATION p FOR TABLE account, line, outbox;
    INSERT INTO account SELECT n, 0, 0, 'before' FROM generate_series(1, 30) n;
    TRUNCATE truth;
";

#[test]
fn every_committed_change_is_in_kafka_exactly_once_whatever_is_killed() {
    run(Duration::from_secs(900), async {
        let stack = shared();
        let space = Space::new(&stack.postgres, "kill").await;
        let seed = std::env::var("WALBROOK_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("kill test: WALBROOK_SEED={seed}");
        let mut rng = Rng::with_seed(seed);
        stack.postgres.execute(&space.database, TABLES).await;
        let config = config(stack, &space);

        let hits = kill_while_writing(stack, &space, &config, &mut rng).await;
        settle(stack, &space, &config).await;
        println!("kill test: {hits:?}");
        verify(stack, &space).await;
        hits.assert_enough();
    });
}

fn config(stack: &Stack, space: &Space) -> String {
    format!(
        "pipeline = \"{pipeline}\"
        [postgres]
        hosts = [\"{host}\"]
        port = {port}
        database = \"{database}\"
        user = \"postgres\"
        [replication]
        slot = \"{slot}\"
        publications = [\"p\"]
        checkpoint_interval = \"1s\"
        standby_poll = \"100ms\"
        [kafka]
        bootstrap_servers = [\"{bootstrap}\"]
        [registry]
        urls = [\"{registry}\"]
        [topics]
        prefix = \"{prefix}\"
        partitions = 3
        replication_factor = 1
        [[outbox]]
        table = \"public.outbox\"
        topic = \"{prefix}.event.{{route}}\"
        [batch]
        target_records = {TARGET}
        max_records = {MAX}
        [http]
        listen = \"off\"
        [log]
        format = \"json\"
        level = \"info,walbrook=debug\"
        ",
        pipeline = space.pipeline,
        host = stack.postgres.socket_folder().display(),
        port = stack.postgres.port(),
        database = space.database,
        slot = space.slot,
        bootstrap = stack.kafka.bootstrap(),
        registry = stack.registry.url(),
        prefix = space.prefix,
    )
}

/// What the kills hit.
#[derive(Debug, Default)]
struct Hits {
    kills: usize,
    creation: usize,
    recovery: usize,
    open_txn: usize,
    before_confirm: usize,
    other: usize,
}

impl Hits {
    fn is_enough(&self) -> bool {
        let least = self.recovery.min(self.open_txn).min(self.before_confirm);
        KILLS_MIN <= self.kills && HITS_MIN <= least && 1 <= self.creation
    }

    fn assert_enough(&self) {
        assert!(self.is_enough(), "the kills did not hit enough: {self:?}");
    }

    /// Reads off the log what was under way when it ended.
    fn count(&mut self, log: &[String]) {
        let mut last = "";
        let (mut is_open, mut is_creating, mut is_recovering, mut is_unconfirmed) =
            (false, false, false, false);
        for line in log {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            match line["message"].as_str().unwrap_or_default() {
                "recovering" => is_recovering = true,
                "recovered" => is_recovering = false,
                "kafka transaction opened" => is_open = true,
                "kafka transaction committed" => (is_open, is_unconfirmed) = (false, true),
                "confirmed" => is_unconfirmed = false,
                text if text.starts_with("creating the replication slot") => is_creating = true,
                text if text.starts_with("the replication slot was created") => is_creating = false,
                _ => continue,
            }
            last = "seen";
        }
        self.kills += 1;
        self.creation += usize::from(is_creating);
        self.recovery += usize::from(is_recovering);
        self.open_txn += usize::from(is_open);
        self.before_confirm += usize::from(is_unconfirmed && !is_open);
        self.other += usize::from(last.is_empty());
    }
}

async fn kill_while_writing(stack: &Stack, space: &Space, config: &str, rng: &mut Rng) -> Hits {
    let mut hits = kill_the_first_start(stack, space, config, rng).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let client = stack.postgres.client(&space.database).await;
        let (rng, stop) = (rng.fork(), Arc::clone(&stop));
        writers.push(tokio::spawn(write(client, writer, rng, stop)));
    }
    let large = stack.postgres.client(&space.database).await;
    while hits.kills < KILLS_MAX && !hits.is_enough() {
        // In every round one that nearly fills a batch and then one that must stay whole in it; in
        // some one that must be cut.
        insert_lines(&large, TARGET * 9 / 10).await;
        insert_lines(&large, MAX - TARGET).await;
        if hits.kills % 5 == 1 {
            insert_lines(&large, 2 * MAX + 17).await;
        }
        let mut walbrook = Walbrook::spawn(config);
        // From the start, so that some hit recovery; or once it streams, however slow the machine.
        let limit_ms = if rng.bool() {
            walbrook.wait_for_message(Duration::from_secs(60), "streaming");
            1000
        } else {
            2000
        };
        tokio::time::sleep(Duration::from_millis(rng.u64(0..limit_ms))).await;
        walbrook.kill();
        hits.count(&walbrook.log());
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    hits
}

/// Kills the first start while the slot is being created: an open transaction makes it wait.
async fn kill_the_first_start(stack: &Stack, space: &Space, config: &str, rng: &mut Rng) -> Hits {
    let mut hits = Hits::default();
    let client = stack.postgres.client(&space.database).await;
    for _ in 0..2 {
        client.batch_execute("BEGIN; CREATE TABLE holds_creation (); SELECT 1").await.unwrap();
        let mut walbrook = Walbrook::spawn(config);
        walbrook.wait_for(Duration::from_secs(60), "slot creation", |line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("creating the replication slot")
        });
        tokio::time::sleep(Duration::from_millis(rng.u64(0..50))).await;
        walbrook.kill();
        hits.count(&walbrook.log());
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    // Whatever is written before the slot exists is not delivered: nothing was. Let it exist now.
    let mut walbrook = Walbrook::spawn(config);
    walbrook.wait_for_message(Duration::from_secs(60), "streaming");
    walbrook.kill();
    hits.count(&walbrook.log());
    hits
}

async fn insert_lines(client: &Client, count: u64) {
    let statement = "INSERT INTO line SELECT nextval('truth_seq_seq'), n, 0, repeat('x', 50) \
                     FROM generate_series(1, $1::bigint) n";
    let count = i64::try_from(count).unwrap();
    client.execute(statement, &[&count]).await.unwrap();
}

/// One writer: transactions of random size, with savepoints and rollbacks, until told to stop.
async fn write(client: Client, writer: u64, mut rng: Rng, stop: Arc<AtomicBool>) {
    let mut next_line = 1_000_000_000 * (writer + 1);
    while !stop.load(Ordering::Relaxed) {
        client.batch_execute("BEGIN").await.unwrap();
        let account = rng.u64(1..=ACCOUNTS);
        change_account(&client, account, rng.bool()).await;
        for _ in 0..rng.u32(0..40) {
            match rng.u32(0..10) {
                0 => {
                    client.batch_execute("SAVEPOINT s").await.unwrap();
                    next_line += 1;
                    insert_line(&client, next_line).await;
                    client.batch_execute("ROLLBACK TO s").await.unwrap();
                }
                1 => {
                    client.batch_execute("SAVEPOINT s").await.unwrap();
                    next_line += 1;
                    insert_line(&client, next_line).await;
                    client.batch_execute("RELEASE s").await.unwrap();
                }
                2..=5 => {
                    next_line += 1;
                    insert_line(&client, next_line).await;
                }
                choice => {
                    change_line(&client, next_line.saturating_sub(rng.u64(0..20)), choice).await;
                }
            }
        }
        let end = if rng.u32(0..10) == 0 { "ROLLBACK" } else { "COMMIT" };
        client.batch_execute(end).await.unwrap();
        tokio::time::sleep(Duration::from_millis(rng.u64(0..4))).await;
    }
}

/// Changes an account, and tells of it in the outbox: the account's row lock orders both.
async fn change_account(client: &Client, account: u64, is_update: bool) {
    let statement = if is_update {
        format!(
            "UPDATE account SET version = version + 1, balance = balance + 0.01 WHERE id = {account};
             INSERT INTO outbox (aggregatetype, aggregateid, type, payload)
                 SELECT 'account', id, 'Changed', jsonb_build_object('version', version)
                 FROM account WHERE id = {account} FOR UPDATE;
             DELETE FROM outbox;"
        )
    } else {
        // Under FULL, and with a key that comes back.
        format!(
            "DELETE FROM account WHERE id = {account};
             INSERT INTO account SELECT {account}, max(version) + 1, 1, NULL
                 FROM truth WHERE relation = 'account' AND key = '{account}' HAVING count(*) > 0
                 ON CONFLICT DO NOTHING;
             INSERT INTO account VALUES ({account}, 1, 1, NULL) ON CONFLICT DO NOTHING;"
        )
    };
    client.batch_execute(&statement).await.unwrap();
}

async fn insert_line(client: &Client, id: u64) {
    let statement = format!("INSERT INTO line VALUES ({id}, 1, 0, repeat('ü', 20))");
    client.batch_execute(&statement).await.unwrap();
}

async fn change_line(client: &Client, id: u64, choice: u32) {
    let change = match choice {
        6 | 7 => "UPDATE line SET version = version + 1",
        8 => "UPDATE line SET number = number + 1, version = version + 1",
        _ => "DELETE FROM line",
    };
    client.batch_execute(&format!("{change} WHERE id = {id}")).await.unwrap();
}

/// Lets walbrook finish, in peace: everything is confirmed, and it stops when told to.
async fn settle(stack: &Stack, space: &Space, config: &str) {
    let client = stack.postgres.client(&space.database).await;
    let end: String =
        client.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.unwrap().get(0);
    let mut walbrook = Walbrook::spawn(config);
    let (client, end, slot) = (&client, &end, &space.slot);
    until_async(Duration::from_secs(240), "everything is confirmed", || async move {
        let statement = "SELECT confirmed_flush_lsn >= $1::text::pg_lsn, confirmed_flush_lsn::text \
                         FROM pg_replication_slots WHERE slot_name = $2";
        let row = client.query_one(statement, &[end, slot]).await.unwrap();
        if row.get(0) { Ok(()) } else { Err(row.get::<_, String>(1)) }
    })
    .await;
    let status = walbrook.stop(Duration::from_secs(20));
    assert_eq!(status.code(), Some(0), "{}", walbrook.tail());
}

/// One change, as the truth and as Kafka tells it: operation, version, transaction.
type Fact = (String, i32, String);

async fn verify(stack: &Stack, space: &Space) {
    let client = stack.postgres.client(&space.database).await;
    let truth = truth(&client).await;
    let topic = |name: &str| format!("{}.{name}", space.prefix);
    let names = [
        ("account", topic("public.account")),
        ("line", topic("public.line")),
        ("outbox", topic("event.account")),
    ];
    let mut found: BTreeMap<(String, String), Vec<Fact>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let (mut changes, mut cut, mut fills) = (0, BTreeSet::new(), HashMap::new());
    for (relation, topic) in &names {
        let mut last = HashMap::new();
        let records = records::read_committed(&stack.kafka, &[topic]);
        check_tombstones(&records);
        check_borders(&records);
        note_fills(&records, &mut fills);
        for record in &records {
            let place = position(record);
            assert!(seen.insert(place), "{place:?} comes twice, the second time in {topic}");
            let before = last.insert(record.partition, place);
            assert!(before < Some(place), "positions go back in {topic}: {before:?}, {place:?}");
            if record.header("walbrook.cut").is_some() {
                cut.insert(record.header("walbrook.xid").unwrap().to_owned());
            }
            let Some((key, fact)) = fact(stack, relation, record) else { continue };
            found.entry(((*relation).to_owned(), key)).or_default().push(fact);
            changes += 1;
        }
    }
    println!(
        "kill test: {changes} changes of {} keys, {} transactions cut",
        found.len(),
        cut.len()
    );
    for (key, facts) in &truth {
        assert_eq!(found.get(key), Some(facts), "{key:?}: in Kafka (left), committed (right)");
    }
    let invented: Vec<_> = found.keys().filter(|key| !truth.contains_key(key)).collect();
    assert!(invented.is_empty(), "never committed: {invented:?}");
    check_cuts(&truth, &cut, &fills);
    check_last_state(&client, &found).await;
}

async fn truth(client: &Client) -> BTreeMap<(String, String), Vec<Fact>> {
    let statement = "SELECT relation, key, op, version, xid FROM truth ORDER BY seq";
    let mut truth: BTreeMap<_, Vec<Fact>> = BTreeMap::new();
    for row in client.query(statement, &[]).await.unwrap() {
        let fact = (row.get("op"), row.get("version"), row.get("xid"));
        truth.entry((row.get("relation"), row.get("key"))).or_default().push(fact);
    }
    truth
}

/// The marker of a Kafka transaction's end takes an offset. Where one lies between two records of a
/// PostgreSQL transaction, that was cut, whatever walbrook thinks: so the records must say it.
fn check_borders(records: &[Record]) {
    for pair in records.windows(2) {
        let [one, other] = pair else { continue };
        let is_border = one.partition == other.partition && one.offset + 1 < other.offset;
        if is_border && position(one).0 == position(other).0 {
            for record in pair {
                let place = position(record);
                assert!(record.header("walbrook.cut").is_some(), "{place:?}: cut, and silent");
            }
        }
    }
}

/// How many records lie before each transaction's in the same Kafka transaction, at least: those of
/// its partitions that no marker parts from it.
fn note_fills(records: &[Record], fills: &mut HashMap<String, u64>) {
    let mut runs = HashMap::new();
    for record in records {
        let xid = record.header("walbrook.xid").unwrap();
        let before = match runs.get(&record.partition) {
            Some((offset, length, _)) if offset + 1 == record.offset => *length,
            _ => 0,
        };
        if runs.get(&record.partition).is_none_or(|(_, _, last)| *last != xid) {
            *fills.entry(xid.to_owned()).or_default() += before;
        }
        runs.insert(record.partition, (record.offset, before + 1, xid));
    }
}

/// A delete is followed by its tombstone, and nothing else is.
fn check_tombstones(records: &[Record]) {
    let mut open: HashMap<&[u8], (u64, u64, u32)> = HashMap::new();
    for record in records {
        let key = record.key.as_deref().unwrap();
        let (lsn, ordinal, part) = position(record);
        match open.remove(key) {
            Some(before) => {
                assert!(record.value.is_none(), "a delete at {before:?} without its tombstone");
                assert_eq!((lsn, ordinal, part), (before.0, before.1, before.2 + 1));
            }
            None if record.value.is_none() => {
                panic!("a tombstone at {:?} for no delete", (lsn, ordinal))
            }
            None => {}
        }
        // The operation is the envelope's: read it where it is decoded anyway.
        if part == 0 && is_delete(record) {
            open.insert(key, (lsn, ordinal, part));
        }
    }
    assert!(open.is_empty(), "{} deletes without a tombstone", open.len());
}

fn is_delete(record: &Record) -> bool {
    let Some(value) = &record.value else { return false };
    !value.starts_with(b"{") && {
        let decoded = record.value(&shared().registry).unwrap();
        string(field(&decoded, "op")) == "d"
    }
}

/// The key and the fact of one record; `None` for a tombstone.
fn fact(stack: &Stack, relation: &str, record: &Record) -> Option<(String, Fact)> {
    let xid = record.header("walbrook.xid").unwrap().to_owned();
    let value = record.value.as_ref()?;
    if relation == "outbox" {
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(value).unwrap();
        let version = i32::try_from(payload["version"].as_i64().unwrap()).unwrap();
        return Some((key, ("c".to_owned(), version, xid)));
    }
    let value = record.value(&stack.registry).unwrap();
    let op = string(field(&value, "op"));
    let row = if op == "d" { field(&value, "before") } else { field(&value, "after") };
    let key = record.key(&stack.registry).unwrap();
    let key = match relation {
        "line" => format!("{}/{}", number(field(&key, "id")), number(field(&key, "number"))),
        _ => number(field(&key, "id")).to_string(),
    };
    let version = match field(row, "version") {
        // `before` of a table whose identity is its key.
        Value::Null => 0,
        version => i32::try_from(number(version)).unwrap(),
    };
    Some((key, (op, version, xid)))
}

/// Only what is larger than `max − target` may be cut, and what is larger than `max` was; one that
/// is just not larger began in a batch that was nearly full, as batches go (its target).
fn check_cuts(
    truth: &BTreeMap<(String, String), Vec<Fact>>,
    cut: &BTreeSet<String>,
    fills: &HashMap<String, u64>,
) {
    let mut sizes: HashMap<&str, u64> = HashMap::new();
    for (_, _, xid) in truth.values().flatten() {
        *sizes.entry(xid).or_default() += 1;
    }
    let whole = sizes.iter().filter(|(_, size)| **size == MAX - TARGET);
    let fill = whole.filter_map(|(xid, _)| fills.get(*xid)).max();
    println!("kill test: a transaction of {} records began after {fill:?} others", MAX - TARGET);
    assert!(Some(&(TARGET * 2 / 3)) <= fill, "no large transaction began in a nearly full batch");
    for (xid, size) in sizes {
        assert!(MAX - TARGET < size || !cut.contains(xid), "transaction {xid} ({size}) was cut");
        assert!(size <= MAX || cut.contains(xid), "transaction {xid} ({size}) was not cut");
    }
    assert!(!cut.is_empty(), "no transaction was large enough to be cut");
}

/// The last fact of each key equals the table.
async fn check_last_state(client: &Client, found: &BTreeMap<(String, String), Vec<Fact>>) {
    let statement = "SELECT 'account', id::text, version FROM account UNION ALL \
                     SELECT 'line', id || '/' || number, version FROM line";
    let mut table = BTreeMap::new();
    for row in client.query(statement, &[]).await.unwrap() {
        table.insert((row.get::<_, String>(0), row.get::<_, String>(1)), row.get::<_, i32>(2));
    }
    // Rows from before the slot have no event yet.
    table.retain(|key, _| found.contains_key(key));
    let mut folded = BTreeMap::new();
    for (key, facts) in found.iter().filter(|((relation, _), _)| relation != "outbox") {
        let (op, version, _) = facts.last().unwrap();
        if op != "d" {
            folded.insert(key.clone(), *version);
        }
    }
    assert!(folded == table, "the last events are not the tables' rows");
}

fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    match value {
        Value::Union(_, inner) => field(inner, name),
        Value::Record(fields) => {
            let found = fields.iter().find(|(key, _)| key == name);
            let (_, value) = found.unwrap_or_else(|| panic!("no field {name}"));
            if let Value::Union(_, inner) = value { inner } else { value }
        }
        other => panic!("no record: {other:?}"),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => i64::from(*number),
        Value::Long(number) => *number,
        other => panic!("no number: {other:?}"),
    }
}

fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => panic!("no string: {other:?}"),
    }
}
