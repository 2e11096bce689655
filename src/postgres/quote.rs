//! Quoting for the walsender's commands, which take no parameters.

/// `"name"`, with quotes inside doubled.
pub(super) fn identifier(name: &str) -> String {
    enclosed(name, '"')
}

/// `'text'`, with quotes inside doubled. In the replication grammar a backslash is a plain
/// character: there are no `E''` strings.
///
/// Source: `src/backend/replication/repl_scanner.l` of PostgreSQL.
pub(super) fn literal(text: &str) -> String {
    enclosed(text, '\'')
}

/// A list of identifiers inside a literal, the form of pgoutput's `publication_names`.
pub(super) fn identifier_list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| identifier(name)).collect();
    literal(&names.join(","))
}

/// `-c name=value` for the startup parameter `options`: blanks and backslashes are escaped.
///
/// Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>
pub(super) fn startup_option(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
    format!("-c {name}={value}")
}

fn enclosed(text: &str, mark: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        if c == mark {
            out.push(mark);
        }
        out.push(c);
    }
    out.push(mark);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_are_doubled() {
        assert_eq!(identifier("plain"), r#""plain""#);
        assert_eq!(identifier(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal(r"it's \n"), r"'it''s \n'");
        let names = ["a".to_owned(), r#"b"c"#.to_owned(), "d'e,f".to_owned()];
        assert_eq!(identifier_list(&names), r#"'"a","b""c","d''e,f"'"#);
        assert_eq!(startup_option("a", r"b c\"), r"-c a=b\ c\\");
    }
}
