#!/usr/bin/env bash
# Apache Avro for Java 1.12.0, fastavro 1.13.1, avro (Python) 1.12.2; seen on 2026-11-29.
#
# A guess: a schema in which a decimal has another scale is refused by a compatibility check, or at
# least read right, since Avro's specification lets two decimals match only if precision and scale do.
#
# What happens: Java's SchemaCompatibility, on which schema registries build their rules, looks at the
# bytes alone and says COMPATIBLE. Java's reader then reads the bytes that were written with the old
# scale by the scale of the new schema: 12.34 becomes 0.1234, without an error. fastavro and the
# Python library read the same bytes by the writer's scale, 12.34.
#
# When: a column numeric(10, 2) becomes numeric(12, 4), and a consumer reads older events by the newer
# schema. Who reads each event by the schema that it was written with has the right value.
#
#   findings/avro-decimal-of-another-scale-is-compatible-and-misread.sh [AVRO_JAVA_VERSION]
#
# Output seen: "java COMPATIBLE 0.1234", "fastavro 12.34", "python 12.34"
set -euo pipefail
version=${1:-1.12.0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Maven writes terminal codes whatever it is told.
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }

cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>finding</groupId><artifactId>finding</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>$version</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.16</version></dependency>
</dependencies></project>
POM
quietly mvn -B -q -f "$work/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DoutputDirectory="$work/libs"
python3 -m venv "$work/python"
"$work/python/bin/pip" -q install --disable-pip-version-check fastavro==1.13.1 avro==1.12.2

schema() {
  printf '{"type":"record","name":"Row","fields":[{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":%s,"scale":%s}}]}' "$1" "$2"
}
schema 10 2 >"$work/old.avsc"
schema 12 4 >"$work/new.avsc"

cat >"$work/python.py" <<'PYTHON'
import decimal, io, json, sys
import avro.io, avro.schema, fastavro

old, new = (json.load(open(f"{sys.argv[1]}/{name}.avsc")) for name in ("old", "new"))
written = io.BytesIO()
fastavro.schemaless_writer(written, old, {"price": decimal.Decimal("12.34")})
open(f"{sys.argv[1]}/row", "wb").write(written.getvalue())
written.seek(0)
print("fastavro", fastavro.schemaless_reader(written, old, new)["price"])
written.seek(0)
writer, reader = (avro.schema.parse(json.dumps(it)) for it in (old, new))
print("python", avro.io.DatumReader(writer, reader).read(avro.io.BinaryDecoder(written))["price"])
PYTHON

cat >"$work/Reads.java" <<'JAVA'
import java.nio.file.*;
import org.apache.avro.*;
import org.apache.avro.generic.*;
import org.apache.avro.io.*;

public class Reads {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]);
        Schema old = new Schema.Parser().parse(Files.readString(folder.resolve("old.avsc")));
        Schema newer = new Schema.Parser().parse(Files.readString(folder.resolve("new.avsc")));
        GenericData data = new GenericData();
        data.addLogicalTypeConversion(new Conversions.DecimalConversion());
        byte[] row = Files.readAllBytes(folder.resolve("row"));
        GenericRecord read = new GenericDatumReader<GenericRecord>(old, newer, data)
            .read(null, DecoderFactory.get().binaryDecoder(row, null));
        var verdict = SchemaCompatibility.checkReaderWriterCompatibility(newer, old).getType();
        System.out.println("java " + verdict + " " + read.get("price"));
    }
}
JAVA

found=$("$work/python/bin/python" "$work/python.py" "$work"; java -cp "$work/libs/*" "$work/Reads.java" "$work")
echo "$found"
expected=$'fastavro 12.34\npython 12.34\njava COMPATIBLE 0.1234'
[ "$found" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
