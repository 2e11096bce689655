//! What is done to tables: a table of `docs/evolution.md`, row by row.

/// A change of a table's definition, with rows before and behind it. `T` is the table.
#[derive(Debug)]
pub(super) struct Case {
    /// As `docs/evolution.md` names it.
    pub(super) ddl: &'static str,
    /// The table, and what belongs to it.
    pub(super) made: &'static str,
    /// One after the other.
    pub(super) steps: &'static [Step],
    /// Columns whose values JSON says in another way.
    pub(super) elsewhere: &'static [&'static str],
    /// What a reader that knows the newest schema finds in the first row, as `column value`; none if
    /// such readers differ.
    pub(super) older: &'static [&'static str],
}

/// Statements, and the row that the last one wrote: its table, if that is another, and its id.
#[derive(Debug)]
pub(super) struct Step(pub(super) &'static str, pub(super) &'static str, pub(super) i32);

const fn step(statements: &'static str, id: i32) -> Step {
    Step(statements, "T", id)
}

pub(super) static CASES: &[Case] = &[
    Case {
        ddl: "ADD COLUMN, nullable",
        made: "CREATE TABLE T (id int PRIMARY KEY)",
        steps: &[
            step("INSERT INTO T VALUES (1)", 1),
            step("ALTER TABLE T ADD v text DEFAULT 'd'; INSERT INTO T VALUES (2)", 2),
        ],
        elsewhere: &[],
        older: &["v null"],
    },
    Case {
        ddl: "ADD COLUMN … NOT NULL DEFAULT constant",
        made: "CREATE TABLE T (id int PRIMARY KEY)",
        steps: &[
            step("INSERT INTO T VALUES (1)", 1),
            step("ALTER TABLE T ADD v int NOT NULL DEFAULT 7; INSERT INTO T VALUES (2, 8)", 2),
            step("ALTER TABLE T ALTER v SET DEFAULT 9; INSERT INTO T VALUES (3)", 3),
        ],
        elsewhere: &[],
        older: &["v 7"],
    },
    Case {
        ddl: "ADD COLUMN … NOT NULL DEFAULT constant, then DROP DEFAULT (Django's AddField)",
        made: "CREATE TABLE T (id int PRIMARY KEY)",
        steps: &[
            step("INSERT INTO T VALUES (1)", 1),
            step(
                "BEGIN; ALTER TABLE T ADD v varchar(100) DEFAULT '' NOT NULL;
                 ALTER TABLE T ALTER v DROP DEFAULT; COMMIT; INSERT INTO T VALUES (2, 'web')",
                2,
            ),
        ],
        elsewhere: &[],
        older: &["v \"\""],
    },
    Case {
        ddl: "ADD COLUMN … NOT NULL DEFAULT now()",
        made: "CREATE TABLE T (id int PRIMARY KEY)",
        steps: &[
            step("INSERT INTO T VALUES (1)", 1),
            step(
                "SET timezone = 'UTC';
                 ALTER TABLE T ADD at date NOT NULL DEFAULT now(); INSERT INTO T VALUES (2)",
                2,
            ),
        ],
        elsewhere: &["at"],
        older: &["at today"],
    },
    Case {
        ddl: "ADD COLUMN … NOT NULL with a default that differs from row to row (serial, gen_random_uuid()), or of an array",
        made: "CREATE TABLE T (id int PRIMARY KEY)",
        steps: &[
            step("INSERT INTO T VALUES (1)", 1),
            step("ALTER TABLE T ADD n bigserial NOT NULL; INSERT INTO T VALUES (2)", 2),
            step(
                "ALTER TABLE T ADD u uuid NOT NULL DEFAULT gen_random_uuid(); INSERT INTO T VALUES (3)",
                3,
            ),
            step("ALTER TABLE T ADD a text[] NOT NULL DEFAULT '{x}'; INSERT INTO T VALUES (4)", 4),
        ],
        elsewhere: &[],
        older: &["n null", "u null", "a null"],
    },
    Case {
        ddl: "several columns in one transaction, with rows between",
        made: "CREATE TABLE T (id int PRIMARY KEY)",
        steps: &[
            step("INSERT INTO T VALUES (1)", 1),
            step(
                "BEGIN; ALTER TABLE T ADD a int NOT NULL DEFAULT 1; INSERT INTO T VALUES (90, 5);
                 DELETE FROM T WHERE id = 90; ALTER TABLE T ADD b int NOT NULL DEFAULT 2;
                 INSERT INTO T VALUES (2, 3, 4); COMMIT",
                2,
            ),
        ],
        elsewhere: &[],
        older: &["a 1", "b 2"],
    },
    Case {
        ddl: "DROP COLUMN",
        made: "CREATE TABLE T (id int PRIMARY KEY, v text NOT NULL, w int NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'a', 2)", 1),
            step("ALTER TABLE T DROP v; INSERT INTO T VALUES (2, 3)", 2),
            step("ALTER TABLE T ADD v text NOT NULL DEFAULT 'again'; INSERT INTO T VALUES (3, 4)", 3),
        ],
        elsewhere: &[],
        // It is the same field to a reader.
        older: &["v \"a\"", "w 2"],
    },
    Case {
        ddl: "RENAME COLUMN",
        made: "CREATE TABLE T (id int PRIMARY KEY, v text, w int NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'a', 2)", 1),
            step("ALTER TABLE T RENAME v TO v2; INSERT INTO T VALUES (2, 'b', 3)", 2),
            step("ALTER TABLE T RENAME w TO w2; INSERT INTO T VALUES (3, 'c', 4)", 3),
        ],
        elsewhere: &[],
        older: &["v2 null", "w2 null"],
    },
    Case {
        ddl: "SET NOT NULL, DROP NOT NULL",
        made: "CREATE TABLE T (id int PRIMARY KEY, v text, w int NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, NULL, 2)", 1),
            step(
                "UPDATE T SET v = 'x'; ALTER TABLE T ALTER v SET NOT NULL; DELETE FROM T;
                 INSERT INTO T VALUES (2, 'b', 3)",
                2,
            ),
            step("ALTER TABLE T ALTER w DROP NOT NULL; INSERT INTO T VALUES (3, 'c', NULL)", 3),
        ],
        elsewhere: &[],
        older: &["v null", "w 2"],
    },
    Case {
        ddl: "SET DEFAULT, DROP DEFAULT",
        made: "CREATE TABLE T (id int PRIMARY KEY, v int NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 2)", 1),
            step("ALTER TABLE T ALTER v SET DEFAULT 5; INSERT INTO T VALUES (2)", 2),
            step("ALTER TABLE T ALTER v DROP DEFAULT; INSERT INTO T VALUES (3, 6)", 3),
        ],
        elsewhere: &[],
        older: &["v 2"],
    },
    Case {
        ddl: "TYPE smallint → int → bigint",
        made: "CREATE TABLE T (id int PRIMARY KEY, v smallint NOT NULL, w int)",
        steps: &[
            step("INSERT INTO T VALUES (1, 2, 3)", 1),
            step(
                "ALTER TABLE T ALTER v TYPE int, ALTER w TYPE bigint; INSERT INTO T VALUES (2, 70000, 5000000000)",
                2,
            ),
            step(
                "ALTER TABLE T ALTER v TYPE bigint; INSERT INTO T VALUES (3, 5000000000, NULL)",
                3,
            ),
        ],
        elsewhere: &[],
        older: &["v 2", "w 3"],
    },
    Case {
        ddl: "TYPE bigint → int → smallint",
        made: "CREATE TABLE T (id int PRIMARY KEY, v bigint NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 2)", 1),
            step("ALTER TABLE T ALTER v TYPE int; INSERT INTO T VALUES (2, -3)", 2),
            step("ALTER TABLE T ALTER v TYPE smallint; INSERT INTO T VALUES (3, 4)", 3),
        ],
        elsewhere: &[],
        older: &["v 2"],
    },
    Case {
        ddl: "TYPE real → double precision, and back",
        made: "CREATE TABLE T (id int PRIMARY KEY, v real NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 1.5)", 1),
            step("ALTER TABLE T ALTER v TYPE float8; INSERT INTO T VALUES (2, 2.5)", 2),
            step("ALTER TABLE T ALTER v TYPE real; INSERT INTO T VALUES (3, 3.5)", 3),
        ],
        elsewhere: &["v"],
        older: &["v \"3ff8000000000000\""],
    },
    Case {
        ddl: "TYPE varchar(n) → varchar(m) → text, and back",
        made: "CREATE TABLE T (id int PRIMARY KEY, v varchar(2) NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'ab')", 1),
            step("ALTER TABLE T ALTER v TYPE varchar(20); INSERT INTO T VALUES (2, 'abc')", 2),
            step("ALTER TABLE T ALTER v TYPE text; INSERT INTO T VALUES (3, 'abcd')", 3),
            step("ALTER TABLE T ALTER v TYPE varchar(9); INSERT INTO T VALUES (4, 'abcd')", 4),
        ],
        elsewhere: &[],
        older: &["v \"ab\""],
    },
    Case {
        ddl: "TYPE numeric(p, s) → numeric(q, s), more digits before the point",
        made: "CREATE TABLE T (id int PRIMARY KEY, v numeric(4, 2) NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 1.25)", 1),
            step("ALTER TABLE T ALTER v TYPE numeric(9, 2); INSERT INTO T VALUES (2, 12345.25)", 2),
        ],
        elsewhere: &["v"],
        // Decimals of another precision do not match.
        older: &[],
    },
    Case {
        ddl: "TYPE numeric(p, s) → numeric(q, t), fewer digits behind the point",
        made: "CREATE TABLE T (id int PRIMARY KEY, v numeric(9, 3) NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 1.125)", 1),
            step("ALTER TABLE T ALTER v TYPE numeric(9, 1); INSERT INTO T VALUES (2, 2.5)", 2),
        ],
        elsewhere: &["v"],
        older: &[],
    },
    Case {
        ddl: "TYPE numeric(p, s) → numeric(q, t), more digits behind the point",
        made: "CREATE TABLE T (id int PRIMARY KEY, v numeric(9, 1) NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 1.5)", 1),
            step("ALTER TABLE T ALTER v TYPE numeric(9, 3); INSERT INTO T VALUES (2, 2.125)", 2),
        ],
        elsewhere: &["v"],
        older: &[],
    },
    Case {
        ddl: "enum: ADD VALUE, RENAME VALUE, another type",
        made: "CREATE TYPE T_mood AS ENUM ('sad', 'ok');
               CREATE TABLE T (id int PRIMARY KEY, v T_mood NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'sad')", 1),
            step("ALTER TYPE T_mood ADD VALUE 'happy'; INSERT INTO T VALUES (2, 'happy')", 2),
            step("ALTER TYPE T_mood RENAME VALUE 'ok' TO 'fine'; INSERT INTO T VALUES (3, 'fine')", 3),
            step(
                "CREATE TYPE T_new AS ENUM ('sad', 'happy', 'fine', 'so so');
                 ALTER TABLE T ALTER v TYPE T_new USING v::text::T_new; DROP TYPE T_mood;
                 INSERT INTO T VALUES (4, 'so so')",
                4,
            ),
        ],
        elsewhere: &[],
        older: &["v \"sad\""],
    },
    Case {
        ddl: "REPLICA IDENTITY FULL, USING INDEX, DEFAULT",
        made: "CREATE TABLE T (id int PRIMARY KEY, code int NOT NULL UNIQUE, v text NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 1, 'a')", 1),
            step("ALTER TABLE T REPLICA IDENTITY FULL; UPDATE T SET v = 'b' WHERE id = 1", 1),
            step(
                "ALTER TABLE T REPLICA IDENTITY DEFAULT; UPDATE T SET v = 'c' WHERE id = 1",
                1,
            ),
        ],
        elsewhere: &[],
        older: &["v \"a\""],
    },
    Case {
        ddl: "DROP PRIMARY KEY, ADD PRIMARY KEY",
        made: "CREATE TABLE T (id int PRIMARY KEY, v text)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'a')", 1),
            step(
                "ALTER TABLE T DROP CONSTRAINT T_pkey, ALTER id DROP NOT NULL; INSERT INTO T VALUES (2, 'b')",
                2,
            ),
            step("ALTER TABLE T ADD PRIMARY KEY (id); INSERT INTO T VALUES (3, 'c')", 3),
        ],
        elsewhere: &[],
        older: &["v \"a\""],
    },
    Case {
        ddl: "an int key and its bigint copy change names (the way out of an int4 overflow)",
        made: "CREATE TABLE T (id int PRIMARY KEY, v text, id_new bigint NOT NULL DEFAULT 0)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'a')", 1),
            step(
                "UPDATE T SET id_new = id; CREATE UNIQUE INDEX T_big ON T (id_new);
                 BEGIN; ALTER TABLE T RENAME id TO id_tmp; ALTER TABLE T RENAME id_new TO id;
                 ALTER TABLE T RENAME id_tmp TO id_new;
                 ALTER TABLE T ALTER id DROP DEFAULT, ALTER id_new SET DEFAULT 0;
                 ALTER TABLE T DROP CONSTRAINT T_pkey, ADD CONSTRAINT T_pkey PRIMARY KEY USING INDEX T_big;
                 COMMIT; DELETE FROM T WHERE id = 1; INSERT INTO T (id, v) VALUES (2, 'b')",
                2,
            ),
        ],
        elsewhere: &[],
        older: &["id 1", "id_new 0"],
    },
    Case {
        ddl: "RENAME TO, SET SCHEMA",
        made: "CREATE SCHEMA T_other; CREATE TABLE T (id int PRIMARY KEY, v text)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'a')", 1),
            Step("ALTER TABLE T RENAME TO T_moved; INSERT INTO T_moved VALUES (2, 'b')", "T_moved", 2),
            Step(
                "ALTER TABLE T_moved SET SCHEMA T_other; INSERT INTO T_other.T_moved VALUES (3, 'c')",
                "T_other.T_moved",
                3,
            ),
        ],
        elsewhere: &[],
        older: &["v \"a\""],
    },
    Case {
        ddl: "DROP TABLE, and CREATE TABLE with the name",
        made: "CREATE TABLE T (id int PRIMARY KEY, v text NOT NULL)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'a')", 1),
            step(
                "DROP TABLE T; CREATE TABLE T (id int PRIMARY KEY, n int NOT NULL);
                 INSERT INTO T VALUES (2, 3)",
                2,
            ),
        ],
        elsewhere: &[],
        older: &["n null"],
    },
    Case {
        ddl: "ATTACH PARTITION, DETACH PARTITION",
        made: "CREATE TABLE T (id int PRIMARY KEY, v text NOT NULL) PARTITION BY RANGE (id);
               CREATE TABLE T_0 PARTITION OF T FOR VALUES FROM (0) TO (2)",
        steps: &[
            step("INSERT INTO T VALUES (1, 'a')", 1),
            step(
                "CREATE TABLE T_1 (v text NOT NULL, id int PRIMARY KEY);
                 ALTER TABLE T ATTACH PARTITION T_1 FOR VALUES FROM (2) TO (9);
                 INSERT INTO T VALUES (2, 'b')",
                2,
            ),
            step("ALTER TABLE T DETACH PARTITION T_0; INSERT INTO T VALUES (3, 'c')", 3),
        ],
        elsewhere: &[],
        older: &["v \"a\""],
    },
];
