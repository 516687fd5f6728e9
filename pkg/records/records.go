package records

import (
	"errors"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Limits of the protocol. docs/ARCHITECTURE.md has the sources.
const (
	// MaxKeyLen limits a provider key in bytes (go-libp2p-kad-dht: 80).
	MaxKeyLen = 80
	// MaxValueKeyLen limits the key of a value record in bytes.
	MaxValueKeyLen = 1024
	// DefaultMaxValueSize limits a value in bytes (IPNS records: 10 KiB).
	DefaultMaxValueSize = 10 << 10
	// MaxAddressesPerProvider limits the addresses kept of one provider.
	MaxAddressesPerProvider = 16
	// MaxAddrLen limits one binary multiaddr in bytes.
	MaxAddrLen = 256
)

var (
	// ErrNotFound is returned when there is no live record under the key.
	ErrNotFound = errors.New("not found")
	// ErrOlder is returned when the stored value is better than the offered one.
	ErrOlder = errors.New("an equal or newer value is stored")
	// ErrExpired is returned when the offered record's lifetime has passed.
	ErrExpired = errors.New("expired")
	// ErrTooLarge is returned when a key, value or address list exceeds its limit.
	ErrTooLarge = errors.New("too large")
	// ErrQuota is returned when a quota refuses a new record.
	ErrQuota = errors.New("quota reached")
	// ErrFull is returned when there is no disk space for a new record.
	ErrFull = errors.New("no room")
	// ErrBusy is returned when the queue of writes is full.
	ErrBusy = errors.New("too many writes are waiting")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("store closed")
)

// Value is a signed or opaque value under a key.
type Value struct {
	Key       []byte // preimage, as on the wire: "/pk/...", "/ipns/..." or raw bytes
	Value     []byte
	Publisher []byte    // peer ID of the publisher if the wire named one (field 666)
	Received  time.Time // when this copy was received
	Expires   time.Time // absolute; served before, never at or after
	Ends      time.Time // for PutValue: when the value expires by its own content; zero: never. Not stored

	// Account is whose quotas count the value. Only PutValue uses it.
	Account Account
}

// Live reports whether the value may be served at now.
func (v *Value) Live(now time.Time) bool { return Live(now, v.Expires, MaxTTL) }

// Provider is a provider record: a peer has the content of a key.
type Provider struct {
	ID          kad.PeerID
	Addrs       [][]byte  // binary multiaddrs; empty once AddrsExpire has passed
	AddrsExpire time.Time // absolute
	Expires     time.Time // absolute; served before, never at or after
}

// Kind distinguishes provider records and value records.
type Kind uint8

// The kinds of records.
const (
	KindProvider Kind = iota
	KindValue

	NumKinds = 2
)

// String returns "provider" or "value", as metrics label it.
func (k Kind) String() string {
	if k == KindValue {
		return "value"
	}
	return "provider"
}

// Published is a key that this node publishes and republishes.
type Published struct {
	Kind  Kind
	Key   []byte        // preimage, as on the wire
	Value []byte        // of a value record
	TTL   time.Duration // lifetime given to each publication of a value
	Until time.Time     // not republished at or after; zero: until unpublished
	Added time.Time
	Last  time.Time // last successful publication; zero: never
	Due   time.Time // next publication
}

// Stats are running counters. Reading them never scans the store.
type Stats struct {
	Records        [NumKinds]int64 // stored, by kind; an upper bound of the live ones
	Bytes          [NumKinds]int64 // estimated bytes on disk, by kind
	Providers      int64           // distinct provider peers known
	Published      [NumKinds]int64 // keys this node publishes, by kind
	PendingWrites  int64
	RefusedWrites  int64            // since start: queue full or quota
	Refused        [NumQuotas]int64 // since start, by quota
	ExpiredRecords [NumKinds]int64
}

// Expired is what one call of Expire removed.
type Expired struct {
	Records [NumKinds]int64
	More    bool // more records are due: call again
}

// Better reports whether value b should replace value a under key. It is called inside the
// write transaction and must not block.
type Better func(key, a, b []byte) bool

// Store stores the records that this node holds for the network. Safe for concurrent use.
// It does not keep byte slices of its arguments; the caller owns those it returns.
type Store interface {
	// Value returns the live value under key, or ErrNotFound.
	Value(now time.Time, key []byte) (Value, error)
	// PutValue stores v if its key has no live value or better prefers v (a nil better
	// always does). Identical bytes refresh the age and keep the later expiry, see
	// MergeValue. It returns ErrOlder if the stored value wins, and ErrQuota if a quota of
	// v's account refuses it, see ValueQuotas. When it returns nil, the value is durable.
	PutValue(now time.Time, v Value, better Better) error
	// DeleteValue removes the value under key; ErrNotFound if there is none.
	DeleteValue(key []byte) error
	// Providers appends at most n live providers of key to dst; if there are more, a
	// random subset in random order. It leaves out expired addresses.
	Providers(dst []Provider, now time.Time, key []byte, n int) ([]Provider, error)
	// AddProvider stores that p has key. The record expires at p.Expires (a store may
	// round that down to the second) or at the expiry of the stored record, whichever is
	// later; a stored record that is not live, see Live, does not count.
	// The addresses of p, if there are any, replace its stored ones for all keys. A store
	// may skip writing the same addresses while half of their lifetime remains.
	// A quota on the providers of a key refuses new providers only. With durable it returns once the
	// record is on disk; otherwise once the record is queued (durable and visible within
	// the commit window) or refused (ErrBusy, ErrQuota).
	AddProvider(now time.Time, key []byte, p Provider, durable bool) error
	// RemoveProvider removes the record that id has key. It returns ErrNotFound if there
	// is no live one; it also removes an expired one, because the clock may be set back.
	RemoveProvider(now time.Time, key []byte, id kad.PeerID) error
	// Expire removes records that expired ExpireGrace before now or earlier. Its cost is
	// proportional to what it removes.
	Expire(now time.Time) (Expired, error)
	// Stats returns the running counters.
	Stats() Stats
}

// Keystore keeps the keys this node publishes. Safe for concurrent use.
type Keystore interface {
	// Publish adds or replaces published keys. Durable on return. After an error some may be
	// stored.
	Publish(ps ...Published) error
	// Unpublish removes one; ErrNotFound if it is not there. Durable on return.
	Unpublish(kind Kind, key []byte) error
	// UnpublishAll removes the keys that are published and returns how many it removed.
	// Durable on return. After an error some may be removed.
	UnpublishAll(kind Kind, keys [][]byte) (removed int, err error)
	// Load returns one published key, or ErrNotFound.
	Load(kind Kind, key []byte) (Published, error)
	// Done records when a key was last published (zero: it failed, and the old time
	// stays) and when it is due again. Unknown keys are ignored.
	Done(kind Kind, key []byte, last, due time.Time) error
	// Range calls fn with published keys of region ordered by kad.Key (a provider before a
	// value of the same key), until fn returns false. fn may not call the
	// keystore.
	Range(region kad.Prefix, fn func(Published) bool) error
}
