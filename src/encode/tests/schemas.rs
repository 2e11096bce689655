//! Schema texts, which apache-avro must parse.

use super::*;
use crate::encode::Naming;
use crate::types::Printed;

fn envelope(prefix: &str, value: &[Field<'_>], before: Option<&[Field<'_>]>) -> String {
    schema::envelope(prefix, value, before, &Values::default()).to_string()
}

fn key(prefix: &str, fields: &[Field<'_>]) -> String {
    schema::key(prefix, fields, &Values::default()).to_string()
}

fn field<'a>(name: &'a str, kind: &'a Kind, optional: bool) -> Field<'a> {
    Field::new(name, kind, optional)
}

/// Source: the worked example of what Debezium 3.6 and the Confluent converter register for
/// `id int primary key, a numeric(10,2), b timestamptz not null, c smallint`.
const ENVELOPE: &str = concat!(
    r#"{"type":"record","name":"Envelope","namespace":"srv.public.t","fields":["#,
    r#"{"name":"before","type":["null",{"type":"record","name":"Value","fields":["#,
    r#"{"name":"id","type":"int"},"#,
    r#"{"name":"a","type":["null",{"type":"bytes","scale":2,"precision":10,"connect.version":1,"#,
    r#""connect.parameters":{"scale":"2","connect.decimal.precision":"10"},"#,
    r#""connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"}],"default":null},"#,
    r#"{"name":"b","type":{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}},"#,
    r#"{"name":"c","type":["null",{"type":"int","connect.type":"int16"}],"default":null}],"#,
    r#""connect.name":"srv.public.t.Value"}],"default":null},"#,
    r#"{"name":"after","type":["null","Value"],"default":null},"#,
    r#"{"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.postgresql","fields":["#,
    r#"{"name":"version","type":"string"},{"name":"connector","type":"string"},{"name":"name","type":"string"},"#,
    r#"{"name":"ts_ms","type":"long"},"#,
    r#"{"name":"snapshot","type":[{"type":"string","connect.version":1,"#,
    r#""connect.parameters":{"allowed":"true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},"#,
    r#""connect.default":"false","connect.name":"io.debezium.data.Enum"},"null"],"default":"false"},"#,
    r#"{"name":"db","type":"string"},{"name":"sequence","type":["null","string"],"default":null},"#,
    r#"{"name":"ts_us","type":["null","long"],"default":null},{"name":"ts_ns","type":["null","long"],"default":null},"#,
    r#"{"name":"schema","type":"string"},{"name":"table","type":"string"},"#,
    r#"{"name":"txId","type":["null","long"],"default":null},{"name":"lsn","type":["null","long"],"default":null},"#,
    r#"{"name":"xmin","type":["null","long"],"default":null},{"name":"origin","type":["null","string"],"default":null},"#,
    r#"{"name":"origin_lsn","type":["null","long"],"default":null}],"#,
    r#""connect.version":1,"connect.name":"io.debezium.connector.postgresql.Source"}},"#,
    r#"{"name":"transaction","type":["null",{"type":"record","name":"block","namespace":"event","fields":["#,
    r#"{"name":"id","type":"string"},{"name":"total_order","type":"long"},{"name":"data_collection_order","type":"long"}],"#,
    r#""connect.version":1,"connect.name":"event.block"}],"default":null},"#,
    r#"{"name":"op","type":"string"},"#,
    r#"{"name":"ts_ms","type":["null","long"],"default":null},"#,
    r#"{"name":"ts_us","type":["null","long"],"default":null},"#,
    r#"{"name":"ts_ns","type":["null","long"],"default":null}],"#,
    r#""connect.version":2,"connect.name":"srv.public.t.Envelope"}"#,
);

#[test]
fn the_envelope_is_debeziums() {
    let price = Kind::Numeric { declared: Some((10, 2)) };
    let fields = [
        field("id", &Kind::Int4, false),
        field("a", &price, true),
        field("b", &Kind::TimestampTz { precision: None }, false),
        field("c", &Kind::Int2, true),
    ];
    let text = envelope("srv.public.t", &fields, None);
    assert_eq!(text, ENVELOPE);
    Schema::parse_str(&text).unwrap();
}

#[test]
fn a_before_of_its_own_comes_before_value() {
    let number = Kind::Numeric { declared: None };
    let value = [field("id", &Kind::Int4, false), field("n", &number, false)];
    let before = [field("id", &Kind::Int4, false), field("n", &number, true)];
    let text = envelope("srv.public.t", &value, Some(&before));
    Schema::parse_str(&text).unwrap();
    let decimal = concat!(
        r#"{"type":"record","name":"VariableScaleDecimal","namespace":"io.debezium.data","#,
        r#""fields":[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}],"#,
        r#""connect.doc":"Variable scaled decimal","connect.version":1,"#,
        r#""connect.name":"io.debezium.data.VariableScaleDecimal"}"#
    );
    let expect = [
        r#"{"name":"before","type":["null",{"type":"record","name":"Before","fields":["#,
        r#"{"name":"id","type":"int"},{"name":"n","type":["null","#,
        decimal,
        r#"],"default":null}],"connect.name":"srv.public.t.Before"}],"default":null},"#,
        r#"{"name":"after","type":["null",{"type":"record","name":"Value","fields":["#,
        r#"{"name":"id","type":"int"},{"name":"n","type":"io.debezium.data.VariableScaleDecimal"}],"#,
        r#""connect.name":"srv.public.t.Value"}],"default":null},"#,
    ]
    .concat();
    assert!(text.contains(&expect), "{text}");
}

#[test]
fn a_key_is_a_record_of_its_own() {
    let text = key("srv.public.t", &[field("id", &Kind::Int8, false)]);
    let expect = concat!(
        r#"{"type":"record","name":"Key","namespace":"srv.public.t","fields":[{"name":"id","#,
        r#""type":"long"}],"connect.name":"srv.public.t.Key"}"#
    );
    assert_eq!(text, expect);
    Schema::parse_str(&text).unwrap();
}

#[test]
fn fields_say_what_they_mean() {
    let array = |kind| Kind::Array(Box::new(kind));
    let semantic = |primitive: &str, name: &str| {
        format!(
            r#"{{"type":"{primitive}","connect.version":1,"connect.name":"io.debezium.{name}"}}"#
        )
    };
    let vector = |items: &str, name: &str| {
        format!(
            r#"{{"type":"array","items":"{items}","connect.version":1,"connect.name":"io.debezium.data.{name}"}}"#
        )
    };
    let labels = vec!["a".into(), "b\"c".into()];
    for (kind, expect) in [
        (Kind::Bool, r#""boolean""#.to_string()),
        (Kind::Bytea, r#""bytes""#.into()),
        (Kind::Float4, r#""float""#.into()),
        (Kind::Float8, r#""double""#.into()),
        (Kind::Text, r#""string""#.into()),
        (Kind::Other { name: "aclitem".into() }, r#""string""#.into()),
        (Kind::Printed(Printed::Inet), r#""string""#.into()),
        (Kind::Printed(Printed::Ltree), semantic("string", "data.Ltree")),
        (Kind::Printed(Printed::Tsvector), semantic("string", "data.Tsvector")),
        (Kind::Hstore, semantic("string", "data.Json")),
        (Kind::Oid, r#""long""#.into()),
        (Kind::Xml, semantic("string", "data.Xml")),
        (Kind::Date, semantic("int", "time.Date")),
        (Kind::Interval { precision: None }, semantic("long", "time.MicroDuration")),
        (Kind::Json, semantic("string", "data.Json")),
        (Kind::Jsonb, semantic("string", "data.Json")),
        (Kind::Time { precision: Some(3) }, semantic("int", "time.Time")),
        (Kind::Time { precision: Some(4) }, semantic("long", "time.MicroTime")),
        (Kind::Time { precision: None }, semantic("long", "time.MicroTime")),
        (Kind::TimeTz { precision: None }, semantic("string", "time.ZonedTime")),
        (Kind::Timestamp { precision: Some(0) }, semantic("long", "time.Timestamp")),
        (Kind::Timestamp { precision: None }, semantic("long", "time.MicroTimestamp")),
        (Kind::Uuid, semantic("string", "data.Uuid")),
        (
            Kind::Enum { labels },
            concat!(
                r#"{"type":"string","connect.version":1,"connect.parameters":"#,
                r#"{"allowed":"a,b\"c"},"connect.name":"io.debezium.data.Enum"}"#
            )
            .into(),
        ),
        (Kind::Vector, vector("double", "DoubleVector")),
        (Kind::Halfvec, vector("float", "FloatVector")),
        (
            array(Kind::Vector),
            format!(r#"{{"type":"array","items":["null",{}]}}"#, vector("double", "DoubleVector")),
        ),
        (array(Kind::Text), r#"{"type":"array","items":["null","string"]}"#.into()),
        (
            array(Kind::Uuid),
            format!(r#"{{"type":"array","items":["null",{}]}}"#, semantic("string", "data.Uuid")),
        ),
    ] {
        let text = key("p", &[field("v", &kind, false), field("w", &kind, true)]);
        let fields = format!(
            r#"[{{"name":"v","type":{expect}}},{{"name":"w","type":["null",{expect}],"default":null}}]"#
        );
        assert!(text.contains(&fields), "{text}");
        Schema::parse_str(&text).unwrap();
    }
}

/// What the converter makes of Debezium's records of version 3.7: those of PostgreSQL's geometric
/// types are recorded in tests/golden/debezium.
#[test]
fn records_of_extensions_are_debeziums() {
    let shape = |name: &str, extensions: &str, version| {
        format!(
            concat!(
                r#"{{"type":"record","name":"{0}","namespace":"io.debezium.data.geometry","fields":["#,
                r#"{{"name":"wkb","type":"bytes"}},{{"name":"srid","type":["null","int"],"default":null}}"#,
                r#"{1}],"connect.doc":"{0}","connect.version":{2},"#,
                r#""connect.name":"io.debezium.data.geometry.{0}"}}"#
            ),
            name, extensions, version
        )
    };
    let geography = shape("Geography", "", 1);
    let extensions =
        r#",{"name":"extensions","type":["null",{"type":"map","values":"string"}],"default":null}"#;
    let geometry = shape("Geometry", extensions, 2);
    let sparse = concat!(
        r#"{"type":"record","name":"SparseDoubleVector","namespace":"io.debezium.data","fields":["#,
        r#"{"name":"dimensions","type":{"type":"int","connect.type":"int16"}},"#,
        r#"{"name":"vector","type":{"type":"array","items":{"type":"record","name":"MapEntry","#,
        r#""namespace":"io.confluent.connect.avro","fields":["#,
        r#"{"name":"key","type":{"type":"int","connect.type":"int16"}},"#,
        r#"{"name":"value","type":"double"}]}}}],"connect.doc":"Sparse double vector","#,
        r#""connect.version":1,"connect.name":"io.debezium.data.SparseDoubleVector"}"#
    );
    for (kind, expect, name) in [
        (Kind::Geography, geography, "io.debezium.data.geometry.Geography"),
        (Kind::Geometry, geometry, "io.debezium.data.geometry.Geometry"),
        (Kind::Sparsevec, sparse.to_owned(), "io.debezium.data.SparseDoubleVector"),
    ] {
        let list = Kind::Array(Box::new(kind.clone()));
        let fields = [field("v", &kind, false), field("w", &kind, true), field("x", &list, false)];
        let text = key("p", &fields);
        let fields = format!(
            concat!(
                r#"[{{"name":"v","type":{0}}},{{"name":"w","type":["null","{1}"],"default":null}},"#,
                r#"{{"name":"x","type":{{"type":"array","items":["null","{1}"]}}}}]"#
            ),
            expect, name
        );
        assert!(text.contains(&fields), "{text}");
        Schema::parse_str(&text).unwrap();
    }
}

#[test]
fn every_scale_is_legal_in_avro() {
    for (declared, expect) in [
        ((10, 2), r#""scale":2,"precision":10"#),
        ((3, 5), r#""scale":5,"precision":5"#),
        ((5, 0), r#""scale":0,"precision":5"#),
        ((5, -2), "VariableScaleDecimal"),
    ] {
        let kind = Kind::Numeric { declared: Some(declared) };
        let text = key("p", &[field("v", &kind, false)]);
        assert!(text.contains(expect), "{text}");
        Schema::parse_str(&text).unwrap();
    }
}

#[test]
fn names_are_adjusted() {
    for (name, avro, unicode) in [
        ("plainName9", "plainName9", "plainName9"),
        ("plain_name", "plain_name", "plain_u005fname"),
        ("order-id", "order_id", "order_u002did"),
        ("1st", "_1st", "_u0031st"),
        ("a.b", "a_b", "a_u002eb"),
        ("größe", "gr__e", "gr_u00f6_u00dfe"),
        ("姓名", "__", "_u59d3_u540d"),
        ("Łódź", "__d_", "_u141_u00f3d_u17a"),
        ("😀", "__", "_ud83d_ude00"),
        ("with space", "with_space", "with_u0020space"),
        ("", "_", "_"),
    ] {
        assert_eq!(Naming::Avro.field(name), avro);
        assert_eq!(Naming::AvroUnicode.field(name), unicode);
        assert_eq!(Naming::AsIs.field(name), name);
    }
    for (topic, avro, unicode) in [
        ("my-shop.p.2020 x", "my_shop.p._2020_x", "my_u002dshop.p._u0032020_u0020x"),
        ("a_b.p.t", "a_b.p.t", "a_u005fb.p.t"),
    ] {
        assert_eq!(Naming::Avro.namespace(topic), avro);
        assert_eq!(Naming::AvroUnicode.namespace(topic), unicode);
    }
    for (name, avro, unicode) in [
        ("my-shop.p.2020 x", "my-shop.p.2020_x", "my-shop.p.2020_u0020x"),
        ("shop.p.order_订单", "shop.p.order___", "shop.p.order_u005f_u8ba2_u5355"),
    ] {
        assert_eq!(Naming::Avro.topic(name), avro);
        assert_eq!(Naming::AsIs.topic(name), avro);
        assert_eq!(Naming::AvroUnicode.topic(name), unicode);
    }
}

#[test]
fn the_columns_own_name_stands_beside_an_adjusted_one() {
    let named = |column| Field { column, ..field("a_b", &Kind::Bool, true) };
    let text = key("p", &[named(Some("a-b"))]);
    Schema::parse_str(&text).unwrap();
    let expect =
        r#"{"name":"a_b","type":["null","boolean"],"default":null,"walbrook.column":"a-b"}"#;
    assert!(text.contains(expect), "{text}");
    // It says nothing of what the bytes are, so alone it makes no new version.
    for other in [None, Some("a b")] {
        assert!(schema::is_same_layout(&text, &key("p", &[named(other)])), "{other:?}");
    }
}
