//! What the catalog says of tables, types, publications and the server.

use std::time::Duration;

use walbrook::config::Postgres as Settings;
use walbrook::edges::Class;
use walbrook::position::Lsn;
use walbrook::postgres::{Catalog, Start, UnloggedColumn};
use walbrook::types::{Kind, Printed};
use walbrook::wal::{Relation, RelationColumn, RelationId, ReplicaIdentity};

use super::{local, walsender};
use crate::support::postgres::{Options, Postgres, VERSION};
use crate::support::run;

const LIMIT: Duration = Duration::from_secs(120);

const SETUP: &str = r#"
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('sad', 'glad');
ALTER TYPE shop.mood ADD VALUE 'calm' BEFORE 'glad';
CREATE DOMAIN shop.money AS numeric(12, 2) NOT NULL;
CREATE DOMAIN shop.price AS shop.money CHECK (0 <= VALUE);
CREATE TYPE shop.pair AS (a int, b shop.mood);
CREATE TYPE shop.span AS RANGE (subtype = shop.price, multirange_type_name = shop.spans);
CREATE TABLE shop.item (
    note text, b int, a int, price shop.price, mood shop.mood, moods shop.mood[],
    prices shop.price[], pair shop.pair, span shop.span, spans shop.spans[], place regclass, code varchar(10) NOT NULL,
    dropped int NOT NULL, doubled int GENERATED ALWAYS AS (b * 2) STORED,
    PRIMARY KEY (a, b) INCLUDE (note), UNIQUE (code) INCLUDE (b));
ALTER TABLE shop.item DROP COLUMN dropped;
ALTER TABLE shop.item REPLICA IDENTITY USING INDEX item_code_b_key;
CREATE TABLE shop.bare (id int);
CREATE TABLE shop."Odd ""name""" (id int PRIMARY KEY);
CREATE TABLE shop.everything (id int);
ALTER TABLE shop.everything REPLICA IDENTITY FULL;
CREATE TABLE shop.part (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE shop.part_1 PARTITION OF shop.part FOR VALUES FROM (0) TO (10);
CREATE TABLE shop.part_2 PARTITION OF shop.part FOR VALUES FROM (10) TO (20);
ALTER TABLE shop.part_2 REPLICA IDENTITY NOTHING;
CREATE PUBLICATION one FOR TABLE shop.item, shop.bare, shop."Odd ""name""";
CREATE PUBLICATION two FOR TABLE shop.part, shop.everything, shop.bare
    WITH (publish = 'insert, delete', publish_via_partition_root);"#;

pub(super) async fn open(server: &Postgres) -> Catalog {
    server.execute("postgres", SETUP).await;
    Catalog::connect(&local(server, "postgres")).await.unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn publications_and_their_tables_are_listed() {
    run(LIMIT, async {
        for version in [17, 14] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            let mut catalog = open(&server).await;
            let wanted = names(&["one", "two", "three"]);
            let found = catalog.publications(&wanted).await.unwrap();
            let options = |at: usize| {
                let it = &found[at];
                let flags = [it.has_insert, it.has_update, it.has_delete, it.has_truncate];
                (it.name.as_str(), it.is_all_tables, flags, it.is_via_root)
            };
            assert_eq!(found.len(), 2);
            assert_eq!(options(0), ("one", false, [true; 4], false));
            assert_eq!(options(1), ("two", false, [true, false, true, false], true));
            let tables = catalog.published_tables(&wanted).await.unwrap();
            let tables: Vec<_> = tables
                .iter()
                .map(|it| {
                    assert_eq!(it.namespace, "shop");
                    let flags = [it.has_primary_key, it.is_partitioned, it.has_usable_identity];
                    (it.name.as_str(), it.identity, flags)
                })
                .collect();
            use ReplicaIdentity::{Default, Full, Index};
            let expect = [
                ("Odd \"name\"", Default, [true, false, true]),
                ("bare", Default, [false, false, false]),
                ("everything", Full, [false, false, true]),
                ("item", Index, [true, false, true]),
                ("part", Default, [true, true, false]),
            ];
            assert_eq!(tables, expect, "{version}");
        }
    });
}

#[test]
fn published_types_say_which_need_text() {
    run(LIMIT, async {
        for version in [17, 14] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            let mut catalog = open(&server).await;
            let columns = catalog.published_types(&names(&["one"])).await.unwrap();
            let of = |name: &str| {
                let column = columns.iter().find(|it| it.table == "item" && it.name == name);
                column.map(|column| column.kind.clone())
            };
            let labels = ["sad", "calm", "glad"].map(str::to_owned).to_vec();
            let mood = Kind::Enum { labels };
            let price = Kind::Numeric { declared: Some((12, 2)) };
            assert_eq!(of("mood"), Some(mood.clone()));
            assert_eq!(of("moods"), Some(Kind::Array(Box::new(mood))));
            assert_eq!(of("price"), Some(price.clone()));
            assert_eq!(of("prices"), Some(Kind::Array(Box::new(price))));
            assert_eq!(of("code"), Some(Kind::Text));
            let element = Box::new(Kind::Numeric { declared: Some((12, 2)) });
            let spans = Kind::Printed(Printed::Multirange(element.clone()));
            assert_eq!(of("span"), Some(Kind::Printed(Printed::Range(element))));
            assert_eq!(of("spans"), Some(Kind::Array(Box::new(spans))));
            let Some(Kind::Printed(Printed::Composite { attributes })) = of("pair") else {
                panic!("{:?}", of("pair"))
            };
            assert_eq!(attributes.len(), 2);
            assert!(matches!(attributes[1].1, Kind::Enum { .. }));
            assert_eq!((of("doubled"), of("dropped")), (None, None));
            let unknown = columns.iter().filter(|column| !column.kind.is_known());
            let unknown: Vec<_> = unknown.map(|column| column.name.as_str()).collect();
            assert_eq!(unknown, ["place"]);
        }
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        // A column list (15+) leaves out what need not be known.
        let listed = "CREATE PUBLICATION listed FOR TABLE shop.item (code, mood)";
        server.execute("postgres", listed).await;
        let columns = catalog.published_types(&names(&["listed"])).await.unwrap();
        let columns: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(columns, ["code", "mood"]);
    });
}

