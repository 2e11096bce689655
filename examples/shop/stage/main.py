"""The shop, once everything is fetched and built: see examples/shop/run."""

import collections
import pathlib
import queue
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "deploy" / "lib"))

import arguments
import programs
import servers
from page import Page
from stage import Stage

# What all of it takes at its highest, as measured, in MB.
MEMORY = 3000

# --check: what happens in which second.
STORM = [
    (4, "kill", "inventory"),
    (6, "kill", "inventory-kafkajs"),
    (8, "kill", "walbrook"),
    (10, "kill", "inventory-confluent-kafka-go"),
    (12, "kill", "billing"),
    (14, "kill", "inventory-rust"),
    (16, "kill", "mailer"),
    (20, "migrate", None),
    (26, "kill", "search"),
    (30, "kafka", None),
    (40, "kill", "analytics"),
    (44, "kill", "warehouse"),
    (48, "kill", "monolith"),
    (52, "kill", "walbrook"),
    (55, "kill", "billing"),
]
STORM_ENDS = 60


def check(stage):
    """A minute of traffic with kills and a pause of Kafka; then all counts must be exact."""
    begun = time.monotonic()
    storm = list(STORM)
    # On a slow machine it takes longer, but nothing of it is left out.
    while (second := time.monotonic() - begun) < STORM_ENDS or storm:
        stage.tick()
        if storm and storm[0][0] < second:
            _, what, name = storm.pop(0)
            say(f"  {second:3.0f} s  {perform(stage, what, name)}")
        time.sleep(0.1)
    say("the customers are held; waiting until every service has all")
    held = time.monotonic()
    faults = [*stage.settle(), *spared(stage)]
    say(f"after {time.monotonic() - held:.0f} s:")
    for name, (_, number) in stage.services.items():
        wanted, found = stage.wanted[name].number, stage.found[name].number
        say(f"  {name:<28} {found:>9,} of {wanted:>9,} {number}")
    if faults:
        listed = "\n  ".join([*faults[:20], *last_words(stage, faults)])
        raise servers.Failure(f"NOT exactly once ({len(faults)} faults):\n  {listed}")
    restarts = sum(program.restarts for program in stage.programs.values())
    say(
        f"shop: {stage.customers.acted:,} customers' actions, {len(stage.watch.positions):,} records,"
        f" {restarts} kills and a pause of Kafka and a migration under way: every service has exactly"
        " what the monolith has, and nothing came twice"
    )


def spared(stage):
    """Who was not killed as often as the storm has it: then the check has shown less than it says."""
    kills = collections.Counter(name for _, what, name in STORM if what == "kill")
    for name, wanted in kills.items():
        if stage.programs[name].restarts < wanted:
            yield f"{name}: was started again {stage.programs[name].restarts} times, and killed {wanted} times"


def last_words(stage, faults):
    """Of those that the faults name, what their logs complain of, or else end with: their folder goes away."""
    for name in dict.fromkeys(fault.partition(":")[0] for fault in faults):
        if name in stage.programs:
            lines = servers.tail(stage.programs[name].process.log, 200).splitlines()
            complaints = [line for line in lines if "ERROR" in line or "WARN" in line]
            yield f"the log of {name}:"
            yield from [line[:300] for line in complaints or lines][-5:]


def live(stage, page):
    """Until Ctrl-C."""
    say(f"\n  the page       {page.url}")
    say(f"  the admin      {stage.monolith_url}/admin/ (user admin, password admin)")
    say(f"  search         http://127.0.0.1:{stage.programs['search'].port}/search?q=tea")
    say(f"  its folder     {stage.servers.folder}")
    say("\nCtrl-C ends all of it, and leaves nothing behind.")
    while True:
        stage.tick()
        page.show(picture(stage))
        try:
            asked = page.asked.get(timeout=0.2)
        except queue.Empty:
            continue
        serve(stage, page, asked)


