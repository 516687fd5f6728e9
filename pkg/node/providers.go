package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ErrNegative is returned for a count or a quorum below 0.
var ErrNegative = errors.New("node: below 0")

// ErrKeyLength is returned for a provider key that is empty or over 80 bytes.
var ErrKeyLength = fmt.Errorf("node: a provider key has 1 to %d bytes", records.MaxKeyLen)

// ProvideKey announces that this node has the content of key (a multihash, or any
// 1 to 80 bytes) and goes on announcing it until Unprovide. StoredAt may be 0
// when nobody could be reached, as with Store.
func (n *Node) ProvideKey(ctx context.Context, key []byte) (StoreResult, error) {
	if len(key) == 0 || len(key) > records.MaxKeyLen {
		return StoreResult{}, ErrKeyLength
	}
	expires, err := n.provideHere(key)
	if err != nil {
		return StoreResult{}, err
	}
	pub := records.Published{Kind: records.KindProvider, Key: key, Added: time.Now()}
	return n.publish(ctx, pub, n.provideQuery(key), expires)
}

// provideHere stores our own provider record. It carries no addresses: those of
// this node are told as they are when somebody asks.
func (n *Node) provideHere(key []byte) (expires time.Time, err error) {
	now := time.Now()
	expires = now.Add(n.cfg.ProviderTTL)
	err = n.cfg.Store.AddProvider(now, key, records.Provider{ID: n.self.ID, Expires: expires}, true)
	if err != nil && !noRoom(err) {
		return expires, fmt.Errorf("node: provide: %w", err)
	}
	return expires, nil
}

func (n *Node) provideQuery(key []byte) dht.Query {
	return dht.Query{Kind: dht.StoreProvider, Key: key, Provider: wire.Peer{ID: n.self.ID}}
}

// Unprovide stops announcing a key; records at other peers live until they
// expire. ErrNotFound if the key was not provided here.
func (n *Node) Unprovide(_ context.Context, key []byte) error {
	if err := n.unpublish(records.KindProvider, key); err != nil {
		return err
	}
	_ = n.cfg.Store.RemoveProvider(time.Now(), key, n.self.ID) // gone already if it expired
	return nil
}

// Published calls fn with the keys this node publishes, in the order of their
// place in the keyspace, until fn returns false.
func (n *Node) Published(fn func(records.Published) bool) error {
	return n.cfg.Keystore.Range(kad.Prefix{}, fn)
}

// followUps bounds the providers without addresses that are looked up after a
// Providers query.
const followUps = 20

// Providers finds peers that have the content of key, each told once to fn with
// its addresses, until count (0: all) are found or fn returns false. It returns
// how many were told; ErrNotFound if none, ErrNoAnswer if nobody could be asked.
func (n *Node) Providers(ctx context.Context, key []byte, count int, fn func(peer.AddrInfo) bool) (int, error) {
	if len(key) == 0 || len(key) > records.MaxKeyLen {
		return 0, ErrKeyLength
	}
	if count < 0 {
		return 0, fmt.Errorf("%w: count %d", ErrNegative, count)
	}
	f := finder{n: n, count: count, fn: fn, seen: make(map[peer.ID]struct{})}
	limit := count
	if limit == 0 {
		limit = dht.MaxProviders
	}
	local, err := n.cfg.Store.Providers(nil, time.Now(), key, limit)
	if err != nil {
		return 0, fmt.Errorf("node: providers: %w", err)
	}
	for i := range local {
		if !f.take(wire.Peer{ID: local[i].ID, Addrs: local[i].Addrs}) {
			return f.told, nil
		}
	}
	_, err = n.query(ctx, dht.Query{Kind: dht.FindProviders, Key: key}, nil, func(p dht.Progress) bool {
		for _, x := range p.Providers {
			if !f.take(x) {
				return false
			}
		}
		return true
	})
	f.followUp(ctx)
	if f.told > 0 {
		return f.told, nil
	}
	if err == nil {
		err = ErrNotFound
	}
	return 0, err
}

// finder tells each provider once, those without addresses last.
type finder struct {
	n     *Node
	count int
	fn    func(peer.AddrInfo) bool
	seen  map[peer.ID]struct{}
	later []peer.ID
	told  int
	over  bool
}

// take is told of a provider; false once no more are wanted.
func (f *finder) take(p wire.Peer) bool {
	id := peer.ID(p.ID)
	if _, ok := f.seen[id]; ok {
		return !f.over
	}
	f.seen[id] = struct{}{}
	ai := peer.AddrInfo{ID: id, Addrs: f.n.addrsOf(&p)}
	if id == f.n.host.ID() {
		ai.Addrs = f.n.host.Addrs()
	} else if len(ai.Addrs) == 0 {
		ai.Addrs = f.n.host.Peerstore().Addrs(id)
	}
	if len(ai.Addrs) == 0 {
		f.later = append(f.later, id)
		return !f.over
	}
	return f.tell(ai)
}

// addrsOf returns the addresses of a provider: those it gives of itself to this node,
// then those of its record.
func (n *Node) addrsOf(p *wire.Peer) []ma.Multiaddr {
	addrs := append(neighbours{n}.Said(nil, p.ID, wire.ScopeLoopback), p.Addrs...)
	return rpc.Multiaddrs(rpc.FilterBytes(addrs[:0], p.ID, addrs, wire.ScopeLoopback))
}

func (f *finder) tell(ai peer.AddrInfo) bool {
	f.told++
	f.over = !f.fn(ai) || f.count > 0 && f.told >= f.count
	return !f.over
}

// followUp looks up the addresses of providers that came without any.
func (f *finder) followUp(ctx context.Context) {
	for i, id := range f.later {
		if f.over || ctx.Err() != nil {
			return
		}
		ai := peer.AddrInfo{ID: id}
		if i < followUps {
			if found, err := f.n.FindPeer(ctx, id); err == nil {
				ai = found
			}
		}
		f.tell(ai)
	}
}
