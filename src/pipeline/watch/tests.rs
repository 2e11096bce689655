//! What the catalog says now against what it said before, and what is found.

use super::*;
use crate::config::{self, Environment};

fn config(more: &str) -> Config {
    let text = format!(
        "pipeline = \"shop\"\n[postgres]\nuser = \"cdc\"\ndatabase = \"shop\"\n[replication]\n\
         slot = \"shop\"\npublications = [\"main\"]\n[kafka]\nbootstrap_servers = [\"b:9092\"]\n\
         [registry]\nurls = [\"http://r\"]\n{more}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("walbrook.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&file, &Environment::of_process()).unwrap()
}

fn publication() -> Publication {
    Publication {
        oid: 1,
        name: "main".to_owned(),
        is_all_tables: false,
        is_open: false,
        has_insert: true,
        has_update: true,
        has_delete: true,
        has_truncate: true,
        is_via_root: true,
    }
}

/// A published table of two columns, `public.<name>`.
fn table(oid: u32, name: &str) -> SurveyedTable {
    let column = |number, name: &str| SurveyedColumn {
        number,
        name: name.to_owned(),
        form: (23, -1),
        is_filled: false,
    };
    SurveyedTable {
        relation: RelationId(oid),
        namespace: "public".to_owned(),
        name: name.to_owned(),
        is_partitioned: false,
        is_partition: false,
        is_logged: true,
        is_named: true,
        publications: vec!["main".to_owned()],
        above: Vec::new(),
        file: oid,
        columns: vec![column(1, "id"), column(2, "total")],
        row_filter: None,
        column_list: None,
    }
}

fn unpublished(oid: u32, name: &str) -> SurveyedTable {
    SurveyedTable { is_named: false, publications: Vec::new(), ..table(oid, name) }
}

fn survey(tables: &[SurveyedTable]) -> Survey {
    Survey { publications: vec![publication()], tables: tables.to_vec() }
}

/// What is found at each of the surveys, a word or two of each finding.
#[track_caller]
fn check_with(config: &Config, steps: &[(Survey, &[&[&str]])]) -> Watch {
    let mut watch = Watch::new(config);
    for (at, (survey, expect)) in steps.iter().enumerate() {
        let found: Vec<_> = watch.look(survey).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expect.len(), "survey {at}: {found:#?}");
        for words in *expect {
            let is_it = |text: &&String| words.iter().all(|word| text.contains(word));
            assert!(found.iter().any(|text| is_it(&text)), "survey {at}: {words:?}: {found:#?}");
        }
    }
    watch
}

/// Before, after, and what is found then.
#[track_caller]
fn check(before: &[SurveyedTable], after: &[SurveyedTable], expect: &[&[&str]]) {
    let (before, after) = (survey(before), survey(after));
    check_with(&config(""), &[(before.clone(), &[]), (before, &[]), (after, expect)]);
}

#[test]
fn a_table_that_left_the_stream_is_found() {
    let other = table(2, "other");
    let before = [table(1, "orders"), other.clone()];
    check(
        &before,
        &[unpublished(1, "orders"), other.clone()],
        &[&["table public.orders is in none", "taken out", "ADD TABLE"]],
    );
    check(&before, &[unpublished(7, "orders"), other.clone()], &[&["public.orders", "made again"]]);
    // A blue/green rename, and a table that was moved out of a published schema.
    let renamed = table(1, "orders_old");
    check(
        &before,
        &[unpublished(7, "orders"), renamed, other.clone()],
        &[&["public.orders", "another table was given its name"]],
    );
    let away = SurveyedTable { namespace: "archive".to_owned(), ..unpublished(1, "orders") };
    check(&before, &[away, other.clone()], &[&["public.orders", "it is archive.orders now"]]);
    let unlogged = SurveyedTable { is_logged: false, ..unpublished(1, "orders") };
    check(&before, &[unlogged, other], &[&["public.orders was made UNLOGGED"]]);
}

#[test]
fn a_table_that_misses_nothing_is_no_finding() {
    let other = table(2, "other");
    let before = [table(1, "orders"), other.clone()];
    // Dropped, renamed in the publication, made again in the publication.
    check(&before, std::slice::from_ref(&other), &[]);
    check(&before, &[table(1, "orders_2"), other.clone()], &[]);
    check(&before, &[table(7, "orders"), other.clone()], &[]);
    // A leaf that is published by itself and is detached; by its root then.
    let leaf = SurveyedTable { is_partition: true, ..table(1, "leaf") };
    let detached = unpublished(1, "leaf");
    check(&[leaf.clone(), other.clone()], &[detached, other.clone()], &[]);
    let below = SurveyedTable { is_named: false, ..leaf.clone() };
    check(&[leaf, other.clone()], &[below, other], &[]);
}

