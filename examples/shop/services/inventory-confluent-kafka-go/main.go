// Counts how many units of each product are reserved by orders, from the events of the shop's outbox.
//
// It counts each event exactly once: what an event changes, its id, and the offset behind it are written
// in one transaction of a database of its own (SQLite, in --store). Kafka is not told of offsets at all. So
// it may be killed at any moment, and goes on with what it has not counted yet.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	bootstrap := flag.String("bootstrap", "127.0.0.1:9092", "Kafka")
	registry := flag.String("registry", "http://127.0.0.1:8081", "the schema registry")
	port := flag.Int("port", 8001, "of GET /state")
	folder := flag.String("store", "store", "a folder for its database")
	flag.Parse()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		check(fmt.Errorf("%w; see --port", err))
	}
	store, err := openStore(*folder)
	if err != nil {
		check(fmt.Errorf("cannot write to %s: %w; see --store", *folder, err))
	}
	http.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		state, err := store.state()
		check(err)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, state)
	})
	go func() { check(http.Serve(listener, nil)) }()
	go func() { check(follow(*bootstrap, *registry, store)) }()
	// What is not in the store yet comes again, so there is nothing to be put in order at the end.
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	<-stopped
}

func check(err error) {
	if err != nil {
		say(err)
		os.Exit(1)
	}
}

func say(what any) { fmt.Fprintln(os.Stderr, "inventory-confluent-kafka-go:", what) }
