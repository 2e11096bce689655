//! `config/walbrook.example.toml` documents every key, and what it says of defaults is true.

use super::*;

const EXAMPLE: &str = include_str!("../../../../config/walbrook.example.toml");
const MARK_EXAMPLE: &str = "# example";
const MARK_REQUIRED: &str = "# required";

#[derive(Clone, Copy, PartialEq)]
enum Line {
    /// A default in a section that is there by default.
    Default,
    /// A default in a section that is only an example.
    DefaultOfExample,
    Example,
    /// Something that a section needs that is only an example.
    Required,
}

/// The example with those commented-out keys that `keep` wants.
fn example(keep: impl Fn(Line) -> bool) -> String {
    let mut inside_example = false;
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        let hidden =
            line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
        let shown = hidden.unwrap_or(line);
        if shown.starts_with('[') {
            inside_example = hidden.is_some();
        }
        let kind = match () {
            () if shown.starts_with('[') || shown.ends_with(MARK_REQUIRED) => Line::Required,
            () if shown.ends_with(MARK_EXAMPLE) => Line::Example,
            () if inside_example => Line::DefaultOfExample,
            () => Line::Default,
        };
        if hidden.is_none() || keep(kind) {
            text.push_str(shown);
        }
        text.push('\n');
    }
    text
}

/// Reads with the example's files in place, in `folder`.
fn read_example(folder: &Path, keep: impl Fn(Line) -> bool) -> Config {
    let shown = folder.to_str().unwrap();
    let text = example(keep).replace("/etc/walbrook", shown);
    for name in text.split('"').filter(|text| text.starts_with(shown)) {
        std::fs::write(name, "x").unwrap();
        set_mode(Path::new(name), 0o600);
    }
    let schema = r#"{"type":"record","name":"OrderPlaced","fields":[]}"#;
    std::fs::write(folder.join("order_placed.avsc"), schema).unwrap();
    read(&text, folder, &[]).unwrap()
}

#[test]
fn it_is_valid_as_it_stands_and_with_every_key_set() {
    read(EXAMPLE, Path::new(""), &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = read_example(folder.path(), |_| true);
    assert_eq!(config.outboxes.len(), 1);
    assert!(config.kafka.security.tls.is_some() && config.kafka.security.sasl.is_some());
    assert_eq!(config.kafka.properties.len(), 3);
    assert!(config.message_outbox.is_some() && config.control_socket.is_some());
}

#[test]
fn what_it_says_of_defaults_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let show = |keep: fn(Line) -> bool| format!("{:#?}", read_example(folder.path(), keep));
    assert_eq!(show(|_| false), show(|line| line == Line::Default));
    assert_eq!(
        show(|line| line == Line::Required),
        show(|line| matches!(line, Line::Required | Line::DefaultOfExample))
    );
}

#[test]
fn every_key_is_in_it() {
    // The parser names the keys that it knows when it meets one that it does not.
    for section in [
        "",
        "postgres",
        "replication",
        "kafka",
        "kafka.tls",
        "kafka.sasl",
        "registry",
        "topics",
        "tables",
        "values",
        "[outbox]",
        "outbox_messages",
        "records",
        "batch",
        "http",
        "control",
        "log",
    ] {
        let text = match section {
            "" => "zzzzzzzz = 1".to_owned(),
            section => format!("[{section}]\nzzzzzzzz = 1"),
        };
        let message = read(&text, Path::new(""), &[]).err().unwrap();
        let (_, known) = message.split_once(", expected ").expect("a list of keys");
        let mut names = known.split('`').skip(1).step_by(2).peekable();
        assert!(names.peek().is_some(), "{message}");
        for name in names {
            let inline_secret = ["password", "key_password", "token"].contains(&name);
            let documented = [format!("{name} = "), format!("[{name}]"), format!(".{name}]")];
            let found = documented.iter().any(|text| EXAMPLE.contains(text.as_str()));
            assert!(found || inline_secret, "{section}: {name}");
        }
    }
}
