package records

import (
	"errors"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Lifetimes and bounds of the protocol; see docs/ARCHITECTURE.md for sources.
const (
	// MaxTTL is how long any record lives at most without being renewed
	// (go-libp2p-kad-dht: amino.DefaultProvideValidity and value max age, 48 h).
	MaxTTL = 48 * time.Hour
	// ProviderAddrTTL is how long a provider's addresses are told (go: 24 h).
	ProviderAddrTTL = 24 * time.Hour
	// MaxKeyLen bounds a provider key in bytes (go-libp2p-kad-dht: 80).
	MaxKeyLen = 80
	// MaxValueKeyLen bounds the key of a value record in bytes.
	MaxValueKeyLen = 1024
	// DefaultMaxValueSize bounds a value in bytes (IPNS records: 10 KiB).
	DefaultMaxValueSize = 10 << 10
	// MaxAddressesPerProvider bounds the addresses kept for one provider.
	MaxAddressesPerProvider = 16
	// MaxAddrLen bounds one binary multiaddr in bytes.
	MaxAddrLen = 256
)

var (
	// ErrNotFound is returned when no live record stands under the key.
	ErrNotFound = errors.New("records: not found")
	// ErrOlder is returned when the stored value is better than the offered one.
	ErrOlder = errors.New("records: an equal or newer value is stored")
	// ErrExpired is returned when the offered record's lifetime has passed.
	ErrExpired = errors.New("records: expired")
	// ErrTooLarge is returned when a key, value or address list is over its bound.
	ErrTooLarge = errors.New("records: too large")
	// ErrQuota is returned when a quota refuses a new record.
	ErrQuota = errors.New("records: quota reached")
	// ErrFull is returned when there is no room on the disk for a new record.
	ErrFull = errors.New("records: no room")
	// ErrBusy is returned when the queue of writes is full.
	ErrBusy = errors.New("records: too many writes are waiting")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("records: store closed")
)

// Value is a signed or opaque value under a key.
type Value struct {
	Key       []byte // preimage, as on the wire: "/pk/...", "/ipns/..." or raw bytes
	Value     []byte
	Publisher []byte    // peer ID of the publisher if the wire named one (field 666)
	Received  time.Time // when this copy was received
	Expires   time.Time // absolute; served before, never at or after
	Ends      time.Time // for PutValue: when the value stops being valid by itself; zero: never. Not stored

	// Account is whose quotas count the value; for PutValue only, nobody else sees it.
	Account Account
}

// Live reports whether the value may be served at now.
func (v *Value) Live(now time.Time) bool { return Live(now, v.Expires, MaxTTL) }

// Provider says that a peer has the content of a key.
type Provider struct {
	ID          kad.PeerID
	Addrs       [][]byte  // binary multiaddrs; empty once AddrsExpire has passed
	AddrsExpire time.Time // absolute
	Expires     time.Time // absolute; served before, never at or after
}

// Kind tells provider records from value records.
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

// Published is a key this node publishes and keeps publishing.
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

// Stats are running counters; reading them never scans.
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

// Expired says what one call of Expire removed.
type Expired struct {
	Records [NumKinds]int64
	More    bool // the step's bound was reached; call again
}

// Better decides whether value b should replace value a under key. It is called
// inside the write transaction and must not block.
type Better func(key, a, b []byte) bool

// Store keeps the records this node holds for the network. Safe for concurrent use.
// Byte slices given to it are not kept; those it returns are the caller's.
type Store interface {
	// Value returns the live value under key, or ErrNotFound.
	Value(now time.Time, key []byte) (Value, error)
	// PutValue stores v if nothing live stands under its key or better prefers
	// it (a nil better: always); identical bytes refresh the age and keep the
	// later expiry, see MergeValue. It returns ErrOlder if the stored one wins, and
	// ErrQuota if a quota of v's account refuses it, see ValueQuotas.
	// On nil the value is durable.
	PutValue(now time.Time, v Value, better Better) error
	// DeleteValue removes the value under key; ErrNotFound if there is none.
	DeleteValue(key []byte) error
	// Providers appends at most n live providers of key to dst, a random subset
	// in random order if there are more. Addresses past their expiry are left out.
	Providers(dst []Provider, now time.Time, key []byte, n int) ([]Provider, error)
	// AddProvider stores that p has key, until p.Expires (a store may round it
	// down to the second) or until it was known to have it, whichever is later; a
	// record that is not live, see Live, does not count.
	// Addresses, if there are any, replace those known of p, whatever the key; the
	// same addresses need not be stored again while half of their time remains.
	// MaxProvidersPerKey refuses newcomers only. With durable it returns
	// once the record is on disk; else once it is queued (durable and visible
	// within the store's commit window) or refused (ErrBusy, ErrQuota).
	AddProvider(now time.Time, key []byte, p Provider, durable bool) error
	// RemoveProvider forgets that id has key; ErrNotFound if it is not known, or
	// no longer: what has expired is forgotten too, for the clock may be set back.
	RemoveProvider(now time.Time, key []byte, id kad.PeerID) error
	// Expire removes what expired ExpireGrace before now or earlier, in proportion
	// to what it removes.
	Expire(now time.Time) (Expired, error)
	// Stats returns the running counters.
	Stats() Stats
}

// Keystore keeps the keys this node publishes. Safe for concurrent use.
type Keystore interface {
	// Publish adds or replaces a published key; durable on return.
	Publish(ps ...Published) error
	// Unpublish removes one; ErrNotFound if it is not there. Durable on return.
	Unpublish(kind Kind, key []byte) error
	// UnpublishAll removes those of the keys that are there and returns how many it
	// removed. Durable on return. After an error some may be removed.
	UnpublishAll(kind Kind, keys [][]byte) (removed int, err error)
	// Load returns one published key, or ErrNotFound.
	Load(kind Kind, key []byte) (Published, error)
	// Done records when a key was last published (zero: it failed, keep the old
	// one) and when it is due again. Unknown keys are ignored.
	Done(kind Kind, key []byte, last, due time.Time) error
	// Range calls fn with published keys of region ordered by kad.Key (a provider before a
	// value of the same key), until fn returns false. fn may not call the
	// keystore.
	Range(region kad.Prefix, fn func(Published) bool) error
}
