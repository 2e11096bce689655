package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
)

// decoder reads Avro by the schemas that the records name, each of which it asks for once.
type decoder struct {
	registry *sr.Client
	schemas  map[int]avro.Schema
	without  string
}

// avro decodes bytes in Confluent's framing.
func (d *decoder) avro(ctx context.Context, data []byte, into any) error {
	id, body, err := new(sr.ConfluentHeader).DecodeID(data)
	if err != nil {
		return err
	}
	schema, known := d.schemas[id]
	if !known {
		text, err := d.registry.SchemaByID(ctx, id)
		if err != nil {
			return err
		}
		// A cache for each: two topics may have records of one name.
		schema, err = avro.ParseWithCache(text.Schema, "", &avro.SchemaCache{})
		if err != nil {
			return err
		}
		d.schemas[id] = schema
	}
	return avro.Unmarshal(schema, body, into)
}

// line is what is printed of a record.
type line struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Offset    int64          `json:"offset"`
	Key       string         `json:"key"`
	Op        string         `json:"op,omitempty"`
	Row       map[string]any `json:"row,omitempty"`
	Event     any            `json:"event,omitempty"`
}

func (d *decoder) line(ctx context.Context, record *kgo.Record, topic topic) (line, error) {
	line := line{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset}
	var err error
	switch topic.kind {
	case "outbox":
		line.Key = string(record.Key)
		line.Event, err = d.outbox(ctx, record, topic)
	default:
		err = d.table(ctx, record, topic, &line)
	}
	return line, err
}

// table reads an event of a table: its key, and the row that it left behind.
func (d *decoder) table(ctx context.Context, record *kgo.Record, topic topic, line *line) error {
	if topic.format == "json" {
		// key_format = "string": the key is the column's text.
		line.Key = string(record.Key)
	} else {
		var key struct {
			ID int64 `avro:"id"`
		}
		if err := d.avro(ctx, record.Key, &key); err != nil {
			return err
		}
		line.Key = fmt.Sprint(key.ID)
	}
	if record.Value == nil {
		line.Op = "tombstone"
		return nil
	}
	switch topic.kind {
	case "debezium":
		var event Event[Debezium]
		err := d.avro(ctx, record.Value, &event)
		line.Op, line.Row = event.Op, cells(event.After)
		if err == nil && d.without == "pointer" && event.After != nil {
			var event Event[badly]
			err = d.avro(ctx, record.Value, &event)
			line.Row["amount"] = cells(event.After)["amount"]
		}
		return err
	case "avro":
		var event Event[Avro]
		err := d.avro(ctx, record.Value, &event)
		line.Op, line.Row = event.Op, cells(event.After)
		return err
	case "json":
		var event Event[JSON]
		err := json.Unmarshal(record.Value, &event)
		line.Op, line.Row = event.Op, cells(event.After)
		return err
	}
	return fmt.Errorf("nothing is known of %q", topic.kind)
}

// OrderPlaced is what an outbox event of the schema order_placed holds.
type OrderPlaced struct {
	Order    int64    `avro:"order" json:"order"`
	Customer string   `avro:"customer" json:"customer"`
	Total    float64  `avro:"total" json:"total"`
	Lines    []string `avro:"lines" json:"lines"`
	Note     *string  `avro:"note" json:"note"`
}

// outbox reads an outbox event: its id, and the payload.
func (d *decoder) outbox(ctx context.Context, record *kgo.Record, topic topic) (any, error) {
	event := map[string]any{}
	for _, header := range record.Headers {
		if header.Key == "id" {
			event["id"] = string(header.Value)
		}
	}
	if topic.format == "json" {
		event["payload"] = json.RawMessage(record.Value)
		return event, nil
	}
	var payload OrderPlaced
	err := d.avro(ctx, record.Value, &payload)
	event["payload"] = payload
	return event, err
}

func versions() string {
	info, _ := debug.ReadBuildInfo()
	var named []string
	for _, module := range info.Deps {
		switch module.Path {
		case "github.com/twmb/franz-go", "github.com/twmb/franz-go/pkg/sr", "github.com/hamba/avro/v2":
			name := strings.TrimSuffix(strings.TrimPrefix(module.Path, "github.com/"), "/v2")
			named = append(named, name+" "+strings.TrimPrefix(module.Version, "v"))
		}
	}
	return strings.Join(named, ", ")
}
