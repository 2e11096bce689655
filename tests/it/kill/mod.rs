//! The first proof: walbrook is killed and stopped again and again while writers write, and at the
//! end Kafka holds every committed change exactly once.
//!
//! The truth is written by triggers in the writers' own transactions, so what is rolled back has no
//! truth. Ends (SIGKILL, SIGTERM, `walbrook stop`) fall at random times after a start, the first
//! start among them; the test counts what kills hit and fails when a kind was hit too rarely. It
//! runs with batches that hold most transactions whole, and with some that cut most of them; there
//! starts that resume a cut transaction are stopped where that once lost the rest of it.
//! `WALBROOK_SEED` repeats a run's draws.

mod told;
mod troubles;
mod verify;

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio_postgres::Client;

use crate::support::flow::drained;
use crate::support::stack::{Space, Stack, shared};
use crate::support::walbrook::{Walbrook, command};
use crate::support::{process, run, until};

const ACCOUNTS: u64 = 30;
const ROUNDS_MAX: usize = 200;
/// How long a start may take until it does what is waited for.
const LIFE_LIMIT: Duration = Duration::from_secs(60);
/// How long a stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// What differs between the runs of the test.
#[derive(Debug)]
struct Scale {
    /// `batch.target_records`: small, so that there are many Kafka transactions.
    target: u64,
    /// `batch.max_records`.
    max: u64,
    /// Rows of a transaction that is cut whatever else there is.
    large: u64,
    writers: u64,
    /// Up to so many statements a writer's transaction has.
    statements: u32,
    /// Up to so long a writer rests after each transaction, so that walbrook keeps up.
    rest_ms: u64,
    /// Up to so long after it streams walbrook is ended.
    life_ms: u64,
    /// How often that is halved, less than.
    early: u32,
    kills_min: usize,
    /// Of SIGTERM, and of `walbrook stop`.
    stops_min: usize,
    /// Kills of each kind.
    hits_min: usize,
    /// Stops of a start that resumes a large transaction; there are many batches in one.
    resumed_min: usize,
    /// How often a table is parked, and how often one comes back, of what kills tell.
    parked_min: usize,
}

/// Most transactions are whole.
static WHOLE: Scale = Scale {
    target: 200,
    max: 2000,
    large: 4017,
    writers: 3,
    statements: 40,
    rest_ms: 4,
    life_ms: 1000,
    early: 6,
    kills_min: 20,
    stops_min: 4,
    hits_min: 3,
    resumed_min: 0,
    parked_min: 0,
};
/// Most transactions are cut, and many starts go on inside of one that takes longer than they live.
static CUT: Scale = Scale {
    target: 15,
    max: 30,
    large: 3000,
    writers: 1,
    statements: 160,
    rest_ms: 60,
    life_ms: 250,
    early: 6,
    kills_min: 8,
    stops_min: 8,
    hits_min: 1,
    resumed_min: 3,
    parked_min: 0,
};
/// Tables are refused, parked and brought back, and a migration runs every few seconds.
static PARKED: Scale = Scale {
    target: 200,
    max: 2000,
    large: 4017,
    writers: 2,
    statements: 40,
    rest_ms: 20,
    life_ms: 4000,
    early: 3,
    kills_min: 20,
    stops_min: 4,
    hits_min: 1,
    resumed_min: 0,
    parked_min: 5,
};

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
    CREATE TABLE unpublished (n int);
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
    check(&WHOLE);
}

#[test]
fn every_committed_change_is_in_kafka_exactly_once_where_most_transactions_are_cut() {
    check(&CUT);
}

#[test]
fn every_committed_change_is_in_kafka_exactly_once_while_tables_are_parked() {
    check(&PARKED);
}

/// One run of the test.
struct Case {
    stack: &'static Stack,
    space: Space,
    config: String,
    scale: &'static Scale,
}

fn check(scale: &'static Scale) {
    run(Duration::from_secs(1200), async {
        let stack = shared();
        let space = Space::new(&stack.postgres, "kill").await;
        let seed = std::env::var("WALBROOK_SEED").ok().and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("kill test: WALBROOK_SEED={seed}");
        let mut rng = Rng::with_seed(seed);
        stack.postgres.execute(&space.database, TABLES).await;
        if 0 < scale.parked_min {
            stack.postgres.execute(&space.database, troubles::COLUMNS).await;
        }
        let config = config(stack, &space, scale);
        let case = Case { stack, space, config, scale };

        let hits = end_while_writing(&case, &mut rng).await;
        settle(&case).await;
        println!("kill test: {hits:?}");
        verify::verify(&case).await;
        assert!(hits.is_enough(scale), "the kills did not hit enough: {hits:?}");
    });
}

