#!/usr/bin/env python
"""Django's command line; SHOP_DB_HOST, SHOP_DB_PORT, SHOP_DB_NAME and SHOP_DB_USER name the database."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    execute_from_command_line(sys.argv)
