//! The file's features at its waist: text (and environment) in, `Config` or message out.

mod command_messages;
mod example;
mod messages;
mod mistakes;
mod pattern_messages;
mod topic_messages;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{
    Binary, ChannelBinding, Host, PendingRows, Sasl, Secret, SslMode, SslRootCert, Target,
};

/// The least that a configuration needs.
const MINIMAL: &str = r#"
pipeline = "shop"
[postgres]
user = "walbrook"
[replication]
slot = "walbrook"
publications = ["walbrook"]
[kafka]
bootstrap_servers = ["localhost:9092"]
[registry]
urls = ["http://localhost:8081"]
"#;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The configuration, or `line:column: message`.
fn read(text: &str, folder: &Path, variables: &[(&str, &str)]) -> Result<Config, String> {
    parse(text, folder, &environment(variables)).map_err(|fault| {
        let shown = Error::new("w.toml".to_owned(), text, fault).to_string();
        shown.strip_prefix("w.toml:").unwrap().trim_start().to_owned()
    })
}

/// `MINIMAL` with lines added to a section (or a new section at the end).
fn with(section: &str, lines: &str) -> String {
    let header = format!("[{section}]\n");
    match MINIMAL.find(&header) {
        Some(at) => {
            let (before, after) = MINIMAL.split_at(at + header.len());
            format!("{before}{lines}\n{after}")
        }
        None => format!("{MINIMAL}[{section}]\n{lines}\n"),
    }
}

fn minimal_with(section: &str, lines: &str) -> Config {
    read(&with(section, lines), Path::new("/etc/walbrook"), &[]).unwrap()
}

#[test]
fn the_least_configuration_has_every_default() {
    let config = read(MINIMAL, Path::new("/etc/walbrook"), &[]).unwrap();
    assert_eq!(config.postgres.database, "walbrook");
    assert_eq!(config.postgres.ssl_mode, SslMode::Prefer);
    assert_eq!(config.postgres.hosts.len(), 2);
    assert_eq!(config.postgres.target, Target::Primary);
    assert_eq!(config.replication.binary, Binary::Auto);
    assert_eq!(config.replication.wal_sender_timeout, Duration::from_secs(10));
    assert_eq!(config.kafka.transactional_id, "walbrook.shop.walbrook");
    assert_eq!(config.kafka.checkpoint_topic, "walbrook.shop.checkpoint");
    assert_eq!(config.kafka.compression, "lz4");
    assert_eq!(config.topics.prefix, "shop");
    assert_eq!(config.topics.create.unwrap().partitions, -1);
    assert!(
        config.tables.truncate == crate::config::OnTruncate::Written && config.tables.tombstones
    );
    assert_eq!((config.batch.target_bytes, config.batch.max_bytes), (8 << 20, 32 << 20));
    assert_eq!((config.batch.target_records, config.batch.max_records), (20_000, 80_000));
    assert_eq!(config.http_listen.unwrap().to_string(), "127.0.0.1:9464");
    assert!(config.outboxes.is_empty() && config.message_outbox.is_none());
    assert!(config.control_socket.is_none());
    assert_eq!(config.log.level, "info");
}

#[test]
fn hosts_are_read_as_libpq_reads_them() {
    let check = |lines: &str, variables: &[(&str, &str)], expect: &[(&str, u16)]| {
        let config = read(&with("postgres", lines), Path::new(""), variables).unwrap();
        let host = |(host, port): &(&str, u16)| Host { host: (*host).to_owned(), port: *port };
        let expect: Vec<_> = expect.iter().map(host).collect();
        assert_eq!(config.postgres.hosts, expect, "{lines} {variables:?}");
    };
    check("", &[], &[("/var/run/postgresql", 5432), ("localhost", 5432)]);
    check("", &[("PGPORT", "5433")], &[("/var/run/postgresql", 5433), ("localhost", 5433)]);
    check("", &[("PGHOST", "a,b"), ("PGPORT", "1,2")], &[("a", 1), ("b", 2)]);
    check("", &[("PGHOST", "/tmp")], &[("/tmp", 5432)]);
    check("hosts = [\"db\"]", &[("PGHOST", "x"), ("PGPORT", "7")], &[("db", 7)]);
    check("hosts = [\"db:1\", \"e\"]\nport = 2", &[("PGPORT", "7")], &[("db", 1), ("e", 2)]);
    let text = "hosts = [\"[::1]:1\", \"fe80::1\", \"[::2]\", \"/sockets\"]";
    check(text, &[], &[("::1", 1), ("fe80::1", 5432), ("::2", 5432), ("/sockets", 5432)]);
}

