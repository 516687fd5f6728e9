package node_test

import (
	"bufio"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	libp2pnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// limitingServer behaves like py-libp2p 0.8.1: it answers ADD_PROVIDER, accepts 10 in 10
// s, resets the stream of any further one, and resets a stream when it reads its end.
type limitingServer struct {
	mu    sync.Mutex
	since time.Time
	taken int
	keys  map[string]int // how often each was stored
}

func (l *limitingServer) take(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.since) >= 10*time.Second {
		l.since, l.taken = now, 0
	}
	if l.taken == 10 {
		return false
	}
	l.taken++
	l.keys[key]++
	return true
}

// stored returns how many keys were stored, and how many times in total.
func (l *limitingServer) stored() (keys, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.keys {
		times += n
	}
	return len(l.keys), times
}

func (l *limitingServer) serve(s libp2pnet.Stream) {
	defer s.Reset()
	r := bufio.NewReader(s)
	for {
		m, err := nextMessage(r)
		if err != nil || m.Type == wire.AddProvider && !l.take(string(m.Key)) {
			return
		}
		if _, err := s.Write(wire.AppendFrame(nil, &wire.Message{Type: m.Type, Key: m.Key})); err != nil {
			return
		}
	}
}

// A peer that limits announcements gets all of them within a minute, at its pace and
// once each, and the node reports each as stored.
func TestPeerLimitsAnnouncements(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		n := nodeOn(t, h1, node.Config{})
		l := &limitingServer{keys: map[string]int{}}
		h2.SetStreamHandler(n.Protocol(), l.serve)
		reached, _ := n.Connect(context.Background(), []peer.AddrInfo{{ID: h2.ID(), Addrs: h2.Addrs()}})
		require.Len(t, reached, 1)
		time.Sleep(time.Second)
		require.Equal(t, 1, n.Status().VerifiedPeers)

		var keys [][]byte
		for i := range 40 {
			keys = append(keys, fmt.Appendf(nil, "key %d", i))
		}
		start := time.Now()
		_, err := n.ProvideMany(context.Background(), keys)
		require.NoError(t, err)
		for n.Status().Republish.Unannounced > 0 && time.Since(start) < time.Minute {
			time.Sleep(time.Second)
		}
		require.Less(t, time.Since(start), time.Minute)
		stored, times := l.stored()
		require.Equal(t, 40, stored)
		require.Equal(t, 40, times)
		require.Empty(t, n.Status().Republish.Failures)
	})
}
