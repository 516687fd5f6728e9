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
	// DefaultCommitWindow is the default of the provider store.
	DefaultCommitWindow = runs.DefaultCommitWindow
	// DefaultMaxBytes has capacity for 40 million provider records: the provider store gets
	// half of it.
	DefaultMaxBytes = records.DefaultMaxBytes
	// DefaultLockTimeout is the default of the provider store.
	DefaultLockTimeout = runs.DefaultLockTimeout

	// MinMaxBytes is the smallest file in which maintenance works.
	MinMaxBytes = 16 << 20

	// maxBatch bounds the writes of a batch, which is one transaction: until the commit,
	// bbolt holds every page it changes in the heap, up to a page per write.
	maxBatch = 4096
)

// Options configures Open. The zero value of each field selects its default.
type Options struct {
	// Options are the options of the provider store. CommitWindow, TableRecords, RotateEvery,
	// ProviderCache and the bounds on providers and their records apply to provider records
	// only. The others apply to all files, with these differences:
	//
	// MaxBytes bounds all files together: one half is for provider records, the other for
	// everything else. New records are refused with ErrFull when less than an eighth of their
	// file (at most 256 MiB) is free, so that republished records, removals and the node's
	// own keys still fit. Default DefaultMaxBytes, at least MinMaxBytes; on 32-bit systems,
	// never more than 1 GiB.
	//
	// MaxPending bounds queued provider records and, counted separately, values (twice as
	// many). The node's own keys are always accepted.
	//
	// ReadOnly reports damage (ErrCorrupt) instead of repairing it.
	//
	// Progress also receives the progress of repairs and of page-by-page checks.
	//
	// Verify is ignored: the store verifies its files itself.
	runs.Options

	// MaxValueSize bounds a value in bytes. Default records.DefaultMaxValueSize,
	// at most 1 MiB.
	MaxValueSize int

	// ValueQuotas bound the values that others store here (see records.Account). A new value
	// over a quota is refused with a *records.QuotaError. The zero value of each number
	// selects its default (DefaultValueQuotas).
	ValueQuotas records.ValueQuotas

	// Network names the network to which the records belong, such as its protocol ID. A file
	// of another network is refused with ErrNetwork, and a file without one becomes one of this
	// network. Empty: any network; a new file has none.
	Network string

	// Program is the name and version of this program, such as "holdfast v1.2.3", at most 128
	// bytes. It is stored, so that an older version, which cannot read the files of a newer
	// one, can name it (see SchemaError). Empty: the stored name stays.
	Program string

	// Open calls OnQuarantine, at most once, after it has moved damaged files aside. See also
	// DB.Quarantined.
	OnQuarantine func(Quarantine)

	// verifyPages bounds the pages whose structure Open checks, nearest the root first. Zero
	// selects pages.DefaultBudget. Tests lower it.
	verifyPages int
	// force makes Open treat the files as damaged (see Repair).
	force error
	// suspectAll makes Open check all files in full (see RepairDamaged).
	suspectAll bool
}

// Progress is how far one step of a long operation on the files has come.
type Progress = disk.Progress

// Observer receives the commits and errors of all files.
type Observer = runs.Observer

// Validate reports all violations together.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	provider := o.Options
	if o.MaxBytes != 0 && o.MaxBytes < MinMaxBytes {
		bad("MaxBytes %d is under %d", o.MaxBytes, MinMaxBytes)
		provider.MaxBytes = 0 // report one violation, not two
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
	if len(o.Program) > maxProgramLen {
		bad("Program of %d bytes is longer than %d", len(o.Program), maxProgramLen)
	}
	return errors.Join(errs...)
}

// WithDefaults returns a copy in which every field has a value.
func (o Options) WithDefaults() Options {
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.Options = o.Options.WithDefaults()
	o.MaxValueSize = cmp.Or(o.MaxValueSize, records.DefaultMaxValueSize)
	setQuotas(&o.ValueQuotas, DefaultValueQuotas(o.MaxBytes))
	o.verifyPages = cmp.Or(o.verifyPages, pages.DefaultBudget)
	return o
}

// DefaultValueQuotas returns the default bounds on the values of others in a store of
// maxBytes. All of them together leave a quarter of their file to the node's own keys and the
// datastore. One peer may use an eighth, and one IP group a quarter. The numbers of values
// are a hundred times what a server in a large public network sees.
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

// stateBytes returns the part of MaxBytes for everything except provider records.
func stateBytes(maxBytes int64) int64 { return maxBytes / 2 }
