"""What fits which schema, and what does not, with walbrook's words.

tests/test_fit.py asks our check; tests/against_walbrook.py asks walbrook, by publishing all of them.
"""


def logical(base, kind, **more):
    return {"type": base, "logicalType": kind, **more}


def record(*fields, name="R"):
    return {"type": "record", "name": name, "namespace": "n", "fields": list(fields)}


def field(name, type, **more):
    return {"name": name, "type": type, **more}


def nested(depth):
    """A list of so many elements, each in the one before."""
    value = None
    for _ in range(depth):
        value = {"next": value}
    return value


ZONED = "payload is not a timestamp with its time zone (YYYY-MM-DDTHH:MM:SS[.ffffff]Z or ±HH:MM)"
LOCAL = "payload is not a timestamp without a time zone (YYYY-MM-DDTHH:MM:SS[.ffffff])"
DATE = "payload is not a date (YYYY-MM-DD)"
TIME = "payload is not a time (HH:MM:SS[.ffffff])"
MONEY = {"precision": 6, "scale": 2}
UUID = "6a2f41a3-c54c-fce8-32d2-0324e1c32e22"
MIXED = record(
    field("id", "long"),
    field("note", ["null", "string"]),
    field("kind", {"type": "enum", "name": "K", "symbols": ["A", "B"]}, default="B"),
    field("raw", "bytes", default="\u00ff"),
    field("tags", {"type": "array", "items": "string"}, default=["x"]),
    field("inner", record(field("n", "int", default=4), name="I"), default={}),
    field("again", ["null", "I"], default=None),
    field("late", ["string", "null"]),
)