#[test]
fn standbys_are_read_like_hosts() {
    let hosts = |hosts: &str| {
        let text =
            format!("{}\n[snapshot]\nhosts = {hosts}", with("postgres", "hosts = [\"db:7\"]"));
        read(&text, Path::new(""), &[]).map(|config| config.snapshot.hosts)
    };
    let host = |host: &str, port| Host { host: host.to_owned(), port };
    assert_eq!(hosts("[\"a\", \"b:1\"]").unwrap(), [host("a", 7), host("b", 1)]);
    for wrong in ["[]", "[\"\"]", "[\"a:x\"]", "[\"a,b\"]"] {
        let error = hosts(wrong).unwrap_err().to_string();
        assert!(error.contains("`snapshot.hosts` wants one or more of"), "{error}");
    }
    assert_eq!(minimal_with("snapshot", "readers = 1").snapshot.hosts, []);
}

/// One name leads to whatever server has it now, so it makes no difference how many there are.
#[test]
fn a_standby_is_meant_only_by_who_says_so() {
    for hosts in ["", "hosts = [\"db\"]", "hosts = [\"/sockets\"]", "hosts = [\"a\", \"b\"]"] {
        assert_eq!(minimal_with("postgres", hosts).postgres.target, Target::Primary, "{hosts}");
        let any = format!("{hosts}\ntarget_session_attrs = \"any\"");
        assert_eq!(minimal_with("postgres", &any).postgres.target, Target::Any, "{hosts}");
    }
}

/// What every value goes through is that a byte below 0x80 is ASCII, whatever stands beside it.
#[test]
fn a_text_encoding_is_one_in_which_ascii_is_ascii() {
    let found = |label: &str| {
        let text = with("postgres", &format!("text_encoding = \"{label}\""));
        let config = read(&text, Path::new(""), &[]);
        config.map(|config| config.postgres.text_encoding.unwrap().name())
    };
    for (label, name) in [
        ("windows-1252", "windows-1252"),
        ("latin1", "windows-1252"),
        ("ISO-8859-1", "windows-1252"),
        ("iso-8859-15", "ISO-8859-15"),
        ("latin2", "ISO-8859-2"),
        ("koi8-u", "KOI8-U"),
        ("ibm866", "IBM866"),
        ("euc-jp", "EUC-JP"),
    ] {
        assert_eq!(found(label), Ok(name), "{label}");
    }
    let refused = ["gbk", "gb18030", "big5", "euc-kr", "iso-2022-jp", "utf-16le", "utf-16be"];
    for label in refused {
        assert!(found(label).unwrap_err().contains("look like ASCII"), "{label}");
    }
    for label in ["", "x-user-defined", "replacement", "iso-2022-kr", "utf-7", "latin9"] {
        assert!(found(label).unwrap_err().contains("wants a label"), "{label}");
    }
    assert_eq!(minimal_with("postgres", "").postgres.text_encoding, None);
}

#[test]
fn the_environment_fills_what_the_file_leaves_out() {
    let text = MINIMAL.replace("user = \"walbrook\"", "");
    let variables = [
        ("HOME", "/nowhere"),
        ("PGUSER", "carol"),
        ("PGDATABASE", "shop"),
        ("PGPASSWORD", "hunter2"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "/ca.pem"),
        ("PGAPPNAME", "brook"),
        ("PGCONNECT_TIMEOUT", "3"),
        ("PGCHANNELBINDING", "require"),
        ("PGTARGETSESSIONATTRS", "read-write"),
        ("XDG_RUNTIME_DIR", "/run/user/7"),
    ];
    let config = read(&text, Path::new(""), &variables).unwrap();
    let socket = config.control_socket.unwrap();
    assert_eq!(socket.to_str().unwrap(), "/run/user/7/walbrook.shop.sock");
    let postgres = config.postgres;
    assert_eq!((postgres.user.as_str(), postgres.database.as_str()), ("carol", "shop"));
    assert_eq!(postgres.password.unwrap().read_blocking().unwrap().expose(), "hunter2");
    assert_eq!(postgres.passfile.unwrap(), Path::new("/nowhere/.pgpass"));
    assert_eq!(postgres.ssl_mode, SslMode::VerifyFull);
    assert_eq!(postgres.ssl_root_cert, SslRootCert::File("/ca.pem".into()));
    assert_eq!(postgres.application_name, "brook");
    assert_eq!(postgres.connect_timeout, Duration::from_secs(3));
    assert_eq!(postgres.channel_binding, ChannelBinding::Require);
    assert_eq!(postgres.target, Target::ReadWrite);
}

