//! Types that are made of others.

use super::family::{Family, Type};
use super::refusal::INFINITE;

pub(super) fn range() -> Family {
    let texts = &[
        "empty",
        "(,)",
        "[a,b)",
        "[\"\",\"NULL\"]",
        "(\"a,b\",\"c\\\"d\\\\e\")",
        "[\"(\",\")\"]",
        "[ü,)",
        "[\" \",\"it's\"]",
    ];
    Family::with(
        "CREATE TYPE words AS RANGE (SUBTYPE = text, COLLATION = \"C\");
        CREATE DOMAIN small AS int CHECK (VALUE < 1000000);
        CREATE TYPE smalls AS RANGE (SUBTYPE = small);
        CREATE TYPE nested AS RANGE (SUBTYPE = int4range);
        CREATE TYPE lists AS RANGE (SUBTYPE = int4[]);
        CREATE DOMAIN span AS int4range CHECK (NOT isempty(VALUE))",
        vec![
            Type::new("int4range", INTEGERS, "int4range(i, i + (random() * 1000)::int, '[]')"),
            Type::new("int8range", INTEGERS, "int8range(i, i + (random() * 1e15)::int8)"),
            Type::new(
                "numrange",
                &["empty", "(,)", "[1.0,1.00]", "(NaN,)", "[-Infinity,Infinity]", "(,1e100)"],
                "numrange(random()::numeric, i::numeric + 1)",
            ),
            Type::new(
                "daterange",
                &["empty", "(,)", "[infinity,]", "[2024-02-29,2024-02-29]", "[0044-03-15 BC,)"],
                "daterange('2024-01-01', date '2024-01-01' + i, '[]')",
            )
            .refusing(&["[infinity,)"], INFINITE),
            Type::new(
                "tsrange",
                &["empty", "[-infinity,infinity]", "(\"2024-02-29 12:00:00.5\",)"],
                "tsrange('2024-01-01', timestamp '2024-01-01' + random() * interval '1 day', '[]')",
            )
            .refusing(&["[-infinity,infinity]"], INFINITE),
            Type::new(
                "tstzrange",
                &["empty", "[\"0044-03-15 12:00 BC\",infinity)", "[\"2024-02-29 12:00+05:30\",)"],
                "tstzrange('2024-01-01', timestamptz '2024-01-01' + random() * interval '1 day')",
            )
            // And in an array, where the quotes are escaped.
            .refusing(&[r#"["0044-03-15 12:00:00+00 BC",infinity)"#, "infinity)"], INFINITE),
            Type::new("words", texts, "words(chr(i + 40), chr(i + 41), '[]')"),
            Type::new("smalls", &["empty", "[1,2]", "(,5)"], "smalls(i, i + 1)"),
            Type::new(
                "nested",
                &["empty", "[\"[1,2)\",\"[2,3)\"]", "(,)"],
                "nested(int4range(1, i + 1), NULL)",
            ),
            Type::new(
                "lists",
                &["empty", "[\"{1,NULL}\",\"{2}\"]", "(,{})"],
                "lists(ARRAY[i], ARRAY[i, NULL])",
            ),
            Type::new("span", &["[1,2)", "(,)"], "int4range(i, i + 1)"),
        ],
    )
}

pub(super) fn multirange() -> Family {
    let texts = &["{}", "{[a,b)}", "{[\"\",\" \"],(\"a,b\",\"c\\\"d\\\\e\"],[ü,)}", "{(,)}"];
    Family::with(
        "CREATE TYPE words AS RANGE (SUBTYPE = text, COLLATION = \"C\",
            MULTIRANGE_TYPE_NAME = many_words)",
        vec![
            Type::new(
                "int4multirange",
                &["{}", "{[1,2),[5,7]}", "{(,)}", "{(,1),(3,)}"],
                "int4multirange(int4range(i, i + 5), int4range(-i - 5, -i))",
            ),
            Type::new(
                "int8multirange",
                &["{}", "{[1,9223372036854775806]}"],
                "int8multirange(int8range(i, NULL))",
            ),
            Type::new(
                "nummultirange",
                &["{}", "{[1.0,1.00],(5,NaN]}"],
                "nummultirange(numrange(random()::numeric, 2))",
            ),
            Type::new(
                "datemultirange",
                &["{}", "{[2024-02-29,infinity]}"],
                "datemultirange(daterange(NULL, date '2024-01-01' + i))",
            )
            .refusing(&["{[2024-02-29,infinity]}"], INFINITE),
            Type::new(
                "tsmultirange",
                &["{}", "{[\"0044-03-15 12:00 BC\",)}"],
                "tsmultirange(tsrange(NULL, timestamp '2024-01-01' + random() * interval '1 day'))",
            ),
            Type::new(
                "tstzmultirange",
                &["{}", "{(,\"2024-02-29 12:00+02\"]}"],
                "tstzmultirange(tstzrange(NULL, timestamptz '2024-01-01' + random() * interval '1 day'))",
            ),
            Type::new("many_words", texts, "many_words(words(chr(i + 40), NULL))"),
        ],
    )
}

pub(super) fn composite() -> Family {
    let outer = &[
        "(,,,)",
        "(\"(1,x)\",{},\"\",)",
        "(\"(,\"\"a \\\\\"\"b\\\\\"\" \\\\\\\\ ,()\"\")\",\"{\"\"(1,NULL)\"\",NULL}\",NULL,\"{{1,2},{3,NULL}}\")",
    ];
    Family::with(
        "CREATE TYPE empty AS ();
        CREATE TYPE one AS (x text);
        CREATE TYPE pair AS (a int, b text);
        CREATE DOMAIN pair_domain AS pair;
        CREATE TYPE outer_pair AS (p pair, q pair[], r text, s int[]);
        CREATE TYPE mixed AS (\"a b\" numeric(10, 2), b timestamptz(3), c bytea, d jsonb, e bool,
            f pair_domain, g int4range, h float8, i uuid);
        ALTER TYPE mixed DROP ATTRIBUTE e; CREATE TABLE row_type (id int, note varchar(10))",
        vec![
            Type::new("empty", &["()"], "'()'::empty"),
            Type::new("one", &["()", "(\"\")", "(NULL)", "(\"\"\"\")", "( a )"], "ROW(chr(i + 32))::one"),
            Type::new("pair", &["(,)", "(1,\"\")", "(-1,NULL)", "(0,\"(\\\\,\")"], "ROW(i, chr(i + 32))::pair"),
            Type::new("pair_domain", &["(,)", "(1,x)"], "ROW(i, chr(i + 32))::pair"),
            Type::new("outer_pair", outer, "ROW(ROW(i, chr(i + 32)), ARRAY[ROW(i, NULL)]::pair[], i, ARRAY[i])::outer_pair"),
            Type::new("mixed", &["(,,,,,,,)"], "ROW(random()::numeric, timestamptz '2024-01-01' + i * interval '1 s',
                '\\x00ff', '{\"a\": [1, null]}', ROW(i, '')::pair_domain, int4range(i, NULL), random(), md5(i::text)::uuid)::mixed"),
            Type::new("row_type", &["(,)", "(1,\"a b\")"], "ROW(i, i)::row_type"),
        ],
    )
}

pub(super) fn domain() -> Family {
    Family::with(
        "CREATE DOMAIN price AS numeric(12, 2);
        CREATE DOMAIN low_price AS price CHECK (VALUE < 1000000);
        CREATE DOMAIN list AS int[];
        CREATE DOMAIN price_list AS price[];
        CREATE DOMAIN word AS varchar(7);
        CREATE DOMAIN moment AS timestamptz(3);
        CREATE TYPE mood AS ENUM ('sad', 'so so');
        CREATE DOMAIN temper AS mood;
        CREATE DOMAIN flags AS bit(5)",
        vec![
            Type::new("price", &["0", "-1.5"], "(random() * 1000)::numeric"),
            Type::new("low_price", &["0", "-1.5"], "(random() * 1000)::numeric"),
            Type::new("list", &["{}", "{1,NULL}", "[3:4]={1,2}"], "ARRAY[i, NULL, -i]"),
            Type::new("price_list", &["{}", "{1.5,NULL}"], "ARRAY[i, NULL, -i]::price_list"),
            Type::new("word", &["", "NULL", "ü \\\"{"], "i::text"),
            Type::new(
                "moment",
                &["infinity", "0044-03-15 12:00:00.5 BC"],
                "timestamptz '2024-01-01' + random() * interval '1 day'",
            )
            .refusing(&["infinity"], INFINITE),
            Type::new("temper", &["sad", "so so"], "'sad'::mood"),
            Type::new("flags", &["00000", "11111"], "i::bit(5)"),
        ],
    )
}

const INTEGERS: &[&str] =
    &["empty", "(,)", "[1,1]", "(1,3]", "(,5]", "[5,)", "[-2147483648,2147483646]", "[0,0)"];
