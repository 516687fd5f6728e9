package delegated

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/routing/http/server"
	"github.com/ipfs/boxo/routing/http/types"
	"github.com/ipfs/boxo/routing/http/types/iter"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

// errNotOffered is returned for operations that this API does not offer.
var errNotOffered = errors.New("not offered by this node")

// Node is the part of a node that the API uses. It must be safe for concurrent use.
type Node interface {
	Providers(ctx context.Context, key []byte, count int, fn func(peer.AddrInfo) bool) (int, error)
	FindPeer(ctx context.Context, id peer.ID) (peer.AddrInfo, error)
	Closest(ctx context.Context, key []byte) ([]peer.AddrInfo, error)
	Get(ctx context.Context, key []byte, quorum int) (node.ValueResult, error)
	PublishOnce(ctx context.Context, key, value []byte) (node.StoreResult, error)
}

var _ Node = (*node.Node)(nil)

// router adapts a Node to the interface of boxo's server.
type router struct{ node Node }

var _ server.DelegatedRouter = router{}

// FindProviders implements server.DelegatedRouter. It returns records as they are found,
// until Close.
func (r router) FindProviders(ctx context.Context, c cid.Cid, limit int) (iter.ResultIter[types.Record], error) {
	ctx, cancel := context.WithCancel(ctx)
	found := &providers{more: make(chan peer.AddrInfo), cancel: cancel}
	found.work.Go(func() {
		defer close(found.more)
		told := 0
		_, err := r.node.Providers(ctx, c.Hash(), limit, func(ai peer.AddrInfo) bool {
			ai.Addrs = fitting(ctx, ai.Addrs)
			select {
			case found.more <- ai:
				told++
				return true
			case <-ctx.Done():
				return false
			}
		})
		if told == 0 { // otherwise the records found are the answer
			_ = answerOf(ctx).fail(err)
		}
	})
	return found, nil
}

// providers iterates over the providers that a lookup finds. One goroutine owns it.
type providers struct {
	more   chan peer.AddrInfo
	last   peer.AddrInfo
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Next implements iter.Iter.
func (p *providers) Next() (ok bool) {
	p.last, ok = <-p.more
	return ok
}

// Val implements iter.Iter.
func (p *providers) Val() iter.Result[types.Record] {
	return iter.Result[types.Record]{Val: peerRecord(p.last)}
}

// Close implements iter.Iter. It ends the lookup.
func (p *providers) Close() error {
	p.cancel()
	p.work.Wait()
	return nil
}

// FindPeers implements server.DelegatedRouter.
func (r router) FindPeers(ctx context.Context, id peer.ID, _ int) (iter.ResultIter[*types.PeerRecord], error) {
	ai, err := r.node.FindPeer(ctx, id)
	if err != nil {
		return nil, notFound(ctx, err)
	}
	return peerRecords(ctx, []peer.AddrInfo{ai}), nil
}

// GetClosestPeers implements server.DelegatedRouter.
func (r router) GetClosestPeers(ctx context.Context, key cid.Cid) (iter.ResultIter[*types.PeerRecord], error) {
	found, err := r.node.Closest(ctx, key.Hash())
	if err != nil {
		return nil, notFound(ctx, err)
	}
	return peerRecords(ctx, found), nil
}

// GetIPNS implements server.DelegatedRouter.
func (r router) GetIPNS(ctx context.Context, name ipns.Name) (*ipns.Record, error) {
	found, err := r.node.Get(ctx, name.RoutingKey(), 0)
	if err != nil {
		return nil, notFound(ctx, err)
	}
	return ipns.UnmarshalRecord(found.Value)
}

// PutIPNS implements server.DelegatedRouter. boxo's server has validated the record
// against its name.
func (r router) PutIPNS(ctx context.Context, name ipns.Name, record *ipns.Record) error {
	value, err := ipns.MarshalRecord(record)
	if err != nil {
		return err
	}
	_, err = r.node.PublishOnce(ctx, name.RoutingKey(), value)
	return answerOf(ctx).fail(err)
}

// ProvideBitswap implements server.DelegatedRouter.
//
//nolint:staticcheck // deprecated, but still part of the interface
func (r router) ProvideBitswap(context.Context, *server.BitswapWriteProvideRequest) (time.Duration, error) {
	return 0, errNotOffered
}

// notFound converts node.ErrNotFound to the error that boxo's server answers as empty.
// Any other error becomes that of the answer.
func notFound(ctx context.Context, err error) error {
	if errors.Is(err, node.ErrNotFound) {
		return routing.ErrNotFound
	}
	return answerOf(ctx).fail(err)
}

func peerRecord(ai peer.AddrInfo) *types.PeerRecord {
	r := &types.PeerRecord{Schema: types.SchemaPeer, ID: &ai.ID, Addrs: make([]types.Multiaddr, len(ai.Addrs))}
	for i, a := range ai.Addrs {
		r.Addrs[i] = types.Multiaddr{Multiaddr: a}
	}
	return r
}

func peerRecords(ctx context.Context, list []peer.AddrInfo) iter.ResultIter[*types.PeerRecord] {
	out := make([]*types.PeerRecord, len(list))
	for i, ai := range list {
		ai.Addrs = fitting(ctx, ai.Addrs)
		out[i] = peerRecord(ai)
	}
	return iter.ToResultIter[*types.PeerRecord](iter.FromSlice(out))
}
