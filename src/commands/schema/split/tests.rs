//! What a file of SQL can be, and that nothing in it ends our transaction.

use super::*;

#[track_caller]
fn parted(text: &str, expect: &[(usize, &str)]) {
    let found = statements(text).unwrap();
    let found: Vec<_> = found.iter().map(|it| (it.line, it.sql)).collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn a_semicolon_ends_a_statement_where_it_stands_alone() {
    parted("", &[]);
    parted(" ;; -- nothing\n/* ; */ ;", &[]);
    parted("SELECT 1;\n\nSELECT 2", &[(1, "SELECT 1"), (3, "SELECT 2")]);
    parted("-- a; b\nSELECT ';' ; SELECT 2", &[(2, "SELECT ';'"), (2, "SELECT 2")]);
    parted("SELECT 'it''s; 1', \"a;\"\"b\";x", &[(1, "SELECT 'it''s; 1', \"a;\"\"b\""), (1, "x")]);
    // A backslash is a character, but in a string with escapes.
    parted(r"SELECT '\'; SELECT E'\'; x'", &[(1, r"SELECT '\'"), (1, r"SELECT E'\'; x'")]);
    parted(r"SELECT e'a\\'; b", &[(1, r"SELECT e'a\\'"), (1, "b")]);
    // The e of another word is none.
    parted(r"SELECT Ne'\'; b", &[(1, r"SELECT Ne'\'"), (1, "b")]);
    parted(
        "SELECT U&'d\\0061;t' UESCAPE '!'; b",
        &[(1, "SELECT U&'d\\0061;t' UESCAPE '!'"), (1, "b")],
    );
    parted("/* a /* ; */ ; */ SELECT 1/*;*/+2;", &[(1, "SELECT 1/*;*/+2")]);
    parted("DO $$ BEGIN; $x$; END $$; b", &[(1, "DO $$ BEGIN; $x$; END $$"), (1, "b")]);
    parted("DO $tag$ ; $$ ; $tag$; b", &[(1, "DO $tag$ ; $$ ; $tag$"), (1, "b")]);
    // Parameters, and names with a dollar, are no quotes.
    parted("SELECT $1; SELECT a$b$c; d", &[(1, "SELECT $1"), (1, "SELECT a$b$c"), (1, "d")]);
    let rule = "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM u; DELETE FROM v)";
    parted(&format!("{rule}; b"), &[(1, rule), (1, "b")]);
    parted("\u{feff}SELECT 'é; ü' AS é;\r\nb", &[(1, "SELECT 'é; ü' AS é"), (2, "b")]);
}

#[test]
fn a_body_in_sql_is_one_statement() {
    let function = "CREATE OR REPLACE FUNCTION f(a int) RETURNS int BEGIN ATOMIC \
                    SELECT CASE WHEN a = 1 THEN 2 END; SELECT 3; END";
    parted(&format!("{function}; SELECT 1"), &[(1, function), (1, "SELECT 1")]);
    // What is called so by chance is none.
    parted("CREATE TABLE begin (a int); b", &[(1, "CREATE TABLE begin (a int)"), (1, "b")]);
    assert_eq!(statements("x;\nCREATE PROCEDURE p() BEGIN ATOMIC a;"), Err((2, OPEN_BODY)));
}

#[test]
fn what_is_not_closed_is_told_with_its_line() {
    for (text, expect) in [
        ("SELECT 1;\nSELECT 'a", (2, OPEN_QUOTE)),
        ("\nSELECT \"a", (2, OPEN_QUOTE)),
        ("SELECT E'a\\'", (1, OPEN_QUOTE)),
        ("\n\nDO $a$ b $c$", (3, OPEN_QUOTE)),
        ("/* a /* b */", (1, OPEN_COMMENT)),
        ("CREATE TABLE t (a int;\n", (1, OPEN_PARENTHESIS)),
        ("SELECT 1;\n\\d t", (2, META)),
        ("\\restrict abc\n", (1, META)),
    ] {
        assert_eq!(statements(text), Err(expect), "{text}");
    }
}

/// The same at each end of a text that holds everything: no panic, and no statement out of nothing.
#[test]
fn a_file_that_is_cut_anywhere_is_read_or_refused() {
    let text = "-- é\n/* /* */ */ SELECT E'\\'', 'a''b', $é$;$é$, \"x\", (1; 2), $1;\
                CREATE FUNCTION f() BEGIN ATOMIC CASE END; END;";
    for (end, _) in text.char_indices() {
        let cut = &text[..end];
        for statement in statements(cut).into_iter().flatten() {
            assert!(cut.contains(statement.sql) && !statement.sql.is_empty());
        }
    }
}

#[track_caller]
fn step(text: &str) -> Result<Step<'_>, Problem> {
    let found = statements(text).unwrap();
    assert_eq!(found.len(), 1, "{text}");
    found.into_iter().next().unwrap().step()
}

