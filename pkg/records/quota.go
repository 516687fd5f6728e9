package records

import (
	"errors"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Quota is a bound on what others may have stored here. At the bound what is new is
// refused or cut; what is stored stays, and may be renewed and removed.
type Quota uint8

// The quotas.
const (
	QuotaBytes                Quota = iota // room on the disk
	QuotaProviders                         // distinct peers that provider records name
	QuotaRecordsPerProvider                // provider records that name one peer
	QuotaProvidersPerKey                   // live providers of one key
	QuotaAddressesPerProvider              // addresses of a provider; those beyond are left out
	QuotaValueBytes                        // size of a value
	QuotaValues                            // values of all peers
	QuotaValuesSize                        // their size
	QuotaValuesPerPeer                     // values that one peer sent
	QuotaValuesSizePerPeer                 // their size
	QuotaValuesPerGroup                    // values that the peers of one IP group sent
	QuotaValuesSizePerGroup                // their size

	NumQuotas = int(QuotaValuesSizePerGroup) + 1
)

var quotaNames = [NumQuotas]string{
	"bytes", "providers", "records_per_provider", "providers_per_key", "addresses_per_provider", "value_bytes",
	"values", "values_size", "values_per_peer", "values_size_per_peer", "values_per_group", "values_size_per_group",
}

// String returns the quota's name, as metrics label it.
func (q Quota) String() string { return quotaNames[q] }

// Defaults of the quotas of a store.
const (
	// DefaultMaxBytes has room for 40 million provider records.
	DefaultMaxBytes = 8 << 30
	// DefaultMaxProviders is a hundred times what a server of a large public network
	// sees; their table is then half a gigabyte.
	DefaultMaxProviders = 1_000_000
	// DefaultMaxRecordsPerProvider is 140 MB of files for one peer.
	DefaultMaxRecordsPerProvider = 2_000_000
	// DefaultMaxProvidersPerKey stops a flood. An answer names a random few of a popular
	// key's providers anyway.
	DefaultMaxProvidersPerKey = 1000
	// DefaultMaxValues and the next two are a hundred times what a server of a large
	// public network sees.
	DefaultMaxValues         = 1_000_000
	DefaultMaxValuesPerPeer  = 100_000
	DefaultMaxValuesPerGroup = 200_000
)

// QuotaError says which quota refused a record. It unwraps to ErrQuota.
type QuotaError struct{ Quota Quota }

// Error names the quota.
func (e *QuotaError) Error() string { return ErrQuota.Error() + ": " + e.Quota.String() }

// Unwrap returns ErrQuota.
func (e *QuotaError) Unwrap() error { return ErrQuota }

// Account says on whose account a value is stored. The zero Account is nobody's: the
// node's own values have it, and no quota counts them.
type Account struct {
	Peer  kad.PeerID // who sent the value
	Group string     // its IP group, opaque; empty: exempt from bounds on groups
}

// MaxGroupLen bounds the name of an IP group in bytes: a prefix or the number of an
// autonomous system.
const MaxGroupLen = 64

// IsZero reports whether the account is nobody's.
func (a Account) IsZero() bool { return a == Account{} }

// Tally counts values and their size in bytes, as a store estimates it.
type Tally struct{ Values, Bytes int64 }

// Add returns the sum of two tallies.
func (t Tally) Add(o Tally) Tally { return Tally{t.Values + o.Values, t.Bytes + o.Bytes} }

// ValueQuotas bound the values that others have stored here: of all of them together,
// of one peer, of one IP group. A zero is no bound.
type ValueQuotas struct{ All, PerPeer, PerGroup Tally }

// ValueOffer is a value that is to be stored under a key, and what is there.
type ValueOffer struct {
	Account Account // of the sender
	Bytes   int64   // that it would take up
	Known   bool    // a live value stands under the key
	// What the value under the key is counted for, live or not.
	Old      Account
	OldBytes int64
}

// Charge returns the account that an offered value is counted on, or the *QuotaError of
// the quota that refuses it. held returns what one peer's account holds (the Group is
// empty), or one group's (the Peer is empty), or all of them (both are).
//
// A known key stays on the account of the peer that stored it first, so that anybody
// may renew it. A value that is no larger replaces the old one even if that account is
// full. A known value on nobody's account moves to the account of the next peer that
// stores it, if that has room.
func (q ValueQuotas) Charge(o ValueOffer, held func(Account) Tally) (Account, error) {
	switch {
	case o.Account.IsZero():
		return o.Account, nil
	case o.Known && !o.Old.IsZero():
		return o.Old, q.admit(o.Old, Tally{Bytes: o.Bytes - o.OldBytes}, held)
	}
	if !o.Old.IsZero() { // it has expired, and makes room
		held = o.without(held)
	}
	err := q.admit(o.Account, Tally{1, o.Bytes}, held)
	if o.Known && errors.Is(err, ErrQuota) {
		return Account{}, nil
	}
	return o.Account, err
}

// without returns held less what the value under the key is counted for.
func (o *ValueOffer) without(held func(Account) Tally) func(Account) Tally {
	return func(a Account) Tally {
		if slices.Contains(o.Old.Parts(), a) {
			return held(a).Add(Tally{-1, -o.OldBytes})
		}
		return held(a)
	}
}

// admit returns the error of the first quota that an account would exceed with more. A
// quota of what does not grow refuses nothing.
func (q ValueQuotas) admit(a Account, more Tally, held func(Account) Tally) error {
	for _, part := range a.Parts() {
		most, values, size := q.All, QuotaValues, QuotaValuesSize
		switch {
		case part.Group != "":
			most, values, size = q.PerGroup, QuotaValuesPerGroup, QuotaValuesSizePerGroup
		case part.Peer != "":
			most, values, size = q.PerPeer, QuotaValuesPerPeer, QuotaValuesSizePerPeer
		}
		switch t := held(part).Add(more); {
		case more.Values > 0 && most.Values > 0 && t.Values > most.Values:
			return &QuotaError{values}
		case more.Bytes > 0 && most.Bytes > 0 && t.Bytes > most.Bytes:
			return &QuotaError{size}
		}
	}
	return nil
}

// Parts returns the accounts that count a value on a: that of all values of others,
// that of its group, that of its peer.
func (a Account) Parts() []Account {
	if a.IsZero() {
		return nil
	}
	parts := []Account{{}}
	if a.Group != "" {
		parts = append(parts, Account{Group: a.Group})
	}
	if a.Peer != "" {
		parts = append(parts, Account{Peer: a.Peer})
	}
	return parts
}
