//! A family of types as a table: values that are hard, a way to make random ones, and the SQL that
//! puts each into every place that a value can have.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::form::Form;
use super::refusal::{Reason, is_multi_dimensional};

/// Types that are judged by one test.
pub(super) struct Family {
    /// What its types need: other types, extensions.
    pub(super) setup: &'static str,
    /// The types.
    pub(super) types: Vec<Type>,
}

/// One type, with its values.
pub(super) struct Type {
    /// Its name in SQL, with modifiers.
    pub(super) name: &'static str,
    values: &'static [&'static str],
    made: &'static [&'static str],
    random: &'static str,
    since: u32,
    /// Values that not every representation has a place for, as PostgreSQL prints them, and why.
    refused: Vec<(&'static str, Reason)>,
}

impl Family {
    pub(super) fn of(types: Vec<Type>) -> Self {
        Self { setup: "", types }
    }

    pub(super) fn with(setup: &'static str, types: Vec<Type>) -> Self {
        Self { setup, types }
    }

    /// Makes the tables `t0`, `t1` … of the types that this version has, and a publication of them;
    /// the values are in `s0`, `s1` … only. Returns those types.
    pub(super) async fn create(&self, client: &Client, version: u32) -> Vec<&Type> {
        client.batch_execute(self.setup).await.unwrap();
        client.batch_execute("SELECT setseed(0.25)").await.unwrap();
        let types: Vec<_> = self.types.iter().filter(|it| it.since <= version).collect();
        let mut tables = Vec::new();
        for (at, it) in types.iter().enumerate() {
            let statements = it.create(at);
            let made = client.batch_execute(&statements).await;
            made.unwrap_or_else(|error| panic!("{}: {}: {statements}", it.name, reason(&error)));
            if it.has_range(client, at).await {
                let more = format!("ALTER TABLE t{at} ADD r r{at}, ADD m m{at}");
                client.batch_execute(&more).await.unwrap();
            }
            tables.push(format!("t{at}"));
        }
        let publish = format!("CREATE PUBLICATION walbrook FOR TABLE {}", tables.join(", "));
        client.batch_execute(&publish).await.unwrap();
        types
    }
}

impl Type {
    /// `values` are literals; `random` is an expression of `random()` and of `i`, 1 to 200.
    pub(super) fn new(
        name: &'static str,
        values: &'static [&'static str],
        random: &'static str,
    ) -> Self {
        Self { name, values, made: &[], random, since: 14, refused: Vec::new() }
    }

    /// Values that are made by expressions.
    pub(super) fn made(self, made: &'static [&'static str]) -> Self {
        Self { made, ..self }
    }

    pub(super) fn since(self, since: u32) -> Self {
        Self { since, ..self }
    }

    pub(super) fn refusing(mut self, values: &[&'static str], reason: Reason) -> Self {
        self.refused.extend(values.iter().map(|value| (*value, reason)));
        self
    }

    /// The hard values, as they are written.
    pub(super) fn values(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().copied()
    }

    /// Whether the value of a column is known to have no place in a field of a form: the reason.
    pub(super) fn refusal(&self, column: &str, form: &Form, value: &str) -> Option<&'static str> {
        if is_multi_dimensional(form, value) {
            return Some("a schema of one dimension");
        }
        let is_it = |refused: &str| match column {
            "v" | "d" => value == refused,
            _ => value.contains(refused),
        };
        let found = self.refused.iter().find(|(refused, why)| is_it(refused) && why.applies(form));
        found.map(|(_, reason)| reason.why)
    }

    /// Each hard value comes in all shapes of arrays and composites, a random or long one in one.
    fn create(&self, at: usize) -> String {
        let Self { name, random, .. } = self;
        let quoted = |text: &&str| format!("'{}'", text.replace('\'', "''"));
        let hard = self.values.iter().map(quoted).chain(self.made.iter().map(|&it| it.to_owned()));
        let hard: Vec<_> = hard.map(|value| format!("(({value})::{name})")).collect();
        format!(
            "CREATE DOMAIN d{at} AS {name};
            CREATE TYPE c{at} AS (x {name}, n int, s text);
            CREATE TABLE s{at} (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0),
                v {name});
            INSERT INTO s{at} (v) SELECT v FROM (VALUES {}) AS hard (v)
            CROSS JOIN LATERAL generate_series(
                1, CASE WHEN octet_length(format('%s', v)) < 2000 THEN {SHAPES} ELSE 1 END);
            INSERT INTO s{at} (v)
            SELECT v::{name} FROM (SELECT {random} FROM generate_series(1, {RANDOM}) AS i) AS drawn (v);
            CREATE TABLE t{at} (id int PRIMARY KEY, v {name}, d d{at}, a {name}[], da d{at}[],
                c c{at}, ca c{at}[])",
            hard.join(", ")
        )
    }

    /// Makes a range over it where PostgreSQL can order it.
    async fn has_range(&self, client: &Client, at: usize) -> bool {
        let base = self.name.split('(').next().unwrap();
        let range =
            format!("CREATE TYPE r{at} AS RANGE (SUBTYPE = {base}, MULTIRANGE_TYPE_NAME = m{at})");
        match client.batch_execute(&range).await {
            Ok(()) => true,
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => false,
            Err(error) => panic!("{}: {error:?}", self.name),
        }
    }
}

