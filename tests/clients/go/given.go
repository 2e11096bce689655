// Package events is what the consumers in Go share: decoding walbrook's records, and showing them.
package events

import (
	"flag"
	"fmt"
	"strings"
	"time"
)

// Given is the command line.
type Given struct {
	Bootstrap string
	Registry  string
	// How many records to read; 0 goes on for ever.
	Records int
	// What to leave out, to see what goes wrong.
	Without string
	Topics  map[string]Topic
}

// Topic says how the records of a topic are written, and what they hold.
type Topic struct{ Format, Kind string }

// Parse reads the command line; topics are avro:TOPIC=KIND or json:TOPIC=KIND.
func Parse() (Given, error) {
	given := Given{Topics: map[string]Topic{}}
	flag.StringVar(&given.Bootstrap, "bootstrap", "localhost:9092", "Kafka's address")
	flag.StringVar(&given.Registry, "registry", "http://localhost:8081", "the schema registry's URL")
	flag.IntVar(&given.Records, "records", 0, "how many records to read; 0 goes on for ever")
	flag.StringVar(&given.Without, "without", "", "see what goes wrong without: committed, utc, pointer")
	flag.Parse()
	for _, argument := range flag.Args() {
		format, rest, _ := strings.Cut(argument, ":")
		name, kind, found := strings.Cut(rest, "=")
		if !found || (format != "avro" && format != "json") {
			return given, fmt.Errorf("%q is not avro:TOPIC=KIND or json:TOPIC=KIND", argument)
		}
		given.Topics[name] = Topic{format, kind}
	}
	// hamba/avro reads PostgreSQL's `timestamp` (local-timestamp-micros) as a time of this machine's
	// zone, and is an hour off near a change of the clocks. In UTC clocks do not change.
	if given.Without != "utc" {
		time.Local = time.UTC
	}
	return given, nil
}

// Names are those of the topics.
func (given Given) Names() []string {
	names := make([]string, 0, len(given.Topics))
	for name := range given.Topics {
		names = append(names, name)
	}
	return names
}
