package runs

import (
	"fmt"
	"io"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Snapshot is a consistent state of both files, while writes continue. bbolt does not reuse
// pages freed meanwhile before Close. One goroutine owns a Snapshot.
type Snapshot struct {
	log, runs *bbolt.Tx
	release   func()
}

// Snapshot returns the state as of the last commit. The store calls cut when writes need the
// pages that the snapshot pins; it should then be closed soon. cut must not block and may be
// called more than once.
//
// The log's transaction begins first, between two commits of the log, and the transaction of
// the runs follows. The runs may then be ahead of the log, as after a crash: a generation
// that is still in the log is already in runs, or the runs of an epoch that the log has
// dropped are gone.
func (s *Store) Snapshot(cut func()) (*Snapshot, error) {
	var snap *Snapshot
	var err error
	take := func() { snap, err = s.snapshot(cut) }
	if s.opts.ReadOnly {
		take()
	} else if e := s.call("backup", func(x *txn) error {
		x.after = append(x.after, take)
		return nil
	}); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return snap, nil
}

func (s *Store) snapshot(cut func()) (*Snapshot, error) {
	snap := &Snapshot{release: s.pins.Hold(cut)}
	err := disk.Guard(func() (err error) {
		if snap.log, err = s.log.Bolt.Begin(false); err != nil {
			return err
		}
		snap.runs, err = s.runs.Bolt.Begin(false)
		return err
	})
	if err != nil {
		snap.Close()
		return nil, err
	}
	return snap, nil
}

// Each calls fn for each file with its name, its length in bytes, and a function that writes
// it.
func (n *Snapshot) Each(fn func(name string, size int64, write func(io.Writer) error) error) error {
	for _, f := range []struct {
		name string
		tx   *bbolt.Tx
	}{{LogName, n.log}, {RunsName, n.runs}} {
		write := func(w io.Writer) error {
			return disk.Guard(func() error { _, err := f.tx.WriteTo(w); return err })
		}
		if err := fn(f.name, f.tx.Size(), write); err != nil {
			return fmt.Errorf("backup %s: %w", f.name, err)
		}
	}
	return nil
}

// Close releases the state. It may be called more than once.
func (n *Snapshot) Close() {
	for _, tx := range []**bbolt.Tx{&n.log, &n.runs} {
		if *tx != nil {
			_ = disk.Guard((*tx).Rollback)
			*tx = nil
		}
	}
	n.release()
}

// Pinned reports whether a Snapshot is open.
func (s *Store) Pinned() bool { return s.pins.Held() }
