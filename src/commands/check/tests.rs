//! The judgements, on facts that no test server has.

use std::time::Duration;

use super::report::{Report, State};
use super::tables::Wanted;
use super::{kafka, partitions, postgres, sql, waiting};
use crate::config::{self, Config, Environment};
use crate::kafka::probe::{BrokerSettings, TopicSettings};
use crate::pipeline::{Extremes, Rehearsed};
use crate::position::{Lsn, Position};
use crate::postgres::{Server, SlotFacts};

/// The least configuration, with lines added to `[kafka]` and sections at the end.
fn config(kafka: &str, more: &str) -> Config {
    let text = format!(
        "pipeline = \"shop\"\n[postgres]\nuser = \"cdc\"\ndatabase = \"shop\"\n[replication]\n\
         slot = \"shop\"\npublications = [\"walbrook\"]\n[kafka]\nbootstrap_servers = [\"b:9092\"]\n{kafka}\n\
         [registry]\nurls = [\"http://r\"]\n{more}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("walbrook.toml");
    std::fs::write(&file, text).unwrap();
    config::load(&file, &Environment::of_process()).unwrap()
}

/// What a judgement reported: state and name, and whether its text and advice hold all `words`.
#[track_caller]
fn check(judge: impl FnOnce(&mut Report), expect: &[(State, &str, &[&str])]) {
    let mut report = Report::default();
    judge(&mut report);
    let found: Vec<_> = report.items.iter().map(|item| (item.state, item.name)).collect();
    let wanted: Vec<_> = expect.iter().map(|(state, name, _)| (*state, *name)).collect();
    assert_eq!(found, wanted, "{}", report.to_text());
    for (item, (_, _, words)) in report.items.iter().zip(expect) {
        let text = format!("{} {}", item.text, item.fix.as_deref().unwrap_or_default());
        for word in *words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[test]
fn brokers_are_judged() {
    let settings = |replicas, min_insync, timeout| BrokerSettings {
        replication_factor: Some(replicas),
        min_insync_replicas: Some(min_insync),
        transaction_timeout_max: Some(Duration::from_secs(timeout)),
        record_bytes_max: Some(1_048_588),
        verifies_partitions: Some(true),
        elects_unclean: Some(false),
        retention: Some(Duration::from_secs(7 * 86_400)),
        timestamp_behind_max: Some(Duration::MAX),
    };
    let plain = config("", "");
    let judge = |settings: BrokerSettings| {
        let plain = &plain;
        move |report: &mut Report| kafka::judge_broker(plain, &settings, report)
    };
    let (timeout, topics) = ("kafka.transaction_timeout", "kafka.new_topics");
    use State::{Failed, Ok, Warning};
    check(judge(settings(3, 2, 900)), &[(Ok, timeout, &[]), (Ok, topics, &["3 replicas"])]);
    check(
        judge(settings(3, 1, 900)),
        &[(Ok, timeout, &[]), (Warning, topics, &["min.insync.replicas is 1"])],
    );
    check(
        judge(settings(1, 1, 900)),
        &[(Ok, timeout, &[]), (Warning, topics, &["replication factor 1"])],
    );
    check(
        judge(settings(1, 2, 30)),
        &[
            (Failed, timeout, &["60s", "30s", "transaction.max.timeout.ms=60000"]),
            (Failed, topics, &["nothing can be written"]),
        ],
    );
    let old = BrokerSettings { verifies_partitions: None, ..settings(3, 2, 900) };
    check(
        judge(old),
        &[(Ok, timeout, &[]), (Warning, "kafka.verification", &["3.6"]), (Ok, topics, &[])],
    );
    let unclean = BrokerSettings { elects_unclean: Some(true), ..settings(3, 2, 900) };
    let words = &["--entity-type brokers", "unclean.leader.election.enable=false"];
    let warning = (Warning, "kafka.unclean_elections", &words[..]);
    check(judge(unclean), &[(Ok, timeout, &[]), warning, (Ok, topics, &[])]);
    let hour = Some(Duration::from_secs(3600));
    let small = BrokerSettings {
        record_bytes_max: Some(500_000),
        retention: hour,
        timestamp_behind_max: hour,
        ..settings(3, 2, 900)
    };
    check(
        judge(small),
        &[
            (Ok, timeout, &[]),
            (Warning, "kafka.max_message_bytes", &["a new topic", "message.max.bytes=10485760"]),
            (Warning, "kafka.retention", &["3600s", "brokers", "log.retention.ms"]),
            (Warning, "kafka.timestamps", &["log.message.timestamp.before.max.ms"]),
            (Ok, topics, &[]),
        ],
    );
}

#[test]
fn topics_are_judged() {
    let settings = || TopicSettings {
        partitions: 3,
        replicas: 3,
        cleanup_policy: Some("delete".into()),
        record_bytes_max: Some(1_048_588),
        min_insync_replicas: Some(2),
        retention: Some(Duration::from_secs(7 * 86_400)),
        retention_bytes: Some(-1),
        timestamp_ahead_max: Some(Duration::from_secs(3600)),
        timestamp_behind_max: Some(Duration::MAX),
        timestamp_type: Some("CreateTime".into()),
        elects_unclean: Some(false),
    };
    let judge = |config: Config, has_key, settings: TopicSettings| {
        move |report: &mut Report| {
            let wanted = Wanted { topic: "shop.public.t".into(), has_key, key: None };
            kafka::judge_topic(&config, &wanted, &settings, report);
        }
    };
    use State::{Failed, Ok, Warning};
    let fine = (Ok, "kafka.replication", &[][..]);
    let plain = || config("", "");
    check(judge(plain(), false, settings()), &[fine]);
    let compact = || TopicSettings { cleanup_policy: Some("compact".into()), ..settings() };
    let both = || TopicSettings { cleanup_policy: Some("compact,delete".into()), ..settings() };
    check(judge(plain(), true, compact()), &[fine]);
    let refuses = (Failed, "kafka.cleanup_policy", &["primary key", "cleanup.policy=delete"][..]);
    check(judge(plain(), false, compact()), &[fine, refuses]);
    check(judge(plain(), false, both()), &[fine, refuses]);
    let unclean = || TopicSettings { elects_unclean: Some(true), ..settings() };
    let elections = (Warning, "kafka.unclean_elections", &["shop.public.t", "enable=false"][..]);
    check(judge(plain(), true, unclean()), &[fine, elections]);
    let small = || TopicSettings { record_bytes_max: Some(500_000), ..settings() };
    let bytes = (Warning, "kafka.max_message_bytes", &["500000", "1000000"][..]);
    check(judge(plain(), true, small()), &[fine, bytes]);
    let smaller_batches = config("", "[kafka.properties]\n\"batch.size\" = 400000");
    check(judge(smaller_batches, true, small()), &[fine]);
    let hour = Some(Duration::from_secs(3600));
    let short = || TopicSettings { retention: hour, timestamp_behind_max: hour, ..settings() };
    let retention = (Warning, "kafka.retention", &["3600s", "retention.ms"][..]);
    let age = (Warning, "kafka.timestamps", &["3600s", "tables are parked"][..]);
    check(judge(plain(), true, short()), &[fine, retention, age]);
    let now = config("", "[records]\ntimestamp = \"now\"");
    check(judge(now, true, short()), &[fine]);

    let checkpoint = |settings: TopicSettings| {
        move |report: &mut Report| kafka::judge_checkpoint_topic("c", &settings, report)
    };
    let name = "kafka.checkpoint_topic";
    check(checkpoint(compact()), &[(Ok, name, &[]), fine]);
    check(checkpoint(settings()), &[(Failed, name, &["cleanup.policy=compact"]), fine]);
    let unknown = TopicSettings { cleanup_policy: None, ..settings() };
    check(checkpoint(unknown), &[(Warning, name, &["DescribeConfigs"]), fine]);
}

#[test]
fn partitions_of_topics_with_one_key_are_judged() {
    let judge = |topics: Vec<(&'static str, Option<&'static str>, Option<usize>)>| {
        move |report: &mut Report| {
            let wanted = |(topic, key, count): (&str, Option<&str>, _)| {
                let key = key.map(str::to_owned);
                (Wanted { topic: topic.into(), has_key: key.is_some(), key }, count)
            };
            let topics: Vec<_> = topics.into_iter().map(wanted).collect();
            partitions::judge(topics.iter().map(|(wanted, count)| (wanted, *count)), report);
        }
    };
    let (id, name) = (Some("id"), Some("name"));
    let fine = [("a", id, Some(3)), ("b", id, Some(3)), ("c", name, Some(6)), ("d", None, Some(1))];
    check(judge(fine.to_vec()), &[]);
    // What the brokers decide is not known.
    check(judge(vec![("a", id, Some(3)), ("b", id, None)]), &[]);
    let other = vec![("a", id, Some(3)), ("b", id, Some(6)), ("c", id, Some(3))];
    check(judge(other), &[(State::Warning, "kafka.partitions", &["3: a, c; 6: b"])]);
    let creation = |partitions: &str| config("", &format!("[topics]\n{partitions}\n"));
    assert_eq!(partitions::of(&creation("partitions = 4"), None), Some(4));
    assert_eq!(partitions::of(&creation(""), None), None);
    assert_eq!(partitions::of(&creation("create = false"), None), None);
}

fn server() -> Server {
    Server {
        version_num: 170_007,
        wal_level: "logical".into(),
        in_recovery: false,
        max_slot_wal_keep_size_mb: 1000,
        wal_sender_timeout: Duration::from_secs(60),
        replication_slots_max: 10,
        replication_slots: 1,
        wal_senders_max: 10,
        wal_senders: 1,
        has_replication: true,
        managed_role: None,
        is_emit_message_public: true,
        encoding: "UTF8".into(),
        synchronous_standby_names: String::new(),
        output_plugins: None,
        idle_slot_timeout: Duration::ZERO,
        absent_standby_slots: Vec::new(),
    }
}

#[test]
fn servers_are_judged() {
    let judge = |more: &str, server: Server| {
        let config = config("", more);
        move |report: &mut Report| postgres::judge_server(&config, &server, report)
    };
    use State::{Failed, Ok, Warning};
    let version = (Ok, "postgres.version", &["PostgreSQL 17"][..]);
    let level = (Ok, "postgres.wal_level", &[][..]);
    let limit = (Ok, "postgres.wal_limit", &["1000 MiB"][..]);
    check(judge("", server()), &[version, level, limit]);
    for (role, word) in [
        (None, "ALTER SYSTEM SET wal_level = 'logical'"),
        (Some("rds_replication"), "rds.logical_replication"),
        (Some("cloudsqlsuperuser"), "cloudsql.logical_decoding"),
        (Some("azure_pg_admin"), "server parameter"),
    ] {
        let managed_role = role.map(str::to_owned);
        let replica = Server { wal_level: "replica".into(), managed_role, ..server() };
        let failed = (Failed, "postgres.wal_level", &["is replica", word][..]);
        check(judge("", replica), &[version, failed, limit]);
    }
    let newer =
        |wal_level: &str| Server { version_num: 190_000, wal_level: wal_level.into(), ..server() };
    let version_19 = (Ok, "postgres.version", &["PostgreSQL 19"][..]);
    let on_demand = (Ok, "postgres.wal_level", &["is replica", "first logical slot"][..]);
    check(judge("", newer("replica")), &[version_19, on_demand, limit]);
    let minimal = (Failed, "postgres.wal_level", &["is minimal"][..]);
    check(judge("", newer("minimal")), &[version_19, minimal, limit]);
    let plugins = |listed: &str| Server { output_plugins: Some(listed.into()), ..server() };
    check(judge("", plugins("pgoutput, test_decoding")), &[version, level, limit]);
    check(judge("", plugins("wal2json,\"pgoutput\"")), &[version, level, limit]);
    let plugin = (Failed, "postgres.output_plugin", &["(my_pgoutput)", "= pgoutput"][..]);
    check(judge("", plugins("my_pgoutput")), &[version, level, plugin, limit]);
    let idle = |hours| Server { idle_slot_timeout: Duration::from_hours(hours), ..server() };
    let soon = (Warning, "postgres.idle_timeout", &["3600s", "walbrook is down", "'3d'"][..]);
    check(judge("", idle(1)), &[version, level, limit, soon]);
    check(judge("", idle(24)), &[version, level, limit, (Ok, "postgres.idle_timeout", &[])]);
    let unlimited = Server { max_slot_wal_keep_size_mb: -1, in_recovery: true, ..server() };
    let standby = (Warning, "postgres.standby", &["target_session_attrs"][..]);
    let none = (Warning, "postgres.wal_limit", &["nothing limits"][..]);
    check(judge("", unlimited), &[version, level, standby, none]);
    let none = || Server { encoding: "SQL_ASCII".into(), ..server() };
    let warning =
        (Warning, "postgres.encoding", &["on_unrepresentable", "postgres.text_encoding"][..]);
    check(judge("", none()), &[version, level, warning, limit]);
    let mut named = config("", "");
    named.postgres.text_encoding = Some(encoding_rs::WINDOWS_1252);
    let read = (Ok, "postgres.encoding", &["SQL_ASCII", "windows-1252"][..]);
    check(|report| postgres::judge_server(&named, &none(), report), &[version, level, read, limit]);
    let named = |names: &str| Server { synchronous_standby_names: names.into(), ..server() };
    let warning = (Warning, "postgres.synchronous", &["a, walbrook", "application_name"][..]);
    check(judge("", named("a, walbrook")), &[version, level, warning, limit]);
    check(judge("", named("a, b")), &[version, level, limit]);
    let messages = "[outbox_messages]\nprefix = \"outbox\"";
    let public = (Warning, "postgres.message_outbox", &["any user", "REVOKE"][..]);
    check(judge(messages, server()), &[version, level, limit, public]);
    let granted = Server { is_emit_message_public: false, ..server() };
    let few = (Ok, "postgres.message_outbox", &[][..]);
    check(judge(messages, granted), &[version, level, limit, few]);
}

#[test]
fn slots_are_judged() {
    let slot = || SlotFacts {
        plugin: Some("pgoutput".into()),
        slot_type: "logical".into(),
        database: Some("shop".into()),
        is_active: false,
        active_pid: None,
        confirmed_flush: Some(Lsn(0x1_0000_0010)),
        restart_lsn: Some(Lsn(0x1_0000_0000)),
        wal_status: Some("reserved".into()),
        safe_wal_size: None,
        invalidation_reason: None,
        is_conflicting: false,
        is_two_phase: false,
        is_failover: false,
        is_temporary: false,
        retained_bytes: Some(16),
        oldest_xact: None,
    };
    let judge = |server: Server, slot: Option<SlotFacts>| {
        let config = config("", "");
        move |report: &mut Report| {
            postgres::judge_slot(&config, &server, slot.as_ref(), None, report);
        }
    };
    use State::{Failed, Ok, Warning};
    let name = "postgres.slot";
    check(judge(server(), Some(slot())), &[(Ok, name, &["free", "1/10"])]);
    let active = SlotFacts { is_active: true, active_pid: Some(7), ..slot() };
    check(judge(server(), Some(active)), &[(Ok, name, &["held by process 7"])]);
    let lost = SlotFacts { wal_status: Some("lost".into()), ..slot() };
    let advice = ["wal_removed", "Raise max_slot_wal_keep_size", "checkpoint accept"];
    check(judge(server(), Some(lost)), &[(Failed, name, &advice)]);
    let idle = SlotFacts { invalidation_reason: Some("idle_timeout".into()), ..slot() };
    let advice = ["Raise idle_replication_slot_timeout", "checkpoint accept"];
    check(judge(server(), Some(idle)), &[(Failed, name, &advice)]);
    let two_phase = SlotFacts { is_two_phase: true, ..slot() };
    check(judge(server(), Some(two_phase)), &[(Failed, name, &["two_phase", "anew"])]);
    let foreign = SlotFacts { plugin: Some("wal2json".into()), is_active: true, ..slot() };
    check(judge(server(), Some(foreign)), &[(Failed, name, &["not ours", "wal2json"])]);
    let temporary = SlotFacts { is_temporary: true, is_active: true, ..slot() };
    check(judge(server(), Some(temporary)), &[(Failed, name, &["temporary", "End that session"])]);
    let failover = || SlotFacts { is_failover: true, ..slot() };
    let absent = || Server { absent_standby_slots: vec!["a".into(), "b".into()], ..server() };
    let waits = (Warning, "postgres.standby_slots", &["no standby reads a, b"][..]);
    check(judge(absent(), Some(failover())), &[(Ok, name, &[]), waits]);
    check(judge(absent(), Some(slot())), &[(Ok, name, &[])]);
    check(judge(server(), Some(failover())), &[(Ok, name, &[])]);
    let late = SlotFacts { wal_status: Some("unreserved".into()), ..slot() };
    let warned = (Warning, "postgres.slot_wal", &["is lost at the next checkpoint"][..]);
    check(judge(server(), Some(late)), &[(Ok, name, &[]), warned]);
    let full = Server { replication_slots: 10, wal_senders: 12, ..server() };
    check(
        judge(full, None),
        &[
            (Ok, name, &["does not exist yet"]),
            (Failed, "postgres.free_slots", &["max_replication_slots = 15"]),
            (Failed, "postgres.free_walsenders", &["max_wal_senders = 15"]),
        ],
    );
    for (in_recovery, state) in [(false, Ok), (true, Failed)] {
        let last = Server { wal_senders: 9, in_recovery, ..server() };
        let slots = (Ok, "postgres.free_slots", &[][..]);
        let walsenders = (state, "postgres.free_walsenders", &["9 of 10"][..]);
        check(judge(last, None), &[(Ok, name, &[]), slots, walsenders]);
    }
}

#[test]
fn the_sql_names_what_the_configuration_names() {
    let more = "[[outbox]]\ntable = \"shop.Outbox\"\n[outbox_messages]\nprefix = \"it's\"";
    let statements = sql::statements(&config("", more));
    for line in [
        "CREATE ROLE \"cdc\" LOGIN;",
        "GRANT CONNECT ON DATABASE \"shop\" TO \"cdc\";",
        "CREATE PUBLICATION \"walbrook\" WITH (publish_via_partition_root = true);",
        "ALTER PUBLICATION \"walbrook\" ADD TABLE \"shop\".\"Outbox\";",
        "REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC",
    ] {
        assert!(statements.contains(line), "{line}\n{statements}");
    }
    assert!(!sql::statements(&config("", "")).contains("REVOKE"));
}

#[test]
fn the_wal_that_waits_is_judged_as_far_as_it_was_decoded() {
    use State::{Ok, Warning};
    let name = "start.wal";
    let judge = |up_to: u64, end: u64| {
        move |report: &mut Report| {
            let rehearsed = Rehearsed { up_to: Lsn(up_to), records: 7, ..Rehearsed::default() };
            waiting::judge(Lsn(100), &rehearsed, Lsn(end), Duration::from_secs(10), report);
        }
    };
    check(judge(300, 300), &[(Ok, name, &["up to 0/12C", "records: 7"])]);
    // Nothing waits, and nothing was sent.
    check(judge(0, 100), &[(Ok, name, &["up to 0/64"])]);
    let words = ["up to 0/C8 in 10s", "records: 7", "100 bytes", "--decode-seconds"];
    check(judge(200, 300), &[(Warning, name, &words)]);
    check(judge(0, 300), &[(Warning, name, &["up to 0/64", "200 bytes"])]);
}

#[test]
fn records_that_wait_are_judged_by_their_topics() {
    use State::{Failed, Warning};
    let at = Position { commit_lsn: Lsn(256), ordinal: 2 };
    let judge = |keyless: bool, bytes: usize, policy: Option<&'static str>| {
        move |report: &mut Report| {
            let settings = TopicSettings {
                cleanup_policy: policy.map(str::to_owned),
                record_bytes_max: Some(1000),
                ..TopicSettings::default()
            };
            let extremes = Extremes { keyless: keyless.then_some(at), largest: Some((at, bytes)) };
            kafka::judge_extremes("shop.t", &extremes, &settings, report);
        }
    };
    check(judge(true, 1000, Some("delete")), &[]);
    check(judge(true, 1000, None), &[]);
    check(judge(false, 1000, Some("compact")), &[]);
    let words = ["0/100#2", "shop.t", "tables.truncate", "skip --position 0/100#2"];
    for policy in ["compact", "compact,delete", "delete,compact"] {
        check(judge(true, 0, Some(policy)), &[(Failed, "kafka.cleanup_policy", &words)]);
    }
    let words = ["0/100#2", "1001 bytes", "at most 1000"];
    check(judge(false, 1001, Some("compact")), &[(Warning, "kafka.max_message_bytes", &words)]);
}
