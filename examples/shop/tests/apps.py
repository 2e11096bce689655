"""Runs the tests of the shop's Django apps, on a PostgreSQL of their own, and its payloads by walbrook."""

import os
import pathlib
import subprocess
import sys

SHOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SHOP.parents[1] / "deploy" / "lib"))

import servers

OUTBOX = SHOP / "walbrook_outbox"


def main():
    installed = servers.run([servers.PROJECT / "deploy" / "program", SHOP / "monolith"], stderr=None)
    python = installed.splitlines()[0]
    own = servers.Servers("shop-apps")
    try:
        own.start_postgres(own.postgres)
        environment = os.environ | {
            "PYTHONPATH": str(OUTBOX),
            "SHOP_DB_HOST": str(own.socket_folder),
            "SHOP_DB_PORT": str(own.postgres_port),
            "SHOP_DB_NAME": "postgres",
            "SHOP_DB_USER": "postgres",
        }
        django = [python, "-m", "django", "test", "--settings", "tests.settings"]
        test("the outbox app", django, OUTBOX, environment)
        for release in ("1", "2"):
            manage = [python, "manage.py", "test"]
            test(f"the monolith, release {release}", manage, SHOP / "monolith", environment | {"SHOP_RELEASE": release})
    except servers.Failure as failure:
        sys.exit(f"shop: {failure}")
    finally:
        own.stop()
    test("payloads, by walbrook", [sys.executable, "tests/against_walbrook.py"], OUTBOX, os.environ)


def test(what, words, folder, environment):
    print(f"testing {what}", flush=True)
    if subprocess.run(words, cwd=folder, env=environment).returncode != 0:
        sys.exit(f"shop: the tests of {what} failed")


if __name__ == "__main__":
    main()
