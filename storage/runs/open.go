package runs

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Open opens the store in dir, which must exist. It creates missing files. Damage is returned
// as ErrCorrupt.
func Open(dir string, o Options) (*Store, error) {
	return OpenFiles(filepath.Join(dir, LogName), filepath.Join(dir, RunsName), o)
}

// OpenFiles is Open for files with other names.
func OpenFiles(log, runs string, o Options) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Store{opts: o.WithDefaults()}
	s.queue = newQueue(max(s.opts.MaxPending/2, minEager))
	if err := s.start(log, runs); err != nil {
		return nil, errors.Join(err, s.log.Close(nil), s.runs.Close(nil))
	}
	return s, nil
}

// minEager is the number of waiting writes that always justifies a commit before the window
// has passed.
const minEager = 4096

func (s *Store) start(logPath, runsPath string) (err error) {
	if err := s.present(logPath, runsPath); err != nil {
		return err
	}
	// The log is opened first: its lock protects the store.
	if s.log, err = s.openFile(logPath, s.opts.MaxBytes/4, logGrowth); err != nil {
		return err
	}
	if s.runs, err = s.openFile(runsPath, s.opts.MaxBytes/4*3, runsGrowth); err != nil {
		return err
	}
	s.providerRows = newRowCache(s.log, s.opts.ProviderCache)
	if err := s.initialize(); err != nil {
		return err
	}
	var nextRun uint32
	if err := s.both(func(logTx, runsTx *bbolt.Tx) (err error) {
		nextRun, err = s.load(logTx, runsTx)
		return err
	}); err != nil {
		return err
	}
	s.clean = s.led.state.clean
	s.showCounts()
	if s.opts.ReadOnly {
		return nil
	}
	s.builder = newBuilder(s, nextRun)
	if err := s.builder.sweep(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	s.committed = make(chan struct{})
	go s.builder.loop()
	go s.committer()
	return nil
}

// present returns an error that names the files that a reader is missing.
func (s *Store) present(logPath, runsPath string) error {
	if !s.opts.ReadOnly {
		return nil
	}
	_, errLog := os.Stat(logPath)
	_, errRuns := os.Stat(runsPath)
	if err := errors.Join(errLog, errRuns); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return nil
}

// both runs fn in a read transaction of each file. The log's transaction begins first (see
// Snapshot).
func (s *Store) both(fn func(logTx, runsTx *bbolt.Tx) error) error {
	return s.log.View(func(logTx *bbolt.Tx) error {
		return s.runs.View(func(runsTx *bbolt.Tx) error { return fn(logTx, runsTx) })
	})
}

// initialize checks that the files are ours and belong together, or writes the initial
// contents of a new store.
func (s *Store) initialize() error {
	var logID, runsID []byte
	var used bool
	err := s.both(func(logTx, runsTx *bbolt.Tx) (err error) {
		if logID, err = describe(logTx, s.log.Path(), logBuckets); err != nil {
			return err
		}
		if runsID, err = describe(runsTx, s.runs.Path(), runsBuckets); runsID == nil || err != nil {
			return err
		}
		next, err := metaUint(runsTx.Bucket(bucketMeta), keyNextRun)
		used = next > 1
		return err
	})
	switch {
	case err != nil:
		return err
	case logID != nil && runsID == nil:
		return fmt.Errorf("%w: %s is empty", ErrCorrupt, s.runs.Path())
	case logID == nil && used:
		return fmt.Errorf("%w: %s is empty", ErrCorrupt, s.log.Path())
	case logID != nil && string(logID) != string(runsID):
		return fmt.Errorf("%w: %s and %s belong to different stores", ErrForeign, s.log.Path(), s.runs.Path())
	case logID != nil:
		return nil
	case s.opts.ReadOnly:
		return fmt.Errorf("%w: %s is empty", ErrForeign, s.log.Path())
	}
	return s.create(runsID)
}

// describe returns the store id in a file, or nil if the file is new.
func describe(tx *bbolt.Tx, path string, buckets [][]byte) ([]byte, error) {
	if k, _ := tx.Cursor().First(); k == nil {
		return nil, nil
	}
	meta := tx.Bucket(bucketMeta)
	if meta == nil || meta.Get(keySchema) == nil {
		for _, name := range buckets {
			if tx.Bucket(name) != nil {
				return nil, fmt.Errorf("%w: no schema in %s", ErrCorrupt, path)
			}
		}
		return nil, fmt.Errorf("%w: %s was written by another program", ErrForeign, path)
	}
	schema, err := metaUint(meta, keySchema)
	if err != nil {
		return nil, err
	}
	if schema != schemaVersion {
		return nil, fmt.Errorf("%w: %s has schema %d, this program knows %d", ErrSchema, path, schema, schemaVersion)
	}
	for _, name := range buckets {
		if _, err := disk.BucketOf(tx, name); err != nil {
			return nil, err
		}
	}
	id := meta.Get(keyStore)
	if len(id) != storeIDLen {
		return nil, fmt.Errorf("%w: store id of %d bytes in %s", ErrCorrupt, len(id), path)
	}
	return append([]byte(nil), id...), nil
}

// create writes the initial contents of a new store: first the runs, then the log. id is the
// store id of an empty runs file that a crash left without a log; nil: there is none.
func (s *Store) create(id []byte) error {
	var random [storeIDLen + 16]byte
	_, _ = rand.Read(random[:]) // never fails
	if id == nil {
		id = random[:storeIDLen]
		err := s.runs.Update(func(tx *bbolt.Tx) error {
			meta, err := createBuckets(tx, runsBuckets, id)
			if err != nil {
				return err
			}
			return disk.FirstErr(meta.Put(keySeed, random[storeIDLen:]), meta.Put(keyFlushed, disk.U32(0)), meta.Put(keyNextRun, disk.U32(1)))
		})
		if err != nil {
			return fmt.Errorf("create %s: %w", s.runs.Path(), err)
		}
	}
	err := s.log.Update(func(tx *bbolt.Tx) error {
		if _, err := createBuckets(tx, logBuckets, id); err != nil {
			return err
		}
		first := state{clean: true, nextEpoch: 1, nextNumber: 1}
		return first.store(tx)
	})
	if err != nil {
		return fmt.Errorf("create %s: %w", s.log.Path(), err)
	}
	return disk.SyncDir(filepath.Dir(s.log.Path()))
}

func createBuckets(tx *bbolt.Tx, names [][]byte, id []byte) (meta *bbolt.Bucket, err error) {
	for _, name := range names {
		if _, err := tx.CreateBucket(name); err != nil {
			return nil, err
		}
	}
	meta = tx.Bucket(bucketMeta)
	return meta, disk.FirstErr(meta.Put(keySchema, disk.U32(schemaVersion)), meta.Put(keyStore, id))
}

// load reads the state and the runs with their filters, and replays the log.
func (s *Store) load(logTx, runsTx *bbolt.Tx) (nextRun uint32, err error) {
	disk.NewMeter(s.opts.Progress, Progress{Step: "loading filters and the log of provider records"})
	st, err := loadState(logTx)
	if err != nil {
		return 0, err
	}
	meta, err := disk.BucketOf(runsTx, bucketMeta)
	if err != nil {
		return 0, err
	}
	flushed, err := metaUint(meta, keyFlushed)
	if err != nil {
		return 0, err
	}
	if nextRun, err = metaUint(meta, keyNextRun); err != nil {
		return 0, err
	}
	seed := meta.Get(keySeed)
	if len(seed) != 16 {
		return 0, fmt.Errorf("%w: filter seed of %d bytes", ErrCorrupt, len(seed))
	}
	s.seed = hashSeed{binary.BigEndian.Uint64(seed), binary.BigEndian.Uint64(seed[8:])}
	s.flushed.Store(flushed)
	v := &view{}
	if v.runs, err = loadRuns(runsTx, &st); err != nil {
		return 0, err
	}
	// Tallies are loaded with drops 0, because they may contain dropped epochs.
	s.led = ledger{state: st, providers: newProviderCache(s.opts.shape.providers), hot: make(map[recordKey]uint32), since: time.Now(), drops: 1}
	if v.tables, err = s.replay(logTx, flushed); err != nil {
		return 0, err
	}
	if len(s.led.chores) > 0 {
		s.led.chores[0].providers = s.led.providers.dirtied()
	}
	s.led.active = v.tables[0]
	s.view.Store(v)
	return nextRun, nil
}

// loadRuns reads the runs of existing epochs.
func loadRuns(tx *bbolt.Tx, st *state) ([]*run, error) {
	rows, err := disk.BucketOf(tx, bucketRuns)
	if err != nil {
		return nil, err
	}
	var v view
	err = rows.ForEach(func(name, row []byte) error {
		r, err := decodeRun(name, row)
		if err != nil {
			return err
		}
		if !st.has(r.epoch.id) {
			return nil
		}
		b, err := disk.BucketOf(tx, r.filters)
		if err != nil {
			return err
		}
		for i := range r.segments {
			if r.segments[i].filter, err = loadFilter(b, i); err != nil {
				return r.damage(err)
			}
		}
		v.runs = append(v.runs, r)
		return nil
	})
	v.add()
	return v.runs, err
}

// close stops the goroutines in the order of their dependencies and closes the files.
func (s *Store) close() error {
	s.closed.Store(true)
	var lastLog, lastRuns func(*bbolt.Tx) error
	if s.committed != nil {
		s.queue.close()
		<-s.committed
		close(s.builder.stop)
		<-s.builder.done
		if s.failure.Err() == nil {
			lastLog, lastRuns = s.markClean, s.builder.abandon
		}
	}
	err := s.runs.Close(lastRuns)
	if err != nil {
		lastLog = nil
	}
	if err = errors.Join(err, s.log.Close(lastLog)); err != nil {
		return fmt.Errorf("close: %w", s.noteFailure(err))
	}
	return nil
}

// markClean sets the mark that CleanStart reads.
func (s *Store) markClean(tx *bbolt.Tx) error {
	s.led.state.clean = true
	return s.led.state.store(tx)
}
