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
	// DefaultCommitWindow: at 2,000 adverts a second ten commits a second write a
	// fiftieth of what one commit per millisecond writes.
	DefaultCommitWindow = 100 * time.Millisecond
	// DefaultMaxPending is what a burst may queue: under 10 MiB of heap, ten
	// seconds of a busy public server.
	DefaultMaxPending = 20_000
	// DefaultMaxBytes has room for over 100 million records.
	DefaultMaxBytes = records.DefaultMaxBytes
	// DefaultTableRecords is 8 MiB of heap a table, of which there are at most
	// maxTables.
	DefaultTableRecords = 256 << 10
	// DefaultRotateEvery bounds what Open has to replay on a quiet node.
	DefaultRotateEvery = 10 * time.Minute
	// DefaultProviderCache is at most 32 MiB, see maxCachedInfo.
	DefaultProviderCache = 32 << 10
	// DefaultLockTimeout lets a predecessor that is shutting down finish.
	DefaultLockTimeout = time.Second

	// MinMaxBytes is the smallest store that can do its housekeeping.
	MinMaxBytes = 8 << 20

	// maxTables bounds the tables in memory: the active one and those that wait
	// for the builder. Then writers wait.
	maxTables = 4
)

// Options configures Open. The zero value of each field stands for its default.
type Options struct {
	// CommitWindow is the longest time an advert that nobody waits for stays in
	// memory before it is committed. Default DefaultCommitWindow; at most one
	// minute.
	CommitWindow time.Duration

	// MaxPending bounds the adverts that wait for a commit; beyond it AddProvider
	// returns records.ErrBusy. The last quarter is kept for refreshes. Durable
	// writes may fill it twice. Default DefaultMaxPending.
	MaxPending int

	// MaxBytes bounds the files together; the log may use a quarter of it. New
	// records are refused with ErrFull when an eighth of a file (at most 256 MiB)
	// is left, so that refreshes and merges still find room; refreshes when almost
	// nothing is. Default DefaultMaxBytes, at least MinMaxBytes.
	MaxBytes int64

	// MaxProvidersPerKey bounds the live providers of one key; known ones may
	// always refresh, newcomers are refused with records.ErrQuota. Default
	// records.DefaultMaxProvidersPerKey.
	MaxProvidersPerKey int

	// MaxRecordsPerProvider bounds the records that name one peer; it may always
	// refresh those, new ones are refused with records.ErrQuota. Default
	// records.DefaultMaxRecordsPerProvider.
	MaxRecordsPerProvider int

	// MaxProviders bounds the distinct peers that records name. A record of a new
	// peer is refused with records.ErrQuota. Default records.DefaultMaxProviders.
	MaxProviders int

	// TableRecords is the size of a table in memory, in records. Default
	// DefaultTableRecords, but at most one for 2 KiB of MaxBytes.
	TableRecords int

	// RotateEvery is after which time a table that is not full is written out as
	// runs. Default DefaultRotateEvery.
	RotateEvery time.Duration

	// ProviderCache is how many providers' addresses are kept in memory for
	// answers, rounded up to a power of two. Default DefaultProviderCache.
	ProviderCache int

	// LockTimeout is how long Open waits for another process to let go of the
	// files. Default DefaultLockTimeout; negative: not at all.
	LockTimeout time.Duration

	// ReadOnly opens the files without changing them, beside other readers. They
	// must exist.
	ReadOnly bool

	// NoSync leaves out fsync. For tests only: a crash of the machine then loses
	// or damages the files.
	NoSync bool

	// Verify checks the structure of a file before bbolt opens it, or (whole)
	// before Check lets bbolt check it, and leaves what it has read in the page
	// cache. It matters after a crash: bbolt then looks at every page, in random
	// order and in a goroutine where damage stops the process. An error of Verify
	// is returned by Open. Nil: the file is only read, in order.
	Verify func(path string, whole bool) error

	// OpenFile opens the files. Default os.OpenFile.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)

	// Logger receives what happens to a file as a whole. Default: nothing is
	// logged.
	Logger *slog.Logger

	// Observer is told of commits and errors, for metrics. May be nil.
	Observer Observer

	// Shuffle orders n elements at random: which providers of a hot key are told.
	// Default rand.Shuffle of math/rand/v2.
	Shuffle func(n int, swap func(i, j int))

	// Progress is told how far Check and Salvage have come, and that Open reads what it
	// keeps in memory. It is called by the goroutine that does the work and must not
	// block. May be nil.
	Progress func(Progress)

	// shape has the sizes that tests make small.
	shape shape
}

// shape has the sizes of what is stored. Zero means what the layout was made for.
type shape struct {
	block   int           // records of a block
	tail    int           // records of each of the last blocks of a transaction
	segment int           // records of a segment
	fan     int           // runs of a level that are merged into one of the next
	peers   int           // providers that the committer keeps in memory
	retry   time.Duration // see retryEvery
}

// Progress is how far one step of long work on the files has come.
type Progress = disk.Progress

// Observer is told what the store does. Its methods are called by the goroutine
// that did it and must not block.
type Observer interface {
	// Committed reports a commit of the log: how many writes it made durable and
	// how long the transaction took, fsync included.
	Committed(writes int, took time.Duration)
	// StorageError reports an operation that failed for the store's own reasons:
	// a full disk (ErrFull), damage (ErrCorrupt), a failed fsync (ErrFailed).
	StorageError(op string, err error)
}

type nopObserver struct{}

func (nopObserver) Committed(int, time.Duration) {}
func (nopObserver) StorageError(string, error)   {}

// Validate reports all violations at once.
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

// WithDefaults returns a copy in which no default is left open.
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
	o.shape.peers = cmp.Or(o.shape.peers, peersCached)
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
