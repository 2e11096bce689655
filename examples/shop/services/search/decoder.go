package main

import (
	"context"
	"fmt"

	"github.com/hamba/avro/v2"
	"github.com/twmb/franz-go/pkg/sr"
)

// decoder reads Avro by the schemas that the records name, each of which it asks for once.
type decoder struct {
	url      string
	registry *sr.Client
	schemas  map[int]avro.Schema
}

func newDecoder(url string) (*decoder, error) {
	registry, err := sr.NewClient(sr.URLs(url))
	return &decoder{url, registry, map[int]avro.Schema{}}, err
}

func (d *decoder) decode(data []byte, into any) error {
	id, body, err := new(sr.ConfluentHeader).DecodeID(data)
	if err != nil {
		return err
	}
	schema, known := d.schemas[id]
	if !known {
		if schema, err = d.schema(id); err != nil {
			return err
		}
		d.schemas[id] = schema
	}
	return avro.Unmarshal(schema, body, into)
}

func (d *decoder) schema(id int) (avro.Schema, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := d.registry.SchemaByID(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("the registry does not answer at %s", d.url)
	}
	// A cache for each: two versions of a schema have records of one name.
	return avro.ParseWithCache(text.Schema, "", &avro.SchemaCache{})
}
