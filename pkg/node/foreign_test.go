package node_test

import (
	"bufio"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	libp2pnet "github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// foreign is a server that echoes type and key, unless silent is set. It records the
// requests.
type foreign struct {
	silent atomic.Bool
	refuse atomic.Bool                 // values
	record atomic.Pointer[wire.Record] // in answers to GET_VALUE
	picky  atomic.Bool                 // resets FIND_NODE of long keys, as py-libp2p does
	closer atomic.Pointer[[]wire.Peer] // in every answer, as closer peers and as providers
	hold   chan struct{}
	host   host.Host

	mu    sync.Mutex
	asked []wire.Type
}

// joinForeign gives n a foreign server as a peer.
func joinForeign(t *testing.T, n *node.Node) *foreign {
	f := &foreign{hold: make(chan struct{})}
	t.Cleanup(func() { close(f.hold) })
	f.host = newHost(t)
	f.host.SetStreamHandler(n.Protocol(), f.serve)
	before := n.Status().VerifiedPeers
	require.NoError(t, f.host.Connect(testContext(t), infoOf(n)))
	waitFor(t, func() bool { s := n.Status(); return s.VerifiedPeers == before+1 && s.Queries == 0 })
	return f
}

func nextMessage(r *bufio.Reader) (*wire.Message, error) {
	frame, err := wire.ReadFrame(r, nil, wire.MaxFrame)
	if err != nil {
		return nil, err
	}
	return wire.Parse(frame)
}

func (f *foreign) serve(s libp2pnet.Stream) {
	defer s.Close()
	r := bufio.NewReader(s)
	for {
		m, err := nextMessage(r)
		if err != nil {
			return
		}
		f.mu.Lock()
		f.asked = append(f.asked, m.Type)
		f.mu.Unlock()
		if f.silent.Load() {
			<-f.hold
			return
		}
		if m.Type == wire.AddProvider {
			continue
		}
		if m.Type == wire.PutValue && f.refuse.Load() {
			return
		}
		if m.Type == wire.FindNode && len(m.Key) > 50 && f.picky.Load() {
			_ = s.Reset()
			return
		}
		answer := wire.Message{Type: m.Type, Key: m.Key}
		if m.Type == wire.GetValue {
			answer.Record = f.record.Load()
		}
		if c := f.closer.Load(); c != nil {
			answer.CloserPeers, answer.ProviderPeers = *c, *c
		}
		if _, err := s.Write(wire.AppendFrame(nil, &answer)); err != nil {
			return
		}
	}
}

// count returns how many requests of a type came.
func (f *foreign) count(typ wire.Type) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.asked {
		if x == typ {
			n++
		}
	}
	return n
}

// Once a peer has announced its own addresses, the node forgets those that other peers
// named, and does not pass them on.
func TestHearsayIsNotTold(t *testing.T) {
	ctx := testContext(t)
	n, x := newNode(t, openConfig()), newNode(t, openConfig())
	rumour := ma.StringCast("/ip4/127.0.0.1/tcp/1")
	told := wire.Peer{ID: kad.PeerID(x.Host().ID()), Addrs: [][]byte{rumour.Bytes()}}
	for _, a := range x.Host().Addrs() {
		told.Addrs = append(told.Addrs, a.Bytes())
	}
	f := joinForeign(t, n)
	f.closer.Store(&[]wire.Peer{told})
	_, err := n.Closest(ctx, []byte("key"))
	require.NoError(t, err)
	waitFor(t, func() bool { return n.Status().VerifiedPeers == 2 })
	for _, e := range n.Table() {
		require.NotContains(t, e.Addrs, rumour.String())
	}
}