#[test]
fn files_of_the_home_directory_are_found_as_libpq_finds_them() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    for name in ["root.crt", "postgresql.crt", "postgresql.key"] {
        std::fs::write(folder.join(name), "x").unwrap();
    }
    let config = read(MINIMAL, Path::new(""), &[("HOME", home.path().to_str().unwrap())]).unwrap();
    let postgres = config.postgres;
    assert_eq!(postgres.ssl_root_cert, SslRootCert::File(folder.join("root.crt")));
    let pair = (folder.join("postgresql.crt"), folder.join("postgresql.key"));
    assert_eq!(postgres.ssl_client_cert, Some(pair));
    assert_eq!(postgres.passfile.unwrap(), home.path().join(".pgpass"));
}

#[test]
fn system_certificates_mean_verify_full_as_in_libpq() {
    let postgres = minimal_with("postgres", "ssl_root_cert = \"system\"").postgres;
    assert_eq!(postgres.ssl_mode, SslMode::VerifyFull);
    assert_eq!(postgres.ssl_root_cert, SslRootCert::System);
}

#[test]
fn secrets_come_from_files_and_variables_and_never_show() {
    let folder = tempfile::tempdir().unwrap();
    let canary = "canary-7f3a";
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{canary}\n")).unwrap();
    set_mode(&path, 0o600);
    let text = format!(
        "{}\n[kafka.tls]\n[kafka.sasl]\nmechanism = \"SCRAM-SHA-512\"\nuser = \"u\"\n\
         password_file = \"secret\"\n[kafka.properties]\n\
         \"ssl.keystore.password\" = {{ env = \"CANARY\" }}\n\"linger.ms\" = 5\n",
        MINIMAL
            .replace("[replication]", "password_file = \"secret\"\n[replication]")
            .replace("[registry]\n", "[registry]\ntoken_env = \"CANARY\"\n")
    );
    // The sub-tables of [kafka] stand after [registry] here: TOML allows that.
    let config = read(&text, folder.path(), &[("CANARY", canary)]).unwrap();
    assert_eq!(
        config.postgres.password.as_ref().unwrap().read_blocking().unwrap().expose(),
        canary
    );
    let registry = config.registry.as_ref().unwrap();
    assert_eq!(registry.bearer_token.as_ref().unwrap().read_blocking().unwrap().expose(), canary);
    let Some(Sasl::Password { password, .. }) = &config.kafka.security.sasl else {
        panic!("SASL by password")
    };
    assert_eq!(password.read_blocking().unwrap().expose(), canary);
    let properties: Vec<_> = config
        .kafka
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.read_blocking().unwrap()))
        .collect();
    let expect = [("linger.ms", "5"), ("ssl.keystore.password", canary)];
    assert_eq!(properties, expect.map(|(name, text)| (name, Secret::new(text.to_owned()))));
    assert!(!format!("{config:?}").contains(canary));
    assert!(!format!("{config:#?}").contains(canary));
}

#[test]
fn durations_and_sizes_take_units() {
    let millis = |text| value::Time::parse(text).map(|time| time.0.as_millis());
    assert_eq!(millis("100ms"), Some(100));
    assert_eq!(millis("5s"), Some(5000));
    assert_eq!(millis("2m"), Some(120_000));
    assert_eq!(millis("1h"), Some(3_600_000));
    for text in ["", "5", "s", "-5s", "1.5s", "5 parsecs", "99999999999999999999s", "+5s"] {
        assert_eq!(millis(text), None, "{text}");
    }
    let bytes = |text| value::Size::parse(text).map(|size| size.0);
    assert_eq!(bytes("8MiB"), Some(8 << 20));
    assert_eq!(bytes("512 KiB"), Some(512 << 10));
    assert_eq!(bytes("1GB"), Some(1_000_000_000));
    assert_eq!(bytes("42"), Some(42));
    for text in ["", "MiB", "-1MiB", "8mib", "8M", "99999999999GiB"] {
        assert_eq!(bytes(text), None, "{text}");
    }
}

#[test]
fn a_table_may_have_a_snapshot_of_its_own() {
    let lines = r#"mode = "never"
first = ["b", "s.a"]
tables = [{ table = "a", mode = "initial", where = "id < 9" }, { table = "s.n", mode = "never" }]"#;
    let snapshot = minimal_with("snapshot", lines).snapshot;
    let reads = ["public.a", "public.b", "s.n"].map(|table| snapshot.reads(table));
    assert_eq!((reads, snapshot.is_off()), ([true, false, false], false));
    assert_eq!(snapshot.condition("public.a"), Some("id < 9"));
    assert_eq!(snapshot.condition("s.a"), None);
    let places = ["public.b", "s.a", "public.a"].map(|table| snapshot.place(table));
    assert_eq!(places, [0, 1, 2]);
    assert_eq!(snapshot.names(), ["public.a", "public.b", "s.a", "s.n"]);
    let only = minimal_with("snapshot", "mode = \"only\"").snapshot;
    assert!(only.reads("public.a") && !only.is_off());
    let default = minimal_with("snapshot", "").snapshot;
    assert!(default.reads("public.a") && !default.is_ruled_out);
}

