"""All of the shop: servers, monolith, walbrook, services, customers, and what became of it."""

import concurrent.futures
import http.client
import json
import os
import signal
import time

import programs
import servers
import truth
from customers import Customers
from watch import INVOICES, REVENUE, Watch

MONOLITH = programs.SHOP / "monolith"

# So many orders are older than walbrook.
BEFORE = 200

# So long services may take to have all, once the customers are held.
SETTLED = 120


class Stage:
    """Everything that runs, and its state for the page."""

    def __init__(self, rate, say, services):
        self.say = say
        self.rate = rate
        self.services = services
        # Kafka Connect has no word of its own: its database is looked at.
        self.asked = [name for name in services if name != "warehouse"]
        self.servers = servers.Servers("shop")
        self.config = self.servers.folder / "walbrook.toml"
        self.copy = servers.Postgres(self.servers, "warehouse-postgres")
        # Kafka's clients and pip need nothing of ours; programs get no more than that.
        self.environment = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONDONTWRITEBYTECODE="1")
        self.programs = {}
        self.customers = None
        self.watch = None
        self.release = 1
        self.kafka_until = 0
        self.states = {}
        self.silent = []
        self.pool = concurrent.futures.ThreadPoolExecutor(8)
        self.looked = 0
        self.wanted = self.found = self.kept = None
        self.log = []
        # Programs that ended by themselves.
        self.gave_up = []

    def open(self):
        """Starts all, one after the other, with a line for each."""
        started = time.monotonic()
        self.step("PostgreSQL, Kafka and a schema registry", self.servers.start)
        self.step("a second PostgreSQL for the warehouse", self.open_warehouse)
        self.step(f"the monolith, with {BEFORE} orders that are older than walbrook", self.open_monolith)
        self.step("walbrook", self.open_walbrook)
        for name in self.asked:
            self.step(name, lambda: self.start(programs.service(self, name)))
        self.step("the warehouse's sink", lambda: self.start(programs.warehouse(self, self.copy)))
        self.say(f"  {programs.LEFT_OUT}")
        self.customers = Customers(self.monolith_url, self.rate)
        self.customers.start()
        self.say(f"all started in {time.monotonic() - started:.0f} s")

    def close(self):
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.servers.stop()

    def step(self, what, action):
        self.say(f"  starting {what}")
        action()

    def open_warehouse(self):
        self.servers.start_postgres(self.copy)
        with self.copy.connect("postgres") as connection:
            connection.execute("CREATE DATABASE warehouse")

    def open_monolith(self):
        with self.servers.connect("postgres") as connection:
            connection.execute("CREATE ROLE shop LOGIN")
            connection.execute("CREATE DATABASE shop OWNER shop")
        port = servers.free_port()
        self.monolith_url = f"http://127.0.0.1:{port}"
        self.python = programs.installed(MONOLITH)[0]
        self.environment_of_django = {
            "PYTHONPATH": os.pathsep.join(map(str, [MONOLITH, programs.SHOP / "walbrook_outbox"])),
            "SHOP_DB_HOST": str(self.servers.socket_folder),
            "SHOP_DB_PORT": str(self.servers.postgres_port),
            "SHOP_DB_NAME": "shop",
            "SHOP_DB_USER": "shop",
            "SHOP_PORT": str(port),
            "SHOP_DEMO": "1",
        }
        self.manage("migrate")
        self.manage("migrate", "shop", "0001")
        self.manage("seed", "--orders", str(BEFORE))
        with self.servers.connect("shop") as connection:
            connection.execute((programs.SHOP / "replication.sql").read_text())
        self.start_monolith(release=1)

    def start_monolith(self, release):
        words = [self.python, MONOLITH / "serve.py"]
        environment = self.environment_of_django | {"SHOP_RELEASE": str(release)}
        monolith = programs.Program(self, "monolith", words, **environment)
        self.start(monolith)
        health = f"{self.monolith_url}/api/health"
        servers.await_start("the monolith", monolith.process, lambda: servers.get(health))

    def manage(self, *arguments, release=1):
        environment = self.environment | self.environment_of_django | {"SHOP_RELEASE": str(release)}
        return servers.run([self.python, MONOLITH / "manage.py", *arguments], env=environment)

    def open_walbrook(self):
        self.make_topics()
        walbrook = programs.walbrook(self)
        self.start(walbrook)
        ready = f"http://127.0.0.1:{walbrook.port}/readyz"
        servers.await_start("walbrook", walbrook.process, lambda: servers.get(ready))
        self.watch = Watch(self.servers.bootstrap, self.servers.registry_url)
        self.watch.start()
        # A consumer that comes before its topic waits for minutes until it looks again.
        topics = {f"shop.public.{table}" for table in truth.TABLES} | {"shop.event.order", "shop.event.payment"}
        servers.wait_for("the first records", lambda: self.goes_on() and topics <= self.watch.counts.keys(), 120)

    def make_topics(self):
        """The outputs of services that write to Kafka."""
        from confluent_kafka.admin import AdminClient, NewTopic

        admin = AdminClient({"bootstrap.servers": self.servers.bootstrap, "log_level": 0})
        for made in admin.create_topics([NewTopic(name, 3, 1) for name in (INVOICES, REVENUE)]).values():
            made.result()

    def start(self, program):
        program.start()
        self.programs[program.name] = program

    # What goes on.

    def tick(self):
        """Looks after everything; to be called some times a second."""
        for program in self.programs.values():
            program.tend()
        if self.kafka_until and self.kafka_until < time.monotonic():
            self.resume_kafka()
        self.goes_on()
        if self.looked + 0.5 < time.monotonic():
            self.look()
            self.looked = time.monotonic()

    def goes_on(self):
        """All is lost without our own threads."""
        for thread in (self.watch, self.customers):
            if thread and thread.error:
                raise servers.Failure(f"{thread.name} ended: {thread.error}")
        return True

    def look(self):
        """Asks the monolith's tables for the truth, and the services for what they have."""
        answers = dict(zip(self.asked, self.pool.map(self.ask, self.asked)))
        self.silent = [name for name, answer in answers.items() if answer is None]
        for name, answer in answers.items():
            # For the page, one that does not answer has what it had.
            self.states[name] = answer or self.states.get(name, {})
        inventories = [name for name in self.asked if name.startswith("inventory")]
        with self.servers.connect("shop") as original, self.copy.connect("warehouse") as copy:
            # What they have is asked first: they follow.
            self.found = truth.seen(self.states, inventories, self.watch, copy)
            self.wanted = truth.truth(original, inventories)
            (self.kept,) = original.execute(truth.KEPT).fetchone()

    def ask(self, name):
        try:
            return json.loads(servers.get(f"http://127.0.0.1:{self.programs[name].port}/state"))
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def settle(self, show=lambda fault: None):
        """Holds the customers until every service has exactly what the monolith has; the faults, if any."""
        with self.customers.held():
            deadline = time.monotonic() + SETTLED
            while True:
                # What was seen while they acted is no evidence.
                self.looked = 0
                self.tick()
                missing = self.missing()
                if not missing or deadline < time.monotonic():
                    return missing + self.broken()
                show(missing[0])
                time.sleep(0.1)

    def missing(self):
        """What is not as it has to be, and may still become so."""
        down = [f"{name}: is down" for name, program in self.programs.items() if not program.is_alive]
        silent = [f"{name}: does not answer" for name in self.silent]
        if missing := down + silent + list(truth.differences(self.wanted, self.found)):
            return missing
        with self.servers.connect("shop") as original, self.copy.connect("warehouse") as copy:
            return [*truth.event_differences(original, self.watch), *truth.table_differences(original, copy)]

    def broken(self):
        """What no waiting makes good."""
        return [f"{what} came twice" for what in self.watch.doubled] + self.gave_up

    # What can be done to it.

    def rush(self):
        """Two hundred orders at once."""
        self.customers.hurry(200)

    def kill(self, name):
        self.programs[name].kill()

    def pause_kafka(self, seconds=8):
        self.servers.kafka.send_signal(signal.SIGSTOP)
        self.kafka_until = time.monotonic() + seconds

    def resume_kafka(self):
        self.servers.kafka.send_signal(signal.SIGCONT)
        self.kafka_until = 0

    def migrate(self):
        """Release 2: first the column, which the running release knows nothing of, then the code."""
        if self.release == 2:
            return
        self.manage("migrate", "shop", release=2)
        self.programs["monolith"].end()
        self.release = 2
        self.start_monolith(release=2)
        # The stream tells of a column with the first row that has it: some orders, before anybody compares.
        self.customers.hurry(5)
        servers.wait_for("orders of release 2", lambda: self.goes_on() and not self.customers.rush, 60)

