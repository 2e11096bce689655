//! A page of docs/ whose parts are written by tests: by those here, by tests/it/debezium and tests/it/clients.

use std::fs;

/// Sees that what stands between the marks `<!-- name -->` and `<!-- end of name -->` is `part`. A
/// page on which it is another is written anew, for the person who reads the difference.
pub(crate) fn keep(page: &str, name: &str, part: &str) {
    let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let (first, last) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(&first).expect("the first mark");
    let (_, tail) = rest.split_once(&last).expect("the last mark");
    let now = [head, &first, part, &last, tail].concat();
    if now != text {
        fs::write(&path, now).unwrap();
        panic!("docs/{page} says something else than the code does: see git diff docs");
    }
}

/// As code in a cell of a table, in which Markdown wants bars escaped even so.
pub(crate) fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