/// The table as the stream would announce it now.
async fn relation(server: &Postgres, table: &str, identity: ReplicaIdentity) -> Relation {
    const COLUMNS: &str = "\
        SELECT attrelid, attname::text, atttypid, atttypmod FROM pg_attribute
        WHERE attrelid = ('shop.' || $1::text)::regclass AND 0 < attnum AND NOT attisdropped
        ORDER BY attnum";
    let rows = server.client("postgres").await.query(COLUMNS, &[&table]).await.unwrap();
    let column = |row: &tokio_postgres::Row| RelationColumn {
        name: row.get(1),
        is_identity: false,
        type_oid: row.get(2),
        type_modifier: row.get(3),
    };
    Relation {
        id: RelationId(rows[0].get(0)),
        namespace: "shop".to_owned(),
        name: table.to_owned(),
        identity,
        columns: rows.iter().map(column).collect(),
    }
}

#[test]
fn a_table_is_described() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        let mut relation = relation(&server, "item", ReplicaIdentity::Index).await;
        let facts = catalog.describe(&relation).await.unwrap();
        // b and a by the primary key, price by its domain's domain.
        assert_eq!(facts.not_null, ["b", "a", "price", "code"]);
        assert_eq!(facts.primary_key, ["a", "b"]);
        assert_eq!(facts.identity_index, ["code"]);
        let facts_of = |name: &str| {
            let column = relation.columns.iter().find(|column| column.name == name).unwrap();
            facts.types.resolve(column.type_oid, column.type_modifier)
        };
        assert_eq!(facts_of("price"), Kind::Numeric { declared: Some((12, 2)) });
        assert!(facts_of("pair").is_known() && facts_of("spans").is_known());
        assert_eq!(facts_of("place"), Kind::Other { name: "regclass".into() });
        // A table that has gone since has no facts but those of its types.
        relation.id = RelationId(1);
        let facts = catalog.describe(&relation).await.unwrap();
        assert!(facts.is_gone);
        assert!(facts.not_null.is_empty() && facts.primary_key.is_empty());
    });
}

