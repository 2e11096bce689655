// Searches the shop's products, of which it knows from their table's topic alone.
//
// It reads the topic from the beginning at each start and keeps the products in memory. So there are no
// offsets to be committed, and it may be killed at any moment. It does nothing with --store.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	bootstrap := flag.String("bootstrap", "127.0.0.1:9092", "Kafka")
	registry := flag.String("registry", "http://127.0.0.1:8081", "the schema registry")
	port := flag.Int("port", 8002, "of GET /search?q=TEXT and GET /state")
	flag.String("store", "", "as other services have; not used here")
	flag.Parse()
	catalog := newCatalog()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		fail(fmt.Errorf("%w; see --port", err))
	}
	go func() { fail(http.Serve(listener, handler(catalog))) }()
	go func() { fail(follow(*bootstrap, *registry, catalog)) }()
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, os.Interrupt, syscall.SIGTERM)
	<-stopped
}

func handler(catalog *catalog) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		type found struct {
			ID    int64  `json:"id"`
			Name  string `json:"name"`
			Price string `json:"price"`
		}
		products := []found{}
		for _, product := range catalog.search(r.URL.Query().Get("q")) {
			products = append(products, found{product.ID, product.Name, product.price()})
		}
		answer(w, map[string]any{"products": products})
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		products := map[int64][2]string{}
		for _, product := range catalog.search("") {
			products[product.ID] = [2]string{product.Name, product.price()}
		}
		answer(w, map[string]any{"events": catalog.count(), "products": products})
	})
	return mux
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}

func fail(err error) {
	say(err.Error())
	os.Exit(1)
}

func say(line string) { fmt.Fprintln(os.Stderr, "search:", line) }
