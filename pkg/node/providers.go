package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ErrNegative is returned for a count or a quorum below 0.
var ErrNegative = errors.New("negative number")

// ErrKeyLength is returned for a provider key that is empty or over 80 bytes.
var ErrKeyLength = fmt.Errorf("a provider key has 1 to %d bytes", records.MaxKeyLen)

// ProvideKey publishes a provider record: this node has the content of key, which is a
// multihash or any 1 to 80 bytes. The record is republished every
// Config.RepublishInterval until UnprovideKey, also after a restart. Each copy has a
// lifetime of Config.ProviderTTL.
//
// ProvideKey returns when the first publication is over. If no peer could be reached,
// StoredAt is 0 and the error nil: the node publishes the record once it has a peer.
//
// Errors: ErrKeyLength; those of the store. After dht.ErrBusy or an error of ctx the key
// is scheduled: its first publication is due after dht.PublishRetry.
func (n *Node) ProvideKey(ctx context.Context, key []byte) (StoreResult, error) {
	if err := checkProviderKey(key); err != nil {
		return StoreResult{}, err
	}
	expires, err := n.provideHere(key)
	if err != nil {
		return StoreResult{}, err
	}
	pub := records.Published{Kind: records.KindProvider, Key: key, Added: time.Now()}
	return n.startPublishing(ctx, pub, n.provideQuery(key), expires)
}

// checkProviderKey returns ErrKeyLength for a key that cannot be provided.
func checkProviderKey(key []byte) error {
	if len(key) == 0 || len(key) > records.MaxKeyLen {
		return ErrKeyLength
	}
	return nil
}

// provideHere stores our own provider record, without addresses: answers contain the
// addresses that the node has at that moment.
func (n *Node) provideHere(key []byte) (expires time.Time, err error) {
	now := time.Now()
	expires = now.Add(n.cfg.ProviderTTL)
	err = n.cfg.Store.AddProvider(now, key, records.Provider{ID: n.self.ID, Expires: expires}, true)
	if err != nil && !noRoom(err) {
		return expires, err // the store has named the operation
	}
	return expires, nil
}

func (n *Node) provideQuery(key []byte) dht.Query {
	return dht.Query{Kind: dht.StoreProvider, Key: key, Provider: wire.Peer{ID: n.self.ID}}
}

// UnprovideKey stops republishing the provider record of a key and removes it from this
// node's store. This includes a record stored by Provide without announce. Copies at other
// peers stay until they expire. It returns ErrNotFound if the key was not provided. After an
// error of the store it may be called again.
func (n *Node) UnprovideKey(_ context.Context, key []byte) error {
	published := n.stopPublishing(records.KindProvider, key)
	if published != nil && !errors.Is(published, ErrNotFound) {
		return published
	}
	err := n.forgetProvided(key)
	if errors.Is(err, records.ErrNotFound) { // it may have expired
		return published
	}
	return err
}

// forgetProvided removes our own provider record; records.ErrNotFound if there is none.
func (n *Node) forgetProvided(key []byte) error {
	return n.cfg.Store.RemoveProvider(time.Now(), key, n.self.ID)
}

// Published calls fn with the keys that this node publishes, in the order of the keyspace,
// until fn returns false. fn must not call the keystore, nor the node's methods that
// publish or unpublish. Errors are those of the keystore.
func (n *Node) Published(fn func(records.Published) bool) error {
	return n.cfg.Keystore.Range(kad.Prefix{}, fn)
}

// maxLocal limits the providers that one Providers call takes from our own store: as many
// as a query holds with a few addresses each.
const maxLocal = 80_000

// Providers finds the providers of key and calls fn with each provider and its addresses,
// until it has found count of them (0: all) or fn returns false. If a later answer has
// further addresses of a provider, it calls fn again with those. fn runs in the caller's
// goroutine. Providers returns how many distinct providers fn received.
//
// Errors, if that is zero: ErrNotFound if peers answered, ErrNoAnswer if none did. Also
// ErrKeyLength, ErrNegative and those of the store.
func (n *Node) Providers(ctx context.Context, key []byte, count int, fn func(peer.AddrInfo) bool) (int, error) {
	if err := checkProviderKey(key); err != nil {
		return 0, err
	}
	if count < 0 {
		return 0, fmt.Errorf("%w: count is %d", ErrNegative, count)
	}
	limit := count
	if limit == 0 {
		limit = maxLocal
	}
	local, err := n.cfg.Store.Providers(nil, time.Now(), key, limit)
	if err != nil {
		return 0, fmt.Errorf("providers: %w", err)
	}
	f := newFinder(n, count, fn)
	if !f.takeLocal(local) {
		return f.count, nil
	}
	_, err = n.follow(ctx, dht.Query{Kind: dht.FindProviders, Key: key}, func(p dht.Progress) bool {
		for _, x := range p.Providers {
			if !f.take(x) {
				return false
			}
		}
		return true
	})
	f.followUp(ctx)
	if f.count > 0 {
		return f.count, nil
	}
	if err == nil {
		err = ErrNotFound
	}
	return 0, err
}
