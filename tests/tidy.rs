//! Holds the rules that no compiler knows: who imports whom, purity, documents, words, sizes.
//!
//! The rules and their reasons stand in ARCHITECTURE.md and CONTRIBUTING.md. Nothing is parsed
//! properly here: comments and the contents of strings are blanked, then lines are searched. That
//! is enough, because rustfmt decides how a line looks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use regex::Regex;

#[path = "tidy/samples.rs"]
mod samples;

/// Modules that never read a clock, block, spawn, log or touch a global (I5).
const PURE: &[&str] = &[
    "src/batch",
    "src/change",
    "src/checkpoint",
    "src/columns",
    "src/edges",
    "src/encode",
    "src/facts",
    "src/pipeline/assembler",
    "src/pipeline/holder",
    "src/pipeline/lag",
    "src/pipeline/pace",
    "src/pipeline/search",
    "src/pipeline/start",
    "src/pipeline/supervisor",
    "src/pipeline/watch",
    "src/plan",
    "src/position",
    "src/types",
    "src/verify",
    "src/wal",
];

/// What a pure module does not say.
const IMPURE: &[&str] = &[
    r"\bInstant::now\b",
    r"\bSystemTime::now\b",
    r"\basync\b",
    r"\.await\b",
    r"\btokio::",
    r"\btracing::",
    r"\b(trace|debug|info|warn|error)!",
    r"\b(e?print|e?println|dbg)!",
    r"\bstd::(env|fs|io|net|process|thread)\b",
    r"\bstatic\s+mut\b",
    r"\bthread_local!",
];

/// Crates that one module keeps to itself, so that nothing else depends on them.
const OWNED_CRATES: &[(&str, &[&str])] = &[
    ("kafka_protocol", &["src/kafka"]),
    ("rdkafka", &["src/kafka"]),
    ("postgres_protocol", &["src/postgres"]),
    ("tokio_postgres", &["src/postgres"]),
];

/// Words that we do not use in names: the word, what we say instead, and where it is right.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("ack", "confirm", &["src/kafka"]),
    ("acked", "confirmed", &["src/kafka"]),
    ("acks", "confirm", &["src/kafka", "src/config"]),
    ("bookmark", "checkpoint", &[]),
    // `event` is what happens to a state machine, and what a Debezium outbox holds.
    ("event", "frame, message, change or record", USES_OF_EVENT),
    ("events", "frames, messages, changes or records", USES_OF_EVENT),
    ("relation schema", "relation", &[]),
    ("table schema", "relation", &[]),
    ("transaction", "xact (PostgreSQL) or txn (Kafka)", USES_OF_TRANSACTION),
    ("transactions", "xacts (PostgreSQL) or txns (Kafka)", USES_OF_TRANSACTION),
];
const USES_OF_EVENT: &[&str] =
    &["src/commands", "src/config", "src/kafka", "src/pipeline", "src/plan"];
/// The configuration says words in full; Debezium's envelope has a field of the name.
const USES_OF_TRANSACTION: &[&str] = &["src/config", "src/encode/schema", "src/kafka"];

const FILE_LINES_MAX: usize = 600;
const FN_LINES_MAX: usize = 70;

/// Functions that are one `match` over a closed set, and may be as long as that needs: file, name.
const LONG_MATCHES: &[(&str, &str)] = &[];
const LONG_MATCH_LINES_MAX: usize = 100;

#[test]
fn imports_are_those_of_the_table_in_architecture_md() {
    let table = import_table();
    let mut wrong = Vec::new();
    let mut rowless = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources() {
        let from = source.module();
        if from == "lib" {
            continue;
        }
        let Some(may) = table.get(&from) else {
            let to = source.imports().into_iter().filter(|to| *to != from);
            rowless.entry(from.clone()).or_default().extend(to);
            continue;
        };
        for to in source.imports() {
            if to != from && !may.contains(&to) {
                wrong.push(format!("{}: `{from}` may not import `{to}`", source.path));
            }
        }
    }
    wrong.extend(rowless.iter().map(|(from, to)| format!("no row for `{from}`, importing {to:?}")));
    report("a new arrow needs a change of ARCHITECTURE.md, \"Who imports whom\"", &wrong);
}

