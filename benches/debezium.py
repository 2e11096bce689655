"""Debezium's snapshot in Kafka Connect, standalone, tuned for a table that is read as a whole."""

from servers import free_port


class Debezium:
    """One connector, in a worker of its own."""

    def __init__(self, servers, name, threads, registers):
        """Who `registers` asks the registry for each record; who does not, once."""
        self.servers = servers
        self.name = name
        self.threads = threads
        self.registers = registers

    def start(self):
        worker, connector = self.write("worker", WORKER), self.write("connector", CONNECTOR)
        libraries = f"{self.servers.where['connect']}/*"
        return self.servers.spawn(
            self.name,
            ["java", "-Xmx2g", "-XX:+UseParallelGC", "-XX:-UsePerfData",
             f"-Djava.io.tmpdir={self.servers.folder}", "-cp", libraries,
             "org.apache.kafka.connect.cli.ConnectStandalone", worker, connector],
        )

    def write(self, kind, template):
        path = self.servers.folder / f"{self.name}.{kind}.properties"
        path.write_text(
            template.format(
                bootstrap=self.servers.bootstrap,
                folder=self.servers.folder,
                http=free_port(),
                name=self.name,
                prefix=PREFIX,
                plugins=self.servers.where["debezium"],
                postgres=self.servers.postgres_port,
                registers=str(self.registers).lower(),
                registry=self.servers.registry_url.replace("ccompat/v7", "registry/v2"),
                threads=self.threads,
            )
        )
        return path


PREFIX = "debezium"

WORKER = """\
bootstrap.servers={bootstrap}
plugin.path={plugins}
offset.storage.file.filename={folder}/{name}.offsets
listeners=http://127.0.0.1:{http}
topic.creation.enable=true
key.converter=io.apicurio.registry.utils.converter.AvroConverter
value.converter=io.apicurio.registry.utils.converter.AvroConverter
producer.batch.size=1000000
producer.linger.ms=20
producer.buffer.memory=134217728
producer.max.request.size=4000000
producer.compression.type=lz4
"""

CONVERTER = """\
{side}.converter=io.apicurio.registry.utils.converter.AvroConverter
{side}.converter.apicurio.registry.url={{registry}}
{side}.converter.apicurio.registry.auto-register={{registers}}
{side}.converter.apicurio.registry.find-latest=true
{side}.converter.apicurio.registry.as-confluent=true
{side}.converter.apicurio.registry.use-id=contentId
{side}.converter.apicurio.registry.headers.enabled=false
"""

CONNECTOR = """\
name={name}
connector.class=io.debezium.connector.postgresql.PostgresConnector
tasks.max=1
plugin.name=pgoutput
database.hostname=127.0.0.1
database.port={postgres}
database.user=postgres
database.password=postgres
database.dbname=bench
slot.name={name}
publication.name=bench
publication.autocreate.mode=disabled
snapshot.mode=initial
snapshot.max.threads={threads}
snapshot.fetch.size=20000
max.batch.size=20480
max.queue.size=81920
poll.interval.ms=10
topic.prefix={prefix}
topic.creation.default.replication.factor=1
topic.creation.default.partitions=1
field.name.adjustment.mode=avro
schema.name.adjustment.mode=avro
""" + "".join(CONVERTER.format(side=side) for side in ("key", "value"))
