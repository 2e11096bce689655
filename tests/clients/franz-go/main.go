// A consumer of walbrook's topics in Go: franz-go with its registry client, and hamba/avro.
//
// It reads committed records of the topics that it is given (avro:TOPIC=KIND or json:TOPIC=KIND,
// where KIND says what is in it), until it has seen so many, and prints each in one line of JSON.
// See docs/clients.md.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"walbrook.test/events"
)

func main() {
	log.SetFlags(0)
	given, err := events.Parse()
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := consume(ctx, given); err != nil {
		log.Fatal(err)
	}
}

func consume(ctx context.Context, given events.Given) error {
	// Without this, records of aborted transactions are read, too.
	isolation := kgo.ReadCommitted()
	if given.Without == "committed" {
		isolation = kgo.ReadUncommitted()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(given.Bootstrap, ",")...),
		kgo.ConsumeTopics(given.Names()...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(isolation),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	decoder, err := events.NewDecoder(given)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	packages := []string{
		"github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/sr", "github.com/hamba/avro/v2",
	}
	if err := out.Encode(map[string]string{"client": events.Versions(packages...)}); err != nil {
		return err
	}
	for seen := 0; given.Records == 0 || seen < given.Records; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			line, err := decoder.Line(ctx, plain(record))
			if err != nil {
				return err
			}
			if err := out.Encode(line); err != nil {
				return err
			}
			seen++
		}
	}
	return nil
}

func plain(record *kgo.Record) events.Record {
	headers := map[string][]byte{}
	for _, header := range record.Headers {
		headers[header.Key] = header.Value
	}
	return events.Record{
		Topic: record.Topic, Partition: record.Partition, Offset: record.Offset,
		Key: record.Key, Value: record.Value, Headers: headers,
	}
}
