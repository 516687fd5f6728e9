package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

// lookups are the lookups that can be explained.
var lookups = map[string]dht.QueryKind{
	api.LookupGet:           dht.FindValue,
	api.LookupFindProviders: dht.FindProviders,
	api.LookupFindPeer:      dht.FindPeer,
	api.LookupClosest:       dht.FindClosest,
}

// Explain implements api.Backend.
func (b *Backend) Explain(ctx context.Context, lookup string, key []byte) (api.Trace, error) {
	kind, ok := lookups[lookup]
	if !ok {
		return api.Trace{}, api.Errorf(api.CodeInvalid, "%q is not a lookup; lookups are get, find-providers, find-peer and closest", lookup)
	}
	t, err := b.node.Explain(ctx, kind, key)
	if err != nil {
		return api.Trace{}, b.keyError(key, err)
	}
	return b.apiTrace(t), nil
}

// Traces implements api.Backend.
func (b *Backend) Traces(ctx context.Context, count int, fn func(api.Trace) error) error {
	for _, t := range b.node.Traces(count) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(b.apiTrace(t)); err != nil {
			return err
		}
	}
	return nil
}

// traceOf returns the trace of a query; ok is false if it is not kept any more.
func (b *Backend) traceOf(id uint64) (trace api.Trace, ok bool) {
	for _, t := range b.node.Traces(api.MaxTraces) {
		if uint64(t.Query) == id {
			return b.apiTrace(t), true
		}
	}
	return api.Trace{}, false
}

// publicTrace is traceOf without the value, for the metrics listener: whoever reaches that may
// not read values.
func (b *Backend) publicTrace(id uint64) (trace api.Trace, ok bool) {
	trace, ok = b.traceOf(id)
	trace.Value = nil
	return trace, ok
}

func (b *Backend) apiTrace(t *dht.Trace) api.Trace {
	out := api.Trace{
		ID: uint64(t.Query), Kind: t.Stats.Kind.String(), Key: t.Key, Target: fmt.Sprintf("%x", t.Target[:]),
		Started: t.Started, Scheduled: t.Stats.Scheduled, Outcome: t.Stats.Outcome.String(), End: t.End.String(),
		TookMs: milliseconds(t.Stats.Duration), LookupMs: milliseconds(t.Looked),
		Seeds: t.Seeds, Asked: t.Stats.Asked, Responded: t.Stats.Responded, Failed: t.Stats.Failed, Hops: t.Stats.Hops,
		StoredAt: t.Stats.StoredAt, StoreSent: t.Stats.StoreSent,
		Value: t.Value, ValueBytes: t.ValueSize, OwnValue: t.OwnValue, FoundPeers: t.FoundAll,
		Steps: make([]api.TraceStep, len(t.Steps)), Omitted: t.Omitted,
	}
	for _, p := range t.Found {
		out.Found = append(out.Found, apiPeer(peer.AddrInfo{ID: peer.ID(p.ID), Addrs: rpc.Multiaddrs(p.Addrs)}))
	}
	rank := make(map[kad.PeerID]int, len(t.Closest))
	for i, p := range t.Closest {
		rank[p.ID] = i + 1
	}
	for i := range t.Steps {
		out.Steps[i] = b.apiStep(t, &t.Steps[i])
		out.Steps[i].Rank = rank[t.Steps[i].Peer.ID]
	}
	return out
}

func (b *Backend) apiStep(t *dht.Trace, s *dht.Step) api.TraceStep {
	out := api.TraceStep{
		PeerID: peer.ID(s.Peer.ID).String(), Role: s.Role.String(), State: s.State.String(),
		Hop: int(s.Hop), CPL: kad.CommonPrefixLen(&t.Target, &s.Peer.Key),
		SentMs: milliseconds(s.Sent), SlowMs: milliseconds(s.Slow), EndedMs: milliseconds(s.Ended), RTTMs: milliseconds(s.RTT),
		Named: int(s.Named), New: int(s.New), Providers: int(s.Providers),
	}
	if conns := b.node.Host().Network().ConnsToPeer(peer.ID(s.Peer.ID)); len(conns) > 0 {
		out.Addr = conns[0].RemoteMultiaddr().String()
	}
	if s.Value != dht.ValueNone {
		out.Value = s.Value.String()
	}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	return out
}

// milliseconds returns a duration in milliseconds, rounded to the microsecond.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
