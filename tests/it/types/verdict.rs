//! The judgement: a family's tables are read once by both roads, and each column of each row is
//! judged in every representation.

use walbrook::wal::{Column, Tuple};

use super::family::{self, Type};
use super::judged::Judged;
use super::{Place, chunks, roads};

/// Fills the tables of a family, reads them by both roads, and says what is wrong.
pub(super) async fn both_roads(place: &Place, types: &[&Type]) -> Vec<String> {
    let client = &place.client;
    let road = place.road().await;
    for (at, judged) in types.iter().enumerate() {
        family::fill(client, at, judged.name).await;
    }
    let tables: Vec<_> = (0..types.len()).map(|at| format!("t{at}")).collect();
    let binary = road.frames(client, &tables, true).await;
    let text = road.frames(client, &tables, false).await;
    let (relations, text) = roads::read(&text);
    let (_, binary) = roads::read(&binary);
    assert_eq!(text.len(), binary.len());
    assert_eq!(relations.len(), types.len());
    assert!(family::RANDOM * types.len() < text.len());
    let mut catalog = place.catalog().await;
    let mut findings = Vec::new();
    if place.decodes_slots {
        for (streamed, is_binary) in [(&text, false), (&binary, true)] {
            let compared = chunks::compare(&place.settings, &relations, streamed, is_binary);
            findings.extend(compared.await);
        }
    }
    for relation in &relations {
        let facts = catalog.describe(relation).await.unwrap();
        let judged = types[relation.name[1..].parse::<usize>().unwrap()];
        let mut columns: Vec<_> =
            relation.columns.iter().map(|column| Judged::all(relation, column, &facts)).collect();
        let rows = text.iter().zip(&binary).filter(|((id, _), _)| *id == relation.id);
        for ((_, text), (_, binary)) in rows {
            findings.extend(row(judged, &mut columns, text, binary));
        }
        for column in columns[1..].iter().flatten() {
            let wrong = column.compare(client).await;
            findings.extend(wrong.iter().map(|finding| column.told(judged.name, finding)));
        }
    }
    findings
}

/// Judges the columns of a row, each in all its representations.
fn row(
    judged: &Type,
    columns: &mut [Vec<Judged>],
    text: &Tuple<'_>,
    binary: &Tuple<'_>,
) -> Vec<String> {
    let id = number(text.columns().next().unwrap());
    let mut findings = Vec::new();
    for ((columns, text), binary) in columns.iter_mut().zip(text.columns()).zip(binary.columns()) {
        for column in columns {
            if let Err(finding) = column.value(judged, id, text, binary) {
                findings.push(column.told(judged.name, &finding));
            }
        }
    }
    findings
}

fn number(column: Column<'_>) -> i32 {
    let Column::Text(text) = column else { panic!("{column:?}") };
    std::str::from_utf8(text).unwrap().parse().unwrap()
}
