package events

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
)

// Record is a Kafka record, of whatever client.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
	Headers   map[string][]byte
}

// Decoder reads Avro by the schemas that the records name, each of which it asks for once.
type Decoder struct {
	registry *sr.Client
	schemas  map[int]avro.Schema
	given    Given
}

// NewDecoder is one for the topics that are given.
func NewDecoder(given Given) (*Decoder, error) {
	registry, err := sr.NewClient(sr.URLs(given.Registry))
	return &Decoder{registry, map[int]avro.Schema{}, given}, err
}

// avro decodes bytes in Confluent's framing.
func (d *Decoder) avro(ctx context.Context, data []byte, into any) error {
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

// Line is what is printed of a record.
type Line struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Offset    int64          `json:"offset"`
	Key       string         `json:"key"`
	Op        string         `json:"op,omitempty"`
	Row       map[string]any `json:"row,omitempty"`
	Event     any            `json:"event,omitempty"`
}

// Line decodes a record.
func (d *Decoder) Line(ctx context.Context, record Record) (Line, error) {
	line := Line{Topic: record.Topic, Partition: record.Partition, Offset: record.Offset}
	topic := d.given.Topics[record.Topic]
	var err error
	switch topic.Kind {
	case "outbox":
		line.Key = string(record.Key)
		line.Event, err = d.outbox(ctx, record, topic)
	default:
		err = d.table(ctx, record, topic, &line)
	}
	if err != nil {
		err = fmt.Errorf("%s %d at %d: %w", record.Topic, record.Partition, record.Offset, err)
	}
	return line, err
}

// table reads an event of a table: its key, and the row that it left behind.
func (d *Decoder) table(ctx context.Context, record Record, topic Topic, line *Line) error {
	if topic.Format == "json" {
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
	switch topic.Kind {
	case "debezium":
		var event Event[Debezium]
		err := d.avro(ctx, record.Value, &event)
		line.Op, line.Row = event.Op, cells(event.After)
		if err == nil && d.given.Without == "pointer" && event.After != nil {
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
	return fmt.Errorf("nothing is known of %q", topic.Kind)
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
func (d *Decoder) outbox(ctx context.Context, record Record, topic Topic) (any, error) {
	event := map[string]any{"id": string(record.Headers["id"]), "payload": nil}
	// A tombstone.
	if record.Value == nil {
		return event, nil
	}
	if topic.Format == "json" {
		event["payload"] = json.RawMessage(record.Value)
		return event, nil
	}
	var payload OrderPlaced
	err := d.avro(ctx, record.Value, &payload)
	event["payload"] = payload
	return event, err
}

// Versions names those of these packages that the program has, with their versions.
func Versions(packages ...string) string {
	info, _ := debug.ReadBuildInfo()
	var named []string
	for _, module := range info.Deps {
		for _, wanted := range packages {
			if module.Path == wanted {
				name := strings.TrimSuffix(strings.TrimPrefix(module.Path, "github.com/"), "/v2")
				named = append(named, name+" "+strings.TrimPrefix(module.Version, "v"))
			}
		}
	}
	return strings.Join(named, ", ")
}
