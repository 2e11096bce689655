// A consumer of walbrook's topics in Go: confluent-kafka-go, which is librdkafka, and hamba/avro.
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

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"walbrook.test/events"
)

func main() {
	log.SetFlags(0)
	given, err := events.Parse()
	if err != nil {
		log.Fatal(err)
	}
	if err := consume(given); err != nil {
		log.Fatal(err)
	}
}

func consume(given events.Given) error {
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": given.Bootstrap,
		"group.id":          "a-consumer-in-go",
		// The default of librdkafka; said here since it matters.
		"isolation.level":    "read_committed",
		"auto.offset.reset":  "earliest",
		"enable.auto.commit": false,
	})
	if err != nil {
		return err
	}
	defer consumer.Close()
	if err := consumer.SubscribeTopics(given.Names(), nil); err != nil {
		return err
	}
	decoder, err := events.NewDecoder(given)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	packages := []string{"github.com/confluentinc/confluent-kafka-go/v2", "github.com/hamba/avro/v2"}
	if err := out.Encode(map[string]string{"client": events.Versions(packages...)}); err != nil {
		return err
	}
	for seen := 0; given.Records == 0 || seen < given.Records; seen++ {
		message, err := consumer.ReadMessage(-1)
		if err != nil {
			return err
		}
		line, err := decoder.Line(context.Background(), plain(message))
		if err != nil {
			return err
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func plain(message *kafka.Message) events.Record {
	headers := map[string][]byte{}
	for _, header := range message.Headers {
		headers[header.Key] = header.Value
	}
	place := message.TopicPartition
	return events.Record{
		Topic: *place.Topic, Partition: place.Partition, Offset: int64(place.Offset),
		Key: message.Key, Value: message.Value, Headers: headers,
	}
}
