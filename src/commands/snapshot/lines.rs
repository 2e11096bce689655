//! How far snapshots are, for people: a bar for each table, and a sum.

use crate::status::{Snapshot, SnapshotState, Snapshots};

/// As many characters a bar has.
const BAR: usize = 20;

/// Lines of a status; `phase` is the pipeline's.
pub(super) fn lines(phase: &str, snapshots: Option<&Snapshots>) -> Vec<String> {
    let Some(snapshots) = snapshots else {
        return vec![format!("no table is read (the phase is {phase})")];
    };
    let width = snapshots.tables.iter().map(|it| it.table.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<_> = snapshots.tables.iter().map(|it| line(it, width)).collect();
    lines.push(sum(snapshots));
    if let Some(gap) = &snapshots.gap {
        lines.push(format!(
            "topics may lack what committed in the gap {gap}: `walbrook repair` finds it"
        ));
    }
    if phase != "streaming" {
        lines.push(format!("nothing is read at the moment: the phase is {phase}"));
    }
    lines
}

fn line(snapshot: &Snapshot, width: usize) -> String {
    let Snapshot { table, state, rows, rows_estimated, ranges_left, .. } = snapshot;
    let mut line = format!("{table:width$}  {}  {}", bar(snapshot), grouped(*rows));
    if let Some(estimated) = rows_estimated {
        line.push_str(&format!(" of about {}", grouped(*estimated)));
    }
    line.push_str(&format!(" rows, {ranges_left} ranges left"));
    match state {
        SnapshotState::Paused => line.push_str(", paused"),
        SnapshotState::Reading => {
            line.push_str(&speed(snapshot.rows_per_second, snapshot.seconds_left));
        }
        SnapshotState::Waiting => line.push_str(", not begun"),
    }
    if let Some(waits_for) = &snapshot.waits_for {
        line.push_str(&format!("; waits: {waits_for}"));
    }
    line
}

/// What is done of about how much, so it is full only when nothing is left.
fn bar(snapshot: &Snapshot) -> String {
    let percent = match snapshot.rows_estimated {
        Some(rows) if 0 < rows => (snapshot.rows.saturating_mul(100) / rows).min(99),
        _ => 0,
    };
    let full = usize::try_from(percent).unwrap_or(0) * BAR / 100;
    format!("[{}{}] {percent:2} %", "#".repeat(full), "-".repeat(BAR - full))
}

fn sum(snapshots: &Snapshots) -> String {
    let Snapshots { done, skipped, waiting, rows_per_second, seconds_left, .. } = snapshots;
    let count = |state| snapshots.tables_in(state).count();
    let mut sum = format!("{} tables are being read", count(SnapshotState::Reading));
    match count(SnapshotState::Paused) {
        0 => {}
        paused => sum.push_str(&format!(", {paused} paused")),
    }
    sum.push_str(&format!(", {waiting} wait; {done} were read, {skipped} not"));
    sum.push_str(&speed(*rows_per_second, *seconds_left));
    sum
}

fn speed(rows_per_second: u64, seconds_left: Option<u64>) -> String {
    if rows_per_second == 0 {
        return String::new();
    }
    let speed = format!(", {} rows/s", grouped(rows_per_second));
    seconds_left.map_or_else(|| speed.clone(), |left| format!("{speed}, {} left", duration(left)))
}

fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if 0 < place && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(phase: &str, snapshots: Option<Snapshots>, expect: &[&str]) {
        assert_eq!(lines(phase, snapshots.as_ref()), expect);
    }

    #[test]
    fn a_status_is_lines() {
        let orders = Snapshot {
            table: "public.orders".to_owned(),
            rows: 8_200_000,
            rows_estimated: Some(20_000_000),
            ranges_left: 19,
            rows_per_second: 50_000,
            seconds_left: Some(236),
            ..Snapshot::default()
        };
        let items = Snapshot {
            table: "public.i".to_owned(),
            rows: 120,
            rows_estimated: Some(100),
            ranges_left: 1,
            state: SnapshotState::Paused,
            ..Snapshot::default()
        };
        let secret = Snapshot {
            table: "public.secret".to_owned(),
            state: SnapshotState::Waiting,
            waits_for: Some("GRANT SELECT".to_owned()),
            ..Snapshot::default()
        };
        let snapshots = Snapshots {
            done: 12,
            skipped: 1,
            waiting: 3,
            rows_per_second: 50_000,
            seconds_left: Some(7300),
            gap: None,
            tables: vec![orders, items, secret],
        };
        check(
            "streaming",
            Some(snapshots),
            &[
                "public.orders  [########------------] 41 %  8,200,000 of about 20,000,000 rows, 19 ranges left, 50,000 rows/s, 3 min 56 s left",
                "public.i       [###################-] 99 %  120 of about 100 rows, 1 ranges left, paused",
                "public.secret  [--------------------]  0 %  0 rows, 0 ranges left, not begun; waits: GRANT SELECT",
                "1 tables are being read, 1 paused, 3 wait; 12 were read, 1 not, 50,000 rows/s, 2 h 1 min left",
            ],
        );
    }

    #[test]
    fn nothing_is_said_so() {
        check("standby", None, &["no table is read (the phase is standby)"]);
        check(
            "backoff",
            Some(Snapshots { done: 2, gap: Some("0/1..0/2".to_owned()), ..Snapshots::default() }),
            &[
                "0 tables are being read, 0 wait; 2 were read, 0 not",
                "topics may lack what committed in the gap 0/1..0/2: `walbrook repair` finds it",
                "nothing is read at the moment: the phase is backoff",
            ],
        );
    }
}
