"""The shop's settings. All that differs from place to place comes from the environment."""

import os
import pathlib
import sys

from django.core.management.utils import get_random_secret_key

BASE = pathlib.Path(__file__).resolve().parents[1]
SCHEMAS = BASE.parents[2] / "schemas" / "shop"

try:
    import walbrook_outbox.apps  # noqa: F401
except ImportError:
    sys.exit(f"shop: the outbox app is missing; set PYTHONPATH={BASE.parent / 'walbrook_outbox'}")

# Which release of the shop this is. A real shop has its releases in version control; here one checkout
# has to be both, so that a new column can come while the old code still runs.
RELEASES = {"1": 1, "2": 2}
RELEASE = RELEASES.get(os.environ.get("SHOP_RELEASE", "1"))
if RELEASE is None:
    sys.exit("shop: there is no such SHOP_RELEASE; say 1 or 2")
DEMO = os.environ.get("SHOP_DEMO") == "1"

# Without one of your own, log-ins to the admin end with the process.
SECRET_KEY = os.environ.get("SHOP_SECRET_KEY") or get_random_secret_key()
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DEBUG = False

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "walbrook_outbox",
    "shop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("SHOP_DB_HOST", "127.0.0.1"),
        "PORT": os.environ.get("SHOP_DB_PORT", "5432"),
        "NAME": os.environ.get("SHOP_DB_NAME", "shop"),
        "USER": os.environ.get("SHOP_DB_USER", "shop"),
        # Each of the server's threads keeps its connection, and asks first whether it still lives.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}

# A payload that does not fit rolls back the transaction that publishes it, here, where somebody sees
# it; walbrook has the same schemas, and what it finds is already committed.
WALBROOK_OUTBOX = {
    "SCHEMAS": {
        "order": SCHEMAS / "order-2.avsc",
        "payment": SCHEMAS / "payment-1.avsc",
    }
}

ROOT_URLCONF = "project.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
USE_TZ = True
TIME_ZONE = "UTC"