#[test]
fn a_lost_slot_is_left_to_an_operator_unless_it_is_said() {
    assert!(minimal_with("repair", "times_per_hour = 9").repair.is_none());
    let repair = minimal_with("repair", "mode = \"when_lost\"").repair.unwrap();
    assert_eq!(repair.times_per_hour, 1);
    let text = with("repair", "mode = \"when_lost\"");
    let text = format!("{text}\n[snapshot]\nmode = \"never\"");
    let error = read(&text, Path::new(""), &[]).unwrap_err();
    assert!(error.contains("`snapshot.mode` is \"never\""), "{error}");
}

/// Then nothing is read by default, and to want it is an error.
#[test]
fn a_text_encoding_rules_snapshots_out() {
    let encoded = with("postgres", "text_encoding = \"windows-1252\"");
    let snapshot = |lines: &str| {
        let text = format!("{encoded}\n[snapshot]\n{lines}");
        read(&text, Path::new(""), &[]).map(|config| config.snapshot)
    };
    for (lines, is_ruled_out) in [("", true), ("readers = 1", true), ("mode = \"never\"", false)] {
        let snapshot = snapshot(lines).unwrap();
        assert_eq!((snapshot.is_off(), snapshot.is_ruled_out), (true, is_ruled_out), "{lines}");
    }
    let own = "tables = [{ table = \"t\", mode = \"initial\" }]";
    for lines in ["mode = \"initial\"", "mode = \"only\"", own] {
        let error = snapshot(lines).unwrap_err().to_string();
        assert!(error.contains("`postgres.text_encoding` do not go together"), "{lines}: {error}");
    }
}

#[test]
fn pending_rows_do_not_go_with_a_text_encoding() {
    let outbox = |line: &str| {
        let text = with("postgres", "text_encoding = \"latin1\"");
        let text = format!("{text}\n[[outbox]]\ntable = \"a\"\n{line}");
        read(&text, Path::new(""), &[]).map(|config| config.outboxes)
    };
    assert!(outbox("").is_ok() && outbox("pending = false").is_ok());
    let error = outbox("pending = true").unwrap_err();
    assert!(error.contains("`outbox.pending` and `postgres.text_encoding` do not go"), "{error}");
}

#[test]
fn outboxes_are_read_with_debeziums_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let schema = r#"{"type":"record","name":"OrderPlaced","fields":[]}"#;
    std::fs::write(folder.path().join("order.avsc"), schema).unwrap();
    let text = format!(
        r#"{MINIMAL}
        [[outbox]]
        table = "public.outbox"
        headers = [{{ column = "tenant" }}, {{ column = "trace", header = "traceparent" }}]
        schemas = [{{ route = "order", type = "OrderPlaced", file = "order.avsc" }}]
        [[outbox]]
        table = "events"
        type_column = ""
        topic = "events.{{route}}.v1"
        topic_allow = "events\\.(a|b)\\.v1"
        pending = true
        [[outbox]]
        table = "sent"
        pending = true
        pending_where = "sent_at IS NULL"
        [outbox_messages]
        prefix = "outbox"
        "#
    );
    let config = read(&text, folder.path(), &[]).unwrap();
    let [outbox, events, sent] = config.outboxes.as_slice() else { panic!("three outboxes") };
    assert_eq!(outbox.pending, None);
    assert_eq!(events.pending, Some(PendingRows { condition: None }));
    let condition = Some("sent_at IS NULL".to_owned());
    assert_eq!(sent.pending, Some(PendingRows { condition }));
    assert_eq!(outbox.key_column, "aggregateid");
    assert_eq!(outbox.route_column, "aggregatetype");
    assert_eq!(outbox.type_column.as_deref(), Some("type"));
    let headers = [("tenant", "tenant"), ("trace", "traceparent")];
    assert_eq!(outbox.headers, headers.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(outbox.routing.schemas[0].schema_json, schema);
    let allows = |routing: &crate::config::Routing, topic| routing.topic_allow.is_match(topic);
    assert!(allows(&outbox.routing, "outbox.event.order"));
    for topic in ["outbox.event.", "outbox-event.order", "x.outbox.event.a", "outbox.event.a b"] {
        assert!(!allows(&outbox.routing, topic), "{topic}");
    }
    assert_eq!((events.namespace.as_str(), events.table.as_str()), ("public", "events"));
    assert_eq!(events.type_column, None);
    assert!(allows(&events.routing, "events.a.v1") && !allows(&events.routing, "events.c.v1"));
    assert_eq!(config.message_outbox.unwrap().routing.topic_template, "outbox.event.{route}");
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
