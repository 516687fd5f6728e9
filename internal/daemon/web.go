package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/delegated"
	"github.com/holdfast-dht/holdfast/internal/statuspage"
)

// Bounds of the HTTP listeners.
const (
	webTimeout    = 10 * time.Second // to read a request
	scrapeTimeout = 30 * time.Second // to answer a request for metrics
	lookupTimeout = time.Minute      // to answer a delegated routing request, including a slow reader
	webIdle       = time.Minute      // a connection without requests
	webHeaders    = 16 << 10         // bytes of a request's header, its first line included
	httpSlack     = 4 << 10          // bytes that net/http reads beyond MaxHeaderBytes
)

// anyLocalPort is a free port, reachable only from this machine.
const anyLocalPort = "127.0.0.1:0"

// web is one HTTP listener.
type web struct {
	server *http.Server
	addr   string // host:port it listens on
	done   chan struct{}
}

// newWeb serves handler at listen, the value of the configuration key.
func newWeb(key, listen string, log *slog.Logger, handler http.Handler, timeout time.Duration) (*web, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; choose another address, or \"off\"", key, err)
	}
	w := &web{
		addr: l.Addr().String(),
		done: make(chan struct{}),
		server: &http.Server{
			Handler: handler, ReadTimeout: webTimeout, WriteTimeout: timeout,
			IdleTimeout: webIdle, MaxHeaderBytes: webHeaders - httpSlack,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
	}
	go func() {
		defer close(w.done)
		if err := w.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("a listener failed and is closed", "key", key, "err", err)
		}
	}()
	return w, nil
}

func (w *web) close(ctx context.Context) error {
	err := w.server.Shutdown(ctx)
	if err != nil { // a request hangs: cut it
		err = w.server.Close()
	}
	<-w.done
	return err
}

// check answers a health request: nil is healthy.
type check func(context.Context) error

// answer serves a check. After "ok" it writes one line for each remark: a problem that
// does not make the node unhealthy.
func answer(c check, remarks ...func() []string) http.Handler {
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
		for _, remark := range remarks {
			got := make(chan []string, 1)
			if within(ctx, func() error { got <- remark(); return nil }) != nil {
				return // the node has just begun to hang
			}
			for _, line := range <-got {
				fmt.Fprintln(w, line)
			}
		}
	})
}

// startWeb opens the listener for metrics and health.
func (d *Daemon) startWeb() (err error) {
	if d.config.Metrics.Listen == config.Off {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", d.metrics.Handler())
	mux.Handle("GET /healthz", answer(d.Healthy, d.diskRemark))
	mux.Handle("GET /readyz", answer(d.Ready, d.warnings))
	statuspage.Register(mux, d.publicOverview, d.backend.publicTrace)
	const key = "metrics.listen"
	log := d.options.Logs.Logger("web")
	d.web, err = newWeb(key, d.config.Metrics.Listen, log, mux, scrapeTimeout)
	if errors.Is(err, syscall.EADDRINUSE) && d.loaded.Origin(key).Source == "" {
		// The port is the default, not a setting, so a second daemon on the machine may use
		// another.
		d.log.Warn("the default metrics port is taken; using a free one", "taken", d.config.Metrics.Listen)
		d.web, err = newWeb(key, anyLocalPort, log, mux, scrapeTimeout)
	}
	if err != nil {
		return err
	}
	d.closeWeb("metrics", d.web)
	d.log.Info("status page, metrics and health open", "url", "http://"+d.web.addr+"/")
	return nil
}

// startRouting opens the listener for delegated routing, if it is wanted.
func (d *Daemon) startRouting() (err error) {
	listen := d.config.RoutingAPI.Listen
	if listen == config.Off {
		return nil
	}
	log := d.options.Logs.Logger("routing")
	private := d.config.RoutingAPI.PrivateAddresses
	handler := delegated.Handler(d.node, d.metrics.Registerer(), delegated.Options{PrivateAddresses: private, Log: log})
	d.routing, err = newWeb("routing_api.listen", listen, log, handler, lookupTimeout)
	if err != nil {
		return err
	}
	d.closeWeb("delegated routing", d.routing)
	d.log.Info("delegated routing open", "url", "http://"+d.routing.addr+"/routing/v1", "private_addresses", private)
	return nil
}

func (d *Daemon) closeWeb(name string, w *web) {
	d.onClose(name, 2*closeRequests, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeRequests)
		defer cancel()
		return w.close(ctx)
	})
}