/// Fills the table, in one transaction; a row of NULLs goes first.
pub(super) async fn fill(client: &Client, at: usize, name: &str) {
    let exists = "SELECT EXISTS (SELECT FROM pg_attribute
        WHERE attrelid = $1::text::regclass AND attname = 'r')";
    let row = client.query_one(exists, &[&format!("t{at}")]).await.unwrap();
    let (names, values) = if row.get(0) { (", r, m", RANGES) } else { ("", "") };
    let insert = format!(
        "INSERT INTO t{at} (id) VALUES (-1);
        INSERT INTO t{at} (id, v, d, a, da, c, ca{names})
        SELECT id, v, v, {ARRAYS}, {DOMAINS}, {COMPOSITES}, {COMPOSITE_ARRAYS}{values} FROM s{at}"
    );
    let insert = insert.replace('#', &at.to_string()).replace('@', name);
    let made = client.batch_execute(&insert).await;
    made.unwrap_or_else(|error| panic!("{}: {insert}", reason(&error)));
}

/// What the server says.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

const SHAPES: u32 = 8;
/// How many random values of a type there are.
pub(super) const RANDOM: usize = 200;

const ARRAYS: &str = "CASE CASE WHEN octet_length(format('%s', v)) < 2000 THEN id % 8 ELSE 0 END
    WHEN 0 THEN ARRAY[v] WHEN 1 THEN ARRAY[NULL::@, v, NULL::@, v]
    WHEN 2 THEN ('[-3:-2]=' || format('%s', ARRAY[v, v]))::@[] WHEN 3 THEN ARRAY[[v, v], [v, v]]
    WHEN 4 THEN ('[5:5][0:1][-1:0]=' || format('%s', ARRAY[[[v, v], [v, v]]]))::@[]
    WHEN 5 THEN '{}' WHEN 6 THEN ARRAY[[v, NULL::@], [NULL::@, v]]
    ELSE ARRAY[v, (lag(v) OVER (ORDER BY id))::@] END";

const DOMAINS: &str =
    "CASE id % 2 WHEN 0 THEN ARRAY[v::d#, NULL::d#] ELSE ARRAY[[v::d#], [NULL::d#]] END";

const COMPOSITES: &str = r#"CASE id % 4 WHEN 0 THEN ROW(v, NULL, '')::c#
    WHEN 1 THEN ROW(v, id, 'NULL')::c# WHEN 2 THEN ROW(NULL, NULL, NULL)::c#
    ELSE ROW(v, -id, E'"\\, ({[ ü\n ''')::c# END"#;

const COMPOSITE_ARRAYS: &str = r#"CASE id % 3 WHEN 0 THEN ARRAY[ROW(v, id, '}"')::c#, NULL]
    WHEN 1 THEN ARRAY[[ROW(v, id, '')::c#], [ROW(v, id, NULL)::c#]] ELSE '{}' END"#;

const RANGES: &str = "
    , CASE id % 6 WHEN 0 THEN r#(v, v, '[]') WHEN 1 THEN r#(v, NULL) WHEN 2 THEN r#(NULL, v, '(]')
      WHEN 3 THEN 'empty' WHEN 4 THEN r#(NULL, NULL) ELSE r#(v, v, '[)') END
    , CASE id % 3 WHEN 0 THEN m#(r#(v, v, '[]')) WHEN 1 THEN m#(r#(NULL, v), r#(v, NULL, '()'))
      ELSE '{}' END";