#[test]
fn the_import_table_names_only_modules_that_exist() {
    let modules: BTreeSet<_> = sources().map(Source::module).collect();
    let table = import_table();
    let named = table.iter().flat_map(|(from, may)| may.iter().chain([from]));
    let wrong: Vec<_> = named.filter(|name| !modules.contains(*name)).cloned().collect();
    report("ARCHITECTURE.md, \"Who imports whom\", names modules that do not exist", &wrong);
}

#[test]
fn pure_modules_are_pure() {
    let impure: Vec<_> = IMPURE.iter().map(|text| regex(text)).collect();
    let mut wrong = Vec::new();
    for pure in PURE {
        let mut members = sources().filter(|source| source.is_in(&[pure])).peekable();
        if members.peek().is_none() {
            wrong.push(format!("{pure}: there is no such module"));
        }
        for source in members {
            source.find(&impure, &mut wrong);
        }
    }
    report("time is an argument; clocks, logs, threads and files belong to the edges (I5)", &wrong);
}

#[test]
fn a_crate_of_the_edge_is_named_in_its_module_only() {
    let mut wrong = Vec::new();
    for (name, owners) in OWNED_CRATES {
        let name = [regex(&format!(r"\b{name}\b"))];
        for source in sources().filter(|source| !source.is_in(owners)) {
            source.find(&name, &mut wrong);
        }
    }
    report("only src/kafka names Kafka's crates, only src/postgres those of PostgreSQL", &wrong);
}

#[test]
fn every_configuration_key_is_in_the_example() {
    let example = read("config/walbrook.example.toml");
    let keys: BTreeSet<_> = sources()
        .filter(|source| source.is_in(&["src/config/file"]))
        .flat_map(|source| configuration_keys(&source.code))
        .collect();
    assert!(!keys.is_empty(), "src/config/file.rs has no keys: this test no longer finds them");
    let shown = |key: &String| {
        let assigned = format!(r"\b{key}\s*=");
        let section = format!(r"(?m)^[#\s]*\[+([^\]\n]*\.)?{key}(\.[^\]\n]*)?\]");
        [assigned, section].iter().any(|text| regex(text).is_match(&example))
    };
    let missing: Vec<_> = keys.into_iter().filter(|key| !shown(key)).collect();
    report("config/walbrook.example.toml documents every key; missing", &missing);
}

#[test]
fn every_metric_is_in_the_documents() {
    let name = regex(r#""(walbrook_[a-z0-9_]+)""#);
    let text = read("src/metrics.rs");
    let names: BTreeSet<_> = name.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    assert!(!names.is_empty(), "src/metrics.rs has no names: this test no longer finds them");
    let page = read("docs/operations.md");
    let missing: Vec<_> = names.into_iter().filter(|name| !page.contains(name)).collect();
    report("docs/operations.md lists every metric; missing", &missing);
}

#[test]
fn names_use_one_word_for_one_thing() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, is_fn) in defined_names(&source.code) {
            let words = words(&name);
            if is_fn && words.starts_with("get ") {
                wrong.push(format!("{}: `{name}`: no `get_`", source.path));
            }
            for (word, instead, right) in WORDS {
                let found = format!(" {words} ").contains(&format!(" {word} "));
                if found && !source.is_in(right) {
                    wrong.push(format!("{}: `{name}`: we say {instead}", source.path));
                }
            }
        }
    }
    report("one word, one meaning (CONTRIBUTING.md, \"Words\")", &wrong);
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    let mut unused: BTreeSet<_> = LONG_MATCHES.iter().collect();
    for Source { path, text, .. } in &*SRC {
        let lines = text.lines().count();
        if FILE_LINES_MAX < lines {
            wrong.push(format!("{path}: {lines} lines"));
        }
    }
    for source in sources() {
        for (name, lines) in functions(&source.code) {
            let listed = LONG_MATCHES.iter().find(|(p, n)| *p == source.path && *n == name);
            let lines_max = listed.map_or(FN_LINES_MAX, |_| LONG_MATCH_LINES_MAX);
            if lines_max < lines {
                wrong.push(format!("{}: fn {name} has {lines} lines", source.path));
            }
            if let Some(listed) = listed
                && FN_LINES_MAX < lines
            {
                unused.remove(listed);
            }
        }
    }
    wrong.extend(unused.iter().map(|(path, name)| format!("{path}: fn {name} need not be listed")));
    report("a file has at most 600 lines, a function 70", &wrong);
}