#[test]
fn what_is_put_right_is_no_finding_any_more_and_what_cannot_be_stays() {
    let orders = table(1, "orders");
    let unlogged = SurveyedTable { is_logged: false, ..unpublished(1, "orders") };
    let (there, other) = (survey(std::slice::from_ref(&orders)), table(2, "other"));
    let away = survey(&[unpublished(1, "orders"), other.clone()]);
    check_with(
        &config(""),
        &[
            (there.clone(), &[]),
            (away, &[&["public.orders"]]),
            (there.clone(), &[]),
            (survey(&[unlogged, other]), &[&["was made UNLOGGED"]]),
            (there.clone(), &[&["was UNLOGGED for a while"]]),
            (there, &[&["was UNLOGGED for a while"]]),
        ],
    );
}

#[test]
fn publications_that_offer_less_are_found() {
    let tables = vec![table(1, "orders")];
    let of = |publication| Survey { publications: vec![publication], tables: tables.clone() };
    let narrow = Publication { has_delete: false, has_truncate: false, ..publication() };
    let by_leaves = Publication { is_via_root: false, ..publication() };
    let gone = Survey::default();
    let empty = survey(&[]);
    check_with(
        &config(""),
        &[
            (of(publication()), &[]),
            (of(narrow.clone()), &[&["publication main does not publish delete, truncate"]]),
            (of(by_leaves.clone()), &[&["main has lost publish_via_partition_root"]]),
            (empty.clone(), &[&["publication main holds no table"]]),
            (gone, &[&["publication main does not exist"]]),
        ],
    );
    // It is taken as it is meant at the beginning, unless it has no use.
    check_with(&config(""), &[(of(narrow), &[])]);
    check_with(&config(""), &[(of(by_leaves), &[])]);
    check_with(&config(""), &[(empty.clone(), &[&["holds no table"]])]);
    // Tables to come are in it, but those that were there are not.
    let open = |tables: &[SurveyedTable]| Survey {
        publications: vec![Publication { is_open: true, ..publication() }],
        tables: tables.to_vec(),
    };
    check_with(
        &config(""),
        &[(open(&[]), &[]), (open(&tables), &[]), (open(&[]), &[&["holds no table"]])],
    );
    check_with(&config("[outbox_messages]\nprefix = \"events\""), &[(empty, &[])]);
}

#[test]
fn filters_and_lists_that_hide_more_are_found() {
    let of = |filter: Option<&str>, list: Option<&[i16]>| {
        let row_filter = filter.map(str::to_owned);
        let column_list = list.map(<[i16]>::to_vec);
        [SurveyedTable { row_filter, column_list, ..table(1, "orders") }]
    };
    let (filter, list) = (&["public.orders", "row filter"][..], &["public.orders", "column"][..]);
    check(&of(None, None), &of(Some("a"), None), &[filter]);
    check(&of(Some("a"), None), &of(Some("b"), None), &[filter]);
    check(&of(Some("a"), None), &of(None, None), &[]);
    check(&of(None, None), &of(None, Some(&[1, 2])), &[list]);
    check(&of(None, Some(&[1, 2])), &of(None, Some(&[1])), &[list]);
    check(&of(None, Some(&[1])), &of(None, Some(&[1, 2])), &[]);
    // A column that is gone.
    check(&of(None, Some(&[1, 2, 3])), &of(None, Some(&[1, 2])), &[]);
}

#[test]
fn rewrites_that_give_rows_other_values_are_found() {
    let orders = [table(1, "orders")];
    let rewritten = |change: &dyn Fn(&mut Vec<SurveyedColumn>)| {
        let mut table = SurveyedTable { file: 99, ..table(1, "orders") };
        change(&mut table.columns);
        [table]
    };
    let more = |is_filled| SurveyedColumn {
        number: 3,
        name: "more".to_owned(),
        form: (701, -1),
        is_filled,
    };
    let found = &["table public.orders was rewritten", "UPDATE"][..];
    check(&orders, &rewritten(&|columns| columns[1].form = (20, -1)), &[found]);
    check(&orders, &rewritten(&|columns| columns.push(more(true))), &[found]);
    // VACUUM FULL, with a column that needs none, or one that is gone.
    check(&orders, &rewritten(&|_| ()), &[]);
    check(&orders, &rewritten(&|columns| columns.push(more(false))), &[]);
    check(&orders, &rewritten(&|columns| drop(columns.pop())), &[]);
    // Longer or no limits need no rewrite; shorter ones may change values.
    let varchar = |length| (1043, length + 4);
    let numeric = |precision, scale| (1700, (precision << 16 | scale) + 4);
    let cases = [
        (varchar(10), varchar(20), false),
        (varchar(10), (1043, -1), false),
        (varchar(10), (25, -1), false),
        ((25, -1), (1043, -1), false),
        (numeric(8, 2), numeric(10, 2), false),
        (numeric(8, 2), (1700, -1), false),
        ((1114, 0), (1114, 3), false),
        ((1186, 3), (1186, -1), false),
        (varchar(20), varchar(10), true),
        ((25, -1), varchar(10), true),
        (numeric(8, 2), numeric(10, 1), true),
        ((1700, -1), numeric(10, 2), true),
        ((1114, 3), (1114, 0), true),
        // CHAR(n) is filled up with blanks.
        ((1042, 14), (1042, 24), true),
    ];
    for (before, after, is_found) in cases {
        let mut columns = orders.clone();
        columns[0].columns[1].form = before;
        let after = rewritten(&|columns| columns[1].form = after);
        let expect = &[found][..usize::from(is_found)];
        check(&columns, &after, expect);
    }
    // The catalog alone.
    let mut widened = orders.clone();
    widened[0].columns[1].form = (25, -1);
    check(&orders, &widened, &[]);
    // A leaf of which the stream does not speak.
    let leaf = |file, form| {
        let mut leaf = SurveyedTable { is_named: false, is_partition: true, ..table(2, "leaf") };
        (leaf.file, leaf.columns[1].form) = (file, form);
        [leaf]
    };
    check(&leaf(1, (23, -1)), &leaf(9, (20, -1)), &[&["public.leaf was rewritten"]]);
}

