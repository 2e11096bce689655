//! What becomes of values that their field cannot hold.

use super::*;
use crate::encode::{OnUnchanged, OnUnrepresentable, Representation, needs_null};

const PRICE: Kind = Kind::Numeric { declared: Some((6, 2)) };

fn values(on_unrepresentable: OnUnrepresentable) -> Values {
    Values { on_unrepresentable, ..Values::default() }
}

/// What apache-avro reads of a field, as the schema declares it.
fn read(kind: &Kind, optional: bool, values: &Values, column: Column<'_>) -> Result<Value, Error> {
    let record = schema::key("p", &[Field::new("v", kind, optional)], values);
    let encoder = ColumnEncoder::compile(kind, optional, Notation::Avro, values);
    let mut bytes = Vec::new();
    encoder.encode(column, &mut bytes)?;
    let avro = Schema::parse(&record).unwrap();
    let reader = GenericDatumReader::builder(&avro).build().unwrap();
    let mut rest = bytes.as_slice();
    let value = reader.read_value(&mut rest).unwrap();
    assert!(rest.is_empty());
    let Value::Record(mut fields) = value else { panic!("no record") };
    Ok(fields.pop().unwrap().1)
}

/// Both forms of values that have no place in their field.
fn hard() -> Vec<(Kind, &'static str, Vec<u8>)> {
    let ints = Kind::Array(Box::new(Kind::Int4));
    let two =
        b"\0\0\0\x02\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0\x07";
    vec![
        (PRICE, "NaN", vec![0, 0, 0, 0, 0xc0, 0, 0, 0]),
        (Kind::Numeric { declared: None }, "-Infinity", vec![0, 0, 0, 0, 0xf0, 0, 0, 0]),
        (Kind::Date, "infinity", i32::MAX.to_be_bytes().into()),
        (Kind::Timestamp { precision: None }, "-infinity", i64::MIN.to_be_bytes().into()),
        (Kind::Bits { length: Some(1) }, "", vec![0, 0, 0, 0]),
        (ints, "{{7}}", two.to_vec()),
    ]
}

#[test]
fn a_value_without_a_place_is_refused_or_null_or_text() {
    let null = |index| Value::Union(index, Box::new(Value::Null));
    for (kind, text, binary) in hard() {
        for column in [Column::Text(text.as_bytes()), Column::Binary(&binary)] {
            let fail = values(OnUnrepresentable::Fail);
            assert!(read(&kind, true, &fail, column).is_err(), "{kind:?}");
            let as_null = values(OnUnrepresentable::Null);
            assert!(needs_null(&kind, &as_null), "{kind:?}");
            assert_eq!(read(&kind, true, &as_null, column), Ok(null(0)), "{kind:?}");
            // As in keys, where null would make two rows one.
            assert!(read(&kind, false, &as_null, column).is_err(), "{kind:?}");
            let as_text = values(OnUnrepresentable::Text);
            for (optional, index) in [(false, 1), (true, 2)] {
                let expect = Value::Union(index, Box::new(Value::String(text.into())));
                assert_eq!(read(&kind, optional, &as_text, column), Ok(expect), "{kind:?}");
            }
        }
    }
}

#[test]
fn other_values_and_null_keep_their_branches() {
    let as_text = values(OnUnrepresentable::Text);
    let number = || Box::new(Value::Decimal(vec![0x64].into()));
    let one = Column::Text(b"1.00");
    assert_eq!(read(&PRICE, true, &as_text, one), Ok(Value::Union(1, number())));
    assert_eq!(read(&PRICE, false, &as_text, one), Ok(Value::Union(0, number())));
    let null = read(&PRICE, true, &as_text, Column::Null);
    assert_eq!(null, Ok(Value::Union(0, Box::new(Value::Null))));
    // Nothing that is whole gets another branch.
    assert_eq!(read(&Kind::Int4, false, &as_text, Column::Text(b"5")), Ok(Value::Int(5)));
    assert!(!needs_null(&Kind::Int4, &values(OnUnrepresentable::Null)));
}

/// No reader of Avro's time-micros has such a time of day; Debezium's numbers do.
#[test]
fn the_end_of_a_day_is_no_time_of_day() {
    let native = |on_unrepresentable| Values {
        representation: Representation::Avro,
        on_unrepresentable,
        ..Values::default()
    };
    let (kind, end) = (Kind::Time { precision: None }, Column::Text(b"24:00:00"));
    let what = "time 24:00:00";
    let refused = read(&kind, true, &native(OnUnrepresentable::Fail), end);
    assert_eq!(refused, Err(Error::Unrepresentable { what }));
    let text = Value::Union(1, Box::new(Value::String("24:00:00".into())));
    assert_eq!(read(&kind, false, &native(OnUnrepresentable::Text), end), Ok(text));
    let last =
        read(&kind, false, &native(OnUnrepresentable::Fail), Column::Text(b"23:59:59.999999"));
    assert_eq!(last, Ok(Value::TimeMicros(86_399_999_999)));
    assert_eq!(read(&kind, false, &Values::default(), end), Ok(Value::Long(86_400_000_000)));
}

#[test]
fn what_is_malformed_stays_an_error() {
    for on_unrepresentable in [OnUnrepresentable::Null, OnUnrepresentable::Text] {
        let result = read(&PRICE, true, &values(on_unrepresentable), Column::Text(b"1,5"));
        assert!(matches!(result, Err(Error::Malformed { .. })), "{result:?}");
    }
}

#[test]
fn unchanged_values_are_null_where_configured() {
    let values = Values { on_unchanged: OnUnchanged::Null, ..Values::default() };
    for kind in [Kind::Text, Kind::Bytea, PRICE, Kind::Array(Box::new(Kind::Int4))] {
        assert!(needs_null(&kind, &values), "{kind:?}");
        let null = Value::Union(0, Box::new(Value::Null));
        assert_eq!(read(&kind, true, &values, Column::Unchanged), Ok(null), "{kind:?}");
    }
    assert!(!needs_null(&Kind::Int4, &values));
    // A key is never unchanged, and stays what it is.
    assert!(!needs_null(&Kind::Text, &values.of_keys()));
}

/// From a database without an encoding. There is no text that could stand for it, and none in a key.
#[test]
fn text_that_is_not_utf_8_is_refused_or_null() {
    let texts = Kind::Array(Box::new(Kind::Text));
    let array = b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01\0\0\0\x01\xe9";
    let cases = [
        (Kind::Text, Column::Text(b"caf\xe9")),
        (Kind::Text, Column::Binary(b"caf\xe9")),
        (Kind::Json, Column::Binary(b"\"\xe9\"")),
        (texts.clone(), Column::Text(b"{a,\xe9}")),
        (texts, Column::Binary(array)),
        (Kind::Other { name: "odd".to_owned() }, Column::Text(b"(1,\xe9)")),
    ];
    for (kind, column) in cases {
        for on_unrepresentable in [OnUnrepresentable::Fail, OnUnrepresentable::Text] {
            let error = read(&kind, true, &values(on_unrepresentable), column).unwrap_err();
            assert!(error.to_string().contains("not UTF-8"), "{kind:?}: {error}");
        }
        let as_null = values(OnUnrepresentable::Null);
        let null = Value::Union(0, Box::new(Value::Null));
        assert_eq!(read(&kind, true, &as_null, column), Ok(null), "{kind:?}");
        assert!(read(&kind, false, &as_null, column).is_err(), "{kind:?}");
    }
}
