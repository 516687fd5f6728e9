package delegated

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// retryAfter is when to ask again while nobody can be asked, in seconds: twice the time
// after which a node that has lost its peers tries again (dht.IsolatedRetry).
const retryAfter = "10"

// statusClientGone is counted for a client that has not waited for its answer: no
// status of HTTP means it, and proxies count it as this (nginx).
const statusClientGone = 499

// answer is the response to one request, to which boxo's server writes. Of a router's
// results that server knows 200 and 500 only: answer puts the right status in the place
// of 500, and sets the headers that depend on it.
type answer struct {
	http.ResponseWriter
	log   *slog.Logger
	scope wire.Scope // of the addresses that may be told
	head  bool       // the body is left out

	failed  atomic.Pointer[error] // why the node has nothing to tell
	begun   bool
	refused bool // the error has been written; what boxo has to say is left out
}

// answerKey is where the context of a request has its answer.
type answerKey struct{}

func withAnswer(ctx context.Context, a *answer) context.Context {
	return context.WithValue(ctx, answerKey{}, a)
}

func answerOf(ctx context.Context) *answer { return ctx.Value(answerKey{}).(*answer) }

// fail notes that the node could not answer, unless nothing was found, which is an
// answer, and returns err.
func (a *answer) fail(err error) error {
	if err != nil && !errors.Is(err, node.ErrNotFound) {
		a.failed.Store(&err)
	}
	return err
}

// problem is the status and the text for an error of the node. The error's own text is
// not shown: it may contain addresses.
func problem(err error) (code int, text string) {
	switch {
	case errors.Is(err, records.ErrOlder):
		return http.StatusConflict, "a newer record is known here"
	case errors.Is(err, records.ErrTooLarge):
		return http.StatusRequestEntityTooLarge, "the record is too large"
	case errors.Is(err, node.ErrInvalidKey):
		return http.StatusBadRequest, "this network does not take such keys"
	case errors.Is(err, node.ErrNoAnswer), errors.Is(err, node.ErrClosed):
		return http.StatusServiceUnavailable, "no peer could be asked"
	case errors.Is(err, dht.ErrBusy), errors.Is(err, records.ErrBusy):
		return http.StatusServiceUnavailable, "the node is busy"
	case errors.Is(err, node.ErrNotTaken):
		return http.StatusBadGateway, "no peer took the record"
	case errors.Is(err, context.Canceled):
		return statusClientGone, "the client has gone"
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "the request took more than " + LookupTimeout.String()
	}
	return http.StatusInternalServerError, "the node failed"
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	if a.begun {
		return
	}
	a.begun = true
	if err := a.failed.Load(); err != nil {
		a.refuse(*err)
		return
	}
	h := a.Header()
	switch kept := h.Get("Cache-Control"); {
	case code >= http.StatusBadRequest:
		h.Set("Cache-Control", "no-store")
	case a.scope != wire.ScopePublic:
		h.Set("Cache-Control", strings.Replace(kept, "public", "private", 1))
	}
	a.ResponseWriter.WriteHeader(code)
}

// refuse answers with the error in place of what boxo's server has to say.
func (a *answer) refuse(err error) {
	a.refused = true
	code, text := problem(err)
	h := a.Header()
	for _, name := range []string{"Etag", "Expires", "Last-Modified", "Content-Disposition"} {
		h.Del(name)
	}
	switch code {
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		h.Set("Retry-After", retryAfter)
	case http.StatusInternalServerError:
		a.log.Warn("a request for delegated routing failed", "err", err)
	}
	w := a.ResponseWriter
	if a.head {
		w = bodiless{w}
	}
	refuse(w, code, text)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.head || a.refused {
		return len(p), nil
	}
	return a.ResponseWriter.Write(p)
}

// Flush implements http.Flusher: records are sent as they are found.
func (a *answer) Flush() {
	if f, ok := a.ResponseWriter.(http.Flusher); ok && a.begun {
		f.Flush()
	}
}

// end completes an answer to which boxo's server has written nothing.
func (a *answer) end() { a.WriteHeader(http.StatusOK) }

// bodiless drops the body of an answer to HEAD.
type bodiless struct{ http.ResponseWriter }

func (bodiless) Write(p []byte) (int, error) { return len(p), nil }
