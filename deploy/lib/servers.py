"""PostgreSQL, Kafka and a schema registry on free ports, in one folder, for as long as we live.

What `deploy/servers fetch` brought is started here for people and for benchmarks. (The tests have
a harness of their own, which also hurts servers.) Every process is killed by the kernel when this
one ends, however that happens; so start them from the main thread.
"""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parents[2]
START_LIMIT = 180


class Failure(Exception):
    """Something that the person at the terminal should read; no traceback."""


class Servers:
    """The three servers, in a temporary folder that goes away with them."""

    def __init__(self, name):
        self.where = installed()
        try:
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"walbrook-{name}-"))
        except OSError as error:
            raise Failure(f"no temporary folder can be made: {error}") from None
        self.folder.chmod(0o755)
        self.postgres = Postgres(self, "postgres")
        self.kafka_port = free_port()
        self.registry_port = free_port()
        self.kafka = None
        self.processes = []

    @property
    def socket_folder(self):
        return self.postgres.folder

    @property
    def postgres_port(self):
        return self.postgres.port

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def registry_url(self):
        return f"http://127.0.0.1:{self.registry_port}/apis/ccompat/v7"

    def start(self, postgres_conf=""):
        """Starts all three side by side and waits until they answer."""
        self.kafka = self._start_kafka()
        registry = self._start_registry()
        self.start_postgres(self.postgres, postgres_conf)
        await_start("Kafka", self.kafka, self._probe_kafka)
        await_start("the registry", registry, lambda: get(f"{self.registry_url}/subjects"))

    def connect(self, database, **options):
        """A connection of the superuser over the Unix socket."""
        return self.postgres.connect(database, **options)

    def stop(self):
        """Ends what still runs and removes the folder."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(process.last_signal)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def spawn(self, name, arguments, unprivileged=False, last_signal=signal.SIGKILL, **options):
        """Starts a process that ends with this one; its output goes to a file in the folder."""
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                bound(arguments, unprivileged),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for us alone: we decide in which order they end.
                start_new_session=True,
                **options,
            )
        process.last_signal = last_signal
        process.log = self.folder / f"{name}.log"
        self.processes.append(process)
        return process

    def start_postgres(self, postgres, conf=""):
        """Makes a server's data, starts it, and waits until it answers."""
        binaries = pathlib.Path(self.where["postgres17"]) / "bin"
        postgres.folder.mkdir()
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(postgres.folder, "nobody", "nogroup")
        data = postgres.folder / "data"
        run(
            bound(
                [binaries / "initdb", "--no-sync", "--username=postgres", "--auth=trust",
                 "--encoding=UTF8", "--locale=C", "--pgdata", data],
                unprivileged=True,
            )
        )
        with open(data / "postgresql.conf", "a") as file:
            file.write(
                f"port = {postgres.port}\n"
                f"unix_socket_directories = '{postgres.folder}'\n"
                "listen_addresses = '127.0.0.1'\n"
                "wal_level = logical\n"
                "max_slot_wal_keep_size = 20GB\n"
                f"{conf}\n"
            )
        process = self.spawn(
            postgres.folder.name,
            [binaries / "postgres", "-D", data],
            unprivileged=True,
            # Without waiting for its clients.
            last_signal=signal.SIGINT,
        )
        await_start("PostgreSQL", process, lambda: postgres.connect("postgres").close())

    def _start_kafka(self):
        jars = f"{self.where['kafka']}/*"
        properties = self.folder / "kafka.properties"
        properties.write_text(
            KAFKA.format(
                port=self.kafka_port, controller=free_port(), data=self.folder / "kafka-data"
            )
        )
        java = [*self._java("1g"), "-cp", jars]
        cluster = "d2FsYnJvb2stc2hvcC0xMQ"
        run([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties])
        return self.spawn("kafka", [*java, "kafka.Kafka", properties])

    def _start_registry(self):
        jar = self.where["registry2"]
        return self.spawn(
            "registry",
            [*self._java("256m"), "-Dquarkus.http.host=127.0.0.1",
             f"-Dquarkus.http.port={self.registry_port}", "-jar", jar],
        )

    def _java(self, heap):
        """A JVM that leaves nothing outside our folder."""
        temporary = f"-Djava.io.tmpdir={self.folder}"
        return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:-UsePerfData", temporary]

    def _probe_kafka(self):
        from confluent_kafka.admin import AdminClient

        AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}).list_topics(timeout=2)


class Postgres:
    """A PostgreSQL server: its folder and its port."""

    def __init__(self, servers, name):
        self.folder = servers.folder / name
        self.port = free_port()

    def connect(self, database, **options):
        """A connection of the superuser over the Unix socket."""
        # Not everybody who starts something has it.
        import psycopg

        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            dbname=database,
            user="postgres",
            autocommit=True,
            **options,
        )


def installed():
    """What `deploy/servers where` prints, as a dictionary."""
    output = run([PROJECT / "deploy" / "servers", "where"])
    return dict(line.split("=", 1) for line in output.splitlines())


def bound(arguments, unprivileged=False):
    """The same command, in a process that is killed when we end."""
    command = ["setpriv", "--pdeathsig", "KILL"]
    if unprivileged and os.geteuid() == 0:
        command += ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    return [str(word) for word in [*command, "--", *arguments]]


def run(arguments, **options):
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(
        [str(word) for word in arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=options.pop("stderr", subprocess.STDOUT),
        text=True,
        **options,
    )
    if done.returncode != 0:
        raise Failure(f"{arguments[0]} failed:\n{done.stdout}")
    return done.stdout


def await_start(name, process, probe):
    """Waits until the probe of a new process raises nothing; there is no waiting for one that has ended."""

    def answers():
        if process.poll() is not None:
            raise Failure(f"{name} ended at once:\n{tail(process.log)}")
        probe()
        return True

    wait_for(f"{name} to start", answers, START_LIMIT)


def wait_for(what, probe, limit):
    """Polls until the probe returns something true; an exception of the probe is a no."""
    deadline = time.monotonic() + limit
    while True:
        complaint = "not yet"
        try:
            if found := probe():
                return found
        except (Failure, SystemError):
            # The latter is what C code makes of an exception that a signal raised meanwhile.
            raise
        except Exception as error:
            complaint = error
        if deadline < time.monotonic():
            raise Failure(f"waited {limit} s for {what}: {complaint}")
        time.sleep(0.05)


def get(url):
    """The body of a GET that succeeds."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def free_port():
    """A port that nobody listens on, below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def tail(path, lines=30):
    """The end of a log file."""
    return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])


def process_figures(pid):
    """CPU seconds so far and the highest resident memory in MB, as the kernel counts them."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = stat[stat.rindex(")") + 2 :].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return seconds, int(line.split()[1]) / 1024
    raise Failure(f"process {pid} has ended")


KAFKA = """\
process.roles=broker,controller
node.id=1
# One that stands still is given time: nobody else could lead.
broker.session.timeout.ms=60000
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
"""
