#!/usr/bin/env bash
# hamba/avro v2.31.0, the Avro library of most Go services; seen on 2026-11-29.
#
# A guess: Avro's local-timestamp-micros is a date and a time of no zone (PostgreSQL's timestamp without time
# zone), so it reads as the same date and time on each machine.
#
# What happens: it becomes a time.Time in the machine's zone, by way of an instant. In the hours before clocks
# are put forward the time is an hour less than what was written, and not only where that time does not
# exist: of 01:30 on that day it makes 00:30. There is no error. With TZ=UTC, or time.Local = time.UTC, all
# are right.
#
# When: a Go service in a container that has a zone, and two rows of one night.
#
#   findings/hamba-avro-moves-local-timestamps-near-a-change-of-clocks.sh [VERSION]
#
# Output seen:
#   UTC: 01:30 -> 01:30, 02:30 -> 02:30, 03:30 -> 03:30
#   Europe/Berlin: 01:30 -> 00:30, 02:30 -> 01:30, 03:30 -> 03:30
set -euo pipefail
version=${1:-v2.31.0}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod GOWORK=off
cd "$work"
cat >go.mod <<'GO'
module finding

go 1.24
GO
cat >main.go <<'GO'
package main

import (
	"fmt"
	"log"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/hamba/avro/v2"
)

func main() {
	long := avro.MustParse(`"long"`)
	timestamp := avro.MustParse(`{"type": "long", "logicalType": "local-timestamp-micros"}`)
	for _, name := range []string{"UTC", "Europe/Berlin"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			log.Fatal(err)
		}
		time.Local = zone
		var lines []string
		for hour := 1; hour <= 3; hour++ {
			written := time.Date(2026, 3, 29, hour, 30, 0, 0, time.UTC)
			bytes, err := avro.Marshal(long, written.UnixMicro())
			if err != nil {
				log.Fatal(err)
			}
			var read time.Time
			if err := avro.Unmarshal(timestamp, bytes, &read); err != nil {
				log.Fatal(err)
			}
			lines = append(lines, written.Format("15:04")+" -> "+read.Format("15:04"))
		}
		fmt.Println(name + ": " + strings.Join(lines, ", "))
	}
}
GO
go get "github.com/hamba/avro/v2@$version" >log 2>&1 || { cat log >&2; exit 1; }
found=$(go run .)
echo "$found"
[ "$found" = "UTC: 01:30 -> 01:30, 02:30 -> 02:30, 03:30 -> 03:30
Europe/Berlin: 01:30 -> 00:30, 02:30 -> 01:30, 03:30 -> 03:30" ] ||
  { echo "that has changed" >&2; exit 1; }
