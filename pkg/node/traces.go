package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// Bounds of the traces that are kept.
const (
	// maxTraces: a quiet node's hours, a busy one's minutes; about 3 MB.
	maxTraces = 1000
	// maxTraceSteps bounds the steps of all of them together, 120 bytes each: 64
	// for each query, several times what one takes.
	maxTraceSteps = 64 * maxTraces
	// maxTraceError bounds the text of one error in bytes: libp2p lists every
	// address that it dialled.
	maxTraceError = 300
)

// errNoTrace is returned by Explain of a node that keeps no traces, or is closed.
var errNoTrace = errors.New("node: explain: no trace was kept")

// traces are the stories of the last queries. Safe for concurrent use.
type traces struct {
	mu    sync.Mutex
	kept  []*dht.Trace // oldest first
	steps int          // of all kept
}

// add keeps a trace and forgets the oldest beyond the bounds.
func (t *traces) add(x *dht.Trace) {
	for i := range x.Steps {
		if err := x.Steps[i].Err; err != nil {
			x.Steps[i].Err = shortError(err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, x)
	t.steps += len(x.Steps)
	for len(t.kept) > maxTraces || t.steps > maxTraceSteps {
		t.steps -= len(t.kept[0].Steps)
		t.kept[0] = nil
		t.kept = t.kept[1:]
	}
}

// last returns up to n traces, newest first.
func (t *traces) last(n int) []*dht.Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	n = min(max(n, 0), len(t.kept))
	out := make([]*dht.Trace, 0, n)
	for i := len(t.kept) - 1; len(out) < n; i-- {
		out = append(out, t.kept[i])
	}
	return out
}

// shortError is an error on one line of bounded length, without what it refers
// to: errors of libp2p hold on to much.
func shortError(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	var dial *rpc.DialError
	if errors.As(err, &dial) {
		text = dial.Reasons.String()
	}
	if len(text) > maxTraceError {
		text = strings.ToValidUTF8(text[:maxTraceError], "") + "..."
	}
	return errors.New(text)
}

// Traces returns the stories of up to n queries that ended last, newest first. The
// node keeps them if Config.DHT.Trace is set, maxTraces at most.
func (n *Node) Traces(count int) []*dht.Trace { return n.traces.last(count) }

// Explain runs the lookup that Get, Providers, FindPeer or Closest would, and
// returns its story whatever it found. The node must have Config.DHT.Trace set. Errors:
// those of a bad key, of ctx if it ended first, and ErrClosed.
func (n *Node) Explain(ctx context.Context, kind dht.QueryKind, key []byte) (*dht.Trace, error) {
	q := dht.Query{Kind: kind, Key: key}
	if err := n.checkLookup(&q); err != nil {
		return nil, err
	}
	w, id, err := n.begin(q)
	if err != nil {
		return nil, err
	}
	_, err = n.wait(ctx, id, w, resultOnly)
	select {
	case <-w.done:
	default:
		return nil, err // the caller's time was over first
	}
	if w.trace == nil {
		return nil, errors.Join(errNoTrace, err)
	}
	return w.trace, nil // it says what went wrong, if anything did
}

// checkLookup refuses keys that the lookup would, and adds what a lookup of a
// value starts with.
func (n *Node) checkLookup(q *dht.Query) error {
	switch q.Kind {
	case dht.FindValue:
		if _, ok := n.valid.of(string(q.Key)); !ok {
			return fmt.Errorf("%w: %.64q is in no namespace this network takes (%s)", ErrInvalidKey, q.Key, n.valid.names())
		}
		local, err := n.localValue(q.Key)
		q.Value = local
		return err
	case dht.FindProviders:
		if len(q.Key) == 0 || len(q.Key) > records.MaxKeyLen {
			return ErrKeyLength
		}
	case dht.FindPeer, dht.FindClosest:
		if len(q.Key) == 0 {
			return fmt.Errorf("%w: empty", ErrInvalidKey)
		}
	default:
		return fmt.Errorf("node: explain: %s is no lookup", q.Kind)
	}
	return nil
}
