//! Which of the published tables are captured.

use regex::Regex;

/// Patterns of tables.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The only ones; none is all.
    pub include: Vec<TablePattern>,
    /// Those among them that are left out.
    pub exclude: Vec<TablePattern>,
}

impl Selection {
    /// Whether a table is left out. (One that is an outbox never is.)
    #[must_use]
    pub fn excludes(&self, namespace: &str, table: &str) -> bool {
        let matches = |pattern: &TablePattern| pattern.matches(namespace, table);
        self.exclude.iter().any(matches)
            || !self.include.is_empty() && !self.include.iter().any(matches)
    }

    /// The patterns that match none of these tables, with the keys that they stand under.
    pub fn unmatched<'s>(
        &'s self,
        tables: &'s [(String, String)],
    ) -> impl Iterator<Item = (&'static str, &'s TablePattern)> {
        let of = |key, patterns: &'s [TablePattern]| patterns.iter().map(move |it| (key, it));
        let all = of("tables.include", &self.include).chain(of("tables.exclude", &self.exclude));
        all.filter(|(_, it)| !tables.iter().any(|(namespace, table)| it.matches(namespace, table)))
    }

    /// The condition, in SQL on a namespace and a table's name, under which one is captured; `None` if
    /// all are.
    #[must_use]
    pub fn sql(&self, namespace: &str, table: &str) -> Option<String> {
        let any = |patterns: &[TablePattern]| {
            let conditions: Vec<_> = patterns.iter().map(|it| it.sql(namespace, table)).collect();
            (!conditions.is_empty()).then(|| format!("({})", conditions.join(" OR ")))
        };
        let exclude = any(&self.exclude).map(|it| format!("NOT {it}"));
        let all: Vec<_> = any(&self.include).into_iter().chain(exclude).collect();
        (!all.is_empty()).then(|| all.join(" AND "))
    }
}

/// Tables by name: `public.orders`, `*.pgbench_*`, or `/…/`, a regular expression.
#[derive(Clone, Debug)]
pub struct TablePattern {
    /// As it was written.
    pub text: String,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// Of PostgreSQL schema and table by themselves.
    Apart { namespace: Regex, table: Regex },
    /// Of `schema.table`.
    Whole(Regex),
}

impl TablePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What it wants to be.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let whole = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let form = match whole {
            Some(pattern) => Form::Whole(anchored(pattern).ok_or(
                "is not a regular expression (syntax of Rust's regex: no look-around, no \
                 back-references)",
            )?),
            None => {
                let parts = text
                    .split_once('.')
                    .filter(|(namespace, table)| !namespace.is_empty() && !table.is_empty());
                let (namespace, table) = parts.ok_or(
                    "wants \"schema.table\", in which * is any text and ? any character, or a \
                     regular expression of that between slashes",
                )?;
                let glob = |text| anchored(&glob(text)).ok_or("is too long");
                Form::Apart { namespace: glob(namespace)?, table: glob(table)? }
            }
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// The only table that it can be, if it is no more than a name.
    #[must_use]
    pub fn exact(&self) -> Option<(&str, &str)> {
        let is_name = matches!(self.form, Form::Apart { .. }) && !self.text.contains(['*', '?']);
        self.text.split_once('.').filter(|_| is_name)
    }

    /// Whether it is the table's.
    #[must_use]
    pub fn matches(&self, of_namespace: &str, of_table: &str) -> bool {
        match &self.form {
            Form::Apart { namespace, table } => {
                namespace.is_match(of_namespace) && table.is_match(of_table)
            }
            Form::Whole(whole) => whole.is_match(&format!("{of_namespace}.{of_table}")),
        }
    }

    /// PostgreSQL's regular expressions are Rust's but for what hardly anybody writes of a name.
    fn sql(&self, of_namespace: &str, of_table: &str) -> String {
        let is = |value: &str, pattern: &str| {
            let pattern = pattern.replace('\'', "''");
            format!("{value} ~ '^(?:{pattern})$'")
        };
        match &self.form {
            Form::Whole(_) => {
                let pattern = self.text.trim_start_matches('/').trim_end_matches('/');
                is(&format!("{of_namespace} || '.' || {of_table}"), pattern)
            }
            Form::Apart { .. } => {
                let (namespace, table) = self.text.split_once('.').unwrap_or_default();
                let [namespace, table] = [(of_namespace, namespace), (of_table, table)]
                    .map(|(value, text)| is(value, &glob(text)));
                format!("{namespace} AND {table}")
            }
        }
    }
}

