package interop

import (
	"context"
	"testing"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	holdfast "github.com/holdfast-dht/holdfast/pkg/node"
)

// ours is a Holdfast node with its default settings.
type ours struct {
	*holdfast.Node
}

func newOurs(t testing.TB, mode holdfast.Mode) *ours {
	t.Helper()
	return newOursWith(t, holdfast.Config{Mode: mode})
}

// newLenient is a server that also accepts the keys of py-libp2p's demo: raw keys and the
// namespace "example". It publishes nothing.
func newLenient(t testing.TB) *ours {
	t.Helper()
	return newOursWith(t, holdfast.Config{
		Mode: holdfast.ModeServer, RawKeys: true, UnvalidatedNamespaces: []string{"example"},
	})
}

func newOursWith(t testing.TB, cfg holdfast.Config) *ours {
	t.Helper()
	n, err := holdfast.New(newHost(t), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { n.Close() })
	return &ours{n}
}

func (n *ours) host() host.Host { return n.Host() }
func (n *ours) name() string    { return "holdfast" }
func (n *ours) tableSize() int  { return len(n.Table()) }

func (n *ours) closest(ctx context.Context, key string) ([]peer.ID, error) {
	found, err := n.Closest(ctx, []byte(key))
	ids := make([]peer.ID, len(found))
	for i, info := range found {
		ids[i] = info.ID
	}
	return ids, err
}

// refresh looks up the node itself and a random key. The node also refreshes itself every
// 10 minutes.
func (n *ours) refresh(ctx context.Context) error {
	for _, key := range []string{string(n.Host().ID()), randomKey()} {
		if _, err := n.Closest(ctx, []byte(key)); err != nil {
			return err
		}
	}
	return nil
}

func (n *ours) ping(ctx context.Context, p peer.ID) error {
	_, err := n.Ping(ctx, peer.AddrInfo{ID: p})
	return err
}