fn config(stack: &Stack, space: &Space, scale: &Scale) -> String {
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
        [tables]
        retry_refused_after = \"1s\"
        [[outbox]]
        table = \"public.outbox\"
        topic = \"{prefix}.event.{{route}}\"
        [snapshot]
        mode = \"never\"
        [batch]
        target_records = {target}
        max_records = {max}
        [schema_changes]
        enabled = {is_told}
        [http]
        listen = \"off\"
        [control]
        socket = \"{socket}\"
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
        target = scale.target,
        max = scale.max,
        is_told = 0 < scale.parked_min,
        socket = process::folder("control").join("socket").display(),
    )
}

/// How often it was ended, and what the kills hit.
#[derive(Debug, Default)]
struct Hits {
    kills: usize,
    terms: usize,
    stops: usize,
    creation: usize,
    recovery: usize,
    open_txn: usize,
    before_confirm: usize,
    resumed: usize,
    parked: usize,
    returned: usize,
    other: usize,
}

impl Hits {
    fn is_enough(&self, scale: &Scale) -> bool {
        let least = self.recovery.min(self.open_txn).min(self.before_confirm);
        scale.kills_min <= self.kills
            && scale.stops_min <= self.terms.min(self.stops)
            && scale.hits_min <= least
            && scale.resumed_min <= self.resumed
            && scale.parked_min <= self.parked.min(self.returned)
            && 1 <= self.creation
    }

    /// The log line behind which a kill is of a kind that was not hit often enough yet.
    fn aim(&self, scale: &Scale) -> Option<&'static str> {
        let kinds = [
            (self.recovery, "recovering"),
            (self.open_txn, "kafka transaction opened"),
            (self.before_confirm, "kafka transaction committed"),
        ];
        let (_, line) = kinds.into_iter().find(|(hits, _)| *hits < scale.hits_min)?;
        Some(line)
    }

    /// Ends it in one of three ways.
    fn end(&mut self, walbrook: &mut Walbrook, config: &str, rng: &mut Rng) {
        if rng.u32(0..3) == 0 {
            walbrook.kill();
            self.count(&walbrook.log());
        } else {
            self.stop(walbrook, config, rng);
        }
    }

    /// Reads off the log what was parked, and what came back.
    fn count_parked(&mut self, walbrook: &Walbrook) {
        let log = walbrook.log();
        let count = |text| log.iter().filter(|line| line.contains(text)).count();
        self.parked += count("the table is parked");
        self.returned += count("all that was parked of the table is back");
    }

    /// Stops it in one of two ways.
    fn stop(&mut self, walbrook: &mut Walbrook, config: &str, rng: &mut Rng) {
        if rng.bool() {
            self.terms += 1;
            walbrook.signal("TERM");
        } else {
            self.stops += 1;
            // It may have no socket yet.
            until(STOP_LIMIT, "walbrook stop", || {
                let told = command(config, &["stop"]);
                if told.status.success() { Ok(()) } else { Err(told.stderr) }
            });
        }
        let status = walbrook.wait(STOP_LIMIT);
        // Before its first line it does not listen yet.
        let is_early = status.signal().is_some() && walbrook.log().is_empty();
        assert!(status.success() || is_early, "{status}: {}", walbrook.tail());
    }

    /// Kills it inside a large transaction, and stops the next start while the server decodes that
    /// again, or sends the part that Kafka has: what comes before it is there again, and has ended.
    async fn stop_while_it_resumes(&mut self, case: &Case, client: &Client, rng: &mut Rng) {
        let Case { stack, space, config, scale } = case;
        settle(case).await;
        insert_lines(client, 1).await;
        let before = stack.postgres.wal_end().await;
        // The server decodes it for a while before it sends a row.
        let unpublished = "BEGIN; INSERT INTO unpublished SELECT generate_series(1, 600000)";
        client.batch_execute(unpublished).await.unwrap();
        insert_lines(client, scale.large).await;
        client.batch_execute("COMMIT").await.unwrap();
        let mut walbrook = Walbrook::spawn(config);
        // More than what the writer does meanwhile has.
        let mut cuts = rng.u32(60..140);
        walbrook.wait_for(LIFE_LIMIT, "cut transactions", |line| {
            cuts = cuts.saturating_sub(u32::from(line["ends_inside"] == true));
            cuts == 0 && line["message"] == "kafka transaction opened"
        });
        walbrook.kill();
        self.count(&walbrook.log());
        let mut walbrook = Walbrook::spawn(config);
        walbrook.wait_for_message(LIFE_LIMIT, "streaming");
        match stack.postgres.slot_decoded(&space.slot, &before).await {
            Ok(()) => self.resumed += 1,
            // It is stopped all the same, and another one is drawn.
            Err(state) => println!("kill test: {state}: {}", walbrook.tail()),
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(0..100))).await;
        self.stop(&mut walbrook, config, rng);
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

