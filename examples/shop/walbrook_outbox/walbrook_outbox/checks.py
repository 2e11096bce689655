"""What `manage.py check` says of the outbox; with `--database default` also of what is in the database."""

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from . import payloads

TABLE = "walbrook_outbox_event"
# Whether there is the table, and which publications have it: all tables, its schema's, or by name.
PUBLICATIONS = """
    SELECT p.pubname, p.pubinsert
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN (pg_publication_tables t JOIN pg_publication p USING (pubname))
        ON (t.schemaname, t.tablename) = (n.nspname, c.relname)
     WHERE c.oid = to_regclass(%s)
"""


@checks.register
def check_schemas(app_configs, **_):
    """Each schema file is there, and payloads can be written by it."""
    errors = []
    try:
        paths = payloads.files().values()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="walbrook_outbox.E001")]
    for path in paths:
        try:
            payloads.schema(path)
        except ImproperlyConfigured as error:
            hint = 'Correct the path in WALBROOK_OUTBOX["SCHEMAS"], or the file: one Avro schema (.avsc).'
            errors.append(checks.Error(str(error), hint=hint, id="walbrook_outbox.E002"))
    return errors


@checks.register(checks.Tags.database)
def check_publication(app_configs, databases=None, **_):
    """Warnings, not errors: they are true before the first `migrate`, which they must not stop."""
    warnings = []
    for alias in databases or []:
        connection = connections[alias]
        if connection.vendor != "postgresql":
            continue
        with connection.cursor() as cursor:
            cursor.execute(PUBLICATIONS, [TABLE])
            rows = cursor.fetchall()
        # Without the table this is a database that has no outbox, or not yet.
        if rows:
            warnings += _warnings(alias, [row for row in rows if row[0] is not None])
    return warnings


def _warnings(alias, publications):
    if not publications:
        yield checks.Warning(
            f"The outbox of database {alias!r} is in no publication, so that its events go nowhere.",
            hint=f"As its owner: CREATE PUBLICATION walbrook FOR TABLE {TABLE}; or, where there is the"
            f" publication that walbrook reads: ALTER PUBLICATION walbrook ADD TABLE {TABLE};",
            id="walbrook_outbox.W001",
        )
    elif not any(inserts for _, inserts in publications):
        name = publications[0][0]
        yield checks.Warning(
            f"No publication with the outbox of database {alias!r} publishes inserts, which are its events.",
            hint=f"ALTER PUBLICATION {connections[alias].ops.quote_name(name)} SET (publish = 'insert');"
            " (and what other tables in it want)",
            id="walbrook_outbox.W002",
        )
