// A consumer of walbrook's topics in Go: franz-go with its registry client, and hamba/avro.
//
// It reads committed records of the topics that it is given (avro:TOPIC=KIND or json:TOPIC=KIND,
// where KIND says what is in it), until it has seen so many, and prints each in one line of JSON.
// See docs/clients.md.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

func main() {
	log.SetFlags(0)
	bootstrap := flag.String("bootstrap", "localhost:9092", "Kafka's address")
	registry := flag.String("registry", "http://localhost:8081", "the schema registry's URL")
	records := flag.Int("records", 0, "how many records to read; 0 goes on for ever")
	without := flag.String("without", "", "show what goes wrong without: committed, utc, pointer")
	flag.Parse()

	// hamba/avro reads PostgreSQL's `timestamp` (local-timestamp-micros) as a time of this machine's
	// zone, and is an hour off near a change of the clocks. In UTC clocks do not change.
	if *without != "utc" {
		time.Local = time.UTC
	}
	topics, err := parseTopics(flag.Args())
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := consume(ctx, *bootstrap, *registry, topics, *records, *without); err != nil {
		log.Fatal(err)
	}
}

// topic says how the records of a topic are written, and what they hold.
type topic struct{ format, kind string }

func parseTopics(arguments []string) (map[string]topic, error) {
	topics := map[string]topic{}
	for _, argument := range arguments {
		format, rest, _ := strings.Cut(argument, ":")
		name, kind, found := strings.Cut(rest, "=")
		if !found || (format != "avro" && format != "json") {
			return nil, fmt.Errorf("%q is not avro:TOPIC=KIND or json:TOPIC=KIND", argument)
		}
		topics[name] = topic{format, kind}
	}
	return topics, nil
}

func consume(ctx context.Context, bootstrap, registry string, topics map[string]topic, limit int, without string) error {
	names := make([]string, 0, len(topics))
	for name := range topics {
		names = append(names, name)
	}
	// Without this, records of aborted transactions are read, too.
	isolation := kgo.ReadCommitted()
	if without == "committed" {
		isolation = kgo.ReadUncommitted()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumeTopics(names...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(isolation),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	schemas, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return err
	}
	decoder := decoder{schemas, map[int]avro.Schema{}, without}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]string{"client": versions()}); err != nil {
		return err
	}
	for seen := 0; limit == 0 || seen < limit; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			line, err := decoder.line(ctx, record, topics[record.Topic])
			if err != nil {
				return fmt.Errorf("%s %d at %d: %w", record.Topic, record.Partition, record.Offset, err)
			}
			if err := out.Encode(line); err != nil {
				return err
			}
			seen++
		}
	}
	return nil
}
