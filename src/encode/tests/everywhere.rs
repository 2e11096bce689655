//! Every golden value in every representation: both forms give the same, readers can read it, and
//! Avro and JSON say the same.

use serde_json::Value as Json;

use self::representations::representations;
use super::as_json::{as_json, is_same};
use super::golden::{Golden, values};
use super::*;
use crate::encode::{
    BinaryMode, DecimalMode, GeometricMode, HstoreMode, IntervalMode, Modes, OnUnrepresentable,
    Representation, TimeMode,
};

#[path = "representations.rs"]
mod representations;

#[test]
fn every_value_in_every_representation() {
    let all = values();
    for (_, representation) in representations() {
        for on_unrepresentable in [OnUnrepresentable::Fail, OnUnrepresentable::Text] {
            let values = Values { representation, on_unrepresentable, ..Values::default() };
            for golden in &all {
                check(golden, &values);
            }
        }
    }
}

fn check(golden: &Golden, values: &Values) {
    let Golden { kind, declared, text, binary, .. } = golden;
    let what = format!("{declared} {:?} {values:?}", String::from_utf8_lossy(text));
    let encode = |notation, column| {
        let encoder = ColumnEncoder::compile(kind, true, notation, values);
        let mut out = Vec::new();
        encoder.encode(column, &mut out).map(|()| out)
    };
    let avro = encode(Notation::Avro, Column::Binary(binary));
    let json = encode(Notation::Json, Column::Binary(binary));
    // One of bytea's two text forms is not what the binary form is printed as.
    let by_text = encode(Notation::Avro, Column::Text(text));
    assert_eq!(by_text, avro, "{what}");
    assert_eq!(encode(Notation::Json, Column::Text(text)), json, "{what}");
    let (Ok(avro), Ok(json)) = (&avro, &json) else {
        assert_eq!(values.on_unrepresentable, OnUnrepresentable::Fail, "{what}");
        assert_eq!(avro.as_ref().err(), json.as_ref().err(), "{what}");
        return;
    };
    let field = Field::new("v", kind, true);
    let schema = schema::key("p", &[field], values);
    let record = Schema::parse(&schema).unwrap();
    let reader = GenericDatumReader::builder(&record).build().unwrap();
    let mut rest = avro.as_slice();
    let Value::Record(mut fields) = reader.read_value(&mut rest).unwrap() else { panic!("{what}") };
    assert!(rest.is_empty(), "{what}");
    let from_avro = as_json(&fields.pop().unwrap().1);
    let json: Json = serde_json::from_slice(json).unwrap();
    assert!(is_same(&from_avro, &json), "{what}: Avro has {from_avro}, JSON {json}");
}
