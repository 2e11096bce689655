"""The programs of the shop, each in a process of its own that is started again whenever it ends."""

import pathlib
import time

import servers

SHOP = pathlib.Path(__file__).resolve().parents[1]
WALBROOK = servers.PROJECT / "target" / "release" / "walbrook"

# Name, language and client, and what its number counts.
SERVICES = {
    "inventory": ("Python, aiohttp, aiokafka", "units reserved"),
    "search": ("Go, franz-go", "products found"),
    "mailer": ("Python, kafka-python", "mails sent"),
    "billing": ("Python, confluent-kafka, transactional", "invoices written"),
    "analytics": ("Java, Kafka Streams", "euros of revenue"),
    "warehouse": ("Kafka Connect, JDBC sink", "rows in a second PostgreSQL"),
}
# Beside them, in --check alone: inventory once more, each with another client.
VARIANTS = {
    "inventory-kafkajs": ("Node, kafkajs", "units reserved"),
    "inventory-confluent-kafka-go": ("Go, confluent-kafka-go", "units reserved"),
    "inventory-rust": ("Rust, rdkafka", "units reserved"),
}

LEFT_OUT = (
    "legacy report (pykafka) is left out: pykafka is abandoned, does not speak Kafka 4's protocol,"
    " and knows no read_committed (docs/clients.md)"
)


class Program:
    """One process; when it ends it is started again after a second."""

    def __init__(self, stage, name, words, **environment):
        self.stage = stage
        self.name = name
        self.words = words
        self.environment = environment
        self.process = None
        self.restarts = 0
        self.again = 0
        self.port = None

    def start(self):
        self.process = self.stage.servers.spawn(
            self.name, self.words, env=self.stage.environment | self.environment
        )

    @property
    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def tend(self):
        """Starts it again if it has ended; it may be killed, but it may not give up."""
        if self.process is None or self.is_alive:
            return
        if self.again == 0:
            self.again = time.monotonic() + 1
            if self.process.returncode >= 0:
                last = servers.tail(self.process.log, 1)
                self.stage.gave_up.append(f"{self.name} ended with exit code {self.process.returncode}: {last}")
        elif self.again < time.monotonic():
            self.again = 0
            self.restarts += 1
            self.start()

    def kill(self):
        if self.is_alive:
            self.process.kill()

    def end(self):
        """As an orchestrator ends it."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except servers.subprocess.TimeoutExpired:
            raise servers.Failure(f"{self.name} did not end within 30 s of SIGTERM") from None


def installed(folder):
    """The words of the command that runs the program of a folder."""
    return servers.run([servers.PROJECT / "deploy" / "program", folder], stderr=None).split("\n")[:-1]


def walbrook(stage):
    """walbrook itself, with the shop's configuration."""
    port = servers.free_port()
    stage.config.write_text(
        (SHOP / "walbrook.toml").read_text().format(
            postgres_host=stage.servers.socket_folder,
            postgres_port=stage.servers.postgres_port,
            bootstrap=stage.servers.bootstrap,
            registry=stage.servers.registry_url,
            schemas=servers.PROJECT / "schemas" / "shop",
            http_port=port,
            folder=stage.servers.folder,
        )
    )
    program = Program(stage, "walbrook", [WALBROOK, "run", "--config", stage.config])
    program.port = port
    return program


def service(stage, name):
    """One of the services in services/."""
    port = servers.free_port()
    store = stage.servers.folder / f"{name}-store"
    store.mkdir()
    words = [
        *installed(SHOP / "services" / name),
        "--bootstrap", stage.servers.bootstrap,
        "--registry", stage.servers.registry_url,
        "--port", port,
        "--store", store,
    ]
    program = Program(stage, name, words)
    program.port = port
    return program


def warehouse(stage, postgres):
    """Kafka Connect with Debezium's JDBC sink, from the tables' topics into a second PostgreSQL."""
    folder = stage.servers.folder
    where = stage.servers.where
    worker, sink = folder / "connect.properties", folder / "warehouse.properties"
    registry = stage.servers.registry_url.replace("/apis/ccompat/v7", "/apis/registry/v2")
    worker.write_text(
        WORKER.format(
            bootstrap=stage.servers.bootstrap,
            plugins=where["sink"],
            folder=folder,
            port=servers.free_port(),
            converters=CONVERTERS.format(registry=registry),
        )
    )
    sink.write_text(SINK.format(port=postgres.port))
    words = [
        "java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={folder}", "-cp", f"{where['connect']}/*",
        "org.apache.kafka.connect.cli.ConnectStandalone", worker, sink,
    ]
    return Program(stage, "warehouse", words)


CONVERTERS = "".join(
    f"{side}.converter=io.apicurio.registry.utils.converter.AvroConverter\n"
    f"{side}.converter.apicurio.registry.url={{registry}}\n"
    f"{side}.converter.apicurio.registry.as-confluent=true\n"
    f"{side}.converter.apicurio.registry.use-id=contentId\n"
    f"{side}.converter.apicurio.registry.headers.enabled=false\n"
    for side in ("key", "value")
)

WORKER = """\
bootstrap.servers={bootstrap}
plugin.path={plugins}
offset.storage.file.filename={folder}/connect-offsets
offset.flush.interval.ms=1000
listeners=http://127.0.0.1:{port}
# Without this every sink also writes what was rolled back.
consumer.isolation.level=read_committed
consumer.auto.offset.reset=earliest
# A sink that was killed gets its partitions back sooner.
consumer.session.timeout.ms=10000
# Topics that come later are found within seconds.
consumer.metadata.max.age.ms=2000
{converters}"""

SINK = """\
name=warehouse
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=1
topics.regex=shop\\\\.public\\\\..*
transforms=row,table
# A delete becomes its key alone. Its old row has no defaults, so a sink that met one before it met a row with a
# new column would add that column without its default, and older rows would have NULL there.
transforms.row.type=io.debezium.transforms.ExtractNewRecordState
transforms.row.delete.tombstone.handling.mode=tombstone
transforms.table.type=org.apache.kafka.connect.transforms.RegexRouter
transforms.table.regex=.*\\\\.(.*)
transforms.table.replacement=$1
connection.url=jdbc:postgresql://127.0.0.1:{port}/warehouse
connection.username=postgres
connection.password=postgres
# Each record again changes nothing: that is what makes it exactly once after a kill.
insert.mode=upsert
delete.enabled=true
primary.key.mode=record_key
# A column that a migration adds is added there, too.
schema.evolution=basic
"""
