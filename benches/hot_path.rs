//! From frames to full batches, without any input or output, on one core: rows of the workload `orders`
//! in PostgreSQL transactions of 100.
//!
//! ```text
//! hot_path ROWS
//! ```
//!
//! Prints the rows, the seconds that they took, and the allocations. benches/hot_path makes figures of that.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::alloc::System;
use std::time::Instant;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use walbrook::batch::Batch;
use walbrook::checkpoint::Checkpoint;
use walbrook::config::{self, Environment};
use walbrook::facts::TableFacts;
use walbrook::pipeline::assembler::{Assembler, Need, Step};
use walbrook::plan::{Context, SchemaId, Settings};
use walbrook::position::Lsn;
use walbrook::wal::Message;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const XACT_ROWS: u64 = 100;

/// Name, type's OID and modifier, and the value in binary form.
const COLUMNS: &[(&str, u32, i32, &[u8])] = &[
    ("id", 20, -1, &7_u64.to_be_bytes()),
    ("customer_id", 23, -1, &4711_u32.to_be_bytes()),
    ("customer_name", 25, -1, b"Customer No. 4711"),
    // 12.50 of numeric(12, 2).
    ("total", 1700, 786_438, &[0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88]),
    ("created_at", 1184, -1, &700_000_000_000_000_u64.to_be_bytes()),
    ("updated_at", 1114, -1, &700_000_000_000_000_u64.to_be_bytes()),
    ("note", 25, -1, b"please leave it at the door, and ring twice, number 77"),
    ("paid", 16, -1, &[1]),
    ("priority", 21, -1, &3_u16.to_be_bytes()),
    ("status", 1043, 24, b"shipped"),
    ("number", 2950, -1, &[7; 16]),
    ("details", 3802, -1, b"\x01{\"source\": \"web\", \"items\": [1, 2, 3]}"),
];

const CONFIG: &str = "pipeline = \"bench\"
[postgres]
hosts = [\"localhost\"]
database = \"bench\"
user = \"bench\"
[replication]
slot = \"bench\"
publications = [\"bench\"]
[kafka]
bootstrap_servers = [\"localhost:9092\"]
[registry]
urls = [\"http://localhost:8081\"]
";

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|it| it != "--bench");
    let rows: u64 = arguments.next().and_then(|it| it.parse().ok()).unwrap_or(1_000_000);
    let mut stream = Stream::new();
    // Plans are made and buffers grow.
    stream.xacts(1_000);
    let (region, started) = (Region::new(ALLOCATOR), Instant::now());
    stream.xacts(rows / XACT_ROWS);
    let (seconds, allocated) = (started.elapsed().as_secs_f64(), region.change());
    let allocations = allocated.allocations + allocated.reallocations;
    println!("{} rows in {seconds} s with {allocations} allocations", rows / XACT_ROWS * XACT_ROWS);
}

/// The stream of one table into batches, as the reader feeds it and the writer empties them.
struct Stream {
    assembler: Assembler,
    batch: Batch,
    insert: Vec<u8>,
    /// Another one; its memory is kept, since allocations are counted.
    message: Vec<u8>,
    commit_lsn: u64,
}

impl Stream {
    fn new() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), CONFIG).unwrap();
        let config = config::load(file.path(), &Environment::of_process()).unwrap();
        let checkpoint =
            Checkpoint::from_json(include_bytes!("../tests/golden/checkpoint/format-1.json"))
                .unwrap();
        let checkpoint =
            Checkpoint { position: Default::default(), confirm: Lsn::ZERO, ..checkpoint };
        let settings = Settings::new(&config);
        let assembler = Assembler::new(settings, config.batch, None, true, checkpoint, false);
        let mut stream = Self {
            assembler,
            batch: Batch::default(),
            insert: insert(),
            message: Vec::new(),
            commit_lsn: 1_000_000,
        };
        feed(&mut stream.assembler, &mut stream.batch, 0, &relation());
        stream
    }

    fn xacts(&mut self, count: u64) {
        let Self { assembler, batch, insert, message, commit_lsn } = self;
        for _ in 0..count {
            *commit_lsn += 10_000;
            let commit = commit_lsn.to_be_bytes();
            fill(message, [b"B", &commit, &[0; 8], &[0, 0, 0, 9]]);
            feed(assembler, batch, *commit_lsn, message);
            for _ in 0..XACT_ROWS {
                feed(assembler, batch, *commit_lsn - 5, insert);
            }
            fill(message, [b"C\0", &commit, &(*commit_lsn + 8).to_be_bytes(), &[0; 8]]);
            feed(assembler, batch, *commit_lsn, message);
            if assembler.has_target(batch) {
                assembler.seal(batch, Lsn::ZERO);
                batch.clear();
            }
        }
    }
}

fn fill(message: &mut Vec<u8>, parts: [&[u8]; 4]) {
    message.clear();
    parts.iter().for_each(|part| message.extend_from_slice(part));
}

fn feed(assembler: &mut Assembler, batch: &mut Batch, lsn: u64, bytes: &[u8]) {
    let context = Context { now_us: 1_700_000_000_000_000 };
    loop {
        let message = Message::parse(bytes).unwrap();
        match assembler.on_message(Lsn(lsn), &message, &context, batch).unwrap() {
            Step::Continue | Step::Boundary => return,
            Step::Need(Need::Plan(owner)) => {
                let draft = assembler.draft(owner, facts(), &[]).unwrap().unwrap();
                let ids = vec![SchemaId(1); draft.schemas.len()];
                assembler.install(owner, draft, &ids);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn facts() -> TableFacts {
    TableFacts {
        primary_key: vec!["id".to_owned()],
        not_null: COLUMNS.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        ..TableFacts::default()
    }
}

fn relation() -> Vec<u8> {
    let mut bytes = b"R\0\0\0\x07public\0orders\0d".to_vec();
    bytes.extend_from_slice(&count());
    for (index, (name, oid, modifier, _)) in COLUMNS.iter().enumerate() {
        bytes.push(u8::from(index == 0));
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&oid.to_be_bytes());
        bytes.extend_from_slice(&modifier.to_be_bytes());
    }
    bytes
}

fn insert() -> Vec<u8> {
    let mut bytes = b"I\0\0\0\x07N".to_vec();
    bytes.extend_from_slice(&count());
    for (.., value) in COLUMNS {
        bytes.push(b'b');
        bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

fn count() -> [u8; 2] {
    u16::try_from(COLUMNS.len()).unwrap().to_be_bytes()
}
