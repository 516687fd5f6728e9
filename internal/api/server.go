package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// Server serves a Backend on a listener. Safe for concurrent use.
type Server struct {
	backend Backend
	http    *http.Server
	slots   chan struct{} // one per request in progress
	done    chan struct{} // closed when Serve has returned
}

// NewServer starts serving backend on l. Close closes l.
func NewServer(l net.Listener, backend Backend, log *slog.Logger) *Server {
	s := &Server{backend: backend, slots: make(chan struct{}, maxRequests), done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin socket failed and is closed", "err", err)
		}
	}()
	return s
}

// Close stops the server. Requests in progress may finish until ctx ends; then their
// connections are closed.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.done
	return err
}

// unary is an operation with one answer; nil means an empty one.
type unary func(ctx context.Context, r request) (any, error)

// stream is an operation that answers with items.
type stream func(ctx context.Context, r request, emit func(any) error) error

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	s.profiles(mux)
	for op, h := range s.unaries() {
		mux.Handle("POST "+pathPrefix+op, s.bounded(func(w http.ResponseWriter, r *http.Request, args request) {
			answer, err := h(r.Context(), args)
			if err != nil {
				writeFailure(w, err)
				return
			}
			if answer == nil {
				answer = struct{}{}
			}
			writeJSON(w, http.StatusOK, answer)
		}))
	}
	for op, h := range s.streams() {
		mux.Handle("POST "+pathPrefix+op, s.bounded(func(w http.ResponseWriter, r *http.Request, args request) {
			writeStream(w, func(emit func(any) error) error { return h(r.Context(), args, emit) })
		}))
	}
	return mux
}

// profiles serves the runtime's profiles under /debug/pprof/. They show the memory of the
// process, so only the admin socket serves them.
func (s *Server) profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// bounded takes a slot for the request and parses its arguments.
func (s *Server) bounded(next func(http.ResponseWriter, *http.Request, request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		default:
			writeFailure(w, ErrBusy)
			return
		}
		var args request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&args); err != nil {
			var big *http.MaxBytesError
			if errors.As(err, &big) {
				writeFailure(w, Errorf(CodeTooLarge, "the request has more than %d bytes", big.Limit))
				return
			}
			writeFailure(w, Errorf(CodeInvalid, "the request is not valid JSON: %v", err))
			return
		}
		if err := args.check(); err != nil {
			writeFailure(w, err)
			return
		}
		// The request has been read; write timeouts bound the rest.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		next(w, r, args)
	})
}

func (s *Server) unaries() map[string]unary {
	b := s.backend
	return map[string]unary{
		opIdentity:        func(ctx context.Context, _ request) (any, error) { return b.Identity(ctx) },
		opStatus:          func(ctx context.Context, _ request) (any, error) { return b.Status(ctx) },
		opHealth:          func(ctx context.Context, _ request) (any, error) { return b.Health(ctx) },
		opOverview:        func(ctx context.Context, _ request) (any, error) { return b.Overview(ctx) },
		opTable:           func(ctx context.Context, _ request) (any, error) { return b.Table(ctx) },
		opPeers:           func(ctx context.Context, _ request) (any, error) { return b.Peers(ctx) },
		opUsage:           func(ctx context.Context, _ request) (any, error) { return b.Usage(ctx) },
		opPut:             func(ctx context.Context, r request) (any, error) { return b.Put(ctx, r.Key, r.Value, r.TTL) },
		opGet:             func(ctx context.Context, r request) (any, error) { return b.Get(ctx, r.Key, r.Quorum) },
		opUnpublish:       func(ctx context.Context, r request) (any, error) { return nil, b.Unpublish(ctx, r.Key) },
		opProvide:         func(ctx context.Context, r request) (any, error) { return b.Provide(ctx, r.Key) },
		opUnprovide:       func(ctx context.Context, r request) (any, error) { return nil, b.Unprovide(ctx, r.Key) },
		opProvideLater:    ofKeys(b.ProvideLater),
		opUnprovideAll:    ofKeys(b.UnprovideAll),
		opFindPeer:        func(ctx context.Context, r request) (any, error) { return b.FindPeer(ctx, r.Peer) },
		opClosest:         func(ctx context.Context, r request) (any, error) { return b.Closest(ctx, r.Key) },
		opPing:            func(ctx context.Context, r request) (any, error) { return b.Ping(ctx, r.Peer) },
		opExplain:         func(ctx context.Context, r request) (any, error) { return b.Explain(ctx, r.Lookup, r.Key) },
		opRepublishStatus: func(ctx context.Context, _ request) (any, error) { return b.RepublishStatus(ctx) },
		opRepublishNow:    func(ctx context.Context, _ request) (any, error) { return nil, b.RepublishNow(ctx) },
		opLogLevels:       func(ctx context.Context, _ request) (any, error) { return b.LogLevels(ctx) },
		opSetLogLevel: func(ctx context.Context, r request) (any, error) {
			return nil, b.SetLogLevel(ctx, r.Subsystem, r.Level)
		},
	}
}

// ofKeys is an operation on at most MaxKeys keys.
func ofKeys[T any](op func(context.Context, [][]byte) (T, error)) unary {
	return func(ctx context.Context, r request) (any, error) {
		if len(r.Keys) > MaxKeys {
			return nil, Errorf(CodeTooLarge, "%d keys in one request; at most %d", len(r.Keys), MaxKeys)
		}
		return op(ctx, r.Keys)
	}
}

func (s *Server) streams() map[string]stream {
	b := s.backend
	return map[string]stream{
		opProvides: func(ctx context.Context, _ request, emit func(any) error) error {
			return b.Provides(ctx, func(p Published) error { return emit(p) })
		},
		opFindProviders: func(ctx context.Context, r request, emit func(any) error) error {
			return b.FindProviders(ctx, r.Key, r.Count, func(p Peer) error { return emit(p) })
		},
		opTraces: func(ctx context.Context, r request, emit func(any) error) error {
			return b.Traces(ctx, min(r.Count, MaxTraces), func(t Trace) error { return emit(t) })
		},
		opBackup: func(ctx context.Context, _ request, emit func(any) error) error {
			return b.Backup(ctx, chunkWriter{emit})
		},
		opDebugBundle: func(ctx context.Context, _ request, emit func(any) error) error {
			return b.DebugBundle(ctx, chunkWriter{emit})
		},
	}
}

// chunkWriter sends the bytes written to it as items.
type chunkWriter struct{ emit func(any) error }

// Write implements io.Writer.
func (w chunkWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), maxChunk)
		if err := w.emit(rest[:n]); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // it fails only if the client has disconnected
}

func writeFailure(w http.ResponseWriter, err error) {
	e := asError(err)
	writeJSON(w, cmp.Or(statuses[e.Code], http.StatusInternalServerError), failure{e})
}

// writeStream answers with JSON lines: the items as they arrive, then the end.
func writeStream(w http.ResponseWriter, run func(emit func(any) error) error) {
	rc := http.NewResponseController(w)
	out := json.NewEncoder(w)
	send := func(v any) error {
		if err := rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if err := out.Encode(v); err != nil {
			return err
		}
		return rc.Flush()
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	err := run(func(item any) error {
		raw, err := json.Marshal(item)
		if err != nil {
			return err
		}
		return send(line{Item: raw})
	})
	if err != nil {
		_ = send(line{Error: asError(err)})
		return
	}
	_ = send(line{End: true})
}
