package workload

import (
	"errors"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// ProviderRecord is a provider record to store.
type ProviderRecord = runs.ProviderRecord

// Store is a store of provider records that can be measured. Safe for concurrent use. It does
// not keep any memory it is given. Records live records.MaxTTL from now.
type Store interface {
	// Add stores records in one batch. They are durable on return.
	Add(now time.Time, batch []ProviderRecord) error
	// Put stores one record. It is durable on return.
	Put(now time.Time, a *ProviderRecord) error
	// Queue stores one record without waiting. It becomes durable within the store's commit
	// window.
	Queue(now time.Time, a *ProviderRecord) error
	// Sync makes everything queued durable and visible.
	Sync() error
	// Lookup returns how many live providers of a key it finds, at most answerPeers. It
	// decodes each of them.
	Lookup(now time.Time, key []byte) (int, error)
	// Expire removes records that expired at now or before, or whole groups of them, and
	// returns how many it removed.
	Expire(now time.Time) (int64, error)
	// Close makes everything queued durable and closes the files.
	Close() error
}

// answerPeers is the maximum number of providers in an answer.
const answerPeers = 20

// Window is the commit window for stores that do not have one of their own.
const Window = storage.DefaultCommitWindow

// providers is the interface of the node's own stores.
type providers interface {
	AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error
	AddProviders(now time.Time, recs []ProviderRecord, durable bool) (refused int, err error)
	Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error)
	Expire(now time.Time) (records.Expired, error)
	Flush() error
	Close() error
}

// own adapts one of the node's own stores.
type own struct{ s providers }

var _ Store = own{}

// OpenNode opens the store in which a node keeps its provider records.
func OpenNode(dir string) (Store, error) {
	s, err := storage.Open(dir, storage.Options{})
	if err != nil {
		return nil, err
	}
	return own{s}, nil
}

func (o own) Add(now time.Time, batch []ProviderRecord) error {
	refused, err := o.s.AddProviders(now, batch, true)
	if err == nil && refused > 0 {
		err = errors.New("records were refused")
	}
	return err
}

func (o own) Put(now time.Time, a *ProviderRecord) error {
	return o.s.AddProvider(now, a.Key, a.Provider, true)
}

func (o own) Queue(now time.Time, a *ProviderRecord) error {
	return o.s.AddProvider(now, a.Key, a.Provider, false)
}

func (o own) Sync() error { return o.s.Flush() }

func (o own) Lookup(now time.Time, key []byte) (int, error) {
	var buf [answerPeers]records.Provider
	ps, err := o.s.Providers(buf[:0], now, key, answerPeers)
	return len(ps), err
}

// Expire passes a time one hour ahead: the node keeps expired records that long, invisible,
// because clocks may jump.
func (o own) Expire(now time.Time) (removed int64, err error) {
	for {
		x, err := o.s.Expire(now.Add(records.ExpireGrace))
		removed += x.Records[records.KindProvider]
		if err != nil || !x.More {
			return removed, err
		}
	}
}

func (o own) Close() error { return o.s.Close() }