/// A parent without columns is there, and so are its children.
#[test]
fn parents_are_described_where_that_is_wanted() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        let create = "CREATE TABLE shop.marker ();
            CREATE TABLE shop.base (b int, a int DEFAULT 7, PRIMARY KEY (a, b));
            CREATE TABLE shop.middle () INHERITS (shop.marker);
            CREATE TABLE shop.late (c int PRIMARY KEY DEFERRABLE);
            CREATE TABLE shop.by_index (d int NOT NULL UNIQUE, e int PRIMARY KEY);
            ALTER TABLE shop.by_index REPLICA IDENTITY USING INDEX by_index_d_key;
            CREATE TABLE shop.child (PRIMARY KEY (a)) INHERITS
                (shop.middle, shop.marker, shop.base, shop.late, shop.by_index);
            ALTER TABLE shop.middle REPLICA IDENTITY FULL";
        server.execute("postgres", create).await;
        let child = relation(&server, "child", ReplicaIdentity::Default).await;
        let facts = catalog.describe(&child).await.unwrap();
        assert!(!facts.is_gone);
        // Each once, on however many ways it is inherited from.
        let mut parents: Vec<_> = facts
            .parents
            .iter()
            .map(|it| {
                let identity = it.identity.as_ref().map(|names| names.join(" "));
                let key = it.primary_key.join(" ");
                (&*it.table.1, it.columns.join(" "), key, identity, it.defaults.len())
            })
            .collect();
        parents.sort_unstable();
        let is = |name, columns: &str, key: &str, identity: Option<&str>, defaults| {
            (name, columns.to_owned(), key.to_owned(), identity.map(str::to_owned), defaults)
        };
        assert_eq!(
            parents,
            [
                is("base", "b a", "a b", Some("a b"), 1),
                is("by_index", "d e", "e", Some("d"), 0),
                is("late", "c", "c", Some(""), 0),
                is("marker", "", "", Some(""), 0),
                is("middle", "", "", None, 0),
            ]
        );
        let above = |name| &facts.parents.iter().find(|it| it.table.1 == name).unwrap().ancestors;
        assert_eq!(above("middle"), &[("shop".to_owned(), "marker".to_owned())]);
        assert!(above("base").is_empty() && above("marker").is_empty());
        assert_eq!(facts.ancestors.map(|above| above.len()), Some(5));
    });
}

#[test]
fn defaults_are_read_of_a_table_that_is_locked() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        let create = "CREATE TABLE shop.defaults (
            id serial, a int DEFAULT 1, b shop.price DEFAULT 2, c varchar(5) DEFAULT 'it''s', d date DEFAULT now(),
            e int GENERATED ALWAYS AS (7) STORED, f shop.mood DEFAULT 'sad', g timestamptz DEFAULT '2024-02-29 12:00+02')";
        server.execute("postgres", create).await;
        let relation = relation(&server, "defaults", ReplicaIdentity::Full).await;
        let locking = server.client("postgres").await;
        locking.batch_execute("BEGIN; LOCK shop.defaults").await.unwrap();
        let facts = catalog.describe(&relation).await.unwrap();
        let defaults: Vec<_> = facts.defaults.iter().map(|(name, it)| (&**name, &**it)).collect();
        let expect = [
            ("a", "1"),
            ("b", "2.00"),
            ("c", "it's"),
            ("f", "sad"),
            ("g", "2024-02-29 10:00:00+00"),
        ];
        assert_eq!(defaults, expect);
    });
}

