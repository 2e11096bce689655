#!/usr/bin/env bash
# hamba/avro v2.31.0, the Avro library of most Go services; seen on 2026-11-29.
#
# A guess: a field of ["null", decimal] is read into *big.Rat, since the pointer says what null is, or there
# is an error.
#
# What happens: the value is 0, whatever was written, and there is no error. For a decimal *big.Rat is the
# type itself, and not a pointer to one: one that may be null is **big.Rat. (Read into an interface the value
# is right.)
#
# When: a service that declares its amounts as *big.Rat and reads a nullable numeric column.
#
#   findings/hamba-avro-reads-zero-for-a-decimal-that-may-be-null.sh [VERSION]
#
# Output seen: "written 29/4; *big.Rat: 0/1, error <nil>; **big.Rat: 29/4, error <nil>"
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
	"math/big"

	"github.com/hamba/avro/v2"
)

type nullable struct {
	Amount **big.Rat `avro:"amount"`
}

type guessed struct {
	Amount *big.Rat `avro:"amount"`
}

func main() {
	schema := avro.MustParse(`{"type": "record", "name": "Row", "fields": [{"name": "amount", "type":
		["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]}]}`)
	amount := big.NewRat(725, 100)
	bytes, err := avro.Marshal(schema, nullable{&amount})
	if err != nil {
		log.Fatal(err)
	}
	var right nullable
	var wrong guessed
	wrongly, rightly := avro.Unmarshal(schema, bytes, &wrong), avro.Unmarshal(schema, bytes, &right)
	fmt.Printf("written %v; *big.Rat: %v, error %v; **big.Rat: %v, error %v\n",
		amount, wrong.Amount, wrongly, *right.Amount, rightly)
}
GO
go get "github.com/hamba/avro/v2@$version" >log 2>&1 || { cat log >&2; exit 1; }
found=$(go run .)
echo "$found"
[ "$found" = "written 29/4; *big.Rat: 0/1, error <nil>; **big.Rat: 29/4, error <nil>" ] ||
  { echo "that has changed" >&2; exit 1; }
