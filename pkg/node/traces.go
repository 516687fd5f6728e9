package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Limits of the traces that are kept.
const (
	// maxTraces limits their number: hours of a quiet node, minutes of a busy one.
	maxTraces = 1000
	// maxTraceBytes limits the memory of all traces. A lookup that asks 35 peers takes
	// 7.3 KB, so maxTraces of them fit.
	maxTraceBytes = 12 << 20
	// maxTraceError limits the text of one error in bytes: libp2p's names every address
	// that was dialled.
	maxTraceError = 300
)

// errNoTrace is returned by Explain if the node keeps no traces or is closed.
var errNoTrace = errors.New("explain: no trace was kept")

// traces holds the traces of the last queries. Safe for concurrent use.
type traces struct {
	mu    sync.Mutex
	kept  []*dht.Trace // oldest first
	bytes int          // of all traces in kept
}

// add adds a trace and drops the oldest ones beyond the limits.
func (t *traces) add(x *dht.Trace) {
	x.Steps = slices.Clone(x.Steps) // without the unused capacity
	for i := range x.Steps {
		if err := x.Steps[i].Err; err != nil {
			x.Steps[i].Err = shortError(err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, x)
	t.bytes += traceSize(x)
	for len(t.kept) > maxTraces || t.bytes > maxTraceBytes {
		t.bytes -= traceSize(t.kept[0])
		t.kept[0] = nil
		t.kept = t.kept[1:]
	}
}

// traceSize returns the memory that a trace takes, in bytes.
func traceSize(x *dht.Trace) int {
	n := sizeOf[dht.Trace]() + len(x.Key) + len(x.Value)
	for i := range x.Closest {
		n += sizeOf[kad.Peer]() + len(x.Closest[i].ID)
	}
	for i := range x.Steps {
		n += sizeOf[dht.Step]() + len(x.Steps[i].Peer.ID)
		if err := x.Steps[i].Err; err != nil {
			n += sizeOf[string]() + len(err.Error())
		}
	}
	for i := range x.Found {
		n += sizeOf[wire.Peer]() + len(x.Found[i].ID)
		for _, a := range x.Found[i].Addrs {
			n += sizeOf[[]byte]() + len(a)
		}
	}
	return n
}

// sizeOf returns the size of a T in bytes, without what it refers to.
func sizeOf[T any]() int { return int(reflect.TypeFor[T]().Size()) }

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

// shortError returns an error with the text of err on one line of limited length. It does
// not keep err, because libp2p's errors refer to much memory.
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

// Traces returns the traces of the last count queries that ended, newest first. The node
// keeps up to 1,000, and up to 12 MiB of them, if Config.DHT.Trace is set.
func (n *Node) Traces(count int) []*dht.Trace { return n.traces.last(count) }

// Explain runs the same lookup as Get, Providers, FindPeer or Closest and returns its
// trace, whatever it found. Config.DHT.Trace must be set. Errors: those of a bad key, that
// of ctx, ErrClosed.
func (n *Node) Explain(ctx context.Context, kind dht.QueryKind, key []byte) (*dht.Trace, error) {
	q := dht.Query{Kind: kind, Key: key}
	if err := n.checkLookup(&q); err != nil {
		return nil, err
	}
	w, id, err := n.begin(q.Kind, starting(q))
	if err != nil {
		return nil, err
	}
	_, err = n.wait(ctx, id, w, resultOnly)
	select {
	case <-w.done:
	default:
		return nil, err // ctx ended first
	}
	if w.trace == nil {
		return nil, errors.Join(errNoTrace, err)
	}
	return w.trace, nil // a failure is in the trace
}

// checkLookup refuses the keys that the lookup would refuse, and adds the local value to a
// query for a value.
func (n *Node) checkLookup(q *dht.Query) error {
	switch q.Kind {
	case dht.FindValue:
		if _, ok := n.valid.of(string(q.Key)); !ok {
			return fmt.Errorf("%w: %.64q is in no namespace this node accepts (%s)", ErrInvalidKey, q.Key, n.valid.names())
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
		return fmt.Errorf("explain: %s is not a lookup", q.Kind)
	}
	return nil
}
