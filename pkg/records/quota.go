package records

import (
	"errors"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Quota is a limit on the records of other peers. At the limit new records are refused or
// cut. Stored records stay, and may still be renewed and removed.
type Quota uint8

// The quotas.
const (
	QuotaBytes                Quota = iota // bytes on the disk
	QuotaProviders                         // distinct peers that provider records name
	QuotaRecordsPerProvider                // provider records that name one peer
	QuotaProvidersPerKey                   // live providers of one key
	QuotaAddressesPerProvider              // addresses of a provider; the others are dropped
	QuotaValueBytes                        // size of a value
	QuotaValues                            // values of all peers
	QuotaValuesSize                        // their size
	QuotaValuesPerPeer                     // values sent by one peer
	QuotaValuesSizePerPeer                 // their size
	QuotaValuesPerGroup                    // values sent by the peers of one IP group
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
	// DefaultMaxBytes is enough for 40 million provider records.
	DefaultMaxBytes = 8 << 30
	// DefaultMaxProviders is a hundred times the providers that a server of a large
	// public network sees. Their table then has half a gigabyte.
	DefaultMaxProviders = 1_000_000
	// DefaultMaxRecordsPerProvider allows one peer 140 MB of files.
	DefaultMaxRecordsPerProvider = 2_000_000
	// DefaultMaxProvidersPerKey stops a flood. An answer for a popular key names only a
	// random subset of its providers anyway.
	DefaultMaxProvidersPerKey = 1000
	// DefaultMaxValues and the next two are a hundred times the values that a server of
	// a large public network sees.
	DefaultMaxValues         = 1_000_000
	DefaultMaxValuesPerPeer  = 100_000
	DefaultMaxValuesPerGroup = 200_000
)

// QuotaError is the quota that refused a record. It unwraps to ErrQuota.
type QuotaError struct{ Quota Quota }

// Error names the quota.
func (e *QuotaError) Error() string { return ErrQuota.Error() + ": " + e.Quota.String() }

// Unwrap returns ErrQuota.
func (e *QuotaError) Unwrap() error { return ErrQuota }

// Account is the peer and IP group whose quotas count a value. The zero Account is that of
// the node's own values, which no quota counts.
type Account struct {
	Peer  kad.PeerID // that sent the value
	Group string     // its IP group, opaque; empty: exempt from the group quotas
}

// MaxGroupLen limits the name of an IP group in bytes: an IP prefix or the number of an
// autonomous system.
const MaxGroupLen = 64

// IsZero reports whether no quota counts the value.
func (a Account) IsZero() bool { return a == Account{} }

// Tally counts values and their size in bytes, as a store estimates it.
type Tally struct{ Values, Bytes int64 }

// Add returns the sum of two tallies.
func (t Tally) Add(o Tally) Tally { return Tally{t.Values + o.Values, t.Bytes + o.Bytes} }

// ValueQuotas limit the values of other peers: of all of them together, of one peer, and of
// one IP group. Zero means no limit.
type ValueQuotas struct{ All, PerPeer, PerGroup Tally }

// ValueOffer is a value to store under a key, and the value that is stored there.
type ValueOffer struct {
	Account Account // of the sender
	Bytes   int64   // size that would be counted
	Known   bool    // the key has a live value
	// How the value under the key is counted, live or not.
	Old      Account
	OldBytes int64
}

// Charge returns the account on which an offered value is counted, or the *QuotaError of
// the quota that refuses it. held returns the tally of one peer (empty Group), of one group
// (empty Peer), or of all peers (both empty).
//
// A known key stays on the account of the peer that stored it first, so that any peer may
// renew it. A value that is not larger replaces the old one even if that account is full. A
// known value with the zero Account moves to the account of the next peer that stores it, if
// the quotas of that peer allow it.
func (q ValueQuotas) Charge(o ValueOffer, held func(Account) Tally) (Account, error) {
	switch {
	case o.Account.IsZero():
		return o.Account, nil
	case o.Known && !o.Old.IsZero():
		return o.Old, q.admit(o.Old, Tally{Bytes: o.Bytes - o.OldBytes}, held)
	}
	if !o.Old.IsZero() { // it has expired and will be replaced
		held = o.without(held)
	}
	err := q.admit(o.Account, Tally{1, o.Bytes}, held)
	if o.Known && errors.Is(err, ErrQuota) {
		return Account{}, nil
	}
	return o.Account, err
}

// without returns held minus the tally of the value under the key.
func (o *ValueOffer) without(held func(Account) Tally) func(Account) Tally {
	return func(a Account) Tally {
		if slices.Contains(o.Old.Parts(), a) {
			return held(a).Add(Tally{-1, -o.OldBytes})
		}
		return held(a)
	}
}

// admit returns the error of the first quota that an account would exceed. A quota whose
// count does not grow refuses nothing.
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

// Parts returns the accounts that count a value of a: that of all peers, that of its group
// and that of its peer.
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
