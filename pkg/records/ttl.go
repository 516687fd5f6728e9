package records

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Lifetimes of the protocol. docs/ARCHITECTURE.md has the sources.
const (
	// MaxTTL is the longest lifetime of any record that is not republished (go-libp2p-kad-dht:
	// amino.DefaultProvideValidity and value max age, 48 h).
	MaxTTL = 48 * time.Hour
	// ProviderAddrTTL is the lifetime of a provider's addresses (go: 24 h).
	ProviderAddrTTL = 24 * time.Hour
)

// ExpireGrace is how long a store keeps a record past its expiry before Expire may remove
// it. Such a record is never served. It is kept so that a clock that jumps forward by less
// than this, and back again, loses no record: neither earlier ones nor those stored
// meanwhile, see Live.
const ExpireGrace = time.Hour

// Live reports whether a record that expires at expires, and has a lifetime of most at
// longest, may be served at now. A record that expires more than ExpireGrace after now +
// most was stored while the clock was ahead. Any new record may overwrite it. It is not
// removed early, because all records look like this while the clock is behind.
func Live(now, expires time.Time, most time.Duration) bool {
	return now.Before(expires) && !expires.After(now.Add(most+ExpireGrace))
}

// MaxPeerIDLen limits a peer ID in bytes. libp2p inlines public keys of up to 42 bytes and
// hashes longer ones; the rest is for other hash functions.
const MaxPeerIDLen = 128

// ErrInvalid is returned when a record lacks a required part.
var ErrInvalid = errors.New("malformed record")

// CapTTL returns the lifetime of a record whose sender asks for ttl. An absent ttl (zero or
// negative) means MaxTTL. The result exceeds neither MaxTTL nor most, this node's own
// maximum (zero: none).
func CapTTL(ttl, most time.Duration) time.Duration {
	if ttl <= 0 || ttl > MaxTTL {
		ttl = MaxTTL
	}
	if most > 0 && ttl > most {
		ttl = most
	}
	return ttl
}

// Expiry returns when a record received at now expires; see CapTTL.
func Expiry(now time.Time, ttl, most time.Duration) time.Time {
	return now.Add(CapTTL(ttl, most))
}

// HeldExpiry returns when a record expires that another peer holds: after the ttl in its
// answer or, without one, MaxTTL after the peer received it, if the answer says when (RFC
// 3339, as go-libp2p-kad-dht sends it). Otherwise each reader that passes the record on
// would give it a new MaxTTL, and it would never expire.
func HeldExpiry(now time.Time, ttl time.Duration, received string) time.Time {
	expires := Expiry(now, ttl, MaxTTL)
	if ttl > 0 {
		return expires
	}
	if at, err := time.Parse(time.RFC3339Nano, received); err == nil && at.Before(now) {
		return at.Add(MaxTTL)
	}
	return expires
}

// CapExpiry returns expires, or now + MaxTTL if that is earlier: no record outlives its
// receipt by more.
func CapExpiry(now, expires time.Time) time.Time {
	if latest := now.Add(MaxTTL); expires.After(latest) {
		return latest
	}
	return expires
}

// Earlier returns the earlier of two times. A zero time means never.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// WireTTL returns the lifetime that field 777 of a record asks for; 0 = absent,
// as CapTTL takes it.
func WireTTL(seconds uint32) time.Duration { return time.Duration(seconds) * time.Second }

// RemainingSeconds returns the lifetime to write into field 777 of a record, and whether the
// record may be sent at all. It rounds down, so that no holder of a copy serves it at or
// after its expiry. A record with less than one second left is not sent, because zero on the
// wire means "absent" and would revive it for MaxTTL.
func RemainingSeconds(now, expires time.Time) (seconds uint32, ok bool) {
	left := CapExpiry(now, expires).Sub(now) / time.Second
	if left <= 0 {
		return 0, false
	}
	return uint32(left), true
}

// ValidateProvider checks the limits of a provider record under key.
func ValidateProvider(key []byte, p *Provider) error {
	switch {
	case len(key) == 0 || len(p.ID) == 0:
		return fmt.Errorf("%w: empty provider key or peer ID", ErrInvalid)
	case len(key) > MaxKeyLen:
		return fmt.Errorf("%w: provider key of %d bytes, at most %d", ErrTooLarge, len(key), MaxKeyLen)
	case len(p.ID) > MaxPeerIDLen:
		return fmt.Errorf("%w: peer ID of %d bytes, at most %d", ErrTooLarge, len(p.ID), MaxPeerIDLen)
	}
	return validateAddrs(p.Addrs)
}

func validateAddrs(addrs [][]byte) error {
	if len(addrs) > MaxAddressesPerProvider {
		return fmt.Errorf("%w: %d addresses, at most %d", ErrTooLarge, len(addrs), MaxAddressesPerProvider)
	}
	for _, a := range addrs {
		if len(a) > MaxAddrLen {
			return fmt.Errorf("%w: address of %d bytes, at most %d", ErrTooLarge, len(a), MaxAddrLen)
		}
	}
	return nil
}