#[test]
fn a_key_that_was_renamed_since_is_found_where_the_stream_does_not_name_it() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        let create = "CREATE TABLE shop.full (a int, b int, c int, PRIMARY KEY (c, b))";
        server.execute("postgres", create).await;
        let before = relation(&server, "full", ReplicaIdentity::Full).await;
        // The key's names are (b, bb) now, and b is not what it was.
        for rename in ["b TO bb", "c TO b"] {
            server.execute("postgres", &format!("ALTER TABLE shop.full RENAME {rename}")).await;
            let primary_key = catalog.describe(&before).await.unwrap().primary_key;
            assert_eq!(primary_key, ["c", "b"], "{rename}");
        }
        // Names that are exchanged: the place stays.
        let create = "CREATE TABLE shop.swap (a int PRIMARY KEY, b int, c int)";
        server.execute("postgres", create).await;
        let older = relation(&server, "swap", ReplicaIdentity::Full).await;
        let swap = |one: &str, other: &str| {
            let rename =
                |from: &str, to: &str| format!("ALTER TABLE shop.swap RENAME {from} TO {to};");
            ["BEGIN;", &rename(one, "x"), &rename(other, one), &rename("x", other), "COMMIT;"]
                .concat()
        };
        server.execute("postgres", &swap("a", "b")).await;
        assert_eq!(catalog.describe(&older).await.unwrap().primary_key, ["a"]);
        // A column of another's name that is newer than the rows is not theirs.
        server.execute("postgres", "ALTER TABLE shop.swap RENAME c TO d").await;
        let add = "ALTER TABLE shop.swap DROP CONSTRAINT swap_pkey, ADD c serial PRIMARY KEY";
        server.execute("postgres", add).await;
        assert!(catalog.describe(&older).await.unwrap().primary_key.is_empty());
        // Where columns were dropped, names are believed as far as they can be.
        let create = "CREATE TABLE shop.lost (x int, a int PRIMARY KEY, b int, c int);
            ALTER TABLE shop.lost DROP x";
        server.execute("postgres", create).await;
        let older = relation(&server, "lost", ReplicaIdentity::Full).await;
        server.execute("postgres", "ALTER TABLE shop.lost RENAME c TO d").await;
        assert_eq!(catalog.describe(&older).await.unwrap().primary_key, ["a"]);
        let swap = swap("a", "b").replace("swap", "lost");
        server.execute("postgres", &swap).await;
        let facts = catalog.describe(&older).await.unwrap();
        assert_eq!(facts.unknown_key.as_deref(), Some("b"));
        // A key that is generated is not in the stream, and no other column stands for it.
        let create = "CREATE TABLE shop.made
            (a int, b int GENERATED ALWAYS AS (a * 2) STORED PRIMARY KEY, c int)";
        server.execute("postgres", create).await;
        let mut made = relation(&server, "made", ReplicaIdentity::Full).await;
        made.columns.retain(|column| column.name != "b");
        assert!(catalog.describe(&made).await.unwrap().primary_key.is_empty());
        // A column that is newer than the rows was no key of theirs.
        let swap = "ALTER TABLE shop.full DROP CONSTRAINT full_pkey, ADD d serial PRIMARY KEY";
        server.execute("postgres", swap).await;
        assert!(catalog.describe(&before).await.unwrap().primary_key.is_empty());
        let dropped = "ALTER TABLE shop.full DROP a";
        server.execute("postgres", dropped).await;
        let facts = catalog.describe(&before).await.unwrap();
        assert_eq!(facts.unknown_key.as_deref(), Some("d"));
        let now = relation(&server, "full", ReplicaIdentity::Full).await;
        assert_eq!(catalog.describe(&now).await.unwrap().primary_key, ["d"]);
    });
}

/// Where the stream says which columns are the key, their order is still the catalog's.
#[test]
fn the_order_of_a_key_that_was_renamed_since_is_what_it_was() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        let create = "CREATE TABLE shop.ordered (a int NOT NULL, b int NOT NULL, c int NOT NULL,
            PRIMARY KEY (c, a));
            CREATE UNIQUE INDEX ordered_index ON shop.ordered (c, b, a)";
        server.execute("postgres", create).await;
        let mut default = relation(&server, "ordered", ReplicaIdentity::Default).await;
        for column in &mut default.columns {
            column.is_identity = column.name != "b";
        }
        let mut index = relation(&server, "ordered", ReplicaIdentity::Index).await;
        index.columns.iter_mut().for_each(|column| column.is_identity = true);
        let rename = "ALTER TABLE shop.ordered REPLICA IDENTITY USING INDEX ordered_index;
            ALTER TABLE shop.ordered RENAME a TO x; ALTER TABLE shop.ordered RENAME c TO a";
        server.execute("postgres", rename).await;
        assert_eq!(catalog.describe(&default).await.unwrap().primary_key, ["c", "a"]);
        let facts = catalog.describe(&index).await.unwrap();
        assert_eq!(facts.primary_key, ["c", "a"]);
        assert_eq!(facts.identity_index, ["c", "b", "a"]);
        // What the stream does not say is no key of the rows, and no reason to end.
        for column in &mut default.columns {
            column.is_identity = column.name == "b";
        }
        let facts = catalog.describe(&default).await.unwrap();
        assert!(facts.primary_key.is_empty() && facts.unknown_key.is_none());
    });
}

