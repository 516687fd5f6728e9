package runs

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Defaults and bounds of Options.
const (
	// DefaultCommitWindow allows ten commits per second. At 2,000 records per second they
	// write a fiftieth of what one commit per millisecond would write.
	DefaultCommitWindow = 100 * time.Millisecond
	// DefaultMaxPending bounds a burst: less than 10 MiB of heap, and ten seconds of traffic
	// on a busy public server.
	DefaultMaxPending = 20_000
	// DefaultMaxBytes has capacity for 80 million records.
	DefaultMaxBytes = records.DefaultMaxBytes
	// DefaultTableRecords needs 8 MiB of heap per table. There are at most maxTables tables.
	DefaultTableRecords = 256 << 10
	// DefaultRotateEvery bounds how much of the log Open must replay on a quiet node.
	DefaultRotateEvery = 10 * time.Minute
	// DefaultProviderCache needs at most 32 MiB (see maxCachedRow).
	DefaultProviderCache = 32 << 10
	// DefaultLockTimeout gives a previous process time to shut down.
	DefaultLockTimeout = time.Second

	// MinMaxBytes is the smallest store in which maintenance works.
	MinMaxBytes = 8 << 20

	// maxTables bounds the tables in memory: the active one and those that wait for the
	// builder. At the bound, writers wait.
	maxTables = 4
)

// Options configures Open. The zero value of each field selects its default.
type Options struct {
	// CommitWindow is the longest time that a record without a waiting caller stays in memory
	// before it is committed. Default DefaultCommitWindow; at most one minute.
	CommitWindow time.Duration

	// MaxPending bounds the records that wait for a commit. Above it AddProvider returns
	// records.ErrBusy. The last quarter is reserved for republished records. Durable writes
	// may use twice as much. Default DefaultMaxPending.
	MaxPending int

	// MaxBytes bounds both files together; the log may use a quarter of it. New records are
	// refused with ErrFull when an eighth of a file (at most 256 MiB) is left, so that
	// republished records and merges still fit. Republished records are refused when almost
	// nothing is left. Default DefaultMaxBytes, at least MinMaxBytes.
	MaxBytes int64

	// MaxProvidersPerKey bounds the live providers of one key. Known providers can always
	// republish; new ones are refused with records.ErrQuota. Default
	// records.DefaultMaxProvidersPerKey.
	MaxProvidersPerKey int

	// MaxRecordsPerProvider bounds the records of one peer. The peer can always republish
	// them; new ones are refused with records.ErrQuota. Default
	// records.DefaultMaxRecordsPerProvider.
	MaxRecordsPerProvider int

	// MaxProviders bounds the distinct peers with records. A record of a new peer is refused
	// with records.ErrQuota. Default records.DefaultMaxProviders.
	MaxProviders int

	// TableRecords is the size of a table in memory, in records. Default DefaultTableRecords,
	// but at most one record per 2 KiB of MaxBytes.
	TableRecords int

	// RotateEvery is the age at which a table that is not full is written out as runs.
	// Default DefaultRotateEvery.
	RotateEvery time.Duration

	// ProviderCache is the number of providers whose addresses are kept in memory for
	// answers, rounded up to a power of two. Default DefaultProviderCache.
	ProviderCache int

	// LockTimeout is how long Open waits for another process to release the files. Default
	// DefaultLockTimeout; negative: Open does not wait.
	LockTimeout time.Duration

	// ReadOnly opens existing files without changing them. Other readers may have them open
	// too.
	ReadOnly bool

	// NoSync skips fsync. For tests only: a crash of the machine then loses or damages the
	// files.
	NoSync bool

	// Verify checks the structure of a file before bbolt opens it, or (if whole is set)
	// before Check runs bbolt's check, and leaves the file in the page cache. This matters
	// after a crash, when bbolt walks every page in random order, in a goroutine where damage
	// stops the process. Open returns the error of Verify. Nil: the file is only read
	// sequentially.
	Verify func(path string, whole bool) error

	// OpenFile opens the files. Default: os.OpenFile.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)

	// Logger receives events that affect a file as a whole. Default: no logging.
	Logger *slog.Logger

	// Observer receives commits and errors, for metrics. It may be nil.
	Observer Observer

	// Shuffle orders n elements randomly, to select which providers of a popular key are
	// returned. Default: rand.Shuffle of math/rand/v2.
	Shuffle func(n int, swap func(i, j int))

	// Progress receives the progress of Check and Salvage, and a report when Open loads its
	// in-memory state. The goroutine that does the work calls it; it must not block. It may
	// be nil.
	Progress func(Progress)

	// shape contains the sizes that tests reduce.
	shape shape
}

