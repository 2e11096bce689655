//! pgvector's types, on the one server that has them.

use super::family::{Family, Type};
use super::refusal::WIDE;

pub(super) fn vectors() -> Family {
    let random =
        "(SELECT format('[%s]', string_agg(((random() - 0.5) * 10 ^ ((i + n) % 9 - 4))::text, ','))
        FROM generate_series(0, i % 30) AS n)::vector";
    let random_half =
        "(SELECT format('[%s]', string_agg(((random() - 0.5) * 10 ^ ((i + n) % 9 - 4))::text, ','))
        FROM generate_series(0, i % 30) AS n)::halfvec";
    let random_sparse =
        "(SELECT format('{%s}/%s', string_agg(format('%s:%s', n * 3, random() + 1e-9), ','),
        60 + i) FROM generate_series(1, i % 20) AS n)::sparsevec";
    Family::with(
        "CREATE EXTENSION vector",
        vec![
            Type::new("vector", VECTORS, random).made(&[
                // Of the length that embeddings have.
                "(SELECT array_agg(sin(n) / n) FROM generate_series(1, 1536) AS n)::vector",
                "array_fill(0, ARRAY[16000])::vector",
            ]),
            Type::new("vector(2)", &["[1,2]", "[0.1,-0]"], "ARRAY[random(), i]::vector"),
            Type::new("halfvec", HALVES, random_half)
                .made(&["(SELECT array_agg(tan(n)) FROM generate_series(1, 3000) AS n)::halfvec"]),
            Type::new("halfvec(3)", &["[1,2,3]"], "ARRAY[random(), i, -i]::halfvec"),
            Type::new("sparsevec", SPARSE, random_sparse)
                .refusing(&["{}/32768", "{1:1,40000:-2}/1000000000"], WIDE),
            Type::new(
                "sparsevec(9)",
                &["{}/9", "{9:0.1}/9"],
                "ARRAY[0,i,0,0,random(),0,0,0,1]::vector::sparsevec",
            ),
        ],
    )
}

const VECTORS: &[&str] = &[
    "[0]",
    "[-0]",
    "[1,2,3]",
    "[0.1,1e-5,0.0001,1e6,1e15,123456.5]",
    "[3.4028235e38,-3.4028235e38,1e-45,1.17549435e-38]",
    "[8388608.5,9999999,1e7,16777216,16777217,3e10]",
    "[4017540.25,2.4414062e-4,1.2621775e-29,1.5474251e26]",
];

const HALVES: &[&str] = &[
    "[0,-0]",
    "[0.1,1.5,-2]",
    "[65504,-65504,2049,4095]",
    "[6.1e-5,6.0976e-5,5.9604645e-8,-5.9604645e-8,3e-5]",
];

const SPARSE: &[&str] = &[
    "{}/1",
    "{}/32767",
    "{1:1}/1",
    "{1:0.1,3:-2}/5",
    "{32767:1e-30}/32767",
    "{}/32768",
    "{1:1,40000:-2}/1000000000",
];