/// What a `Relation` left out before the key does not move the key.
#[test]
fn a_key_behind_what_the_rows_do_not_have_is_found_by_its_name() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        let create = "CREATE TABLE shop.behind (
            a int, g int GENERATED ALWAYS AS (a * 2) STORED, id int PRIMARY KEY, v int)";
        server.execute("postgres", create).await;
        let mut older = relation(&server, "behind", ReplicaIdentity::Full).await;
        older.columns.retain(|column| column.name != "g");
        server.execute("postgres", "ALTER TABLE shop.behind ALTER g DROP EXPRESSION").await;
        assert_eq!(catalog.describe(&older).await.unwrap().primary_key, ["id"]);
    });
}

/// A key that was added since is told from one that a column list hides.
#[test]
fn a_key_that_is_newer_than_the_rows_is_none_of_theirs_also_with_a_column_list() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let mut catalog = open(&server).await;
        server.execute("postgres", "CREATE TABLE shop.listed (a int, b int)").await;
        let [full, default] = [ReplicaIdentity::Full, ReplicaIdentity::Default];
        let before = relation(&server, "listed", full).await;
        let add = "ALTER TABLE shop.listed ADD d serial PRIMARY KEY";
        server.execute("postgres", add).await;
        for (list, key) in [("a, b, d", names(&[])), ("a, b", names(&["d"]))] {
            let publish = format!(
                "DROP PUBLICATION IF EXISTS listed;
                CREATE PUBLICATION listed FOR TABLE shop.listed ({list}), shop.bare"
            );
            server.execute("postgres", &publish).await;
            for identity in [full, default] {
                let before = Relation { identity, ..before.clone() };
                let primary_key = catalog.describe(&before).await.unwrap().primary_key;
                assert_eq!(primary_key, key, "{list}, {identity:?}");
            }
        }
    });
}

#[test]
fn generated_columns_in_an_identity_are_found() {
    run(LIMIT, async {
        const SETUP: &str = "
            CREATE TABLE ix (id int, s int GENERATED ALWAYS AS (id * 2) STORED NOT NULL);
            CREATE UNIQUE INDEX ix_s ON ix (s);
            ALTER TABLE ix REPLICA IDENTITY USING INDEX ix_s;
            CREATE TABLE ful (id int PRIMARY KEY, s int GENERATED ALWAYS AS (id * 2) STORED);
            ALTER TABLE ful REPLICA IDENTITY FULL;
            CREATE TABLE fine (id int PRIMARY KEY, s int GENERATED ALWAYS AS (id * 2) STORED);
            CREATE TABLE root (id int, s int GENERATED ALWAYS AS (id * 2) STORED)
                PARTITION BY RANGE (id);
            CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
            ALTER TABLE leaf REPLICA IDENTITY FULL;
            CREATE PUBLICATION ours FOR TABLE ix, ful, fine, root
                WITH (publish_via_partition_root = true);";
        for version in [14, 17, 18] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            let mut catalog = Catalog::connect(&local(&server, "postgres")).await.unwrap();
            server.execute("postgres", SETUP).await;
            let mut found = async || {
                let found = catalog.unlogged_columns(&names(&["ours"])).await.unwrap();
                let told = |it: UnloggedColumn| {
                    assert_eq!(it.is_refused, version == 18);
                    format!("{}.{} {} {}", it.table, it.name, it.publication, it.is_stored)
                };
                found.into_iter().map(told).collect::<Vec<_>>()
            };
            if version < 18 {
                assert_eq!(found().await, ["ix.s ours true"], "{version}");
                continue;
            }
            let all = ["ful.s ours true", "ix.s ours true", "leaf.s ours true"];
            assert_eq!(found().await, all);
            let client = server.client("postgres").await;
            for table in ["ful", "ix", "leaf"] {
                let refused = client.batch_execute(&format!("DELETE FROM {table}")).await;
                assert_eq!(refused.unwrap_err().code().unwrap().code(), "42P10", "{table}");
            }
            let publish = "ALTER PUBLICATION ours SET (publish_generated_columns = stored)";
            server.execute("postgres", publish).await;
            assert!(found().await.is_empty());
            client
                .batch_execute("DELETE FROM ful; DELETE FROM ix; DELETE FROM leaf")
                .await
                .unwrap();
            // One publication that lacks it is enough, and nothing helps a virtual one.
            let other = "CREATE PUBLICATION other FOR TABLE ful;
                CREATE TABLE virt (id int, v int GENERATED ALWAYS AS (id * 2) VIRTUAL);
                ALTER TABLE virt REPLICA IDENTITY FULL;
                ALTER PUBLICATION ours ADD TABLE virt";
            server.execute("postgres", other).await;
            assert_eq!(found().await, ["ful.s other true", "virt.v ours false"]);
            for table in ["ful", "virt"] {
                let refused = client.batch_execute(&format!("DELETE FROM {table}")).await;
                assert_eq!(refused.unwrap_err().code().unwrap().code(), "42P10", "{table}");
            }
        }
    });
}