// ValidateValue checks the limits of a value record; maxSize is in bytes.
func ValidateValue(v *Value, maxSize int) error {
	switch {
	case len(v.Key) == 0:
		return fmt.Errorf("%w: empty value key", ErrInvalid)
	case len(v.Key) > MaxValueKeyLen:
		return fmt.Errorf("%w: value key of %d bytes, at most %d", ErrTooLarge, len(v.Key), MaxValueKeyLen)
	case len(v.Value) > maxSize:
		return fmt.Errorf("%w: value of %d bytes, at most %d", ErrTooLarge, len(v.Value), maxSize)
	case len(v.Publisher) > MaxPeerIDLen:
		return fmt.Errorf("%w: publisher of %d bytes, at most %d", ErrTooLarge, len(v.Publisher), MaxPeerIDLen)
	case len(v.Account.Peer) > MaxPeerIDLen, len(v.Account.Group) > MaxGroupLen:
		return fmt.Errorf("%w: account of %d and %d bytes", ErrTooLarge, len(v.Account.Peer), len(v.Account.Group))
	}
	return nil
}

// ValidatePublished checks the limits of a published key; maxSize is in bytes.
func ValidatePublished(p *Published, maxSize int) error {
	switch p.Kind {
	case KindProvider:
		if len(p.Key) > MaxKeyLen {
			return fmt.Errorf("%w: provider key of %d bytes, at most %d", ErrTooLarge, len(p.Key), MaxKeyLen)
		}
	case KindValue:
	default:
		return fmt.Errorf("%w: unknown kind %d", ErrInvalid, p.Kind)
	}
	return ValidateValue(&Value{Key: p.Key, Value: p.Value}, maxSize)
}

// Trim returns a copy of s within the limits of a snapshot: the first MaxSnapshotPeers
// peers, and for each of them and for this node the first MaxAddressesPerProvider addresses
// that are not too long. It drops peers with an impossible ID.
func (s Snapshot) Trim() Snapshot {
	out := Snapshot{Taken: s.Taken, Own: trimAddrs(s.Own)}
	for _, p := range s.Peers {
		if len(out.Peers) == MaxSnapshotPeers {
			break
		}
		if len(p.ID) == 0 || len(p.ID) > MaxPeerIDLen {
			continue
		}
		p.Addrs = trimAddrs(p.Addrs)
		out.Peers = append(out.Peers, p)
	}
	return out
}

// trimAddrs copies the first MaxAddressesPerProvider addresses that are not too long.
func trimAddrs(addrs [][]byte) (out [][]byte) {
	for _, a := range addrs {
		if len(a) <= MaxAddrLen && len(out) < MaxAddressesPerProvider {
			out = append(out, append([]byte(nil), a...))
		}
	}
	return out
}

// MergeValue returns the value to store when v is offered at now and old is stored (nil: no
// value): v; v with the later of the two expiries if the bytes are the same; or ErrOlder if
// old is live and better (nil: prefers the offered one) does not prefer v. The result expires
// at now + MaxTTL or at v.Ends at the latest. Ends is not kept. A zero Received becomes now.
func MergeValue(now time.Time, old *Value, v Value, better Better) (Value, error) {
	latest := Earlier(now.Add(MaxTTL), v.Ends)
	if v.Expires.After(latest) {
		v.Expires = latest
	}
	v.Ends = time.Time{}
	if v.Received.IsZero() {
		v.Received = now
	}
	if !v.Live(now) {
		return Value{}, ErrExpired
	}
	if old == nil || !old.Live(now) {
		return v, nil
	}
	if bytes.Equal(old.Value, v.Value) {
		if kept := Earlier(old.Expires, latest); kept.After(v.Expires) {
			v.Expires = kept
		}
		return v, nil
	}
	if better != nil && !better(v.Key, old.Value, v.Value) {
		return Value{}, ErrOlder
	}
	return v, nil
}

// CapProvider returns p as a store keeps it when received at now. Its record expires at now
// + MaxTTL at the latest, and its addresses at now + ProviderAddrTTL at the latest, also if
// AddrsExpire is zero. It returns ErrExpired if the record has expired.
func CapProvider(now time.Time, p Provider) (Provider, error) {
	p.Expires = CapExpiry(now, p.Expires)
	if !now.Before(p.Expires) {
		return Provider{}, ErrExpired
	}
	if latest := now.Add(ProviderAddrTTL); p.AddrsExpire.IsZero() || p.AddrsExpire.After(latest) {
		p.AddrsExpire = latest
	}
	if len(p.Addrs) == 0 || !now.Before(p.AddrsExpire) {
		p.Addrs, p.AddrsExpire = nil, time.Time{}
	}
	return p, nil
}