/// Whether a text is as a pattern, in which `*` is any text.
pub(super) fn is_like(text: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return text == pattern };
    let Some(rest) = text.strip_prefix(head) else { return false };
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.filter_map(|at| rest.get(at..)).any(|rest| is_like(rest, tail))
}

/// The regular expression of a text with `*` and `?`.
fn glob(text: &str) -> String {
    regex::escape(text).replace(r"\*", ".*").replace(r"\?", ".")
}

/// Anchored at both ends; alone first, since what is no pattern by itself could slip out of them.
fn anchored(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).and_then(|_| Regex::new(&format!(r"(?s)\A(?:{pattern})\z"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<TablePattern> {
        texts.iter().map(|text| TablePattern::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_pattern_matches_whole_names() {
        for (text, table, expect) in [
            ("public.orders", "public.orders", true),
            ("public.orders", "public.orders_old", false),
            ("public.orders", "xpublic.orders", false),
            ("public.Orders", "public.orders", false),
            ("public.*", "public.orders", true),
            ("public.*", "publicx.orders", false),
            ("*.pgbench_*", "a.pgbench_history", true),
            ("*.pgbench_*", "a.b_pgbench_history", false),
            ("a.t?", "a.t1", true),
            ("a.t?", "a.t12", false),
            ("a.b.c", "a.b.c", true),
            ("*.订单", "a.订单", true),
            ("a.x+y", "a.x+y", true),
            ("a.x+y", "a.xxy", false),
            (r"/public\.t\d+/", "public.t12", true),
            (r"/public\.t\d+/", "public.t12x", false),
            ("/a|b/", "a.b", false),
            ("/.*/", "a.b\nc", true),
        ] {
            let (namespace, name) = table.split_once('.').unwrap();
            let pattern = TablePattern::parse(text).unwrap();
            assert_eq!(pattern.matches(namespace, name), expect, "{text} {table}");
        }
        for text in ["", "orders", ".orders", "public.", "/(/", "/a)|(?:b/"] {
            assert!(TablePattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_asterisk_is_any_text() {
        for (text, pattern, expect) in [
            ("tenant1", "tenant1", true),
            ("tenant1", "tenant*", true),
            ("tenant", "tenant*", true),
            ("xtenant1", "tenant*", false),
            ("", "*", true),
            ("a_b_c", "*_b_*", true),
            ("a_c", "*_b_*", false),
            ("é", "*é", true),
        ] {
            assert_eq!(is_like(text, pattern), expect, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_included_and_not_excluded_is_captured() {
        let all = Selection::default();
        assert!(!all.excludes("a", "t") && all.sql("n", "t").is_none());
        let some = Selection {
            include: patterns(&["a.*", "b.t"]),
            exclude: patterns(&["*.tmp_*", "/a.x'y/"]),
        };
        for (namespace, table, expect) in
            [("a", "t", false), ("b", "t", false), ("b", "u", true), ("a", "tmp_1", true)]
        {
            assert_eq!(some.excludes(namespace, table), expect, "{namespace}.{table}");
        }
        let tables = [("a".to_owned(), "t".to_owned())];
        let unmatched = some.unmatched(&tables).map(|(key, it)| (key, &*it.text));
        let expect = [
            ("tables.include", "b.t"),
            ("tables.exclude", "*.tmp_*"),
            ("tables.exclude", "/a.x'y/"),
        ];
        assert_eq!(unmatched.collect::<Vec<_>>(), expect);
        assert_eq!(
            some.sql("s", "t").unwrap(),
            "(s ~ '^(?:a)$' AND t ~ '^(?:.*)$' OR s ~ '^(?:b)$' AND t ~ '^(?:t)$') AND NOT \
             (s ~ '^(?:.*)$' AND t ~ '^(?:tmp_.*)$' OR s || '.' || t ~ '^(?:a.x''y)$')"
        );
    }
}
