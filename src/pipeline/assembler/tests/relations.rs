//! What the stream announces of tables, against what the catalog says of them.

use super::*;
use crate::facts::{Leaf, Parent};
use crate::plan::{Newest, SchemaRequest};

const ROOT: u32 = 10;
const LEAF: u32 = 11;
const OTHER: u32 = 12;

/// A `Relation` of columns of type integer, and whether the identity has them.
fn relation(id: u32, identity: u8, columns: &[(&str, bool)]) -> Vec<u8> {
    let name = format!("public\0t{id}\0");
    let head = [b"R", &id.to_be_bytes()[..], name.as_bytes(), &[identity]].concat();
    let count = u16::try_from(columns.len()).unwrap().to_be_bytes();
    let column = |(name, is_identity): &(&str, bool)| {
        let name = format!("{name}\0");
        [&[u8::from(*is_identity)], name.as_bytes(), &23_u32.to_be_bytes(), &[0xff; 4]].concat()
    };
    [head, count.to_vec(), columns.iter().flat_map(column).collect()].concat()
}

/// The same table by another name, of as many letters.
fn renamed(mut relation: Vec<u8>, name: &str) -> Vec<u8> {
    let from = relation.iter().position(|it| *it == b't').unwrap();
    relation[from..from + name.len()].copy_from_slice(name.as_bytes());
    relation
}

/// A row's columns: numbers of one digit, and `n` for NULL.
fn tuple(kind: u8, columns: &str) -> Vec<u8> {
    let count = u16::try_from(columns.len()).unwrap().to_be_bytes();
    let column = |digit: u8| match digit {
        b'n' => b"n".to_vec(),
        digit => [b"t", &1_u32.to_be_bytes()[..], &[digit]].concat(),
    };
    [&[kind], &count[..], &columns.bytes().flat_map(column).collect::<Vec<u8>>()].concat()
}

fn insert(id: u32, columns: &str) -> Vec<u8> {
    [&b"I"[..], &id.to_be_bytes(), &tuple(b'N', columns)].concat()
}

fn delete(id: u32, kind: u8, columns: &str) -> Vec<u8> {
    [&b"D"[..], &id.to_be_bytes(), &tuple(kind, columns)].concat()
}

fn facts(primary_key: &[&str]) -> TableFacts {
    let names: Vec<_> = primary_key.iter().map(|name| (*name).to_owned()).collect();
    TableFacts { primary_key: names.clone(), not_null: names, ..TableFacts::default() }
}

/// A transaction that is never complete.
struct Open {
    assembler: Assembler,
    batch: Batch,
    facts: TableFacts,
    newest: Vec<Newest>,
    /// How often a plan was taken again.
    revived: u32,
    /// The schemas of each plan that was made, and whether the old rows of a partition lack something.
    plans: Vec<(Vec<SchemaRequest>, bool)>,
}

impl Open {
    fn new(facts: TableFacts) -> Self {
        let limits = BatchLimits {
            target_bytes: 1 << 20,
            max_bytes: 1 << 21,
            target_records: 100,
            max_records: 200,
        };
        let assembler = assembler(limits, first_checkpoint(), false);
        let mut open = Self {
            assembler,
            batch: Batch::default(),
            facts,
            newest: Vec::new(),
            revived: 0,
            plans: Vec::new(),
        };
        let begin = [&b"B"[..], &1000_u64.to_be_bytes(), &[0; 8], &[0, 0, 0, 1]].concat();
        open.feed(&begin).unwrap();
        open
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let message = Message::parse(bytes).unwrap();
        let context = Context { now_us: 0 };
        loop {
            match self.assembler.on_message(Lsn(990), &message, &context, &mut self.batch)? {
                Step::Need(Need::Plan(Owner::Relation(id)))
                    if self.assembler.revive(id, &self.facts) =>
                {
                    self.revived += 1;
                }
                Step::Need(Need::Plan(owner)) => {
                    let draft =
                        self.assembler.draft(owner, self.facts.clone(), &self.newest)?.unwrap();
                    self.plans.push((draft.schemas.clone(), draft.odd_leaf.is_some()));
                    let ids = vec![SchemaId(1); draft.schemas.len()];
                    self.assembler.install(owner, draft, &ids);
                }
                Step::Need(Need::Policy(owner, _)) => self.assembler.take_policy(owner, false),
                Step::Need(Need::Judge(_, error)) => return Err((*error).into()),
                Step::Continue => return Ok(()),
                other => panic!("{other:?}"),
            }
        }
    }