#[test]
fn what_begins_or_ends_a_transaction_does_not_get_through() {
    for text in
        ["BEGIN", "begin isolation level serializable", "START TRANSACTION READ WRITE", "begin;;"]
    {
        assert_eq!(step(text), Ok(Step::Begin), "{text}");
    }
    for text in [
        "COMMIT",
        "Commit and chain",
        "END WORK",
        "/* a */ -- b\rCOMMIT",
        "--\n;;COMMIT;",
        "COMMIT/**/WORK",
        "commit--",
    ] {
        assert_eq!(step(text), Ok(Step::End), "{text}");
    }
    for text in [
        "ROLLBACK",
        "abort",
        "ROLLBACK AND CHAIN",
        "PREPARE TRANSACTION 'a'",
        "COMMIT PREPARED 'a'",
        "ROLLBACK PREPARED 'a'",
        "COPY t (a) FROM STDIN",
        "COPY t TO stdout WITH (FORMAT csv)",
    ] {
        assert!(step(text).is_err(), "{text}");
    }
    for text in ["ROLLBACK TO SAVEPOINT a", "ROLLBACK WORK TO a", "SAVEPOINT a", "RELEASE a"] {
        assert_eq!(step(text), Ok(Step::Apply(text.into())), "{text}");
    }
}

#[test]
fn what_cannot_run_in_a_transaction_and_changes_no_definition_is_left_out() {
    for text in ["VACUUM", "vacuum (full) t", "REINDEX INDEX CONCURRENTLY i", "CLUSTER t"] {
        assert_eq!(step(text), Ok(Step::LeftOut(NO_DEFINITION)), "{text}");
    }
    for (text, expect) in [
        (
            "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)",
            "CREATE UNIQUE INDEX              i ON t (a)",
        ),
        ("CREATE INDEX concurrently ON t (a)", "CREATE INDEX              ON t (a)"),
        ("DROP INDEX CONCURRENTLY IF EXISTS i", "DROP INDEX              IF EXISTS i"),
        (
            "ALTER TABLE s.t DETACH PARTITION s.p CONCURRENTLY",
            "ALTER TABLE s.t DETACH PARTITION s.p             ",
        ),
    ] {
        assert_eq!(step(text), Ok(Step::Plain(expect.into())), "{text}");
    }
    for text in ["CREATE INDEX i ON t (a)", "REFRESH MATERIALIZED VIEW CONCURRENTLY v"] {
        assert_eq!(step(text), Ok(Step::Apply(text.into())), "{text}");
    }
}

#[test]
fn what_calls_setval_is_left_out() {
    for text in [
        "SELECT setval('s', 1)",
        "select pg_catalog.SETVAL ('public.s', 1, true)",
        "SELECT (pg_catalog . /* a */ setval/* b */\n('s', 1))",
        "SELECT \"setval\"('s', 1)",
        "SELECT setval(pg_get_serial_sequence('\"t\"','id'), coalesce(max(\"id\"), 1), max(\"id\") IS NOT null) FROM \"t\"",
        "WITH n AS (SELECT 1) SELECT setval('s', 1) FROM n",
        "VALUES (setval('s', 1))",
        "INSERT INTO t SELECT setval('s', 1)",
    ] {
        assert_eq!(step(text), Ok(Step::LeftOut(SETVAL)), "{text}");
    }
    for text in [
        "SELECT setval FROM t",
        "SELECT 'setval(1)'",
        "SELECT setvals(1), nextval('s')",
        "SELECT setval, (1) FROM t",
        "CREATE FUNCTION f() RETURNS bigint BEGIN ATOMIC SELECT setval('s', 1); END",
        "CREATE VIEW v AS SELECT setval('s', 1)",
        "ALTER TABLE t ALTER a SET DEFAULT setval('s', 1)",
        "DROP FUNCTION own.setval(text)",
        "GRANT EXECUTE ON FUNCTION own.setval(text) TO r",
        "DO $$ BEGIN PERFORM setval('s', 1); END $$",
    ] {
        assert_eq!(step(text), Ok(Step::Apply(text.into())), "{text}");
    }
}

#[test]
fn errors_name_a_line_and_the_first_words() {
    let found = statements("--\nALTER TABLE t\n  ADD x\n  int oops;").unwrap();
    assert_eq!(found[0].title(), "ALTER TABLE t");
    assert_eq!((found[0].line_of(0), found[0].line_of(16), found[0].line_of(27)), (2, 3, 4));
}
