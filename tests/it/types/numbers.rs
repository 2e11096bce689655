//! Numbers.

use super::family::{Family, Type};
use super::refusal::SPECIAL;

pub(super) fn number() -> Family {
    let integers = "(random() - 0.5) * 2 ^ (i % 15)";
    let decimals = "((random() - 0.5) * 10 ^ (i % 8))::numeric";
    Family::of(vec![
        Type::new("bool", &["t", "f"], "random() < 0.5"),
        Type::new("int2", &["0", "-32768", "32767", "-1"], integers),
        Type::new("int4", &["0", "-2147483648", "2147483647"], "(random() - 0.5) * 2 ^ (i % 31)"),
        Type::new(
            "int8",
            &["0", "-9223372036854775808", "9223372036854775807"],
            "(random() - 0.5) * 2 ^ (i % 63)",
        ),
        Type::new("float4", FLOATS, "(random() - 0.5) * 10 ^ (i % 30)").made(&[
            "'3.4028235e38'",
            "'1e-45'",
            "'1.17549435e-38'",
        ]),
        Type::new("float8", FLOATS, "(random() - 0.5) * 10 ^ (i % 300)").made(&[
            "'1.7976931348623157e308'",
            "'5e-324'",
            "'2.2250738585072014e-308'",
        ]),
        Type::new("numeric", NUMERICS, "(random()::numeric - 0.5) * 10::numeric ^ (i % 90 - 45)")
            .made(&["repeat('9', 131072)", "'-1.' || repeat('3', 16383)"])
            .refusing(&["NaN", "Infinity", "-Infinity"], SPECIAL),
        Type::new("numeric(10,2)", &["0", "0.01", "-99999999.99", "99999999.99", "NaN"], decimals)
            .refusing(&["NaN"], SPECIAL),
        Type::new("numeric(5,0)", &["0", "-99999", "99999", "NaN"], "(random() - 0.5) * 100000")
            .refusing(&["NaN"], SPECIAL),
        Type::new("numeric(38,38)", &["0", "1e-38", "-0.1"], "random()::numeric / 7"),
        Type::new("numeric(1000,500)", &["0", "1e-500", "-1e499", "1e499"], decimals),
        Type::new("numeric(3,-2)", &["0", "100", "-99900", "99900"], "random() * 90000").since(15),
        Type::new("numeric(2,5)", &["0", "0.00099", "-0.00001"], "random() / 1100").since(15),
        Type::new("oid", &["0", "4294967295", "2147483648"], "(random() * 4e9)::int8"),
    ])
}

pub(super) fn money() -> Family {
    let limits = &["0", "-92233720368547758.08", "92233720368547758.07", "-0.01", "1234567.89"];
    Family::of(vec![Type::new("money", limits, "((random() - 0.5) * 10 ^ (i % 15))::numeric")])
}

const FLOATS: &[&str] = &["0", "-0", "NaN", "Infinity", "-Infinity", "1.5", "0.1", "1e20", "-1e-5"];

const NUMERICS: &[&str] = &[
    "0",
    "0.000",
    "-0.5",
    "1",
    "1.0",
    "10000",
    "9999",
    "1e4",
    "1e-4",
    "1e-5",
    "100000000.00001000",
    "170141183460469231731687303715884105727",
    "-170141183460469231731687303715884105728",
    "99999999999999999999999999999999999999999999999.123456789",
    "-128",
    "128",
    "-129",
    "255",
    "256",
    "-32768",
    "1e-16383",
    "1e1000",
    "NaN",
    "Infinity",
    "-Infinity",
];
