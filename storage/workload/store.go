package workload

import (
	"errors"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// ProviderRecord says that a peer has the content of a key.
type ProviderRecord = runs.ProviderRecord

// Store is a store of provider records that is measured. Safe for concurrent use;
// it keeps none of the memory it is given. Records live records.MaxTTL from now.
type Store interface {
	// Add stores records in one batch, durable on return.
	Add(now time.Time, batch []ProviderRecord) error
	// Put stores one record, durable on return.
	Put(now time.Time, a *ProviderRecord) error
	// Queue stores one record that nobody waits for, durable within the store's
	// commit window.
	Queue(now time.Time, a *ProviderRecord) error
	// Sync makes durable and visible what was queued.
	Sync() error
	// Lookup returns how many live providers of a key it finds, at most records'
	// answer of 20, after decoding each.
	Lookup(now time.Time, key []byte) (int, error)
	// Expire removes what had expired at now, or whole parts of it, and tells how
	// many records that were.
	Expire(now time.Time) (int64, error)
	// Close makes durable what was queued and lets go of the files.
	Close() error
}

// answerPeers is how many providers an answer names at most.
const answerPeers = 20

// Window is the commit window to give to stores that have none of their own.
const Window = storage.DefaultCommitWindow

// providers is what the node's own stores offer.
type providers interface {
	AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error
	AddProviders(now time.Time, recs []ProviderRecord, durable bool) (refused int, err error)
	Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error)
	Expire(now time.Time) (records.Expired, error)
	Flush() error
	Close() error
}

// own measures one of the node's own stores.
type own struct{ s providers }

var _ Store = own{}

// OpenNode opens the store that a node keeps its provider records in.
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
	var room [answerPeers]records.Provider
	ps, err := o.s.Providers(room[:0], now, key, answerPeers)
	return len(ps), err
}

// Expire looks an hour ahead: the node keeps what has expired for that long,
// unseen, because clocks jump.
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
