package main

import (
	"cmp"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// product is a row of the shop's table, of which we declare what we want.
type product struct {
	ID   int64  `avro:"id"`
	Name string `avro:"name"`
	// *big.Rat is right for a column that is NOT NULL. For one that may be null it is **big.Rat: into
	// *big.Rat hamba/avro would put 0, without an error.
	Price *big.Rat `avro:"price"`
}

func (p product) price() string { return p.Price.FloatString(2) }

// catalog holds the products as they are now.
type catalog struct {
	mutex    sync.RWMutex
	products map[int64]product
	events   int
}

func newCatalog() *catalog { return &catalog{products: map[int64]product{}} }

// apply makes the change that a record tells of. Applying one again does no harm: the last one of each
// key is what counts, and those of one key come in order.
func (c *catalog) apply(decoder *decoder, record *kgo.Record) error {
	// A TRUNCATE, which the shop does not do; docs/clients/exactly-once.md has what it takes.
	if record.Key == nil {
		return nil
	}
	var key struct {
		ID int64 `avro:"id"`
	}
	if err := decoder.decode(record.Key, &key); err != nil {
		return err
	}
	var event struct {
		After *product `avro:"after"`
	}
	// A tombstone, which follows a delete, has no value.
	if record.Value != nil {
		if err := decoder.decode(record.Value, &event); err != nil {
			return err
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.events++
	if event.After == nil {
		delete(c.products, key.ID)
	} else {
		c.products[key.ID] = *event.After
	}
	return nil
}

// search finds products by a part of their names.
func (c *catalog) search(text string) []product {
	c.mutex.RLock()
	defer c.mutex.RUnlock()
	found := []product{}
	for _, product := range c.products {
		if strings.Contains(strings.ToLower(product.Name), strings.ToLower(text)) {
			found = append(found, product)
		}
	}
	slices.SortFunc(found, func(a, b product) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

func (c *catalog) count() int {
	c.mutex.RLock()
	defer c.mutex.RUnlock()
	return c.events
}
