package storage

import (
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// recordKey is what a provider record is filed under: the first half of the wire
// key's kad.Key.
type recordKey [16]byte

func recordKeyOf(wireKey []byte) recordKey {
	k := kad.KeyOf(wireKey)
	return recordKey(k[:16])
}

// providerStore keeps provider records: which peer has what until when, and the
// peers' addresses. Its rules: the later of two expiries of a record stands, a
// record past its expiry is not there, and expiry drops whole epochs.
type providerStore interface {
	// writer returns the store's face in a write transaction, counting in c.
	writer(tx *bbolt.Tx, c *counters) (providerWriter, error)
	// lookup returns the live providers of a key, without their addresses.
	lookup(tx *bbolt.Tx, now time.Time, key recordKey) ([]provider, error)
	// has reports whether a live record of key names id.
	has(tx *bbolt.Tx, now time.Time, key recordKey, id kad.PeerID) (bool, error)
	// resolve fills in a provider's ID and its live addresses.
	resolve(tx *bbolt.Tx, now time.Time, p provider) (records.Provider, error)
	// check compares the contents with each other and with the counters.
	check(tx *bbolt.Tx, c *counters, problem func(format string, args ...any)) error
}

// providerWriter changes provider records in one transaction.
type providerWriter interface {
	// add stores p, capped, under key. It refuses a newcomer with ErrQuota if most
	// live providers are known, and with ErrFull if full.
	add(now time.Time, key recordKey, p *records.Provider, most int, full bool) error
	// remove forgets that id has key; records.ErrNotFound if it was not live.
	remove(now time.Time, key recordKey, id kad.PeerID) error
	// expire removes what expired at limit or before, in steps of about n rows
	// or one epoch, and tells whether there is more.
	expire(limit time.Time, n int) (removed int64, more bool, err error)
	// flush writes what was kept back; called once before the commit.
	flush() error
}

// provider is a record as looked up: a provider's number and the expiry in
// seconds.
type provider struct {
	number  uint32
	expires uint32
}

// Providers implements records.Store.
func (db *DB) Providers(dst []records.Provider, now time.Time, key []byte, n int) ([]records.Provider, error) {
	if n <= 0 || len(key) == 0 {
		return dst, nil
	}
	k := recordKeyOf(key)
	given := len(dst)
	err := db.view("providers", func(tx *bbolt.Tx) error {
		live, err := db.providers.lookup(tx, now, k)
		if err != nil {
			return err
		}
		if len(live) > n {
			db.opts.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
			live = live[:n]
		}
		for _, l := range live {
			p, err := db.providers.resolve(tx, now, l)
			if err != nil {
				_ = db.report("providers", err)
				continue
			}
			dst = append(dst, p)
		}
		return nil
	})
	if err != nil {
		return dst[:given], err
	}
	return dst, nil
}

// AddProvider implements records.Store.
func (db *DB) AddProvider(now time.Time, key []byte, p records.Provider, durable bool) error {
	if err := records.ValidateProvider(key, &p); err != nil {
		return err
	}
	p, err := records.CapProvider(now, p)
	if err != nil {
		return err
	}
	k := recordKeyOf(key)
	if durable {
		return db.do("add_provider", 2*db.opts.MaxPending, func(b *batch) error {
			return b.addProvider(now, k, &p)
		})
	}
	if db.crowded() && !db.known(now, k, p.ID) {
		return db.refuse("add_provider", records.ErrBusy)
	}
	p.Addrs = cloneAddrs(p.Addrs) // the caller's slices outlive the call no longer
	return db.enqueue("add_provider", func(b *batch) error { return b.addProvider(now, k, &p) })
}

// crowded reports whether the last quarter of the queue has been reached, which
// is kept for refreshes: they keep alive what others already rely on.
func (db *DB) crowded() bool { return db.queue.len() >= db.opts.MaxPending-db.opts.MaxPending/4 }

// known reports whether the store has a live record of key and id.
func (db *DB) known(now time.Time, key recordKey, id kad.PeerID) (ok bool) {
	err := db.view("has_provider", func(tx *bbolt.Tx) (err error) {
		ok, err = db.providers.has(tx, now, key, id)
		return err
	})
	return err == nil && ok
}

func (b *batch) addProvider(now time.Time, key recordKey, p *records.Provider) error {
	w, err := b.provider()
	if err != nil {
		return err
	}
	return w.add(now, key, p, b.db.opts.MaxProvidersPerKey, b.full)
}

// RemoveProvider implements records.Store.
func (db *DB) RemoveProvider(now time.Time, key []byte, id kad.PeerID) error {
	k := recordKeyOf(key)
	return db.do("remove_provider", ownLimit, func(b *batch) error {
		w, err := b.provider()
		if err != nil {
			return err
		}
		return w.remove(now, k, id)
	})
}

// expireStep bounds the rows that one call of Expire removes one by one.
const expireStep = 1000

// Expire implements records.Store.
func (db *DB) Expire(now time.Time) (out records.Expired, err error) {
	limit := now.Add(-records.ExpireGrace)
	err = db.do("expire", ownLimit, func(b *batch) error {
		out = records.Expired{}
		n, more, err := b.expireValues(limit, expireStep)
		if err != nil {
			return err
		}
		out.Records[records.KindValue], out.More = n, more
		w, err := b.provider()
		if err != nil {
			return err
		}
		n, more, err = w.expire(limit, expireStep)
		out.Records[records.KindProvider], out.More = n, out.More || more
		return err
	})
	if err != nil {
		return records.Expired{}, err
	}
	for k, n := range out.Records {
		db.expired[k].Add(n)
	}
	return out, nil
}

func cloneAddrs(addrs [][]byte) [][]byte {
	out := make([][]byte, len(addrs))
	for i, a := range addrs {
		out[i] = clone(a)
	}
	return out
}
