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
func (notFoundError) Error() string { return "not found" }

// Is makes ErrNotFound a routing.ErrNotFound.
func (notFoundError) Is(target error) bool { return target == routing.ErrNotFound }

// notFound turns ErrNotFound into routing.ErrNotFound.
func notFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return routing.ErrNotFound
	}
	return err
}

// Provide implements routing.ContentRouting: it is ProvideKey with the multihash of c, and
// returns ErrNoPeers or ErrNotTaken if no peer stored the record. Without announce it only stores the
// record at this node, for Config.ProviderTTL: nothing is sent or republished.
func (n *Node) Provide(ctx context.Context, c cid.Cid, announce bool) error {
	if !c.Defined() {
		return ErrKeyLength
	}
	if !announce {
		_, err := n.provideHere(c.Hash())
		return err
	}
	res, err := n.ProvideKey(ctx, c.Hash())
	if err != nil {
		return err
	}
	return res.taken()
}

// Unprovide is the opposite of Provide: UnprovideKey with the multihash of c.
func (n *Node) Unprovide(ctx context.Context, c cid.Cid) error {
	if !c.Defined() {
		return ErrKeyLength
	}
	return n.UnprovideKey(ctx, c.Hash())
}

// FindProvidersAsync implements routing.ContentRouting: it is Providers with a channel,
// which is closed at the end. The caller reads it to the end or cancels ctx.
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

// PutValue implements routing.ValueStore: it is Publish, so the value is republished until
// Unpublish, and returns ErrNoPeers or ErrNotTaken if no peer stored the value. It ignores
// options.
func (n *Node) PutValue(ctx context.Context, key string, value []byte, _ ...routing.Option) error {
	res, err := n.Publish(ctx, []byte(key), value)
	if err != nil {
		return err
	}
	return res.taken()
}

// GetValue implements routing.ValueStore: it is Get with a quorum of 16, and returns
// routing.ErrNotFound instead of ErrNotFound. It ignores options.
func (n *Node) GetValue(ctx context.Context, key string, _ ...routing.Option) ([]byte, error) {
	res, err := n.Get(ctx, []byte(key), 0)
	return res.Value, notFound(err)
}

// SearchValue implements routing.ValueStore: each value on the channel is better than the
// one before. The channel is closed at the end; the caller reads it to the end or cancels
// ctx. It ignores options. Error: ErrInvalidKey.
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

// Bootstrap implements routing.Routing: it starts another attempt to reach the bootstrap
// peers and returns at once. The node bootstraps by itself; see Joined. Error: ErrClosed.
func (n *Node) Bootstrap(context.Context) error {
	return n.ask(func(time.Time, *dht.Machine) { n.startBootstrap() })
}

// GetPublicKey implements routing.PubKeyFetcher: it takes the key from the peer ID, the
// peerstore or the pk record in the network. Errors: routing.ErrNotFound instead of
// ErrNotFound, otherwise those of Get.
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
