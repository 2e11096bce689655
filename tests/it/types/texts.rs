//! Texts, bytes, documents, and what extensions add.

use super::family::{Family, Type};

pub(super) fn text() -> Family {
    let random = "(SELECT string_agg(chr((random() * 40 + 33)::int + place * 30), '')
        FROM generate_series(1, i % 30) AS place)";
    Family::with(
        "CREATE EXTENSION citext",
        vec![
            Type::new("text", TEXTS, random).made(&["repeat('long ü', 5000)"]),
            Type::new("varchar", TEXTS, random),
            Type::new("varchar(3)", &["", "üüü", "a b", "NUL", "   "], "left(i::text, 3)"),
            Type::new("bpchar(5)", &["", "a", "a b", "üüüüü", " \" ,", "NULL"], "left(i::text, 5)"),
            Type::new("bpchar", &["", "a  ", "  a"], "i::text"),
            Type::new("name", &["", "a b", "\"", "{}", "NULL", "üüü"], "'n' || i"),
            Type::new("citext", TEXTS, random),
        ],
    )
}

pub(super) fn bytes() -> Family {
    let random = "(SELECT coalesce(string_agg(set_byte('\\x00', place - place, (random() * 255)::int), ''), '')
        FROM generate_series(1, i % 40) AS place)";
    let values =
        &["", "\\x00", "\\xff00ff", "\\x5c225c", "a\\\\b", "\\000\\377", "NULL", "\\x7b7d2c"];
    Family::of(vec![
        Type::new("bytea", values, random).made(&["decode(repeat('00ff5c22', 5000), 'hex')"]),
    ])
}

pub(super) fn document() -> Family {
    let values = &[
        "null",
        "true",
        "0",
        "-0",
        "\"\"",
        "{}",
        "[]",
        "1e400",
        "123456789012345678901234567890.123456789",
        "{\"a\": 1, \"b\": [1, null, \"\\\"\\\\\"], \"a\": 2}",
        "  { \"ü\" :\n \"\\u00fc\\ud83d\\ude00\" }  ",
        "[\"{}\", \",\", \"NULL\", \"'\"]",
    ];
    let random = "json_build_object('n', random(), 'list', ARRAY[i, NULL], 's', chr(i + 32))";
    let paths = &[
        "$",
        "$.a[*].b",
        "strict $.\"a b\"",
        "$.\"q\\\"\\\\\"",
        "$[*] ? (@.x > 1 && @.y like_regex \"^a\" flag \"i\")",
        "$.keyvalue()",
        "-$.a + 1.5",
        "$.a[0 to last]",
    ];
    Family::of(vec![
        Type::new("json", values, random),
        Type::new("jsonb", values, random),
        Type::new("jsonpath", paths, "format('$.a%s[%s].b', i, i)::jsonpath"),
        Type::new(
            "xml",
            &["", "<a/>", "text", "<a b=\"c\">ü &amp; ' , { } \\</a>", "<a>\n</a><b/>"],
            "format('<a n=\"%s\"/>', i)::xml",
        ),
    ])
}

pub(super) fn search() -> Family {
    let vectors = &[
        "",
        "a",
        "a b c",
        "a:1A,2B b:16383 c:3D",
        "'it''s' 'a b':4 '\\\\' '\"':1",
        "'ü':1,2,3C '{':9 ',':10",
    ];
    let queries = &[
        "",
        "a",
        "a & b",
        "a & (b | !c)",
        "!!a",
        "a <-> b <3> c",
        "a:AB & b:*",
        "'it''s' | 'a b':*C",
        "(a <-> b) & !(c | d)",
        "a <0> b",
        "'\\\\' & '\"'",
    ];
    Family::of(vec![
        Type::new("tsvector", vectors, "format('w%s:%s x%s:%sA', i % 9, i, i, i + 1)::tsvector"),
        Type::new("tsquery", queries, "format('(a%s | b) & !c <%s> d:*B', i, i % 9)::tsquery"),
    ])
}

pub(super) fn identifier() -> Family {
    let uuids = &[
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}",
    ];
    Family::with(
        "CREATE TYPE mood AS ENUM ('', 'sad', 'so-so', 'a,b', 'it''s \"ü\" \\ {}', 'NULL', ' x ');
        ALTER TYPE mood ADD VALUE 'before' BEFORE 'sad'",
        vec![
            Type::new("uuid", uuids, "md5(random()::text)::uuid"),
            Type::new(
                "mood",
                &["", "sad", "before", "so-so", "a,b", "it's \"ü\" \\ {}", "NULL", " x "],
                "(enum_range(NULL::mood))[1 + i % 8]",
            ),
            Type::new("\"char\"", &["", "a", " ", "\"", "\\", "{", ","], "chr(33 + i % 90)"),
        ],
    )
}

pub(super) fn extension() -> Family {
    let stores = &[
        "",
        "a=>1",
        "a=>NULL, b=>\"NULL\"",
        "\"\"=>\"\"",
        "\"a b\"=>\"c\\\"d\\\\e\", ü=>\"=>\", \",\"=>\"{}\"",
        "a=>\"'\"",
        "\" \"=>\" b \"",
    ];
    Family::with(
        "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION cube",
        vec![
            Type::new("hstore", stores, "hstore('k' || i, nullif(i % 3, 0)::text)"),
            Type::new("ltree", &["", "a", "Top.Science_1.b"], "format('a%s.b.c%s', i, i)::ltree"),
            Type::new("lquery", &["*", "a.*{1,2}.!b|c@*", "*.x%"], "('a.*{' || i || '}')::lquery"),
            Type::new("ltxtquery", &["a & b", "a@* | !(b% & c)"], "('a' || i)::ltxtquery"),
            Type::new("cube", &["()", "1", "(1,2),(3,4)", "(-1e300,0)"], "cube(random(), i)"),
        ],
    )
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "NULL",
    "null",
    "it's",
    "\"quoted\"",
    "back\\slash \\x41 \\",
    "a,b;c",
    "{a,\"b\"}",
    "(1,2)",
    "[1,2]",
    "line\nline\r\ttab\u{b}",
    "\u{1}\u{7f}\u{a0}",
    "ü漢😀\u{301}",
    "  both  ",
];