def serve(stage, page, asked):
    """Does what a button asks for, and sees that nothing was lost or doubled."""
    match = re.fullmatch(r"(rush|kafka|migrate|kill)(?:-(\w+))?", asked)
    if not match or (match[2] or "walbrook") not in stage.programs:
        return
    before = collections.Counter(stage.broken())
    entry = {"what": perform(stage, match[1], match[2] or "walbrook"), "verdict": None}
    stage.log.append(entry)
    calm = time.monotonic() + (10 if match[1] == "kafka" else 4)
    while time.monotonic() < calm:
        stage.tick()
        page.show(picture(stage))
        time.sleep(0.2)
    entry["waiting"] = "every service"

    def show(fault):
        # The service comes first in it.
        entry["waiting"] = fault.partition(":")[0]
        page.show(picture(stage))

    # Of what cannot be mended, only what is new is to be blamed on this.
    faults = list((collections.Counter(stage.settle(show)) - before).elements())
    orders = stage.wanted["mailer"].everything.get("OrderPlaced", 0)
    entry["right"] = not faults
    entry["at"] = time.strftime("%H:%M:%S")
    entry["verdict"] = faults[0] if faults else f"nothing lost, nothing doubled: all {orders:,} orders are everywhere"


def perform(stage, what, name):
    """Does one thing to the shop; what it was, in words."""
    if what == "rush":
        stage.rush()
        return "200 orders at once"
    if what == "kafka":
        stage.pause_kafka()
        return "Kafka stands still for 8 seconds"
    if what == "migrate":
        if stage.release == 2:
            return "release 2 is out already"
        stage.migrate()
        return "migrated to release 2: orders have a channel"
    stage.kill(name)
    return f"{name} was killed"


def picture(stage):
    """What the page shows."""
    services = []
    for name, (client, number) in stage.services.items():
        program = stage.programs[name]
        services.append(
            {
                "name": name,
                "client": client,
                "number": number,
                "alive": program.is_alive,
                "restarts": program.restarts,
                "found": stage.found[name].number if stage.found else 0,
                "wanted": stage.wanted[name].number if stage.wanted else 0,
            }
        )
    walbrook, monolith = stage.programs["walbrook"], stage.programs["monolith"]
    return {
        "monolith": {"alive": monolith.is_alive, "release": stage.release, "acted": stage.customers.acted},
        "held": not stage.customers.open.is_set(),
        "walbrook": {"alive": walbrook.is_alive, "restarts": walbrook.restarts, "memory": memory(walbrook)},
        "kafka": {"paused": bool(stage.kafka_until), "topics": sorted(stage.watch.counts.items())},
        "kept": stage.kept,
        "records": len(stage.watch.positions),
        "latency": stage.watch.latency(),
        "doubled": len(stage.watch.doubled),
        "services": services,
        "events": list(stage.watch.shown)[-20:],
        "log": stage.log[-6:],
    }


def memory(program):
    """In MB, at its highest since it was started."""
    try:
        return servers.process_figures(program.process.pid)[1]
    except (OSError, servers.Failure):
        return 0


def enough_memory():
    """A sentence now is better than the kernel's killer later."""
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) / 1024
            if free < MEMORY:
                raise servers.Failure(
                    f"the shop takes up to {MEMORY:,} MB of memory (four JVMs), and {free:,.0f} MB are free;"
                    " close something, or try deploy/quickstart, which takes half of that"
                )


def say(line):
    print(line, flush=True)


ENDS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Ended(BaseException):
    """A signal has told us to end."""


def end(number, _):
    """Once: nothing may come between then, not a second Ctrl-C, nor the end of the terminal."""
    ignore_signals()
    raise Ended(number)


def ignore_signals():
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)


def main():
    asked = arguments.parsed()
    stage = None
    try:
        for number in ENDS:
            # As Ctrl-C is in the background of a script.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, end)
        page = None if asked.check else Page(asked.port)
        enough_memory()
        services = programs.SERVICES | programs.VARIANTS if asked.check else programs.SERVICES
        stage = Stage(asked.rate, say, services)
        stage.open()
        if asked.check:
            check(stage)
        else:
            live(stage, page)
    except (Ended, SystemError) as error:
        # C code makes an error of its own of one that a signal raises meanwhile.
        ended = error.__cause__ if isinstance(error, SystemError) else error
        if not isinstance(ended, Ended):
            raise
        (number,) = ended.args
        if number != signal.SIGINT:
            sys.exit(128 + number)
        say("\nended")
    except servers.Failure as failure:
        sys.exit(f"shop: {failure}")
    finally:
        ignore_signals()
        if stage:
            stage.close()


if __name__ == "__main__":
    main()
