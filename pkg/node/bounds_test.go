package node

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// The first maxNoted peers of an answer go to the peerstore; all are passed on.
func TestNotedPeersAreBounded(t *testing.T) {
	n, err := New(tcpHost(t), Config{})
	require.NoError(t, err)
	defer n.Close()
	before := len(n.host.Peerstore().PeersWithAddrs())
	told := slices.Repeat([]wire.Peer{{Addrs: [][]byte{ma.StringCast("/ip4/8.8.8.8/tcp/1").Bytes()}}}, maxNoted+1)
	for i := range told {
		told[i].ID = kad.PeerID(fmt.Sprintf("\x12\x20%032d", i))
	}
	require.Len(t, n.hear(told, wire.ScopePublic, true), maxNoted+1)
	require.Len(t, n.host.Peerstore().PeersWithAddrs(), before+maxNoted)
}

// The last maxFailures ended publications are kept, newest first, and all are counted.
func TestEndsAreBounded(t *testing.T) {
	var e ends
	for i := range maxFailures + 1 {
		e.add(PublishEnd{Reason: fmt.Sprint(i)})
	}
	require.Len(t, e.last, maxFailures)
	require.Equal(t, fmt.Sprint(maxFailures), e.last[0].Reason)
	require.Equal(t, "1", e.last[maxFailures-1].Reason)
	require.Equal(t, maxFailures+1, e.n)
}

// capped is a store that records how many providers it was asked for.
type capped struct {
	records.Store
	asked []int
}

func (c *capped) Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error) {
	c.asked = append(c.asked, n)
	return c.Store.Providers(dst, now, key, n)
}

// A search for all providers takes maxLocal from the node's own store; a search for fewer
// takes only that many.
func TestMaxLocal(t *testing.T) {
	mem := records.NewMem(nil)
	store := &capped{Store: mem}
	n, err := New(tcpHost(t), Config{Store: store, Keystore: mem, Snapshots: mem})
	require.NoError(t, err)
	defer n.Close()
	for _, count := range []int{0, 7, maxLocal + 1} {
		_, err = n.Providers(t.Context(), []byte("key"), count, func(peer.AddrInfo) bool { return true })
		require.ErrorIs(t, err, ErrNoPeers)
	}
	require.Equal(t, []int{maxLocal, 7, maxLocal + 1}, store.asked)
}

// At most MaxInboundStreams DHT streams of peers are open, also after a change of the
// limit.
func TestMaxInboundStreams(t *testing.T) {
	n, err := New(tcpHost(t), Config{MaxInboundStreams: 2})
	require.NoError(t, err)
	defer n.Close()
	other := tcpHost(t)
	require.NoError(t, other.Connect(t.Context(), peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()}))
	frame := wire.AppendFrame(nil, &wire.Message{Type: wire.Ping})
	open := func(streams int) {
		for range streams {
			s, err := other.NewStream(t.Context(), n.host.ID(), ProtocolID(PublicPrefix))
			require.NoError(t, err)
			_, err = s.Write(frame)
			require.NoError(t, err)
			_, err = s.Read(make([]byte, 1))
			require.NoError(t, err)
		}
	}
	open(3)
	require.Equal(t, 2, n.server.InboundStreams())
	n.SetMaxInboundStreams(3)
	open(2)
	require.Equal(t, 3, n.server.InboundStreams())
}

// A record lives at most records.MaxTTL, and a value at most MaxValueTTL.
func TestMaxValueTTL(t *testing.T) {
	for over, want := range []error{nil, ErrConfig} {
		c := Config{MaxValueTTL: records.MaxTTL + time.Duration(over)}
		require.ErrorIs(t, c.setDefaults(), want)
		c = Config{ProviderTTL: records.MaxTTL + time.Duration(over)}
		require.ErrorIs(t, c.setDefaults(), want)
		c = Config{MaxValueTTL: time.Hour, DefaultValueTTL: time.Hour + time.Duration(over)}
		require.ErrorIs(t, c.setDefaults(), want)
	}
	n, err := New(tcpHost(t), Config{MaxValueTTL: time.Hour, UnvalidatedNamespaces: []string{"example"}})
	require.NoError(t, err)
	defer n.Close()
	_, err = n.PublishFor(t.Context(), []byte("/example/k"), []byte("v"), time.Hour+1)
	require.ErrorIs(t, err, ErrTTL)
	_, err = n.PublishFor(t.Context(), []byte("/example/k"), []byte("v"), time.Hour)
	require.NotErrorIs(t, err, ErrTTL)
}

