// A Mercure hub over its library: its own command cannot be installed by path.
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/dunglas/mercure"
)

// Guards a benchmark on loopback; the token in dialect.toml is signed with it.
const key = "a key that only guards a benchmark on loopback"

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: peer-mercure <address:port> <folder>")
	}
	subscribers := mercure.NewSubscriberList(1_000)
	logger := slog.New(slog.DiscardHandler)
	file := filepath.Join(os.Args[2], "mercure.db")
	transport, err := mercure.NewBoltTransport(subscribers, logger, file, "", 0, 0)
	if err != nil {
		log.Fatal(err)
	}
	hub, err := mercure.NewHub(
		context.Background(),
		mercure.WithAnonymous(),
		mercure.WithPublisherJWT([]byte(key), "HS256"),
		mercure.WithTransport(transport),
		mercure.WithLogger(logger),
	)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/.well-known/mercure", hub)
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
