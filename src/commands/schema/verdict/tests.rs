//! What of a field is told to whom, and how bad it is.

use super::super::report::Report;
use super::*;
use crate::cli::Exit;

fn change(older: Option<Sight>, newer: Option<Sight>) -> FieldChange {
    FieldChange { field: "v".to_owned(), what: "is other".to_owned(), older, newer }
}

fn level(change: &FieldChange, is_avro: bool, is_judged: bool) -> Level {
    let lines = field(change, is_avro, is_judged);
    assert!(!lines.is_empty());
    lines.iter().map(|line| line.level).max().unwrap()
}

#[test]
fn a_field_is_as_bad_as_what_its_readers_see() {
    let default = || Some(Sight::Default("null".to_owned()));
    for (older, newer, avro, json) in [
        (None, None, Level::Fine, Level::Fine),
        (None, default(), Level::Fine, Level::Fine),
        (default(), None, Level::Readers, Level::Readers),
        (Some(Sight::Null), None, Level::Readers, Level::Readers),
        (Some(Sight::Other), Some(Sight::Other), Level::Readers, Level::Readers),
        (Some(Sight::Strict), Some(Sight::Strict), Level::Readers, Level::Fine),
        // A number that is wider is a number to who reads JSON.
        (Some(Sight::Nothing), None, Level::Readers, Level::Fine),
        (Some(Sight::Nothing), Some(Sight::Nothing), Level::Readers, Level::Readers),
        (None, Some(Sight::Null), Level::Readers, Level::Fine),
    ] {
        let change = change(older, newer);
        assert_eq!(level(&change, true, true), avro, "{change:?}");
        assert_eq!(level(&change, false, false), json, "{change:?}");
    }
    let gone = FieldChange { what: "is gone".to_owned(), ..change(Some(Sight::Nothing), None) };
    assert_eq!(level(&gone, false, false), Level::Readers);
}

/// Where no registry has judged it, its default rule is held against it.
#[test]
fn without_a_registry_older_records_that_cannot_be_read_are_refused() {
    let change = change(None, Some(Sight::Nothing));
    assert_eq!(level(&change, true, true), Level::Readers);
    assert_eq!(level(&change, true, false), Level::Refused);
}

#[test]
fn the_worst_of_all_tables_is_the_exit_code() {
    let verdict = |level| Verdict {
        table: "public.t".to_owned(),
        answers: vec![("s-value".to_owned(), Answer::Refused("why".to_owned()))],
        lines: vec![Line { level, text: "is told".to_owned() }],
    };
    let report = |levels: &[Level], silence: Option<&str>| Report {
        verdicts: levels.iter().map(|level| verdict(*level)).collect(),
        silence: silence.map(str::to_owned),
        ..Report::default()
    };
    let partly = Report { is_partial: true, ..report(&[Level::Fine], None) };
    assert_eq!(partly.exit(), Exit::NotCompared);
    let partly = Report { is_partial: true, ..report(&[Level::Readers], None) };
    assert_eq!(partly.exit(), Exit::ReadersFirst);
    for (levels, silence, exit) in [
        (&[][..], None, Exit::Ok),
        (&[], Some("no"), Exit::NotCompared),
        (&[Level::Fine], None, Exit::Ok),
        (&[Level::Fine, Level::Readers], Some("no"), Exit::ReadersFirst),
        (&[Level::Refused, Level::Readers], None, Exit::CheckFailed),
    ] {
        assert_eq!(report(levels, silence).exit(), exit, "{levels:?}");
    }
    let report = report(&[Level::Refused], Some("no answer"));
    assert_eq!(
        report.to_text(),
        "NOTE     the registry was not asked everything: no answer\n\
         REFUSED  public.t\n       ! is told\n         subject s-value: refused\n\
         0 statements tried and rolled back. Published tables: 1 refused, 0 for which readers have to be ready, 0 changed without harm, 0 as before"
    );
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(json["tables"][0]["subjects"][0]["message"], "why");
    assert_eq!(json["tables"][0]["found"][0]["level"], "refused");
}