#[test]
fn every_file_says_what_it_is() {
    let is_silent = |source: &&Source| !source.text.starts_with("//!");
    let wrong: Vec<_> = SRC.iter().filter(is_silent).map(|source| source.path.clone()).collect();
    report("a file opens with //!: what it is, why it exists, what it must not do", &wrong);
}

#[test]
fn no_test_is_ignored() {
    let ignore = [regex(r"#\[(ignore|cfg_attr\([^\]]*\bignore)\b")];
    let mut wrong = Vec::new();
    for source in SRC.iter().chain(&files("tests")) {
        Source { code: blank(&source.text), ..source.clone() }.find(&ignore, &mut wrong);
    }
    report("a test that does not run proves nothing", &wrong);
}

#[test]
fn this_test_can_read_rust() {
    let text = "fn a<'x>(b: [u8; 2]) -> char { \"}//\"; r#\"}\"}\"#; b'\\''; '{' } // }\n/* } /* } */ */\n";
    let code = blank(text);
    assert_eq!(code.matches('}').count(), 1, "{code}");
    assert_eq!(code.len(), text.len(), "{code}");
    assert_eq!(functions("fn a();\nfn b(c: [u8; 2])\n{\n{}\n}\n"), [("b".to_owned(), 4)]);
    assert_eq!(words("getXLogData_ack2Lsn"), "get x log data ack2 lsn");
    let source = |path: &str, code: &str| Source {
        path: path.to_owned(),
        text: String::new(),
        code: code.to_owned(),
    };
    let code =
        "use crate::{a::{b, c}, d};\nuse super::super::e;\nuse super::f;\npub(in crate::g) x";
    let imports = source("src/m/n.rs", code).imports().into_iter().collect::<Vec<_>>();
    assert_eq!(imports, ["a", "d", "e", "g"]);
    let names: Vec<_> = defined_names("let (mut a, b) = c(d);\nfn e(f: G) {}\nenum H { I, J(K) }")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["H", "I", "J", "a", "b", "e", "f"]);
    let keys = configuration_keys(
        "#[derive(Deserialize)]\nstruct A {\n    #[serde(rename = )]\n    b: u8,\n    pub c: IgnoredAny,\n}\nstruct D {\n    e: u8,\n}\n",
    );
    assert_eq!(keys, ["b"]);
}

/// A Rust file: its path below the repository, its text, and its code: without comments, contents
/// of strings and inline tests, but with the same lines.
#[derive(Clone)]
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    /// The module directly below the crate that the file belongs to.
    fn module(&self) -> String {
        let below = self.path.trim_start_matches("src/");
        below.split('/').next().unwrap().trim_end_matches(".rs").to_owned()
    }

    /// Whether the file is one of these modules or below one.
    fn is_in(&self, modules: &[&str]) -> bool {
        modules.iter().any(|module| {
            let rest = self.path.strip_prefix(module);
            rest.is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
        })
    }

    /// The modules directly below the crate that the file names, by whatever path.
    fn imports(&self) -> BTreeSet<String> {
        let depth = self.path.trim_end_matches("/mod.rs").matches('/').count();
        let root =
            format!(r"(?:\b(?:crate|walbrook)|(?:\bself::)?\bsuper(?:::super){{{}}})", depth - 1);
        let one = regex(&format!(r"(?:^|[^:]){root}::([a-z]\w*)"));
        let group = regex(&format!(r"(?:^|[^:]){root}::\{{"));
        let mut found: BTreeSet<_> =
            one.captures_iter(&self.code).map(|found| found[1].to_owned()).collect();
        found.remove("super");
        for start in group.find_iter(&self.code) {
            let names = &self.code[start.end() - 1..];
            for name in members(&names[..block_end(names).unwrap_or(names.len())]) {
                let name = name.split("::").next().unwrap();
                found.extend(name.starts_with(char::is_lowercase).then(|| name.to_owned()));
            }
        }
        found
    }

    fn find(&self, patterns: &[&Regex], wrong: &mut Vec<String>) {
        for (line, number) in self.code.lines().zip(1..) {
            for pattern in patterns {
                if let Some(found) = pattern.find(line) {
                    wrong.push(format!("{}:{number}: {}", self.path, found.as_str()));
                }
            }
        }
    }
}

