package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
)

// How long a server may take to answer, in milliseconds.
const patience = 5000

var topic = "shop.event.order"

// event is one of the outbox: who it is is in its record's headers, what it says in the value.
type event struct {
	partition int32
	offset    int64
	id, kind  string
	// Of the schema we declare what we want.
	Lines []struct {
		// A long is an int64, an int is an int: hamba/avro takes no other.
		Product  int64 `avro:"product"`
		Quantity int   `avro:"quantity"`
	} `avro:"lines"`
}

// errPasses is of something that passes: the same is tried again.
var errPasses = errors.New("trying again")

// follow counts events for ever; after any trouble it begins again where its store says.
func follow(bootstrap, registry string, store *store) error {
	client, err := sr.NewClient(sr.URLs(registry))
	if err != nil {
		return err
	}
	decoder := &decoder{registry, client, map[int]avro.Schema{}}
	for isCalm := true; ; time.Sleep(time.Second) {
		err := consume(bootstrap, decoder, store, &isCalm)
		if !errors.Is(err, errPasses) {
			return err
		}
		if isCalm {
			say(err)
		}
		isCalm = false
	}
}

// consume counts events until something goes wrong.
func consume(bootstrap string, decoder *decoder, store *store, isCalm *bool) error {
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": bootstrap,
		// It must have a name, but joins no group: partitions are assigned below, and nothing is committed.
		"group.id":           "inventory-confluent-kafka-go",
		"enable.auto.commit": false,
		// librdkafka's default; said here since it matters. (Most other clients must be told.)
		"isolation.level":   "read_committed",
		"auto.offset.reset": "earliest",
		// Its warnings about connections; what matters is said by `follow`.
		"log_level": 0,
	})
	if err != nil {
		return err
	}
	defer consumer.Close()
	metadata, err := consumer.GetMetadata(nil, true, patience)
	if err != nil {
		return fmt.Errorf("Kafka does not answer at %s; %w", bootstrap, errPasses)
	}
	var places []kafka.TopicPartition
	for _, partition := range metadata.Topics[topic].Partitions {
		next, err := store.position(partition.ID)
		if err != nil {
			return err
		}
		places = append(places, kafka.TopicPartition{Topic: &topic, Partition: partition.ID, Offset: kafka.Offset(next)})
	}
	if len(places) == 0 {
		return fmt.Errorf("Kafka has no topic %s yet; %w", topic, errPasses)
	}
	if err := consumer.Assign(places); err != nil {
		return err
	}
	for {
		events, err := read(consumer, decoder)
		if err == nil && len(events) == 0 {
			// Nothing new, or no Kafka? librdkafka does not tell; this fails if nobody answers.
			_, err = consumer.GetMetadata(&topic, false, patience)
		}
		if _, isKafkas := err.(kafka.Error); isKafkas {
			return fmt.Errorf("Kafka does not answer at %s; %w", bootstrap, errPasses)
		}
		if err == nil {
			err = store.take(events)
		}
		if err != nil {
			return err
		}
		*isCalm = true
	}
}

// read returns the events that are there, or none after a second in which none came.
func read(consumer *kafka.Consumer, decoder *decoder) (events []event, err error) {
	for wait := 1000; len(events) < 500; wait = 0 {
		switch polled := consumer.Poll(wait).(type) {
		case *kafka.Message:
			place := polled.TopicPartition
			if place.Error != nil {
				return nil, place.Error
			}
			event := event{partition: place.Partition, offset: int64(place.Offset)}
			for _, header := range polled.Headers {
				switch header.Key {
				case "id":
					event.id = string(header.Value)
				case "eventType":
					event.kind = string(header.Value)
				}
			}
			// Events of other types may have other schemas, or no value at all.
			if _, isWanted := signs[event.kind]; isWanted && polled.Value != nil {
				if err := decoder.decode(polled.Value, &event); err != nil {
					return nil, err
				}
			}
			events = append(events, event)
		case kafka.Error:
			// One server of several may be gone: librdkafka goes on with the others by itself.
			if polled.Code() != kafka.ErrTransport {
				return nil, polled
			}
		case nil:
			return events, nil
		}
	}
	return events, nil
}

// decoder reads Avro by the schemas that records name, each of which it asks for once.
type decoder struct {
	url      string
	registry *sr.Client
	schemas  map[int]avro.Schema
}

func (d *decoder) decode(data []byte, into any) error {
	id, body, err := new(sr.ConfluentHeader).DecodeID(data)
	if err != nil {
		return err
	}
	if d.schemas[id] == nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience*time.Millisecond)
		defer cancel()
		text, err := d.registry.SchemaByID(ctx, id)
		if err != nil {
			return fmt.Errorf("the registry does not answer at %s; %w", d.url, errPasses)
		}
		// A cache for each: two versions of a schema have records of one name.
		if d.schemas[id], err = avro.ParseWithCache(text.Schema, "", &avro.SchemaCache{}); err != nil {
			return err
		}
	}
	return avro.Unmarshal(d.schemas[id], body, into)
}
