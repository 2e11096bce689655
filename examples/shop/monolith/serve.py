"""Serves the shop on 127.0.0.1:$SHOP_PORT until it is told to stop."""

import os
import signal
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup()

import waitress
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError, connection


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = os.environ.get("SHOP_PORT", "8000")
    try:
        connection.ensure_connection()
    except OperationalError as error:
        why = str(error).strip().splitlines()[0]
        sys.exit(f"shop: no database: {why}. Look at SHOP_DB_HOST, _PORT, _NAME and _USER.")
    connection.close()
    # It also serves the admin's style sheets, which in production is the work of the web server.
    application = StaticFilesHandler(get_wsgi_application())
    try:
        waitress.serve(application, host="127.0.0.1", port=port, threads=8, ident=None, _quiet=True)
    except (OSError, ValueError) as error:
        sys.exit(f"shop: cannot listen on 127.0.0.1:{port} ({error}); choose another SHOP_PORT")


if __name__ == "__main__":
    main()