// shape contains the sizes of the layout. Zero selects the default.
type shape struct {
	block     int           // records per block
	tail      int           // records in each of the last blocks of a transaction
	segment   int           // records per segment
	fan       int           // runs of one level that are merged into one of the next
	providers int           // providers that the committer keeps in memory
	retry     time.Duration // see retryEvery
}

// Progress is how far one step of a long operation on the files has come.
type Progress = disk.Progress

// Observer receives the events of the store. The goroutine that caused an event calls its
// methods; they must not block.
type Observer interface {
	// Committed reports a commit of the log: how many writes it made durable, and how long
	// the transaction took, including fsync.
	Committed(writes int, took time.Duration)
	// StorageError reports an operation that failed because of the store itself: a full disk
	// (ErrFull), damage (ErrCorrupt), a failed fsync (ErrFailed).
	StorageError(op string, err error)
}

type nopObserver struct{}

func (nopObserver) Committed(int, time.Duration) {}
func (nopObserver) StorageError(string, error)   {}

// Validate reports all violations together.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.CommitWindow < 0 || o.CommitWindow > time.Minute {
		bad("CommitWindow %s is not within 0s and 1m", o.CommitWindow)
	}
	if o.MaxBytes != 0 && o.MaxBytes < MinMaxBytes {
		bad("MaxBytes %d is under %d", o.MaxBytes, MinMaxBytes)
	}
	if o.RotateEvery < 0 {
		bad("RotateEvery %s is negative", o.RotateEvery)
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"MaxPending", o.MaxPending}, {"MaxProvidersPerKey", o.MaxProvidersPerKey},
		{"MaxRecordsPerProvider", o.MaxRecordsPerProvider}, {"MaxProviders", o.MaxProviders},
		{"TableRecords", o.TableRecords}, {"ProviderCache", o.ProviderCache},
	} {
		if f.value < 0 {
			bad("%s %d is negative", f.name, f.value)
		}
	}
	return errors.Join(errs...)
}

// WithDefaults returns a copy in which every field has a value.
func (o Options) WithDefaults() Options {
	o.CommitWindow = cmp.Or(o.CommitWindow, DefaultCommitWindow)
	o.MaxPending = cmp.Or(o.MaxPending, DefaultMaxPending)
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.MaxBytes = min(o.MaxBytes, disk.MostBytes)
	o.MaxProvidersPerKey = cmp.Or(o.MaxProvidersPerKey, records.DefaultMaxProvidersPerKey)
	o.MaxRecordsPerProvider = cmp.Or(o.MaxRecordsPerProvider, records.DefaultMaxRecordsPerProvider)
	o.MaxProviders = cmp.Or(o.MaxProviders, records.DefaultMaxProviders)
	o.TableRecords = cmp.Or(o.TableRecords, DefaultTableRecords)
	o.TableRecords = int(min(int64(o.TableRecords), o.MaxBytes/2048))
	o.RotateEvery = cmp.Or(o.RotateEvery, DefaultRotateEvery)
	o.ProviderCache = cmp.Or(o.ProviderCache, DefaultProviderCache)
	o.LockTimeout = cmp.Or(o.LockTimeout, DefaultLockTimeout)
	o.shape.block = cmp.Or(o.shape.block, blockRecords)
	o.shape.tail = cmp.Or(o.shape.tail, tailRecords)
	o.shape.segment = cmp.Or(o.shape.segment, segmentRecords)
	o.shape.fan = cmp.Or(o.shape.fan, mergeFan)
	o.shape.providers = cmp.Or(o.shape.providers, providersCached)
	o.shape.retry = cmp.Or(o.shape.retry, retryEvery)
	if o.Verify == nil {
		o.Verify = readThrough
	}
	if o.OpenFile == nil {
		o.OpenFile = os.OpenFile
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nopObserver{}
	}
	if o.Shuffle == nil {
		o.Shuffle = rand.Shuffle
	}
	return o
}