#[test]
fn outboxes_of_the_configuration_are_looked_for() {
    let config = config("[[outbox]]\ntable = \"public.outbox\"");
    let outbox = |namespace: &str| {
        let mut outbox = SurveyedTable { namespace: namespace.to_owned(), ..table(1, "outbox") };
        let columns = ["id", "aggregateid", "aggregatetype", "type", "payload"];
        let column = |(number, name): (i16, &str)| SurveyedColumn {
            number,
            name: name.to_owned(),
            form: (25, -1),
            is_filled: false,
        };
        outbox.columns = (1..).zip(columns).map(column).collect();
        outbox
    };
    let other = table(2, "other");
    let check = |tables: &[SurveyedTable], expect: &[&[&str]]| {
        check_with(&config, &[(survey(&[tables, std::slice::from_ref(&other)].concat()), expect)]);
    };
    let tenant = SurveyedTable { relation: RelationId(3), ..outbox("tenant") };
    let missing = &["outbox table public.outbox does not exist"][..];
    check(&[outbox("public")], &[]);
    check(&[], &[missing]);
    check(&[unpublished(1, "outbox")], &[&["public.outbox is in none of the publications"]]);
    let like = &["tenant.outbox has the columns of outbox public.outbox"][..];
    check(std::slice::from_ref(&tenant), &[like, &[missing[0], "tenant.outbox"]]);
    check(&[outbox("public"), tenant.clone()], &[like]);
    let ordinary = SurveyedTable { columns: other.columns.clone(), ..tenant.clone() };
    check(&[outbox("public"), ordinary], &[]);
    let part = SurveyedTable { above: vec![RelationId(1)], ..tenant.clone() };
    check(&[outbox("public"), part], &[]);
    let elsewhere = SurveyedTable { publications: Vec::new(), is_named: false, ..tenant };
    check(&[outbox("public"), elsewhere], &[]);
    // By leaves that are listed one by one.
    let root = SurveyedTable { is_partitioned: true, ..unpublished(1, "outbox") };
    let leaf = |oid| SurveyedTable { above: vec![RelationId(1)], ..table(oid, "leaf") };
    let left_out = SurveyedTable { publications: Vec::new(), is_named: false, ..leaf(5) };
    let unpublished = &["public.outbox is in none of the publications"][..];
    check(&[root.clone(), leaf(4), leaf(5)], &[]);
    check(&[root.clone(), leaf(4), left_out], &[unpublished]);
    check(&[root], &[unpublished]);
}

#[test]
fn a_table_whose_rows_came_is_known_also_if_it_was_never_seen_published() {
    let mut watch = check_with(&config(""), &[(survey(&[table(2, "other")]), &[])]);
    watch.know(RelationId(1), "public", "orders");
    assert_eq!(watch.subjects().1, ["orders", "other"]);
    assert_eq!(watch.subjects().0, [RelationId(1), RelationId(2)]);
    let found = watch.look(&survey(&[table(2, "other"), unpublished(1, "orders")]));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn tables_of_which_nothing_is_left_are_forgotten_when_they_are_many() {
    let mut watch = Watch::new(&config("[[outbox]]\ntable = \"public.outbox\""));
    watch.gone_max = 2;
    let names = |watch: &Watch| watch.subjects().1;
    let stays = table(1, "stays");
    watch.look(&survey(&[stays.clone(), table(2, "a"), table(3, "b"), table(4, "c")]));
    watch.look(&survey(&[stays.clone(), unpublished(4, "c_old")]));
    assert_eq!(names(&watch), ["a", "b", "c", "outbox", "stays"]);
    watch.look(&survey(std::slice::from_ref(&stays)));
    assert_eq!(names(&watch), ["outbox", "stays"]);
}

#[test]
fn nothing_is_missed_of_what_the_configuration_leaves_out() {
    for (more, expect) in [("", 2), ("[tables]\nexclude = [\"public.left\"]", 1)] {
        let mut watch = Watch::new(&config(more));
        let survey =
            |tables: Vec<SurveyedTable>| Survey { publications: vec![publication()], tables };
        assert!(watch.look(&survey(vec![table(1, "left"), table(2, "t")])).is_empty());
        let gone = survey(vec![unpublished(1, "left"), unpublished(2, "t"), table(3, "u")]);
        assert_eq!(watch.look(&gone).len(), expect, "{more}");
    }
}
