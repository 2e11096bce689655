#!/usr/bin/env bash
# librdkafka 2.12.1 (confluent-kafka 2.12.1), Apache Kafka 4.3.1; seen on 2026-11-28.
#
# A guess: "query_watermark_offsets" asks a broker for a partition's low and high watermark, which are
# the partition's own, so whoever asks is told the same.
#
# What happens: the request carries the client's isolation level, so the "high watermark" that a
# consumer with isolation.level=read_committed is told (librdkafka's default) is the last stable
# offset. While a transaction is open it lies below the high watermark, and a tool that compares the
# two to find open transactions, or a consumer's position with the "end", compares the stable offset
# with itself: lag looks like zero. It takes a second client that reads uncommitted.
#
#   findings/librdkafka-high-watermark-is-the-stable-offset.sh
#
# Output seen: "read_committed: high watermark 0; read_uncommitted: high watermark 1"
set -euo pipefail
work=$(mktemp -d)
broker=
stop() {
  [ -z "$broker" ] || kill -9 "$broker" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
# Maven writes terminal codes whatever it is told.
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }

cat >"$work/pom.xml" <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>finding</groupId><artifactId>finding</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
POM
quietly mvn -B -q -f "$work/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DoutputDirectory="$work/libs"
python3 -m venv "$work/python"
"$work/python/bin/pip" -q install --disable-pip-version-check confluent-kafka==2.12.1

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
controller=$(free_port)
cat >"$work/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$work/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
PROPERTIES
java -cp "$work/libs/*" kafka.tools.StorageTool format -t 3Db5QLSqSZieL3rJBUUegA \
  -c "$work/server.properties" >/dev/null 2>&1
java -Xmx512m -cp "$work/libs/*" kafka.Kafka "$work/server.properties" >"$work/log" 2>&1 &
broker=$!

found=$("$work/python/bin/python" - "127.0.0.1:$port" <<'PYTHON'
import sys
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

servers = {"bootstrap.servers": sys.argv[1], "log_level": 0}
topic = NewTopic("t", num_partitions=1, replication_factor=1)
admin = AdminClient(servers)
admin.create_topics([topic], request_timeout=60)["t"].result()
producer = Producer(servers | {"transactional.id": "writer"})
producer.init_transactions(60)
producer.begin_transaction()
producer.produce("t", b"not decided yet")
producer.flush(30)

def high(more):
    consumer = Consumer(servers | {"group.id": "reader"} | more)
    return consumer.get_watermark_offsets(TopicPartition("t", 0), timeout=30)[1]

committed, default = high({"isolation.level": "read_committed"}), high({})
assert committed == default, (committed, default)
uncommitted = high({"isolation.level": "read_uncommitted"})
print(f"read_committed: high watermark {committed}; read_uncommitted: high watermark {uncommitted}")
PYTHON
)
echo "$found"
[ "$found" = "read_committed: high watermark 0; read_uncommitted: high watermark 1" ] || {
  echo "changed since 2026-11-28" >&2
  exit 1
}
