package storage

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// Defaults and bounds.
const (
	// DefaultCommitWindow is that of the provider store.
	DefaultCommitWindow = runs.DefaultCommitWindow
	// DefaultMaxBytes has room for 40 million provider records.
	DefaultMaxBytes = records.DefaultMaxBytes
	// DefaultLockTimeout is that of the provider store.
	DefaultLockTimeout = runs.DefaultLockTimeout

	// MinMaxBytes is the smallest file that can do its housekeeping.
	MinMaxBytes = 16 << 20

	// maxBatch bounds the writes of a batch, which is one transaction: bbolt holds
	// every page it changes in the heap until the commit, up to a page per write.
	maxBatch = 4096
)

// Options configures Open. The zero value of each field stands for its default.
type Options struct {
	// Options are those of the provider store. CommitWindow, the bounds on providers and
	// their records, TableRecords, RotateEvery and ProviderCache are about provider records
	// only; the others hold for all files, with these differences:
	//
	// MaxBytes bounds all files together: one half is for provider records, the other for
	// everything else. New records are refused with ErrFull when an eighth of their file
	// (at most 256 MiB) is left, so that refreshes, removals and the node's own keys still
	// find room. Default DefaultMaxBytes, at least MinMaxBytes; where addresses have 32
	// bits, never more than 1 GiB.
	//
	// MaxPending bounds adverts and, counted apart, values (twice as many). The node's own
	// keys are always taken.
	//
	// ReadOnly has damage reported (ErrCorrupt), not repaired.
	//
	// Progress is also told how far repairs and checks page by page have come.
	//
	// Verify is ignored: the store verifies its files itself.
	runs.Options

	// MaxValueSize bounds a value in bytes. Default records.DefaultMaxValueSize,
	// at most 1 MiB.
	MaxValueSize int

	// ValueQuotas bound the values that others have stored here, see records.Account. A
	// new one over them is refused with a *records.QuotaError. The zero value of each
	// number stands for its default, DefaultValueQuotas.
	ValueQuotas records.ValueQuotas

	// Network names the network the records belong to, such as its protocol ID.
	// A file made for another network is refused with ErrForeign. Empty: any.
	Network string

	// OnQuarantine is called by Open, at most once, when the file was damaged and
	// has been moved aside. See also DB.Quarantined.
	OnQuarantine func(Quarantine)

	// verifyPages bounds the pages whose structure Open checks, nearest the root
	// first. Zero means pages.DefaultBudget. Tests lower it.
	verifyPages int
	// force is damage that Open is to assume; see Repair.
	force error
}

// Progress is how far one step of long work on the files has come.
type Progress = disk.Progress

// Observer is told of commits and errors of all files.
type Observer = runs.Observer

// Validate reports all violations at once.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("storage: "+format, args...)) }
	provider := o.Options
	if o.MaxBytes != 0 && o.MaxBytes < MinMaxBytes {
		bad("MaxBytes %d is under %d", o.MaxBytes, MinMaxBytes)
		provider.MaxBytes = 0 // one complaint is enough
	}
	errs = append(errs, provider.Validate())
	if o.MaxValueSize < 0 || o.MaxValueSize > maxValueRow {
		bad("MaxValueSize %d is not within 0 and %d", o.MaxValueSize, maxValueRow)
	}
	for _, t := range []records.Tally{o.ValueQuotas.All, o.ValueQuotas.PerPeer, o.ValueQuotas.PerGroup} {
		if t.Values < 0 || t.Bytes < 0 {
			bad("ValueQuotas %+v has a negative bound", t)
		}
	}
	if len(o.Network) > maxNetworkLen {
		bad("Network of %d bytes is longer than %d", len(o.Network), maxNetworkLen)
	}
	return errors.Join(errs...)
}

// WithDefaults returns a copy in which no default is left open.
func (o Options) WithDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.Options = o.Options.WithDefaults()
	o.MaxValueSize = cmp.Or(o.MaxValueSize, records.DefaultMaxValueSize)
	setQuotas(&o.ValueQuotas, DefaultValueQuotas(o.MaxBytes))
	o.verifyPages = cmp.Or(o.verifyPages, pages.DefaultBudget)
	return o
}

// DefaultValueQuotas returns the bounds on the values of others in a store of so many
// bytes. All of them together leave a quarter of their file to the node's own keys and
// the datastore; one peer takes an eighth, one IP group a quarter. The numbers are a
// hundred times what a server of a large public network sees.
func DefaultValueQuotas(maxBytes int64) records.ValueQuotas {
	if maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	space := disk.RecordsLimit(stateBytes(min(maxBytes, disk.MostBytes)), fileGrowth)
	return records.ValueQuotas{
		All:      records.Tally{Values: records.DefaultMaxValues, Bytes: space / 4 * 3},
		PerPeer:  records.Tally{Values: records.DefaultMaxValuesPerPeer, Bytes: space / 8},
		PerGroup: records.Tally{Values: records.DefaultMaxValuesPerGroup, Bytes: space / 4},
	}
}

func setQuotas(q *records.ValueQuotas, def records.ValueQuotas) {
	for _, f := range [][2]*records.Tally{{&q.All, &def.All}, {&q.PerPeer, &def.PerPeer}, {&q.PerGroup, &def.PerGroup}} {
		f[0].Values = cmp.Or(f[0].Values, f[1].Values)
		f[0].Bytes = cmp.Or(f[0].Bytes, f[1].Bytes)
	}
}

// stateBytes is the part of MaxBytes for everything but provider records.
func stateBytes(maxBytes int64) int64 { return maxBytes / 2 }
