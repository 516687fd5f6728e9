package records

import (
	"bytes"
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

var (
	_ Store     = (*Mem)(nil)
	_ Keystore  = (*Mem)(nil)
	_ Snapshots = (*Mem)(nil)
)

// Mem is the in-memory twin of the stores: it implements Store, Keystore and Snapshots.
// Its zero value is ready to use and takes little memory, so that a simulation can have
// one per node. The same calls give the same results. Safe for concurrent use.
type Mem struct {
	// Shuffle orders n elements at random, as rand.Shuffle does. Nil: no order is
	// changed. Set it before use.
	Shuffle func(n int, swap func(i, j int))
	// MaxValueSize limits a value in bytes. Zero means DefaultMaxValueSize. Set it
	// before use.
	MaxValueSize int
	// ValueQuotas limit the values of other peers. Nil: no limit. Set it before use.
	ValueQuotas *ValueQuotas

	mu sync.Mutex
	s  *memState // nil until something is stored
}

// memState is the content of a Mem. Its maps are created by the first write.
type memState struct {
	values    map[string]Value
	accounts  map[Account]Tally        // the parts of the values' accounts
	providers map[string][]memProvider // by wire key, in order of arrival
	peers     map[kad.PeerID]*memPeer
	published map[publishedKey]*memPublished
	order     []*memPublished // by kad.Key; rebuilt by Range when nil
	snapshot  *Snapshot       // the newest; it cannot be damaged

	// earliest is a lower bound of all expiries. It saves Expire from scanning a store
	// in which nothing can be due.
	earliest time.Time
	stats    Stats
}

// NewMem returns an empty store. shuffle may be nil; see Mem.Shuffle.
func NewMem(shuffle func(n int, swap func(i, j int))) *Mem { return &Mem{Shuffle: shuffle} }

// state returns the state and creates it if there is none. The caller holds mu.
func (m *Mem) state() *memState {
	if m.s == nil {
		m.s = &memState{}
	}
	return m.s
}

// due lowers the bound below which nothing expires.
func (s *memState) due(expires time.Time) { s.earliest = Earlier(s.earliest, expires) }

// Value implements Store.
func (m *Mem) Value(now time.Time, key []byte) (Value, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s == nil {
		return Value{}, ErrNotFound
	}
	v, ok := m.s.values[string(key)]
	if !ok || !v.Live(now) {
		return Value{}, ErrNotFound
	}
	v.Account = Account{}
	return cloneValue(v), nil
}

// PutValue implements Store.
func (m *Mem) PutValue(now time.Time, v Value, better Better) error {
	if err := ValidateValue(&v, cmp.Or(m.MaxValueSize, DefaultMaxValueSize)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state()
	var old *Value
	if stored, ok := s.values[string(v.Key)]; ok {
		old = &stored
	}
	v, err := MergeValue(now, old, v, better)
	if err != nil {
		return err
	}
	if v.Account, err = s.charge(now, orNone(m.ValueQuotas), old, &v); err != nil {
		return err
	}
	s.putValue(old, cloneValue(v))
	return nil
}

// charge returns the account that pays for v in place of old (nil: none), and counts a
// refusal.
func (s *memState) charge(now time.Time, quotas ValueQuotas, old, v *Value) (Account, error) {
	offer := ValueOffer{Account: v.Account, Bytes: memValueBytes(v)}
	if old != nil {
		offer.Known, offer.Old, offer.OldBytes = old.Live(now), old.Account, memValueBytes(old)
	}
	account, err := quotas.Charge(offer, func(a Account) Tally { return s.accounts[a] })
	var over *QuotaError
	if errors.As(err, &over) {
		s.stats.RefusedWrites++
		s.stats.Refused[over.Quota]++
	}
	return account, err
}

// putValue stores v in place of old (nil: none).
func (s *memState) putValue(old *Value, v Value) {
	if s.values == nil {
		s.values = make(map[string]Value)
	}
	if old != nil {
		s.countValue(old, -1)
	}
	s.values[string(v.Key)] = v
	s.countValue(&v, 1)
	s.due(v.Expires)
}

func memValueBytes(v *Value) int64 { return int64(len(v.Key) + len(v.Value) + len(v.Publisher)) }

func (s *memState) countValue(v *Value, n int64) {
	bytes := n * memValueBytes(v)
	s.stats.Records[KindValue] += n
	s.stats.Bytes[KindValue] += bytes
	for _, a := range v.Account.Parts() {
		if s.accounts == nil {
			s.accounts = make(map[Account]Tally)
		}
		if s.accounts[a] = s.accounts[a].Add(Tally{n, bytes}); s.accounts[a] == (Tally{}) {
			delete(s.accounts, a)
		}
	}
}

// DeleteValue implements Store.
func (m *Mem) DeleteValue(key []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s == nil {
		return ErrNotFound
	}
	v, ok := m.s.values[string(key)]
	if !ok {
		return ErrNotFound
	}
	m.s.countValue(&v, -1)
	delete(m.s.values, string(key))
	return nil
}

// Expire implements Store.
func (m *Mem) Expire(now time.Time) (Expired, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out Expired
	s := m.s
	limit := now.Add(-ExpireGrace)
	if s == nil || s.earliest.IsZero() || s.earliest.After(limit) {
		return out, nil
	}
	s.earliest = time.Time{}
	for k, v := range s.values {
		if v.Expires.After(limit) {
			s.due(v.Expires)
			continue
		}
		s.countValue(&v, -1)
		delete(s.values, k)
		out.Records[KindValue]++
	}
	out.Records[KindProvider] = s.expireProviders(limit)
	for k, n := range out.Records {
		s.stats.ExpiredRecords[k] += n
	}
	return out, nil
}

// Stats implements Store.
func (m *Mem) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s == nil {
		return Stats{}
	}
	st := m.s.stats
	st.Providers = int64(len(m.s.peers))
	return st
}

// SaveSnapshot implements Snapshots.
func (m *Mem) SaveSnapshot(snap Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	snap = snap.Trim()
	m.state().snapshot = &snap
	return nil
}

// LoadSnapshot implements Snapshots.
func (m *Mem) LoadSnapshot() (Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s == nil || m.s.snapshot == nil {
		return Snapshot{}, ErrNotFound
	}
	return m.s.snapshot.Trim(), nil
}

func cloneValue(v Value) Value {
	v.Key, v.Value, v.Publisher = bytes.Clone(v.Key), bytes.Clone(v.Value), bytes.Clone(v.Publisher)
	return v
}

func orNone(q *ValueQuotas) ValueQuotas {
	if q == nil {
		return ValueQuotas{}
	}
	return *q
}
