package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds of the metrics and health listener.
const (
	webTimeout    = 10 * time.Second // to read a request
	scrapeTimeout = 30 * time.Second // to answer one
)

// anyLocalPort listens on a free port for this machine only.
const anyLocalPort = "127.0.0.1:0"

// web serves metrics and health over HTTP.
type web struct {
	server *http.Server
	addr   string // host:port it listens on
	done   chan struct{}
}

// check answers a health request: nil is healthy.
type check func(context.Context) error

func newWeb(listen string, log *slog.Logger, metrics http.Handler, healthy, ready check) (*web, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("daemon: metrics listener: %w; choose another address with metrics.listen, or \"off\"", err)
	}
	mux := http.NewServeMux()
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	mux.Handle("GET /healthz", answer(healthy))
	mux.Handle("GET /readyz", answer(ready))
	w := &web{
		addr: l.Addr().String(),
		done: make(chan struct{}),
		server: &http.Server{
			Handler: mux, ReadTimeout: webTimeout, WriteTimeout: scrapeTimeout,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
	}
	go func() {
		defer close(w.done)
		if err := w.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the metrics listener failed", "error", err)
		}
	}()
	return w, nil
}

func (w *web) close(ctx context.Context) error {
	err := w.server.Shutdown(ctx)
	if err != nil { // a scrape hangs: cut it
		err = w.server.Close()
	}
	<-w.done
	return err
}

func answer(c check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), webTimeout)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := c(ctx); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}