# (schema, payloads that fit, [(payload that does not, why)])
CASES = [
    ("null", [None], [({}, "payload is an object, the schema wants null")]),
    ("boolean", [True, False], [(1, "payload is a number, the schema wants a boolean")]),
    (
        "int",
        [0, -(2**31), 2**31 - 1],
        [
            (2**31, "payload is out of the range of an int"),
            (1.0, "payload is not written as an integer"),
            (True, "payload is a boolean, the schema wants an int"),
            ("1", "payload is a string, the schema wants an int"),
        ],
    ),
    (
        "long",
        # jsonb has no exponents, so that this float is an integer there.
        [2**63 - 1, -(2**63), 1e16],
        [
            (2**63, "payload is out of the range of a long"),
            (10**400, "payload is out of the range of a long"),
            (1e3, "payload is not written as an integer"),
            (1e22, "payload is out of the range of a long"),
            ([], "payload is an array, the schema wants a long"),
        ],
    ),
    (
        "double",
        [1, 1.5, -0.0, 1e308, 5e-324, 10**300],
        [
            (10**400, "payload is out of the range of double"),
            ("1.5", "payload is a string, the schema wants a number"),
        ],
    ),
    ("float", [1.5, 3.4e38, 1e-60], [(1e39, "payload is out of the range of float")]),
    ("string", ["", "ü😀\n"], [(1, "payload is a number, the schema wants a string")]),
    (
        "bytes",
        ["", "YQ==", "YQ", "YWI=", "YWJj", "+/+/"],
        [
            (text, "payload is not base64")
            for text in ["Y", "YQ=", "YQ===", "YR==", "Y-Q=", "YWJj====", "=", "é"]
        ],
    ),
    (
        {"type": "fixed", "name": "F", "size": 2},
        ["AP8=", "AP8"],
        [("AA==", "payload has 1 bytes, the schema wants 2")],
    ),
    (
        {"type": "enum", "name": "E", "symbols": ["A", "B"]},
        ["A"],
        [
            ("C", "payload is none of the enum's symbols"),
            (0, "payload is a number, the schema wants a string"),
        ],
    ),
    (
        logical("bytes", "decimal", **MONEY),
        [0, "0", "-0.00", 1.28, "1.2300", "9999.99", "-9999.99", "1e3", "123e-2", "+5", ".5", "5.", 1000],
        [
            ("1.234", "payload has more than 2 digits after the point"),
            (0.001, "payload has more than 2 digits after the point"),
            (10000, "payload has more than 6 digits"),
            ("1e2000000000", "payload has more than 6 digits"),
            ("1e-2000000000", "payload has more than 2 digits after the point"),
            ("1e99999999999", "payload is not a decimal number"),
            (True, "payload is a boolean, the schema wants a decimal number or its text"),
        ]
        + [
            (text, "payload is not a decimal number")
            for text in ["", ".", "NaN", "1,5", "--1", "1.2.3", " 1", "١"]
        ],
    ),
    (
        logical("fixed", "decimal", name="F", size=1, precision=3),
        [127, -128, "127"],
        [
            (128, "payload has 2 bytes, the schema wants 1"),
            (-129, "payload has 2 bytes, the schema wants 1"),
        ],
    ),
    (
        logical("string", "uuid"),
        [UUID, UUID.upper()],
        [("", "payload is not a uuid"), (UUID[:-1] + "g", "payload is not a uuid")],
    ),
    (logical("bytes", "uuid"), [UUID], [(UUID.replace("-", ""), "payload is not a uuid")]),
    (
        {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"},
        [UUID],
        [("AA==", "payload is not a uuid")],
    ),
    # Of another size it is no uuid.
    (
        {"type": "fixed", "name": "U", "size": 1, "logicalType": "uuid"},
        ["AA=="],
        [(UUID, "payload is not base64")],
    ),
    (
        logical("int", "date"),
        ["1970-01-01", "2024-02-29", "0000-02-29", "9999-12-31", -1],
        [
            (text, DATE)
            for text in [
                "2023-02-29",
                "2024-13-01",
                "2024-00-01",
                "24-01-01",
                "2024-1-1",
                "2024-01-01T",
                "2024-01-01\n",
            ]
        ]
        + [
            (2**31, "payload is out of the range of a date"),
            (None, "payload is null, the schema wants a date"),
        ],
    ),
    (
        logical("long", "time-micros"),
        ["23:59:59.999999", "00:00:00.1234560", 5, 2**40],
        [(text, TIME) for text in ["24:00:00", "10:00:00.", "10:00", "10:00:00Z", "10:60:00"]]
        + [("10:00:00.0000001", "payload has more than 6 digits after the point")],
    ),
    (
        logical("int", "time-millis"),
        ["00:00:01.5"],
        [
            ("00:00:01.0001", "payload has more than 3 digits after the point"),
            (2**31, "payload is out of the range of a time"),
        ],
    ),
    (
        logical("long", "timestamp-micros"),
        [
            "1970-01-01T00:00:00Z",
            "1970-01-01 01:30:00+01:30",
            "1969-12-31T22:00:00-0200",
            "1970-01-01t00:00:00z",
            "1969-12-31T23:59:59.5-00",
            "2023-11-14T22:13:20.123456000Z",
            "2023-11-14T22:13:20+01:",
            17,
        ],
        [
            (text, ZONED)
            for text in ["1970-01-01T00:00:00", "1970-01-01", "1970-01-01T00:00:60Z", "infinity", "é"]
        ]
        + [
            (text, ZONED)
            for text in ["1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+00:00:30", "1970-02-30T00:00:00Z"]
        ]
        + [("1970-01-01T00:00:00.0000001Z", "payload has more than 6 digits after the point")],
    ),
    (
        logical("long", "timestamp-millis"),
        ["1970-01-01T00:00:00.123Z"],
        [("1970-01-01T00:00:00.1234Z", "payload has more than 3 digits after the point")],
    ),
    (
        logical("long", "timestamp-nanos"),
        [
            "1970-01-01T00:00:00.000000001Z",
            "2262-04-11T23:47:16.854775807Z",
            "2262-04-11T23:48:16.854775807+00:01",
            "1677-09-21T00:12:44Z",
        ],
        [
            (text, "payload is out of the range of timestamp")
            for text in [
                "2300-01-01T00:00:00Z",
                "0000-01-01T00:00:00Z",
                "2262-04-11T23:47:16.854775808Z",
                "2262-04-11T23:47:16.854775807-00:01",
                "1677-09-21T00:12:43Z",
            ]
        ],
    ),
    (
        logical("long", "local-timestamp-millis"),
        ["1970-01-01T00:00:00.25", "1970-01-01 00:00:00"],
        [("1970-01-01T00:00:00Z", LOCAL), ("1970-01-01T00:00:00+01", LOCAL)],
    ),
    # A logical type that is not of this type means nothing.
    (logical("string", "date"), ["any"], [(1, "payload is a number, the schema wants a string")]),
    (logical("bytes", "decimal", precision=1, scale=2), ["AA=="], [("1.5", "payload is not base64")]),
    (
        MIXED,
        [
            {"id": 1},
            {"id": 1, "note": None, "late": None},
            {"id": 1, "note": "z", "raw": "YQ==", "inner": {"n": 5}, "again": {}},
        ],
        [
            ({}, "payload.id is missing and has no default"),
            ({"id": None}, "payload.id is null, the schema wants a long"),
            ({"id": 1, "a b": 2}, "payload has a member that the schema does not have"),
            ({"id": 1, "x" * 65: 2}, "payload has a member that the schema does not have"),
            ({"id": 1, "nope": 2}, 'payload has a member "nope" that the schema does not have'),
            ({"id": 1, "kind": "C"}, "payload.kind is none of the enum's symbols"),
            ({"id": 1, "note": 5}, "payload.note is a number, the schema wants a string"),
            ({"id": 1, "raw": "ÿ"}, "payload.raw is not base64"),
            ({"id": 1, "tags": ["a", 1]}, "payload.tags[1] is a number, the schema wants a string"),
            ({"id": 1, "inner": {"n": "x"}}, "payload.inner.n is a string, the schema wants an int"),
            ({"id": 1, "inner": []}, "payload.inner is an array, the schema wants an object"),
            # Avro's own JSON of unions is not used.
            ({"id": 1, "note": {"string": "z"}}, "payload.note is an object, the schema wants a string"),
            ([], "payload is an array, the schema wants an object"),
        ],
    ),
    (
        {"type": "map", "values": "int"},
        [{}, {"any key": 1}],
        [({"canary": "x"}, "payload{} is a string, the schema wants an int")],
    ),
    (
        ["int", "null", "double", {"type": "array", "items": "string"}],
        [1, None, 1.5, 3_000_000_000, [], ["x"]],
        [([1], "payload fits no branch of the union"), ("x", "payload fits no branch of the union")],
    ),
    # Defaults of a union may be of any branch; one field's default is not that of another.
    (
        record(field("a", ["int", "string"], default="x")),
        [{}, {"a": 1}],
        [({"a": 1.5}, "payload.a fits no branch of the union")],
    ),
    (
        {"type": "record", "name": "L", "fields": [field("next", ["null", "L"], default=None)]},
        [nested(60)],
        [(nested(70), "payload" + 65 * ".next" + " is nested deeper than 128 levels")],
    ),
    # Names are of the namespace around them, or have their own.
    (
        {
            "type": "record",
            "name": "a.b.Outer",
            "fields": [
                field(
                    "first",
                    {"type": "fixed", "name": "Part", "size": 1, "logicalType": "decimal", "precision": 2},
                ),
                field("second", "Part"),
                field("third", "a.b.Part"),
                field("fourth", {"type": "enum", "name": "Part", "namespace": "other", "symbols": ["X"]}),
                field("fifth", "other.Part"),
                field("sixth", {"type": "Part", "logicalType": "uuid"}),
            ],
        },
        [{"first": 1, "second": 2, "third": "3", "fourth": "X", "fifth": "X", "sixth": 6}],
        [
            (
                {"first": 1, "second": "AA==", "third": 3, "fourth": "X", "fifth": "X", "sixth": 6},
                "payload.second is not a decimal number",
            )
        ],
    ),
    # Nor does a logical type change one that was declared before.
    (
        record(
            field("a", {"type": "fixed", "name": "Raw", "size": 16}),
            field("b", {"type": "Raw", "logicalType": "uuid"}),
        ),
        [{"a": "AAAAAAAAAAAAAAAAAAAAAA", "b": "AAAAAAAAAAAAAAAAAAAAAA=="}],
        [({"a": UUID, "b": UUID}, "payload.a is not base64")],
    ),
]

# Schemas that neither walbrook nor we take.
REFUSED = [
    {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"},
    logical("bytes", "big-decimal"),
    {"type": "what"},
    record(field("n", "int", default="x")),
    record(field("n", "int", default=None)),
    record(field("n", "int"), field("n", "int")),
    record(field("e", "n.R", default={})),
    record(field("a-b", "int")),
    {"type": "enum", "name": "E", "symbols": ["A", "A"]},
    {"type": "enum", "name": "E", "symbols": ["A-B"]},
    ["int", ["string"]],
    ["int", "int"],
    {"type": "array"},
    {"type": "fixed", "name": "F"},
    {"type": "record", "name": "R"},
    {"type": "record", "fields": []},
    5,
]
