#!/usr/bin/env bash
# ClickHouse 26.9.2.1 (chdb-core 26.9.0), its format Avro; seen on 2026-11-30.
#
# A guess: a field timestamp-micros is read into DateTime64(3), which is what DateTime64 is by default, by
# leaving out what is finer, or there is an error. An integer that a column cannot hold is an error.
#
# What happens: the number is taken as it is, as if it were of the column's unit: microseconds become
# milliseconds, so that 2024 becomes the year 56,000, which is shown as the end of 9999. There is no error, also
# with date_time_overflow_behavior = 'throw'. An Int32 column takes the lower half of a long in the same way.
# Without declared columns, and with DateTime64(6) and Int64, values are right.
#
# When: a table in ClickHouse that is declared by hand, or a field that was an int and is a long now.
#
#   findings/clickhouse-takes-avro-microseconds-for-milliseconds.sh [VERSION]
#
# Output seen: "written 2024-02-29 12:34:56.123456 and 4294967303; as found: 2024-02-29 12:34:56.123456 and
# 4294967303; DateTime64(3) and Int32: 9999-12-31 23:59:59.456 and 7" (in one line)
set -euo pipefail
version=${1:-26.9.0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
# Without pandas and pyarrow, which it names for its data frames.
venv/bin/pip install --quiet --disable-pip-version-check --no-deps "chdb-core==$version" fastavro==1.13.1
cat >read.py <<'PY'
import datetime

import fastavro
from chdb.session import Session

schema = {"type": "record", "name": "Row", "fields": [
    {"name": "moment", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "number", "type": "long"},
]}
moment = datetime.datetime(2024, 2, 29, 12, 34, 56, 123456, datetime.timezone.utc)
with open("row.avro", "wb") as file:
    fastavro.writer(file, schema, [{"moment": moment, "number": 2**32 + 7}])

session = Session()


def read(*columns):
    given = ", ".join(repr(it) for it in ("row.avro", "Avro", *columns))
    query = f"SELECT concat(toString(moment, 'UTC'), ' and ', toString(number)) FROM file({given})"
    query += " SETTINGS date_time_overflow_behavior = 'throw'"
    return str(session.query(query, "TSVRaw")).strip()


wrong = read("moment DateTime64(3), number Int32")
print(f"written {moment:%Y-%m-%d %H:%M:%S.%f} and {2**32 + 7}; as found: {read()}; "
      f"DateTime64(3) and Int32: {wrong}")
PY
# It may complain at its end, after all that was asked for.
found=$(venv/bin/python read.py 2>log) || { cat log >&2; exit 1; }
echo "$found"
right="2024-02-29 12:34:56.123456 and 4294967303"
[ "$found" = "written $right; as found: $right; DateTime64(3) and Int32: 9999-12-31 23:59:59.456 and 7" ] ||
  { echo "that has changed" >&2; exit 1; }
