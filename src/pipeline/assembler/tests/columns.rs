//! What is told of columns: once for each shape, with its first row, whatever crashes.

use super::*;
use crate::batch::Operation;
use crate::columns::{self, Told};

fn announced(type_oid: u32) -> (Lsn, Vec<u8>) {
    let (lsn, mut bytes) = relation_message();
    let at = bytes.len() - 8;
    bytes[at..at + 4].copy_from_slice(&type_oid.to_be_bytes());
    (lsn, bytes)
}

/// Two shapes in one transaction with rows between, and the second again in the next.
fn messages() -> Vec<(Lsn, Vec<u8>)> {
    let mut messages = vec![announced(20)];
    ModelXact { commit_lsn: 1000, changes: 4 }.messages(&mut messages);
    messages.insert(4, announced(23));
    messages.push(announced(23));
    ModelXact { commit_lsn: 1100, changes: 1 }.messages(&mut messages);
    messages
}

struct Model {
    /// Each record's ordinal and part, in which transaction; whether it tells of columns.
    records: Vec<(u64, u64, u32, bool)>,
    told: BTreeMap<String, Vec<Column>>,
    checkpoint: Checkpoint,
}

impl Model {
    fn commit(&mut self, batch: &Batch) {
        for record in batch.records() {
            let Position { commit_lsn, ordinal } = record.position;
            let tells = record.operation == Operation::SchemaChange;
            self.records.push((commit_lsn.0, ordinal, record.part, tells));
            if tells {
                let value = batch.slice(record.value.as_ref().unwrap());
                self.told.extend(columns::read(value, ("p", "s")));
            }
        }
        self.checkpoint = batch.checkpoint.clone().unwrap();
    }

    /// One life; `false` if it ends at that step.
    fn live(&mut self, crash_at: usize, is_stopped: bool) -> bool {
        let limits = BatchLimits {
            target_records: 1,
            max_records: 2,
            target_bytes: 1 << 20,
            max_bytes: 1 << 21,
        };
        let settings = Settings { schema_changes_topic: Some("told".to_owned()), ..settings() };
        let told: Vec<Told> = self.told.clone().into_iter().collect();
        let mut assembler =
            Assembler::new(settings, limits, None, false, self.checkpoint.clone(), false)
                .with_told(told);
        assert!(assembler.tells_columns());
        let (mut batch, context) = (Batch::default(), Context { now_us: 0 });
        let mut step = 0;
        for (lsn, bytes) in messages() {
            let message = Message::parse(&bytes).unwrap();
            loop {
                step += 1;
                if step == crash_at {
                    if is_stopped && assembler.seal_complete(&mut batch) {
                        self.commit(&batch);
                    }
                    return false;
                }
                match assembler.on_message(lsn, &message, &context, &mut batch).unwrap() {
                    Step::Continue => break,
                    Step::Boundary if is_stopped => break,
                    Step::Boundary | Step::Full => {
                        assembler.seal(&mut batch, Lsn::ZERO);
                        self.commit(&batch);
                        batch.clear();
                        if assembler.is_at_boundary() {
                            break;
                        }
                    }
                    Step::Need(Need::Plan(owner)) => {
                        let relation = assembler.relation_of(owner).unwrap();
                        let type_names =
                            relation.columns.iter().map(|it| format!("t{}", it.type_oid)).collect();
                        let facts = TableFacts { type_names, ..TableFacts::default() };
                        let draft = assembler.draft(owner, facts, &[]).unwrap().unwrap();
                        let ids = vec![SchemaId(1); draft.schemas.len()];
                        assembler.install(owner, draft, &ids);
                    }
                    Step::Need(need) => panic!("{need:?}"),
                }
            }
        }
        assembler.seal(&mut batch, Lsn::ZERO);
        self.commit(&batch);
        true
    }
}

#[test]
fn each_shape_is_told_of_once_with_its_first_row_whatever_crashes() {
    let want = [
        (1000, 1, 0, true),
        (1000, 1, 1, false),
        (1000, 2, 0, false),
        (1000, 3, 0, true),
        (1000, 3, 1, false),
        (1000, 4, 0, false),
        (1100, 1, 0, false),
    ];
    for crash_at in 1..40 {
        for is_stopped in [false, true] {
            let mut model = Model {
                records: Vec::new(),
                told: BTreeMap::new(),
                checkpoint: first_checkpoint(),
            };
            let is_done = model.live(crash_at, is_stopped);
            assert!(is_done || model.live(usize::MAX, is_stopped));
            assert_eq!(model.records, want, "{crash_at} {is_stopped}");
            let [column] = &model.told["public.t"][..] else { panic!("{:?}", model.told) };
            assert_eq!((&*column.type_name, column.key, column.nullable), ("t23", false, true));
        }
    }
}
