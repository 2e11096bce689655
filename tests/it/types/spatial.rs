//! PostGIS' types.

use super::family::{Family, Type};

pub(super) fn spatial() -> Family {
    let random = "CASE i % 8
        WHEN 0 THEN ST_Point(random() * 360 - 180, random() * 180 - 90, i)
        WHEN 1 THEN ST_MakePoint(random(), -random(), random() * 1e300)
        WHEN 2 THEN ST_MakePoint(random(), random(), -random(), i)
        WHEN 3 THEN ST_SetSRID(ST_MakePointM(i, random(), random() / 1e300), 3857)
        WHEN 4 THEN (SELECT ST_MakeLine(array_agg(ST_Point(n, random(), 2154)))
            FROM generate_series(0, i) AS n)
        WHEN 5 THEN ST_Buffer(ST_Point(random(), random(), 4326), random() + 0.1)
        WHEN 6 THEN ST_Collect(ST_Buffer(ST_Point(i, -i), random() + 0.1), ST_Point(random(), i))
        ELSE ST_Multi(ST_Buffer(ST_MakePoint(i, random()), random() + 0.1)) END";
    let random_on_earth = "CASE i % 3
        WHEN 0 THEN ST_Point(random() * 360 - 180, random() * 180 - 90, 4326)
        WHEN 1 THEN (SELECT ST_MakeLine(array_agg(ST_Point(n, random() * 90, 4326)))
            FROM generate_series(0, i % 90) AS n)
        ELSE ST_Buffer(ST_Point(random(), random(), 4326), random() + 0.1) END";
    Family::with(
        "CREATE EXTENSION postgis",
        vec![
            Type::new("geometry", GEOMETRIES, random).made(&[
                "ST_MakePoint('Infinity', '-Infinity')",
                "ST_MakePoint('NaN', -0.0)",
                "(SELECT ST_MakeLine(array_agg(ST_MakePoint(n, sin(n), cos(n))))
                    FROM generate_series(1, 1000) AS n)",
            ]),
            Type::new(
                "geometry(Point,4326)",
                &["SRID=4326;POINT(1 2)", "SRID=4326;POINT EMPTY"],
                "ST_Point(random(), i, 4326)",
            ),
            Type::new(
                "geometry(LineStringZM)",
                &["LINESTRING ZM (0 0 0 0,1 2 3 4)"],
                "ST_MakeLine(ST_MakePoint(i, random(), 0, 1), ST_MakePoint(0, 0, random(), i))",
            ),
            Type::new("geography", GEOGRAPHIES, random_on_earth),
            Type::new(
                "geography(Point,4267)",
                &["SRID=4267;POINT(1 2)"],
                "ST_Point(random(), i % 90, 4267)",
            ),
        ],
    )
}

const GEOMETRIES: &[&str] = &[
    "POINT(1 2)",
    "POINT(-0 1e-300)",
    "POINT EMPTY",
    "SRID=4326;POINT(-71.060316 48.432044)",
    "SRID=999999;POINT(0 0)",
    "POINT Z (1 2 3)",
    "SRID=3857;POINT M (1 2 3)",
    "POINT ZM (1 2 3 4)",
    "LINESTRING(0 0,1 1,2 0.5)",
    "SRID=2154;LINESTRING EMPTY",
    "POLYGON((0 0,4 0,4 4,0 0),(1 1,2 1,2 2,1 1))",
    "MULTIPOINT(1 2,3 4)",
    "MULTILINESTRING Z ((0 0 0,1 1 1),(2 2 2,3 3 3))",
    "SRID=4326;MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
    "GEOMETRYCOLLECTION EMPTY",
    "SRID=4326;GEOMETRYCOLLECTION(POINT(1 2),GEOMETRYCOLLECTION(LINESTRING(0 0,1 1)))",
    "CIRCULARSTRING(0 0,1 1,2 0)",
    "COMPOUNDCURVE(CIRCULARSTRING(0 0,1 1,1 0),(1 0,0 1))",
    "CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))",
    "MULTICURVE((0 0,5 5),CIRCULARSTRING(4 0,4 4,8 4))",
    "MULTISURFACE(CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0)),((7 8,10 10,6 14,7 8)))",
    "POLYHEDRALSURFACE Z (((0 0 0,0 0 1,0 1 1,0 1 0,0 0 0)))",
    "TIN Z (((0 0 0,0 0 1,0 1 0,0 0 0)),((0 0 0,0 1 0,1 1 0,0 0 0)))",
    "TRIANGLE((0 0,0 9,9 0,0 0))",
];

const GEOGRAPHIES: &[&str] = &[
    "POINT(-71.060316 48.432044)",
    "POINT EMPTY",
    "POINT(180 -90)",
    "POINT Z (1 2 3)",
    "POINT ZM (1 2 3 4)",
    "LINESTRING(0 0,1 1)",
    "POLYGON((0 0,4 0,4 4,0 0))",
    "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
    "SRID=4267;POINT(1 2)",
    "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))",
];