/// A compiled pattern, kept: the same few are asked for in every file.
fn regex(pattern: &str) -> &'static Regex {
    static KEPT: Mutex<BTreeMap<String, &'static Regex>> = Mutex::new(BTreeMap::new());
    let mut kept = KEPT.lock().unwrap();
    let new = || &*Box::leak(Box::new(Regex::new(pattern).unwrap()));
    kept.entry(pattern.to_owned()).or_insert_with(new)
}

#[track_caller]
fn report(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}:\n  {}\n", wrong.join("\n  "));
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Rust files of `src` but unit tests.
fn sources() -> impl Iterator<Item = &'static Source> {
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    SRC.iter().filter(move |source| !is_test(&source.path))
}

/// The Rust files of `src`, read once.
static SRC: LazyLock<Vec<Source>> = LazyLock::new(|| files("src"));

/// All Rust files below a folder.
fn files(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder)).unwrap();
        for entry in entries.map(Result::unwrap) {
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() && !path.ends_with("/target") {
                folders.push(path);
            } else if path.ends_with(".rs") {
                let text = read(&path);
                let code = without_inline_tests(&blank(&text));
                found.push(Source { path, text, code });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "{folder} has no Rust files");
    found
}

/// The rows behind "Who imports whom": `| module | may import |`, names in backticks.
fn import_table() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("ARCHITECTURE.md");
    let (_, section) = text.split_once("Who imports whom").expect("a table \"Who imports whom\"");
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let name = regex(r"`([a-z_]+)(?:/|\.rs)?`");
    let names = |cell: &str| -> Vec<String> {
        name.captures_iter(cell).map(|found| found[1].to_owned()).collect()
    };
    let mut table = BTreeMap::<_, BTreeSet<_>>::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<_> = row.split('|').collect();
        for from in names(cells[1]) {
            table.entry(from).or_default().extend(names(cells[2]));
        }
    }
    assert!(!table.is_empty(), "ARCHITECTURE.md, \"Who imports whom\", has no rows");
    table
}

/// The fields of all structs that serde reads, but those that exist to be refused.
fn configuration_keys(code: &str) -> Vec<String> {
    let derive = regex(r"#\[derive\([^)]*\bDeserialize\b[^)]*\)\][^{;]*?\bstruct\s+\w+[^{;]*");
    let field = regex(r"(?m)^\s*(?:pub(?:\([^)]*\))?\s+)?([a-z]\w*):\s*(.+),$");
    let mut keys = Vec::new();
    for start in derive.find_iter(code) {
        let body = &code[start.end()..];
        let body = &body[..block_end(body).unwrap_or(0)];
        let fields = field.captures_iter(body).filter(|found| !found[2].contains("IgnoredAny"));
        keys.extend(fields.map(|found| found[1].to_owned()));
    }
    keys
}

/// The names that code defines, and whether each is a function's.
fn defined_names(code: &str) -> BTreeSet<(String, bool)> {
    let patterns = [
        (r"\bfn\s+(\w+)", true),
        (r"\b(?:struct|enum|trait|type|const|static|mod|union)\s+(\w+)", false),
        // Fields, parameters and bindings with a type.
        (r"(?:^|[(,{|\s])(\w+):\s", false),
        (r"\blet\s+(?:mut\s+)?(\w+)\b", false),
        (r"\bfor\s+(\w+)\s+in\b", false),
    ];
    let mut names = BTreeSet::new();
    for (pattern, is_fn) in patterns {
        let pattern = regex(&format!("(?m){pattern}"));
        names.extend(pattern.captures_iter(code).map(|found| (found[1].to_owned(), is_fn)));
    }
    let word = regex(r"\b[a-z_]\w*\b");
    let tuple = regex(r"\blet\s+\(([^()]*)\)");
    for found in tuple.captures_iter(code) {
        names.extend(word.find_iter(&found[1]).map(|name| (name.as_str().to_owned(), false)));
    }
    let start = regex(r"\benum\s+\w+[^{;]*");
    for start in start.find_iter(code) {
        let body = &code[start.end()..];
        for member in members(&body[..block_end(body).unwrap_or(0)]) {
            let name: String = member.chars().take_while(|c| c.is_alphanumeric()).collect();
            names.insert((name, false));
        }
    }
    names.retain(|(name, _)| !["", "mut", "self"].contains(&name.as_str()));
    names
}

