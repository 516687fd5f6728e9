package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
	"github.com/holdfast-dht/holdfast/storage/internal/pages"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// Defaults and bounds.
const (
	// DefaultCommitWindow is that of the provider store.
	DefaultCommitWindow = runs.DefaultCommitWindow
	// DefaultMaxPending is that of the provider store, where most writes are.
	DefaultMaxPending = runs.DefaultMaxPending
	// DefaultMaxBytes has room for 40 million provider records.
	DefaultMaxBytes = 8 << 30
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
	// CommitWindow is the longest time an advert that nobody waits for stays in
	// memory before it is committed. Longer writes less and loses more when the
	// power fails. Default DefaultCommitWindow; at most one minute.
	CommitWindow time.Duration

	// MaxPending bounds the queue of writes nobody waits for; beyond it
	// AddProvider returns records.ErrBusy. Writers that wait may fill it twice,
	// the node's own keys are always taken. Default DefaultMaxPending.
	MaxPending int

	// MaxBytes bounds the files together: a half is for provider records, a half
	// for everything else. New records are refused with ErrFull when an eighth of
	// their file (at most 256 MiB) is left, so that refreshes, removals and the
	// node's own keys still find room. Default DefaultMaxBytes, at least
	// MinMaxBytes; where addresses have 32 bits, never more than 1 GiB.
	MaxBytes int64

	// MaxProvidersPerKey bounds the live providers of one key; known ones may
	// always refresh, newcomers are refused with records.ErrQuota. Default
	// records.DefaultMaxProvidersPerKey.
	MaxProvidersPerKey int

	// MaxRecordsPerProvider bounds the records that name one peer; those it has may
	// always be refreshed, new ones are refused with records.ErrQuota. Default
	// runs.DefaultMaxRecordsPerProvider.
	MaxRecordsPerProvider int

	// MaxProviders bounds the distinct peers that provider records name. A record
	// of a new peer is refused with records.ErrQuota. Default
	// runs.DefaultMaxProviders.
	MaxProviders int

	// TableRecords is how many provider records are sorted in memory before they are
	// written out, see runs.Options. Default runs.DefaultTableRecords.
	TableRecords int

	// RotateEvery is after which time fewer than that are written out. Default
	// runs.DefaultRotateEvery.
	RotateEvery time.Duration

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

	// LockTimeout is how long Open waits for another process to let go of the
	// directory. Default DefaultLockTimeout; negative: not at all.
	LockTimeout time.Duration

	// ReadOnly opens the file without changing it, beside other readers. It must
	// exist; damage is reported (ErrCorrupt), not repaired.
	ReadOnly bool

	// NoSync leaves out fsync. For tests only: a crash of the machine then loses
	// or damages the file.
	NoSync bool

	// Logger receives what happens to the file as a whole: quarantine, damage,
	// a handle given up. Default: nothing is logged.
	Logger *slog.Logger

	// OnQuarantine is called by Open, at most once, when the file was damaged and
	// has been moved aside. See also DB.Quarantined.
	OnQuarantine func(Quarantine)

	// Observer is told of commits and errors, for metrics. May be nil.
	Observer Observer

	// Shuffle orders n elements at random: which providers of a hot key are told.
	// Default rand.Shuffle of math/rand/v2.
	Shuffle func(n int, swap func(i, j int))

	// Progress is told how far Open has come with files that it repairs or checks page
	// by page. It is called by the goroutine that does the work and must not block. May
	// be nil.
	Progress func(Progress)

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

type noObserver struct{}

func (noObserver) Committed(int, time.Duration) {}
func (noObserver) StorageError(string, error)   {}

// Validate reports all violations at once.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("storage: "+format, args...)) }
	if o.CommitWindow < 0 || o.CommitWindow > time.Minute {
		bad("CommitWindow %s is not within 0s and 1m", o.CommitWindow)
	}
	if o.MaxPending < 0 {
		bad("MaxPending %d is negative", o.MaxPending)
	}
	if o.MaxBytes != 0 && o.MaxBytes < MinMaxBytes {
		bad("MaxBytes %d is under %d", o.MaxBytes, MinMaxBytes)
	}
	if o.RotateEvery < 0 {
		bad("RotateEvery %s is negative", o.RotateEvery)
	}
	for name, n := range map[string]int{
		"MaxProvidersPerKey": o.MaxProvidersPerKey, "MaxRecordsPerProvider": o.MaxRecordsPerProvider, "MaxProviders": o.MaxProviders,
		"TableRecords": o.TableRecords,
	} {
		if n < 0 {
			bad("%s %d is negative", name, n)
		}
	}
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

// withDefaults returns a copy in which no default is left open.
func (o Options) withDefaults() Options {
	setDefault(&o.CommitWindow, DefaultCommitWindow)
	setDefault(&o.MaxPending, DefaultMaxPending)
	setDefault(&o.MaxBytes, DefaultMaxBytes)
	o.MaxBytes = min(o.MaxBytes, disk.MostBytes)
	setDefault(&o.MaxProvidersPerKey, records.DefaultMaxProvidersPerKey)
	setDefault(&o.MaxValueSize, records.DefaultMaxValueSize)
	setQuotas(&o.ValueQuotas, DefaultValueQuotas(o.MaxBytes))
	setDefault(&o.LockTimeout, DefaultLockTimeout)
	setDefault(&o.verifyPages, pages.DefaultBudget)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	if o.Shuffle == nil {
		o.Shuffle = rand.Shuffle
	}
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
	o := Options{MaxBytes: min(maxBytes, disk.MostBytes)}
	space := disk.RecordsLimit(o.stateBytes(), fileGrowth)
	return records.ValueQuotas{
		All:      records.Tally{Values: 1_000_000, Bytes: space / 4 * 3},
		PerPeer:  records.Tally{Values: 100_000, Bytes: space / 8},
		PerGroup: records.Tally{Values: 200_000, Bytes: space / 4},
	}
}

func setQuotas(q *records.ValueQuotas, def records.ValueQuotas) {
	for _, f := range [][2]*records.Tally{{&q.All, &def.All}, {&q.PerPeer, &def.PerPeer}, {&q.PerGroup, &def.PerGroup}} {
		setDefault(&f[0].Values, f[1].Values)
		setDefault(&f[0].Bytes, f[1].Bytes)
	}
}

func setDefault[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}

// stateBytes is the part of MaxBytes for everything but provider records.
func (o *Options) stateBytes() int64 { return o.MaxBytes / 2 }
