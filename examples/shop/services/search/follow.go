package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	topic = "shop.public.shop_product"
	// How long Kafka may take to answer.
	patience = 5 * time.Second
)

// follow keeps the catalog up to date for ever. What does not work is tried again.
func follow(bootstrap, registry string, catalog *catalog) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(bootstrap, ",")...),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// franz-go's default also reads records of transactions that were aborted: changes that were never
		// published, or that come again.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// A topic that is not there yet is looked for so often.
		kgo.MetadataMaxAge(patience),
		kgo.MetadataMinAge(time.Second),
	)
	if err != nil {
		return err
	}
	decoder, err := newDecoder(registry)
	if err != nil {
		return err
	}
	isCalm := true
	report := func(err error) {
		if err != nil && isCalm {
			say(err.Error() + "; trying again")
		}
		isCalm = err == nil
	}
	for {
		records, err := poll(client, bootstrap)
		report(err)
		for _, record := range records {
			// None is left out, however long the registry does not answer.
			for err := catalog.apply(decoder, record); err != nil; err = catalog.apply(decoder, record) {
				report(err)
				time.Sleep(time.Second)
			}
		}
	}
}

// poll returns the next records, and says what is wrong.
func poll(client *kgo.Client, bootstrap string) ([]*kgo.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fetches := client.PollFetches(ctx)
	err := fetches.Err()
	if err == nil {
		return fetches.Records(), nil
	}
	// Nothing new, or no Kafka? franz-go tries for ever and does not tell.
	if trouble := ask(client, bootstrap); trouble != nil {
		return fetches.Records(), trouble
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fetches.Records(), nil
	}
	// As that we may not read, or that records are gone which we have not read.
	return fetches.Records(), fmt.Errorf("Kafka says of %s: %w", topic, err)
}

// ask asks Kafka for the topic.
func ask(client *kgo.Client, bootstrap string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	request.Topics = append(request.Topics, wanted)
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		return fmt.Errorf("Kafka does not answer at %s", bootstrap)
	}
	switch err := kerr.ErrorForCode(answer.Topics[0].ErrorCode); err {
	case nil:
		return nil
	case kerr.UnknownTopicOrPartition:
		return fmt.Errorf("Kafka has no topic %s yet", topic)
	default:
		return fmt.Errorf("Kafka says of %s: %w", topic, err)
	}
}
