package dht

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// mock drives a Machine with random inputs and tracks what a driver must track.
type mock struct {
	m        *Machine
	rng      *rand.Rand
	now      time.Time
	peers    []kad.Peer
	inflight []Send
	open     map[QueryID]bool
	trace    []Output
}

func newMock(seed uint64) *mock {
	rng := rand.New(rand.NewPCG(seed, 0))
	k := &mock{rng: rng, now: start, open: map[QueryID]bool{}}
	for i := range 300 {
		k.peers = append(k.peers, kad.NewPeer(kad.PeerID([]byte{byte(i), byte(i >> 8), 'p'})))
	}
	self := k.peers[0] // answers may name ourselves
	k.m = New(Config{Self: self, Heartbeat: true, Rand: rand.New(rand.NewPCG(seed, 1))})
	k.m.Restored(k.now, k.peers[:rng.IntN(50)])
	k.take()
	return k
}

func (k *mock) pick() kad.Peer { return k.peers[k.rng.IntN(len(k.peers))] }

func (k *mock) take() {
	out := k.m.Take()
	k.inflight = append(k.inflight, out.Send...)
	for _, id := range out.Cancel {
		k.inflight = slices.DeleteFunc(k.inflight, func(s Send) bool { return s.ID == id })
	}
	for _, r := range out.Done {
		delete(k.open, r.Query)
	}
	for _, it := range out.Load {
		var q *Query
		if k.rng.IntN(4) > 0 {
			q = &Query{Kind: StoreProvider, Key: []byte("k")}
		}
		k.m.Loaded(k.now, it, q, k.rng.IntN(8) == 0)
		k.take()
	}
	k.trace = append(k.trace, out)
}

// step makes one random input, then ends every request that has reached its deadline, as
// the driver's contract says.
func (k *mock) step() {
	switch k.rng.IntN(10) {
	case 8:
		k.m.Alive(k.now)
	case 9:
		k.m.Doubt(k.now)
	case 0:
		kind := QueryKind(k.rng.IntN(int(StoreProvider) + 1))
		id, err := k.m.Start(k.now, Query{Kind: kind, Key: []byte{byte(k.rng.IntN(256))}, Count: k.rng.IntN(3),
			Value: records.Value{Value: []byte("v"), Expires: k.now.Add(time.Hour)}})
		if err == nil {
			k.open[id] = true
		}
	case 1:
		k.m.PeerFound(k.now, k.pick(), k.rng.IntN(2) == 0)
	case 2:
		k.m.Scheduled(k.now, republish.Item{Key: k.pick().Key}, k.now.Add(time.Duration(k.rng.Int64N(1e12))), k.rng.IntN(2) == 0)
	case 3:
		k.now = k.now.Add(time.Duration(k.rng.Int64N(3e9)))
		k.m.Tick(k.now)
	case 4:
		k.m.PeerGone(k.now, k.pick())
	case 5:
		id := QueryID(k.rng.IntN(int(k.m.lastQuery) + 2))
		k.m.Cancel(k.now, id)
		delete(k.open, id)
	default:
		k.answer()
	}
	k.take()
	k.overdue()
}

func (k *mock) answer() {
	if len(k.inflight) == 0 {
		k.m.Responded(k.now, RequestID(k.rng.IntN(1000)), Response{}) // unknown: ignored
		return
	}
	i := k.rng.IntN(len(k.inflight))
	s := k.inflight[i]
	k.inflight = slices.Delete(k.inflight, i, i+1)
	switch k.rng.IntN(6) {
	case 0:
		k.m.Failed(k.now, s.ID, errors.New("refused"))
	case 1:
		k.m.Failed(k.now, s.ID, ErrNotServer)
	default:
		k.m.Responded(k.now, s.ID, k.response())
	}
}

func (k *mock) response() Response {
	r := Response{Message: &wire.Message{}, Group: kbucket.Group([]string{"", "g1", "g2"}[k.rng.IntN(3)])}
	for range k.rng.IntN(60) {
		p := k.pick()
		r.Closer = append(r.Closer, p)
		r.Message.CloserPeers = append(r.Message.CloserPeers, wire.Peer{ID: p.ID, Addrs: addr})
		r.Message.ProviderPeers = append(r.Message.ProviderPeers, wire.Peer{ID: p.ID})
	}
	if k.rng.IntN(3) == 0 {
		r.Message.Record = &wire.Record{Value: []byte{byte(k.rng.IntN(3))}, TTL: uint32(k.rng.IntN(100))}
	}
	return r
}

func (k *mock) overdue() {
	for i := 0; i < len(k.inflight); i++ {
		if s := k.inflight[i]; s.Deadline.Before(k.now) {
			k.inflight = slices.Delete(k.inflight, i, i+1)
			k.m.Failed(k.now, s.ID, errors.New("timeout"))
			k.take()
			i = -1
		}
	}
}

// check asserts the invariants of a Machine between two calls.
func (k *mock) check(t require.TestingT) {
	sum := 0
	for p, n := range k.m.inFlight {
		require.LessOrEqual(t, n, places[p], "requests of purpose %d in flight", p)
		sum += n
	}
	require.Equal(t, k.m.requests.len(), sum, "each request has a place")
	require.LessOrEqual(t, k.m.queries.len(), MaxQueries)
	require.LessOrEqual(t, len(k.m.blocked), k.m.queries.len(), "only queries that run wait")
	require.Equal(t, k.m.requests.len(), len(k.inflight), "the driver's books agree")
	require.LessOrEqual(t, len(k.m.candidates.queue), MaxCandidates)
	for e := range k.m.Table().Entries {
		require.NotEqual(t, k.m.cfg.Self.Key, e.Peer.Key, "self in the table")
		require.LessOrEqual(t, k.m.Table().BucketLen(e.CPL), Replicas)
	}
	if _, ok := k.m.Deadline(); !ok {
		require.Fail(t, "a started Machine always has a deadline")
	}
}

// TestMachineSurvivesAnything gives random inputs and checks the invariants, and that
// every query ends once the network is silent.
func TestMachineSurvivesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := newMock(rapid.Uint64().Draw(t, "seed"))
		for range 400 {
			k.step()
			k.check(t)
		}
		for range 100 {
			k.now = k.now.Add(time.Second)
			k.m.Tick(k.now)
			k.take()
			k.overdue()
		}
		require.Empty(t, k.open, "every query ends")
	})
}

// TestMachineIsDeterministic runs the same inputs twice.
func TestMachineIsDeterministic(t *testing.T) {
	run := func() []Output {
		k := newMock(7)
		for range 3000 {
			k.step()
		}
		return k.trace
	}
	require.True(t, reflect.DeepEqual(run(), run()))
}

func TestNetworkSize(t *testing.T) {
	const n, k = 5000, 20
	rng := rand.New(rand.NewPCG(3, 3))
	var peers []kad.Peer
	for i := range n {
		peers = append(peers, kad.NewPeer(kad.PeerID([]byte{byte(i), byte(i >> 8)})))
	}
	var s sizeEstimate
	for range sizeWindow {
		target := kad.KeyOf([]byte{byte(rng.Uint32()), byte(rng.Uint32()), 'x'})
		slices.SortFunc(peers, func(a, b kad.Peer) int { return kad.CompareDistance(&target, &a.Key, &b.Key) })
		s.observe(target, peers[:k], k)
	}
	require.InEpsilon(t, n, s.estimate(), 0.15)
	s.observe(kad.Key{}, peers[:5], k)
	require.Equal(t, 6.0, s.estimate(), "fewer than k: they are all there is")
}
