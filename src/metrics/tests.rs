//! What Prometheus reads is stable: names, labels, help.

use super::*;
use crate::status::{ParkedTable, Snapshot};

#[test]
fn names_and_labels_are_stable() {
    let metrics = Metrics::new();
    let shop = metrics.table("public.orders");
    shop.add(Operation::Create, 3, 700);
    metrics.batch_committed(3, 700, 0.004);
    metrics.end_to_end_latency(0.03);
    metrics.set_received_lsn(Lsn(0x16_B374_D848));
    metrics.set_confirmed_lsn(Lsn(0x16_B374_D848));
    metrics.set_lag(0, 0.0);
    metrics.set_slot_wal("walbrook", 16 << 20, Some(1 << 30));
    metrics.set_oldest_xact("walbrook", Some(Duration::from_secs(5)));
    metrics.retried(Class::Retry);
    metrics.producer_rebuilt();
    metrics.schema_registered();
    metrics.outbox_skipped(SkipReason::Delete, 2);
    metrics.changes_excluded(7);
    metrics.txn_ended(TxnResult::Unknown);
    metrics.set_phase(Phase::Streaming);
    metrics.set_parked(&[parked()]);
    metrics.set_snapshots(&Snapshots {
        waiting: 3,
        tables: vec![orders()],
        ..Snapshots::default()
    });
    let text = metrics.encode();
    let golden = include_str!("golden.txt");
    let is_stable = |line: &&str| !line.starts_with("process_") && !line.contains(" process_");
    let found: Vec<_> = text.lines().filter(is_stable).collect();
    let want: Vec<_> = golden.lines().collect();
    assert_eq!(found, want, "\n{}\n", found.join("\n"));
    assert!(text.contains("\nprocess_resident_memory_bytes "));
    assert!(text.contains("\nprocess_start_time_seconds "));
}

fn parked() -> ParkedTable {
    ParkedTable {
        table: "public.ledger".to_owned(),
        reason: "the registry says no".to_owned(),
        subject: None,
        since_us: 0,
        waiting: 12,
        returned: 3,
        is_returning: false,
        tries: 1,
    }
}

fn orders() -> Snapshot {
    Snapshot {
        table: "public.orders".to_owned(),
        rows: 1500,
        rows_estimated: Some(20_000),
        ranges_left: 30,
        ..Snapshot::default()
    }
}

#[test]
fn a_table_is_named_while_it_is_parked() {
    let metrics = Metrics::new();
    metrics.set_parked(&[parked()]);
    assert!(metrics.encode().contains("walbrook_parked_changes{table=\"public.ledger\"} 12"));
    metrics.set_parked(&[]);
    assert!(!metrics.encode().contains("public.ledger"));
    assert!(metrics.encode().contains("walbrook_parked_tables 0"));
}

#[test]
fn a_table_is_named_while_it_is_read() {
    let metrics = Metrics::new();
    metrics.set_snapshots(&Snapshots { tables: vec![orders()], ..Snapshots::default() });
    assert!(metrics.encode().contains("{table=\"public.orders\"}"));
    metrics.set_snapshots(&Snapshots { done: 1, ..Snapshots::default() });
    let text = metrics.encode();
    assert!(!text.contains("public.orders"), "{text}");
    assert!(text.contains("walbrook_snapshot_tables{state=\"done\"} 1"), "{text}");
}

#[test]
fn a_slot_without_a_limit_shows_none() {
    let metrics = Metrics::new();
    metrics.set_slot_wal("walbrook", 1, Some(5));
    assert!(metrics.encode().contains("walbrook_slot_safe_wal_size_bytes{slot=\"walbrook\"} 5"));
    metrics.set_slot_wal("walbrook", 1, None);
    assert!(!metrics.encode().contains("walbrook_slot_safe_wal_size_bytes{"));
}

#[test]
fn an_age_that_may_not_be_seen_is_not_shown() {
    let metrics = Metrics::new();
    metrics.set_oldest_xact("walbrook", Some(Duration::from_secs(5)));
    let name = "walbrook_oldest_transaction_seconds{";
    assert!(metrics.encode().contains(&format!("{name}slot=\"walbrook\"}} 5")));
    metrics.set_oldest_xact("walbrook", None);
    assert!(!metrics.encode().contains(name));
}

#[test]
fn tables_are_forgotten_and_counted_anew() {
    let metrics = Metrics::new();
    metrics.table("public.orders").add(Operation::Create, 3, 700);
    metrics.forget_tables();
    assert!(!metrics.encode().contains("public.orders"));
    metrics.table("public.orders").add(Operation::Create, 1, 2);
    let one = "walbrook_records_total{operation=\"create\",table=\"public.orders\"} 1";
    assert!(metrics.encode().contains(one));
}

#[test]
fn one_phase_is_on() {
    let metrics = Metrics::new();
    let on = || {
        let text = metrics.encode();
        let is_on = |line: &&str| line.starts_with("walbrook_phase{") && line.ends_with(" 1");
        text.lines().filter(is_on).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(on(), ["walbrook_phase{phase=\"starting\"} 1"]);
    metrics.set_phase(Phase::Standby);
    assert_eq!(on(), ["walbrook_phase{phase=\"standby\"} 1"]);
}

#[test]
fn every_metric_has_its_help() {
    assert!(HELP.is_sorted_by_key(|(name, _)| *name));
    let golden = include_str!("golden.txt");
    for (name, help) in HELP {
        assert!(golden.contains(&format!("# HELP {name} {help}\n")), "{name}");
        assert!(help.ends_with('.') && name.starts_with("walbrook_"), "{name}");
    }
}