    fn feed_all<const N: usize>(&mut self, messages: [Vec<u8>; N]) -> Result<(), Error> {
        messages.iter().try_for_each(|message| self.feed(message))
    }

    /// The names of the last plan's key fields, and whether old rows are as the table promises.
    fn last(&self) -> (String, bool) {
        let (schemas, lacks) = self.plans.last().unwrap();
        let schema = |at: usize| -> serde_json::Value {
            schemas.get(at).map_or_else(Default::default, |schema| {
                serde_json::from_str(&schema.schema_json).unwrap()
            })
        };
        let fields = schema(1)["fields"].as_array().cloned().unwrap_or_default();
        let names = fields.iter().map(|field| field["name"].as_str().unwrap().to_owned());
        (names.collect(), !lacks)
    }
}

fn said(key: &str, is_whole: bool) -> (String, bool) {
    (key.to_owned(), is_whole)
}

#[test]
fn what_the_stream_does_not_tell_is_asked_again_when_a_relation_comes_again() {
    let table = relation(ROOT, b'f', &[("a", true), ("b", true)]);
    let mut open = Open::new(facts(&[]));
    open.feed_all([table.clone(), insert(ROOT, "12")]).unwrap();
    assert_eq!(open.last(), said("", true));
    // A primary key is added, which sends the same shape once more.
    open.facts = facts(&["b"]);
    open.feed_all([insert(ROOT, "12"), table, insert(ROOT, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.last()), (2, said("b", true)));
    // What a row has shown stays so: b was not NULL only later.
    let table = relation(ROOT, b'd', &[("a", true), ("b", false)]);
    open.feed_all([table.clone(), insert(ROOT, "12"), insert(ROOT, "1n")]).unwrap();
    let nullable = open.plans.last().unwrap().clone();
    open.feed_all([table, insert(ROOT, "12")]).unwrap();
    assert_eq!(open.plans.last(), Some(&nullable));
}

#[test]
fn a_relation_that_comes_again_keeps_its_plan_where_the_catalog_says_the_same() {
    let table = relation(ROOT, b'd', &[("a", true), ("b", false)]);
    let mut open = Open::new(facts(&["a"]));
    open.feed_all([table.clone(), insert(ROOT, "12"), table.clone(), insert(ROOT, "1n")]).unwrap();
    open.feed_all([table.clone(), table.clone(), insert(ROOT, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (1, 2));
    // What the catalog says otherwise makes a new one; also where it was said between two rows.
    open.facts.not_null.push("b".to_owned());
    open.feed_all([table.clone(), insert(ROOT, "12"), table.clone(), insert(ROOT, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (2, 3));
    // So does what a row has shown.
    open.feed_all([insert(ROOT, "1n"), table.clone(), insert(ROOT, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (3, 4));
    // A partition that the stream has announced since decides, too.
    let leaf = relation(LEAF, b'i', &[("a", false), ("b", true)]);
    open.feed_all([table, leaf, insert(ROOT, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.last()), (4, said("a", false)));
}

/// Its topic is its own also while nobody knows whether its plan holds.
#[test]
fn a_table_that_comes_again_keeps_its_topic_from_another_of_the_same_name() {
    let table = |id, name| renamed(relation(id, b'd', &[("a", true)]), name);
    let mut open = Open::new(facts(&["a"]));
    open.feed_all([table(ROOT, "a b"), insert(ROOT, "1"), table(ROOT, "a b")]).unwrap();
    let error = open.feed_all([table(OTHER, "a_b"), insert(OTHER, "1")]).unwrap_err();
    assert!(matches!(error, Error::Plan(plan::Error::SharedTopic { .. })), "{error}");
    open.feed_all([insert(ROOT, "2")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (1, 1));
}

/// The parent of a table of the columns a and b.
fn parent(key: &str, name: &str) -> Parent {
    let columns = ["a", "b"].map(str::to_owned).to_vec();
    Parent {
        oid: ROOT,
        table: ("public".to_owned(), name.to_owned()),
        not_null: columns.clone(),
        columns,
        primary_key: vec![key.to_owned()],
        ..Parent::default()
    }
}

/// Of what happens to its parent alone the stream tells by the parent.
#[test]
fn a_childs_plan_is_in_doubt_when_its_parent_is_announced() {
    let child = relation(LEAF, b'f', &[("a", true), ("b", true)]);
    let mut open = Open::new(facts(&[]));
    open.assembler.settings.tables.children = Children::Parent;
    open.facts.parents = vec![parent("a", "t10")];
    open.feed_all([child, insert(LEAF, "12")]).unwrap();
    let of = |open: &Open| (open.last().0, open.plans.last().unwrap().0[0].subject.clone());
    assert_eq!(of(&open), ("a".to_owned(), "x.public.t10-value".to_owned()));
    // As it is, again.
    let announced = relation(ROOT, b'd', &[("a", true), ("b", false)]);
    open.feed_all([announced.clone(), insert(LEAF, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (1, 1));
    // With another key, and by another name.
    open.facts.parents = vec![parent("b", "t10")];
    open.feed_all([relation(ROOT, b'd', &[("a", false), ("b", true)]), insert(LEAF, "12")])
        .unwrap();
    assert_eq!(of(&open), ("b".to_owned(), "x.public.t10-value".to_owned()));
    open.facts.parents = vec![parent("a", "all")];
    open.feed_all([renamed(announced, "all"), insert(LEAF, "12")]).unwrap();
    assert_eq!(of(&open), ("a".to_owned(), "x.public.all-value".to_owned()));
    // Another table's announcement is nothing to it.
    open.feed_all([relation(OTHER, b'd', &[("a", true)]), insert(LEAF, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (3, 1));
}

/// What it is like may be as old as all that the stream has told of the child.
#[test]
fn a_parent_that_is_announced_for_the_first_time_is_no_news() {
    let child = relation(LEAF, b'd', &[("a", true), ("b", false)]);
    let mut of_child = facts(&["a", "b"]);
    of_child.parents = vec![parent("a", "t10")];
    let started = |facts: &TableFacts, known: &[SchemaRequest]| {
        let mut open = Open::new(facts.clone());
        open.assembler.settings.tables.children = Children::Parent;
        let newest = known.iter().cloned().map(|it| (it.subject, it.schema_json));
        open.newest = newest.collect();
        open.feed_all([child.clone(), insert(LEAF, "12")]).unwrap();
        open
    };
    let (known, _) = started(&of_child, &[]).plans.remove(0);
    of_child.parents[0].defaults.insert("b".to_owned(), "7".to_owned());
    let mut open = started(&of_child, &known);
    let announced = relation(ROOT, b'd', &[("a", true), ("b", false)]);
    open.feed_all([announced.clone(), insert(LEAF, "12")]).unwrap();
    assert!(open.plans.len() == 2 && open.plans.iter().all(|(schemas, _)| *schemas == known));
    // Again it is, whether or not there was a row meanwhile.
    open.feed_all([announced.clone(), insert(LEAF, "12")]).unwrap();
    assert!(open.plans.len() == 3 && open.plans[2].0 != known);
    let mut open = started(&of_child, &known);
    open.feed_all([announced.clone(), announced, insert(LEAF, "12")]).unwrap();
    assert!(open.plans.len() == 2 && open.plans[1].0 != known);
}

/// It may be gone since, or have another name, of which the stream tells with its next row.
#[test]
fn a_table_that_has_left_its_topic_is_no_ones_rival() {
    let table = |id, name| renamed(relation(id, b'd', &[("a", true)]), name);
    let facts = facts(&["a"]);
    let by_now = |id, name| match Message::parse(&table(id, name)).unwrap() {
        Message::Relation(body) => body.to_owned(),
        other => panic!("{other:?}"),
    };
    let mut open = Open::new(facts.clone());
    open.feed_all([table(ROOT, "a b"), insert(ROOT, "1"), table(OTHER, "a_b")]).unwrap();
    let error = open.feed(&insert(OTHER, "1")).unwrap_err();
    let id = open.assembler.rival(&error).unwrap();
    assert_eq!(id, RelationId(ROOT));
    assert!(!open.assembler.renew_claim(id, Some((&by_now(ROOT, "a b"), &facts)), &[]));
    open.feed(&insert(OTHER, "1")).unwrap_err();
    // By this name it would have the same topic.
    assert!(open.assembler.renew_claim(id, Some((&by_now(ROOT, "a+b"), &facts)), &[]));
    let error = open.feed(&insert(OTHER, "1")).unwrap_err();
    assert_eq!(open.assembler.rival(&error), Some(id));
    // To itself it is none.
    open.feed(&insert(ROOT, "1")).unwrap();
    assert!(open.assembler.renew_claim(id, Some((&by_now(ROOT, "a c"), &facts)), &[]));
    assert_eq!(open.assembler.rival(&error), None);
    open.feed(&insert(OTHER, "1")).unwrap();
    // Then it is the other one that has the topic.
    let error = open.feed(&insert(ROOT, "2")).unwrap_err();
    let id = open.assembler.rival(&error).unwrap();
    assert_eq!(id, RelationId(OTHER));
    assert!(open.assembler.renew_claim(id, None, &[]));
    open.feed(&insert(ROOT, "2")).unwrap();
}

#[test]
fn a_plan_with_an_older_schemas_defaults_is_made_anew_when_the_stream_tells() {
    let table = relation(ROOT, b'd', &[("a", true), ("b", false)]);
    let mut facts = facts(&["a"]);
    facts.not_null.push("b".to_owned());
    let mut open = Open::new(facts.clone());
    open.feed_all([table.clone(), insert(ROOT, "12")]).unwrap();
    let (known, _) = open.plans.remove(0);
    let mut open = Open::new(facts);
    open.newest = known.into_iter().map(|it| (it.subject, it.schema_json)).collect();
    open.facts.defaults.insert("b".to_owned(), "7".to_owned());
    open.feed_all([table.clone(), insert(ROOT, "12")]).unwrap();
    let kept = open.plans.last().unwrap().clone();
    open.feed_all([table.clone(), insert(ROOT, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (2, 0));
    assert_ne!(open.plans.last(), Some(&kept));
    open.feed_all([table, insert(ROOT, "12")]).unwrap();
    assert_eq!((open.plans.len(), open.revived), (2, 1));
}

#[test]
fn rows_that_are_older_than_the_primary_key_have_none_where_the_stream_does_not_say() {
    let table = relation(ROOT, b'f', &[("a", true), ("b", true)]);
    let mut open = Open::new(facts(&["b"]));
    open.feed_all([table.clone(), insert(ROOT, "12"), insert(ROOT, "1n")]).unwrap();
    assert_eq!(open.last(), said("", true));
    open.feed_all([delete(ROOT, b'O', "1n"), table, insert(ROOT, "12")]).unwrap();
    assert_eq!(open.last(), said("b", true));
}

#[test]
fn a_leaf_is_judged_by_its_own_announcement() {
    let columns = |flags: [bool; 2]| [("a", flags[0]), ("b", flags[1])];
    let root = relation(ROOT, b'f', &columns([true, true]));
    let full = relation(LEAF, b'f', &columns([true, true]));
    let default = relation(OTHER, b'd', &columns([true, false]));
    let mut open = Open::new(facts(&["a"]));
    open.feed_all([root.clone(), full, insert(ROOT, "12")]).unwrap();
    assert_eq!(open.last(), said("a", true));
    // The catalog knows nothing of a leaf that was dropped since; the stream does.
    open.feed_all([root.clone(), default, delete(ROOT, b'O', "1n")]).unwrap();
    assert_eq!(open.last(), said("a", false));
    // Meanwhile it has become FULL, and says so.
    let full = relation(OTHER, b'f', &columns([true, true]));
    open.feed_all([root, full, delete(ROOT, b'O', "12")]).unwrap();
    assert_eq!(open.last(), said("a", true));
}

#[test]
fn tables_that_are_announced_one_after_the_other_are_not_partitions_of_each_other() {
    let columns = [("a", true), ("b", true)];
    let [full, other] = [b'f', b'd']
        .map(|identity| relation(if identity == b'f' { ROOT } else { OTHER }, identity, &columns));
    let truncate =
        [&b"T"[..], &2_u32.to_be_bytes(), b"\0", &ROOT.to_be_bytes(), &OTHER.to_be_bytes()]
            .concat();
    let mut open = Open::new(facts(&["a"]));
    open.feed_all([full.clone(), other.clone(), truncate, insert(ROOT, "12")]).unwrap();
    assert_eq!(open.plans.len(), 2);
    assert!(open.plans.iter().all(|(_, lacks)| !lacks));
    // Of the first there was only a delete that told nothing.
    let mut open = Open::new(facts(&["a"]));
    open.feed_all([full, other, insert(OTHER, "12"), insert(ROOT, "12")]).unwrap();
    assert_eq!(open.last(), said("a", true));
}

#[test]
fn a_row_without_its_key_stops_and_names_the_leaf() {
    let root = relation(ROOT, b'd', &[("a", true), ("b", false)]);
    let leaf = relation(LEAF, b'i', &[("a", false), ("b", true)]);
    let mut facts = facts(&["a"]);
    // What the catalog says by now does not help.
    facts.leaves = vec![Leaf { table: ("public".into(), "t11".into()), identity: None }];
    let mut open = Open::new(facts);
    open.feed_all([root, leaf, insert(ROOT, "12")]).unwrap();
    let error = open.feed(&delete(ROOT, b'K', "n2")).unwrap_err().to_string();
    for part in ["public.t10", "column a", "\"public\".\"t11\"", "REPLICA IDENTITY FULL"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(open.last(), said("a", false));
}
