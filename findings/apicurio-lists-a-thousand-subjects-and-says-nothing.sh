#!/usr/bin/env bash
# Apicurio Registry 2.6.13.Final, its API that is compatible with Confluent's; seen on 2026-11-29.
#
# A guess: GET /subjects lists all subjects, as Confluent's registry does, or says that there are more.
#
# What happens: it lists 1,000. With one subject more than that there is no error, no header and no next
# page, and the order is not that of age, so what is missing may be what was registered last. Asked for by
# its name, the missing subject is there. (registry.ccompat.max-subjects is the limit.)
#
# When: a tool that walks through GET /subjects to export, to compare or to clean up: with a key and a value
# for each table, from 500 tables on it leaves some out.
#
#   findings/apicurio-lists-a-thousand-subjects-and-says-nothing.sh [VERSION]
#
# Output seen: "registered 1001, listed 1000, the missing one by its name: 200"
set -euo pipefail
version=${1:-2.6.13.Final}
work=$(mktemp -d)
registry=
trap '[ -z "$registry" ] || kill "$registry" 2>/dev/null; rm -rf "$work"' EXIT
# Maven writes terminal codes whatever it is told.
quietly() { "$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }; }

quietly mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
  -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" -DoutputDirectory="$work"
tar -xzf "$work"/*.tar.gz -C "$work"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
java "-Djava.io.tmpdir=$work" -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$port" \
  -jar "$work/apicurio-registry-app-$version-runner.jar" >"$work/log" 2>&1 &
registry=$!

cat >"$work/ask.py" <<'PYTHON'
import json, sys, time, urllib.error, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}/apis/ccompat/v7/subjects"


def ask(path, body=None):
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, json.load(answer)


until = time.time() + 90
while True:
    try:
        ask("")
        break
    except OSError:
        if until < time.time():
            raise
        time.sleep(0.5)
names = {f"shop.public.t{number}-value" for number in range(1001)}
for name in sorted(names):
    ask(f"/{name}/versions", {"schema": '{"type":"record","name":"%s","fields":[]}' % name.split(".")[2].split("-")[0]})
listed = set(ask("")[1])
missing = sorted(names - listed)
status = ask(f"/{missing[0]}/versions")[0] if missing else "none is missing"
print(f"registered {len(names)}, listed {len(listed)}, the missing one by its name: {status}")
PYTHON
seen=$(python3 "$work/ask.py" "$port")
echo "$seen"
[ "$seen" = "registered 1001, listed 1000, the missing one by its name: 200" ]
