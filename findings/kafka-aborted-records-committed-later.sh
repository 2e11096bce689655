#!/usr/bin/env bash
# Apache Kafka 4.3.1 and 4.4.0 (KRaft, one broker), librdkafka 2.12.1; seen on 2026-11-28.
#
# A guess: once the coordinator has aborted a transaction, its records are never visible to readers
# of committed records.
#
# What happens: the coordinator skips the abort marker of a partition that has no leader at that
# moment, notes the transaction as aborted, and forgets about it (KAFKA-20734). In the partition the
# records stay undecided; the next marker of the same producer id decides them too. If that is a
# commit, records of the aborted transaction are delivered to readers of committed records, beside
# those that replaced them.
#
# When: the broker is killed while a transaction is open, and started again. It takes itself for the
# leader, though it is not let in before its old session ends; the transaction times out meanwhile and
# its marker cannot be sent; when the session ends there is no leader for a moment. With several
# brokers it takes a partition all of whose replicas are away. The window is short, so this tries up
# to six times (and has 200 partitions, which make it longer).
#
#   findings/kafka-aborted-records-committed-later.sh [KAFKA_VERSION]
#
# Output seen: "committed records after the next commit: ['aborted', 'replacement']"
set -euo pipefail
version=${1:-4.3.1}
work=$(mktemp -d)
broker=
stop() {
  [ -z "$broker" ] || kill -9 "$broker" 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
# Maven writes terminal codes whatever it is told.
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }

cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>finding</groupId><artifactId>finding</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
POM
quietly mvn -B -q -f "$work/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DoutputDirectory="$work/libs"
python3 -m venv "$work/python"
"$work/python/bin/pip" -q install --disable-pip-version-check confluent-kafka==2.12.1

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() {
  java -Xmx512m -cp "$work/libs/*" kafka.Kafka "$work/server.properties" >>"$work/log" 2>&1 &
  broker=$!
}

for try in 1 2 3 4 5 6; do
  port=$(free_port)
  controller=$(free_port)
  rm -rf "$work/data" "$work/log"
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
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
broker.session.timeout.ms=20000
initial.broker.registration.timeout.ms=90000
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
PROPERTIES
  java -cp "$work/libs/*" kafka.tools.StorageTool format -t 3Db5QLSqSZieL3rJBUUegA \
    -c "$work/server.properties" >/dev/null 2>&1
  start
  "$work/python/bin/python" - "127.0.0.1:$port" <<'PYTHON'
import sys
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

servers = {"bootstrap.servers": sys.argv[1], "log_level": 0}
topic = NewTopic("t", num_partitions=200, replication_factor=1)
admin = AdminClient(servers)
admin.create_topics([topic], request_timeout=60)["t"].result()
producer = Producer(servers | {"transactional.id": "writer", "transaction.timeout.ms": 4000})
producer.init_transactions(60)
producer.begin_transaction()
producer.produce("t", b"aborted", partition=0)
producer.flush(30)
PYTHON
  kill -9 "$broker"
  wait "$broker" 2>/dev/null || true
  start
  found=$("$work/python/bin/python" - "127.0.0.1:$port" <<'PYTHON'
import sys
from confluent_kafka import Consumer, Producer, TopicPartition

servers = {"bootstrap.servers": sys.argv[1], "log_level": 0}
producer = Producer(servers | {"transactional.id": "writer"})
producer.init_transactions(120)
producer.begin_transaction()
producer.produce("t", b"replacement", partition=0)
producer.commit_transaction(60)
consumer = Consumer(servers | {"group.id": "reader", "isolation.level": "read_committed",
                               "enable.partition.eof": True})
consumer.assign([TopicPartition("t", 0, 0)])
values = []
while (message := consumer.poll(60)) is not None and message.error() is None:
    values.append(message.value().decode())
print(values)
PYTHON
  )
  kill -9 "$broker"
  wait "$broker" 2>/dev/null || true
  skipped=$(grep -c "Couldn't find leader endpoint for partitions .*writer" "$work/log" || true)
  echo "try $try: the coordinator skipped $skipped marker(s)"
  echo "committed records after the next commit: $found"
  if [ "$found" = "['aborted', 'replacement']" ]; then
    echo "as on 2026-11-28: Kafka $version delivers the record of the aborted transaction"
    exit 0
  fi
done
echo "changed: Kafka $version did not deliver the aborted record in six tries" >&2
exit 1