#[test]
fn the_server_tells_its_settings_and_slots() {
    run(LIMIT, async {
        let conf = [
            "wal_level = replica",
            "max_slot_wal_keep_size = 2GB",
            "max_replication_slots = 7",
            "max_wal_senders = 9",
        ];
        let conf = conf.map(str::to_owned).to_vec();
        let server = Postgres::start(&Options { conf, ..Options::default() });
        let mut catalog = Catalog::connect(&local(&server, "postgres")).await.unwrap();
        let facts = catalog.server().await.unwrap();
        let version = i32::try_from(*VERSION).unwrap();
        assert_eq!((facts.version_num / 10_000, facts.wal_level.as_str()), (version, "replica"));
        assert!(!facts.in_recovery && facts.has_replication);
        assert_eq!(facts.max_slot_wal_keep_size_mb, 2048);
        assert_eq!(facts.wal_sender_timeout, Duration::from_secs(60));
        let slots = (facts.replication_slots, facts.replication_slots_max, facts.wal_senders_max);
        assert_eq!(slots, (0, 7, 9));
        assert_eq!(catalog.slot("none").await.unwrap(), None);
        let physical = "SELECT pg_create_physical_replication_slot('physical', true)";
        server.execute("postgres", physical).await;
        let slot = catalog.slot("physical").await.unwrap().unwrap();
        assert_eq!((slot.slot_type.as_str(), slot.plugin.as_deref()), ("physical", None));
        assert!(slot.restart_lsn.is_some() && slot.confirmed_flush.is_none());
        assert!(0 <= slot.retained_bytes.unwrap() && 0 < slot.safe_wal_size.unwrap());
        assert_eq!(slot.invalidation(), None);
    });
}

#[test]
fn a_slot_that_lost_its_log_says_so() {
    run(LIMIT, async {
        let conf = ["max_slot_wal_keep_size = 1MB", "max_wal_size = 32MB", "min_wal_size = 32MB"];
        let conf = conf.map(str::to_owned).to_vec();
        let server = Postgres::start(&Options { conf, ..Options::default() });
        let settings = local(&server, "postgres");
        let mut catalog = Catalog::connect(&settings).await.unwrap();
        let create = "SELECT pg_create_logical_replication_slot('lost', 'pgoutput')";
        server.execute("postgres", create).await;
        for _ in 0..4 {
            let switch = "SELECT pg_logical_emit_message(false, '', 'x'), pg_switch_wal()";
            server.execute("postgres", switch).await;
        }
        server.execute("postgres", "CHECKPOINT").await;
        let slot = catalog.slot("lost").await.unwrap().unwrap();
        assert_eq!(slot.invalidation(), Some("wal_removed"), "{slot:?}");
        let client = walsender(&settings).await.unwrap();
        let publications = names(&["one"]);
        let start = Start {
            slot: "lost",
            lsn: Lsn::ZERO,
            publications: &publications,
            is_binary: true,
            has_messages: false,
        };
        let error = client.start_replication(start).await.unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("55000"), Class::Fatal), "{error}");
    });
}

#[test]
fn a_query_that_waits_too_long_is_cancelled_and_a_lost_server_is_noticed() {
    run(LIMIT, async {
        let mut server = Postgres::start(&Options::default());
        let settings = Settings {
            statement_timeout: Duration::from_millis(200),
            ..local(&server, "postgres")
        };
        let mut catalog = Catalog::connect(&settings).await.unwrap();
        let mut client = server.client("postgres").await;
        let xact = client.transaction().await.unwrap();
        xact.batch_execute("LOCK TABLE pg_catalog.pg_publication").await.unwrap();
        let error = catalog.publications(&names(&["one"])).await.unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("57014"), Class::Retry), "{error}");
        drop(xact);
        catalog.publications(&names(&["one"])).await.unwrap();
        server.stop("INT");
        for _ in 0..2 {
            let error = catalog.server().await.unwrap_err();
            assert_eq!(error.class(), Class::Retry, "{error}");
        }
    });
}