async fn end_while_writing(case: &Case, rng: &mut Rng) -> Hits {
    let Case { stack, space, config, scale } = case;
    let mut hits = kill_the_first_start(case, rng).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..scale.writers {
        let client = stack.postgres.client(&space.database).await;
        let (rng, stop) = (rng.fork(), Arc::clone(&stop));
        writers.push(tokio::spawn(write(client, writer, scale, rng, stop)));
    }
    if 0 < scale.parked_min {
        let client = stack.postgres.client(&space.database).await;
        let what = (client, space.prefix.clone(), config.clone());
        writers.push(tokio::spawn(troubles::trouble(stack, what, rng.fork(), Arc::clone(&stop))));
    }
    let large = stack.postgres.client(&space.database).await;
    for round in 0..ROUNDS_MAX {
        if hits.is_enough(scale) {
            break;
        }
        // In every round one that nearly fills a batch and then one that must stay whole in it; in
        // some one that must be cut.
        insert_lines(&large, scale.target * 9 / 10).await;
        insert_lines(&large, scale.max - scale.target).await;
        if round % 5 == 1 {
            if scale.resumed_min == 0 {
                insert_lines(&large, scale.large).await;
            } else if hits.resumed < scale.resumed_min {
                hits.stop_while_it_resumes(case, &large, rng).await;
            }
        }
        let mut walbrook = Walbrook::spawn(config);
        // On a slow machine what is drawn at any time mostly hits the beginning.
        if let Some(line) = hits.aim(scale).filter(|_| rng.u32(0..4) == 0) {
            walbrook.wait_for_message(LIFE_LIMIT, line);
            walbrook.kill();
            hits.count(&walbrook.log());
            continue;
        }
        // From the start, so that some hit recovery; or once it streams, however slow the machine.
        let limit_ms = if rng.bool() {
            walbrook.wait_for_message(LIFE_LIMIT, "streaming");
            scale.life_ms
        } else {
            scale.life_ms + 1000
        };
        // Mostly as often in its first tens of milliseconds as in the rest: a start has much to go wrong.
        let limit_ms = limit_ms >> rng.u32(0..scale.early);
        tokio::time::sleep(Duration::from_millis(rng.u64(0..limit_ms))).await;
        hits.end(&mut walbrook, config, rng);
        hits.count_parked(&walbrook);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    hits
}

/// Kills the first start while the slot is being created: an open transaction makes it wait.
async fn kill_the_first_start(case: &Case, rng: &mut Rng) -> Hits {
    let Case { stack, space, config, .. } = case;
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
async fn write(
    client: Client,
    writer: u64,
    scale: &'static Scale,
    mut rng: Rng,
    stop: Arc<AtomicBool>,
) {
    let mut next_line = 1_000_000_000 * (writer + 1);
    while !stop.load(Ordering::Relaxed) {
        client.batch_execute("BEGIN").await.unwrap();
        let account = rng.u64(1..=ACCOUNTS);
        change_account(&client, account, rng.bool()).await;
        for _ in 0..rng.u32(0..scale.statements) {
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
        tokio::time::sleep(Duration::from_millis(rng.u64(0..scale.rest_ms))).await;
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
async fn settle(case: &Case) {
    let Case { stack, space, config, .. } = case;
    let mut walbrook = Walbrook::spawn(config);
    drained(&stack.postgres, space, Duration::from_secs(480)).await.unwrap();
    if 0 < case.scale.parked_min {
        troubles::settle(case);
    }
    let status = walbrook.stop(STOP_LIMIT);
    assert_eq!(status.code(), Some(0), "{}", walbrook.tail());
}