// The queue of the loop holds a bounded number of calls. A further call blocks, or is
// dropped if it is optional. The loop serves a bounded number of calls before it performs
// the output.
func TestCallQueue(t *testing.T) {
	n, err := New(tcpHost(t), Config{})
	require.NoError(t, err)
	require.Equal(t, callQueue, cap(n.calls))
	require.Equal(t, eventQueue, cap(n.events.Out()))
	require.NoError(t, n.Close())

	n = &Node{calls: make(chan call, callQueue), stop: make(chan struct{})}
	served := 0
	serve := func(time.Time, *dht.Machine) { served++ }
	for range callQueue {
		require.NoError(t, n.do(serve))
	}
	n.tryDo(serve)
	require.EqualValues(t, 1, n.dropped.Load())
	n.drain()
	require.Equal(t, callBatch, served)
	require.Len(t, n.calls, callQueue-callBatch)
}

// The loop takes handOverStep keys at a time, until it has all.
func TestHandOverStep(t *testing.T) {
	n := &Node{calls: make(chan call), stop: make(chan struct{})}
	var steps []int
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c := range n.calls {
			steps = append(steps, 0)
			c(time.Time{}, nil)
		}
	}()
	err := n.steps(make([]republish.Item, 2*handOverStep+1), func(time.Time, *dht.Machine, republish.Item) {
		steps[len(steps)-1]++
	})
	require.NoError(t, err)
	close(n.calls)
	<-done
	require.Equal(t, []int{handOverStep, handOverStep, 1}, steps)
}

// slowRemoval is a store that takes a second to remove a record.
type slowRemoval struct{ records.Store }

func (slowRemoval) RemoveProvider(time.Time, []byte, kad.PeerID) error {
	time.Sleep(time.Second)
	return nil
}

// UnprovideMany removes removeWorkers records at once, and all of them.
func TestRemoveWorkers(t *testing.T) {
	for over := range 2 {
		synctest.Test(t, func(t *testing.T) {
			n := &Node{cfg: Config{Store: slowRemoval{}}}
			start, all := time.Now(), 3*removeWorkers+over
			removed, err := n.forgetMany(make([][]byte, all), make([]bool, all))
			require.NoError(t, err)
			require.Equal(t, all, removed)
			require.Equal(t, time.Duration(3+over)*time.Second, time.Since(start))
		})
	}
}

// each runs the given number of workers and handles every item.
func TestEach(t *testing.T) {
	for _, workers := range []int{1, publishWorkers} {
		synctest.Test(t, func(t *testing.T) {
			start, all := time.Now(), workers*3
			each(workers, make([]struct{}, all), func(struct{}) { time.Sleep(time.Second) })
			require.Equal(t, 3*time.Second, time.Since(start))
		})
	}
}

// deadEnd is a host whose dials end when their caller gives up.
type deadEnd struct{ host.Host }

func (deadEnd) Connect(ctx context.Context, _ peer.AddrInfo) error {
	<-ctx.Done()
	return ctx.Err()
}

// Connect dials dialsAtOnce peers at once, each for dialTimeout.
func TestDialsAtOnce(t *testing.T) {
	for over := range 2 {
		synctest.Test(t, func(t *testing.T) {
			n := &Node{host: deadEnd{}}
			start := time.Now()
			reached, errs := n.Connect(t.Context(), make([]peer.AddrInfo, dialsAtOnce+over))
			require.Empty(t, reached)
			require.Len(t, errs, dialsAtOnce+over)
			require.Equal(t, time.Duration(1+over)*dialTimeout, time.Since(start))
		})
	}
}

// searches counts the searches for peers.
type searches struct {
	dht.NopObserver
	n int
}

func (s *searches) QueryStarted(kind dht.QueryKind) {
	if kind == dht.FindPeer {
		s.n++
	}
}

// At most followUps providers without addresses are looked up; all are passed on.
func TestFollowUps(t *testing.T) {
	seen := &searches{}
	n, err := New(tcpHost(t), Config{Observer: seen})
	require.NoError(t, err)
	told := 0
	f := newFinder(n, 0, func(peer.AddrInfo) bool { told++; return true })
	for i := range followUps + 1 {
		f.take(wire.Peer{ID: kad.PeerID(fmt.Sprintf("\x12\x20%032d", i))})
	}
	f.followUp(t.Context())
	require.NoError(t, n.Close())
	require.Equal(t, followUps+1, told)
	require.Equal(t, followUps, seen.n)
}

// The book holds contactSlack contacts beyond those of the table's peers.
func TestContactSlack(t *testing.T) {
	n := &Node{machine: dht.New(dht.Config{Self: kad.NewPeer("self")}), book: newBook()}
	n.view.Store(emptyView())
	for i := range contactSlack {
		n.book.note(kad.PeerID(fmt.Sprint(i)), &contact{})
	}
	n.publishView()
	require.Len(t, n.book.contacts, contactSlack)
	n.book.note("one more", &contact{})
	n.publishView()
	require.Empty(t, n.book.contacts)
}
