package runs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// providerRow is the part of a provider that lookups return. It never changes.
type providerRow struct {
	number      uint32
	addrsExpire uint32
	id          kad.PeerID
	addrs       []byte // see disk.AppendAddrs
}

// maxCachedRow bounds the addresses that the cache keeps per provider, in bytes: eight
// addresses or more. Longer ones are read from the file.
const maxCachedRow = 1024

// record returns a record of the provider without aliasing f. Damaged addresses are
// omitted.
func (f *providerRow) record(now time.Time, expires uint32) records.Provider {
	p := records.Provider{ID: f.id, Expires: fromSeconds(expires)}
	if at := seconds(now); f.addrsExpire > at && !ahead(at, f.addrsExpire, addressLife) {
		p.Addrs, _ = decodeAddrs(f.addrs)
	}
	if len(p.Addrs) > 0 {
		p.AddrsExpire = fromSeconds(f.addrsExpire)
	}
	return p
}

// encode returns the row of a provider.
func (f *providerRow) encode() []byte {
	row := disk.NewRow(4 + 1 + len(f.id) + len(f.addrs))
	row = binary.BigEndian.AppendUint32(row, f.addrsExpire)
	row = append(row, byte(len(f.id)))
	row = append(row, f.id...)
	return disk.Seal(bucketProviders, disk.U32(f.number), append(row, f.addrs...))
}

// decodeProviderRow decodes the row of a provider without aliasing it.
func decodeProviderRow(key, row []byte) (*providerRow, error) {
	payload, err := disk.Unseal(bucketProviders, key, row)
	if err != nil {
		return nil, err
	}
	d := disk.Decoder{B: payload}
	f := &providerRow{number: binary.BigEndian.Uint32(key), addrsExpire: d.U32()}
	f.id = kad.PeerID(d.Bytes(int(d.Uint(1))))
	f.addrs = append([]byte(nil), d.B...)
	if d.Bad || len(f.id) == 0 || len(f.addrs) == 0 {
		return nil, fmt.Errorf("%w: provider %d does not parse", ErrCorrupt, f.number)
	}
	return f, nil
}

// rowCache caches one row per slot. The number of a provider selects its slot: numbers are
// assigned in order, so active providers are spread evenly. Readers fill the cache, and the
// committer replaces what it changes.
type rowCache struct {
	log   *disk.File
	slots []atomic.Pointer[providerRow]
}

func newRowCache(log *disk.File, size int) *rowCache {
	return &rowCache{log: log, slots: make([]atomic.Pointer[providerRow], 1<<bits.Len(uint(size-1)))}
}

func (c *rowCache) slot(number uint32) *atomic.Pointer[providerRow] {
	return &c.slots[int(number)&(len(c.slots)-1)]
}

// load returns the row of a provider from the cache or the file.
func (c *rowCache) load(number uint32) (f *providerRow, err error) {
	slot := c.slot(number)
	old := slot.Load()
	if old != nil && old.number == number {
		return old, nil
	}
	err = c.log.View(func(tx *bbolt.Tx) error {
		if f, err = readProviderRow(tx, number); f == nil && err == nil {
			err = fmt.Errorf("%w: provider %d is missing", ErrCorrupt, number)
		}
		return err
	})
	if err == nil && len(f.addrs) <= maxCachedRow {
		// If the committer has published a newer one meanwhile, keep that.
		slot.CompareAndSwap(old, f)
	}
	return f, err
}

// replace publishes a new row, which is durable.
func (c *rowCache) replace(f *providerRow) {
	slot := c.slot(f.number)
	if len(f.addrs) > maxCachedRow {
		// Not nil, so that a reader that has read the old row cannot put it back.
		f = &providerRow{}
	}
	slot.Store(f)
}

// drop removes a provider.
func (c *rowCache) drop(number uint32) { c.slot(number).Store(&providerRow{}) }

// readProviderRow returns the row of a provider, or nil if there is none.
func readProviderRow(tx *bbolt.Tx, number uint32) (*providerRow, error) {
	providers, err := disk.BucketOf(tx, bucketProviders)
	if err != nil {
		return nil, err
	}
	key := disk.U32(number)
	row := providers.Get(key)
	if row == nil {
		return nil, nil
	}
	return decodeProviderRow(key, row)
}

// numberOf returns the number of a provider, or 0 if it has none.
func (s *Store) numberOf(id kad.PeerID) (number uint32, err error) {
	err = s.log.View(func(tx *bbolt.Tx) error {
		ids, err := disk.BucketOf(tx, bucketIDs)
		if err != nil {
			return err
		}
		number, err = decodeNumber(ids.Get([]byte(id)))
		return err
	})
	return number, err
}

func decodeNumber(row []byte) (uint32, error) {
	switch len(row) {
	case 0:
		return 0, nil
	case 4:
		return binary.BigEndian.Uint32(row), nil
	}
	return 0, fmt.Errorf("%w: provider number of %d bytes", ErrCorrupt, len(row))
}
