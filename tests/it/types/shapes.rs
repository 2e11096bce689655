//! Bits, networks, geometry, and the system's own types.

use super::family::{Family, Type};
use super::refusal::EMPTY;

pub(super) fn bits() -> Family {
    Family::of(vec![
        Type::new("bit(1)", &["0", "1"], "(i % 2)::int::bit"),
        Type::new("bit(8)", &["00000000", "11111111", "10000001"], "i::bit(8)"),
        Type::new("bit(13)", &["0000000000000", "1000000000001"], "(i * 37)::bit(13)"),
        Type::new("bit(70)", &[], "((random() * 2 ^ 62)::int8::bit(64) || (i % 64)::bit(6))")
            .made(&["repeat('1', 70)", "repeat('0', 69) || '1'"]),
        Type::new(
            "varbit",
            &["", "0", "1", "00000000", "101010101"],
            "left(i::bit(32)::text, i % 33)::varbit",
        )
        .made(&["repeat('10', 3000)"]),
        Type::new("varbit(1)", &["", "0", "1"], "(i % 2)::int::bit").refusing(&[""], EMPTY),
        Type::new("varbit(12)", &["", "0", "000000000001"], "i::bit(12)"),
    ])
}

pub(super) fn network() -> Family {
    let hosts = &[
        "0.0.0.0",
        "255.255.255.255",
        "10.1.2.3/8",
        "10.0.0.0/0",
        "127.0.0.1/32",
        "::",
        "::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "::ffff:1.2.3.4",
        "2001:db8::/32",
        "2001:db8:0:0:1:0:0:1/127",
        "fe80::1/0",
    ];
    let networks =
        &["0.0.0.0/0", "10.0.0.0/8", "192.168.1.1/32", "::/0", "2001:db8::/32", "::1/128"];
    Family::of(vec![
        Type::new("inet", hosts, "set_masklen(('0.0.0.0'::inet + (random() * 4e9)::int8), i % 33)"),
        Type::new(
            "cidr",
            networks,
            "network(set_masklen('0.0.0.0'::inet + (random() * 4e9)::int8, i % 33))",
        ),
        Type::new(
            "macaddr",
            &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "0800.2b01.0203"],
            "left(md5(i::text), 12)::macaddr",
        ),
        Type::new(
            "macaddr8",
            &["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff", "08:00:2b:01:02:03"],
            "left(md5(i::text), 16)::macaddr8",
        ),
    ])
}

pub(super) fn geometry() -> Family {
    Family::of(vec![
        Type::new(
            "point",
            &[
                "(0,0)",
                "(-0,1e-300)",
                "(NaN,1)",
                "(Infinity,-Infinity)",
                "(0.1,1.7976931348623157e308)",
            ],
            "point(random(), random() * 10 ^ i)",
        ),
        Type::new(
            "line",
            &["{1,-1,0}", "{0,1,-1e10}", "[(0,0),(1,2)]"],
            "line(point(0, i), point(1, random()))",
        ),
        Type::new(
            "lseg",
            &["[(0,0),(0,0)]", "[(1,2),(-3e20,NaN)]"],
            "lseg(point(0, i), point(1, random()))",
        ),
        Type::new(
            "box",
            &["(1,1),(0,0)", "(0,0),(2,3)", "(Infinity,0),(0,-1)"],
            "box(point(0, i), point(1, random()))",
        ),
        Type::new(
            "path",
            &["[(0,0)]", "((0,0),(1,1),(2,0))", "[(1,2),(3,4)]", "((NaN,0))"],
            "format('[(%s,%s),(1,2)]', i, random())::path",
        ),
        Type::new(
            "polygon",
            &["((0,0))", "((0,0),(1,0),(1,1))"],
            "polygon(2 + i % 9, circle(point(i, random()), 2))",
        ),
        Type::new(
            "circle",
            &["<(0,0),0>", "<(-1,1e20),Infinity>", "<(NaN,0),1>"],
            "circle(point(i, random()), random())",
        ),
    ])
}

pub(super) fn system() -> Family {
    Family::of(vec![
        Type::new(
            "pg_lsn",
            &["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"],
            "'0/0'::pg_lsn + (random() * 1e15)::int8",
        ),
        Type::new("xid", &["0", "3", "4294967295"], "i::text"),
        Type::new("cid", &["0", "4294967295"], "i::text"),
        Type::new(
            "xid8",
            &["0", "18446744073709551615", "4294967296"],
            "((random() * 1e18)::int8)::text",
        ),
        Type::new("tid", &["(0,0)", "(4294967295,65535)"], "format('(%s,%s)', i * 1000, i)::tid"),
        Type::new(
            "pg_snapshot",
            &["1:1:", "10:20:10,14,15", "1:9223372036854775807:"],
            "format('%s:%s:', i, i + 1)::pg_snapshot",
        ),
        Type::new(
            "txid_snapshot",
            &["1:1:", "10:20:10,14,15"],
            "format('%s:%s:', i, i + 1)::txid_snapshot",
        ),
        Type::new("oidvector", &["", "0", "1 4294967295"], "(i || ' ' || i)::oidvector"),
        Type::new("int2vector", &["", "0", "-32768 32767"], "(i || ' ' || -i)::int2vector"),
        Type::new(
            "regclass",
            &["pg_class", "0", "4000000000", "information_schema.tables"],
            "i::regclass",
        ),
        Type::new("regtype", &["int4", "-", "4000000000", "text[]", "\"char\""], "i::regtype"),
        Type::new("regproc", &["now", "-", "4000000000"], "(4000000000 + i)::regproc"),
        Type::new("regprocedure", &["abs(int)", "-"], "(4000000000 + i)::regprocedure"),
        Type::new("regoper", &["0", "4000000000"], "(4000000000 + i)::regoper"),
        Type::new("regoperator", &["+(int,int)", "0"], "(4000000000 + i)::regoperator"),
        Type::new("regrole", &["postgres", "-"], "(4000000000 + i)::regrole"),
        Type::new("regnamespace", &["pg_catalog", "-"], "(4000000000 + i)::regnamespace"),
        Type::new("regconfig", &["simple", "-"], "(4000000000 + i)::regconfig"),
        Type::new("regdictionary", &["simple", "-"], "(4000000000 + i)::regdictionary"),
        Type::new("regcollation", &["\"C\"", "-"], "(4000000000 + i)::regcollation"),
        Type::new("refcursor", &["", "a b", "{"], "'c' || i"),
    ])
}
