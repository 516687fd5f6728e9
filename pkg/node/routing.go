package node

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

var (
	_ routing.Routing       = (*Node)(nil)
	_ routing.PubKeyFetcher = (*Node)(nil)
)

// notFoundError is the type of ErrNotFound.
type notFoundError struct{}

// Error implements error.
func (notFoundError) Error() string { return "node: not found" }

// Is makes ErrNotFound a routing.ErrNotFound.
func (notFoundError) Is(target error) bool { return target == routing.ErrNotFound }

// notFound turns our not-found errors into those of the routing package.
func notFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return routing.ErrNotFound
	}
	return err
}

// Provide implements routing.ContentRouting: ProvideKey with the multihash of c, and
// ErrNoPeers if no peer took the record. Without announce it only notes here, for
// Config.ProviderTTL, that this node has the content: no peer is told, and nothing is
// renewed.
func (n *Node) Provide(ctx context.Context, c cid.Cid, announce bool) error {
	if !c.Defined() {
		return ErrKeyLength
	}
	if !announce {
		_, err := n.provideHere(c.Hash())
		return err
	}
	res, err := n.ProvideKey(ctx, c.Hash())
	if err == nil && res.StoredAt == 0 {
		err = ErrNoPeers
	}
	return err
}

// Unprovide ends what Provide began: UnprovideKey with the multihash of c.
func (n *Node) Unprovide(ctx context.Context, c cid.Cid) error {
	if !c.Defined() {
		return ErrKeyLength
	}
	return n.UnprovideKey(ctx, c.Hash())
}

// FindProvidersAsync implements routing.ContentRouting: Providers, as a channel that is
// closed at the end. The caller reads it to its end or ends ctx.
func (n *Node) FindProvidersAsync(ctx context.Context, c cid.Cid, count int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo)
	go func() {
		defer close(out)
		if !c.Defined() {
			return
		}
		_, _ = n.Providers(ctx, c.Hash(), count, func(ai peer.AddrInfo) bool {
			select {
			case out <- ai:
				return true
			case <-ctx.Done():
			case <-n.ctx.Done():
			}
			return false
		})
	}()
	return out
}

// PutValue implements routing.ValueStore: Publish, and ErrNoPeers if no peer took the
// value. It is renewed until Unpublish.
func (n *Node) PutValue(ctx context.Context, key string, value []byte, _ ...routing.Option) error {
	res, err := n.Publish(ctx, []byte(key), value)
	if err == nil && res.StoredAt == 0 {
		err = ErrNoPeers
	}
	return err
}

// GetValue implements routing.ValueStore: Get with a quorum of 16. Options are ignored.
// routing.ErrNotFound instead of ErrNotFound.
func (n *Node) GetValue(ctx context.Context, key string, _ ...routing.Option) ([]byte, error) {
	res, err := n.Get(ctx, []byte(key), 0)
	return res.Value, notFound(err)
}

// SearchValue implements routing.ValueStore: each value sent is better than the one before.
// The channel is closed at the end; the caller reads it to its end or ends ctx. Options are
// ignored. ErrInvalidKey.
func (n *Node) SearchValue(ctx context.Context, key string, _ ...routing.Option) (<-chan []byte, error) {
	if _, ok := n.valid.of(key); !ok {
		return nil, ErrInvalidKey
	}
	out := make(chan []byte)
	go func() {
		defer close(out)
		_, _ = n.search(ctx, []byte(key), 0, func(v records.Value) bool {
			select {
			case out <- v.Value:
				return true
			case <-ctx.Done():
			case <-n.ctx.Done():
			}
			return false
		})
	}()
	return out, nil
}

// Bootstrap implements routing.Routing: it asks the bootstrap peers again and returns at
// once. The node bootstraps by itself; Joined waits for that. ErrClosed.
func (n *Node) Bootstrap(context.Context) error {
	return n.ask(func(time.Time, *dht.Machine) { n.startBootstrap() })
}

// GetPublicKey implements routing.PubKeyFetcher: from the peer ID, the peerstore or the
// network's pk record. routing.ErrNotFound, and otherwise the errors of Get.
func (n *Node) GetPublicKey(ctx context.Context, p peer.ID) (crypto.PubKey, error) {
	if pub, err := p.ExtractPublicKey(); err == nil {
		return pub, nil
	}
	if pub := n.host.Peerstore().PubKey(p); pub != nil {
		return pub, nil
	}
	res, err := n.Get(ctx, []byte(routing.KeyForPublicKey(p)), 1)
	if err != nil {
		return nil, notFound(err)
	}
	pub, err := crypto.UnmarshalPublicKey(res.Value)
	if err != nil {
		return nil, err
	}
	return pub, n.host.Peerstore().AddPubKey(p, pub)
}