/// `getXLogData_ack` to `get x log data ack`.
fn words(name: &str) -> String {
    let chars: Vec<char> = name.replace('_', " ").trim().chars().collect();
    let mut words = String::new();
    for (index, c) in chars.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| chars[before]);
        let after = chars.get(index + 1).is_some_and(|after| after.is_lowercase());
        let begins =
            before.is_some_and(|b| b.is_lowercase() || b.is_numeric() || after && b != ' ');
        if c.is_uppercase() && begins {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// The functions that have a body, with the number of their lines.
fn functions(code: &str) -> Vec<(String, usize)> {
    let start = regex(r"\bfn\s+(\w+)");
    let mut found = Vec::new();
    for start in start.captures_iter(code) {
        let whole = &code[start.get(0).unwrap().start()..];
        let mut depth = 0;
        let body = whole.char_indices().find(|(_, c)| {
            depth += i32::from("([".contains(*c)) - i32::from(")]".contains(*c));
            *c == '{' || (*c == ';' && depth == 0)
        });
        let Some((body, '{')) = body else { continue };
        let end = body + block_end(&whole[body..]).unwrap_or(0);
        found.push((start[1].to_owned(), whole[..end].lines().count()));
    }
    found
}

/// What stands between the commas of a block that begins with `{`, without inner blocks'.
fn members(block: &str) -> Vec<String> {
    let mut members = vec![String::new()];
    let mut depth = 0;
    let attribute = regex(r"#\[[^\]]*\]");
    for c in attribute.replace_all(block, "").chars() {
        depth -= i32::from("})]".contains(c));
        match c {
            ',' if depth == 1 => members.push(String::new()),
            _ if 0 < depth && (depth == 1 || c != ',') => members.last_mut().unwrap().push(c),
            _ => {}
        }
        depth += i32::from("{([".contains(c));
    }
    members.iter().map(|member| member.trim().to_owned()).filter(|m| !m.is_empty()).collect()
}

/// Where the block that begins with the first `{` ends.
fn block_end(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (index, c) in code.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if c == '}' && depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// Blanks `#[cfg(test)] mod … { … }`, keeping the lines.
fn without_inline_tests(code: &str) -> String {
    let start = regex(r"#\[cfg\(test\)\]\s*mod\s+\w+\s*\{");
    let mut code = code.to_owned();
    while let Some(found) = start.find(&code) {
        let end = found.start() + block_end(&code[found.start()..]).expect("balanced braces");
        let lines = "\n".repeat(code[found.start()..end].matches('\n').count());
        code.replace_range(found.start()..end, &lines);
    }
    code
}

/// Blanks comments and the contents of strings and characters, keeping the lines.
fn blank(text: &str) -> String {
    let token = regex(concat!(
        r"(?s)//[^\n]*",
        r"|/\*(?:[^*/]|\*[^/]|/[^*]|/\*(?:[^*/]|\*[^/]|/[^*])*\*/)*\*/",
        r###"|\bb?r"[^"]*"|\bb?r#".*?"#|\bb?r##".*?"##"###,
        r###"|"(?:[^"\\]|\\.)*""###,
        r"|'(?:[^'\\\n]|\\x..|\\u\{[^}]*\}|\\.)'",
    ));
    let spaces = |found: &regex::Captures<'_>| -> String {
        found[0].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
    };
    token.replace_all(text, spaces).into_owned()
}
