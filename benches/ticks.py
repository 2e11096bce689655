"""Small transactions at a rate, and how long each is on its way to a consumer."""

import pathlib
import time

TABLE = "CREATE TABLE ticks (id bigserial PRIMARY KEY, note text NOT NULL);\n"
TICK = "INSERT INTO ticks (note) VALUES ('one of many, as long as a small order may be');\n"
# Until it is killed.
LONG = 24 * 3600


def start_writer(servers, rate, statements=TICK, options=("--protocol", "prepared")):
    """Four sessions that commit these each time, together at that rate a second."""
    script = servers.folder / "tick.sql"
    script.write_text(statements)
    program = pathlib.Path(servers.where["programs17"]) / "bin" / "pgbench"
    return servers.spawn(
        "pgbench",
        [program, "--no-vacuum", "--host", servers.socket_folder,
         "--port", servers.postgres_port, "--username", "postgres",
         "--client", 4, "--rate", rate, "--time", LONG, *options, "--file", script, "bench"],
    )


def latency(consumer):
    """Milliseconds from the timestamp of the next record until it is here; None if none comes.

    (`consume` would wait for more of them, for as long as it may.)
    """
    message = consumer.poll(0.1)
    if message is None or message.error():
        return None
    return time.time() * 1000 - message.timestamp()[1]
