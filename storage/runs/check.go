package runs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Contents is the result of a check.
type Contents struct {
	Records   int64
	Providers int64
	Copies    int64 // copies of records in runs
	Garbage   int   // runs that wait for deletion
}

// Check compares everything stored with the counters, and runs bbolt's check on both files;
// writes wait meanwhile. It reports damage to problem. An error means that the files could
// not be checked.
func (s *Store) Check(problem func(format string, args ...any)) (c Contents, err error) {
	err = disk.Guard(func() error {
		logTx, err := s.log.Bolt.Begin(!s.opts.ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = logTx.Rollback() }()
		runsTx, err := s.runs.Bolt.Begin(!s.opts.ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = runsTx.Rollback() }()
		// bbolt's own check runs in a goroutine where a fault cannot be recovered, so it may
		// only see files in which every page is sound.
		for _, f := range []*disk.File{s.log, s.runs} {
			if err := s.opts.Verify(f.Path(), true); err != nil {
				problem("%v", err)
				return nil
			}
		}
		disk.CheckTx(logTx, s.opts.Progress, problem)
		disk.CheckTx(runsTx, s.opts.Progress, problem)
		c, err = audit(s, logTx, runsTx, problem)
		return err
	})
	if errors.Is(err, ErrCorrupt) {
		problem("%v", err)
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("check: %w", err)
	}
	return c, nil
}

// auditor counts the stored records by epoch and provider.
type auditor struct {
	problem   func(format string, args ...any)
	twin      *Store // a second Store in the state that an open of these files would give
	providers map[uint32]*auditedProvider
	epochs    map[uint32]int64 // records by epoch id
	tables    map[[idLen]byte]uint32
	Contents
}

type auditedProvider struct {
	tally tally // as counted by the store
	found tally
}

// audit checks the contents of both files.
func audit(s *Store, logTx, runsTx *bbolt.Tx, problem func(string, ...any)) (Contents, error) {
	a := &auditor{
		problem: problem, twin: &Store{opts: s.opts, log: s.log, runs: s.runs},
		providers: make(map[uint32]*auditedProvider), epochs: make(map[uint32]int64),
		tables: make(map[[idLen]byte]uint32),
	}
	if _, err := a.twin.load(logTx, runsTx); err != nil {
		return a.Contents, err
	}
	if err := a.checkProviders(logTx); err != nil {
		return a.Contents, err
	}
	for _, t := range a.twin.view.Load().tables {
		a.addTable(t)
	}
	if err := a.checkRuns(runsTx); err != nil {
		return a.Contents, err
	}
	if err := a.countRuns(runsTx); err != nil {
		return a.Contents, err
	}
	for id, expires := range a.tables {
		if expires != removed {
			a.count(binary.BigEndian.Uint32(id[16:]), expires)
		}
	}
	a.compare()
	return a.Contents, nil
}

// checkProviders compares the buckets of providers with each other.
func (a *auditor) checkProviders(tx *bbolt.Tx) error {
	last, err := disk.BucketOf(tx, bucketLast)
	if err != nil {
		return err
	}
	ids, err := disk.BucketOf(tx, bucketIDs)
	if err != nil {
		return err
	}
	led := &a.twin.led
	m := a.begin("checking providers", led.state.providers)
	err = ids.ForEach(func(id, row []byte) error {
		m.Add(1)
		number, err := decodeNumber(row)
		if err != nil {
			return err
		}
		p, err := led.providers.loadNumber(tx, number)
		if err != nil {
			return err
		}
		if p == nil || string(p.id) != string(id) || number >= led.state.nextNumber {
			a.problem("provider %x: number %d belongs to another provider or to none", id, number)
			return nil
		}
		if a.providers[number] != nil {
			a.problem("provider number %d is used twice", number)
		}
		if last.Get(lastKey(p.last, number)) == nil {
			a.problem("provider %d is missing in the order of collection", number)
		}
		p.prune(&led.state)
		a.providers[number] = &auditedProvider{tally: p.tally}
		led.providers.trim()
		return nil
	})
	if err != nil {
		return err
	}
	m.End()
	a.Providers = int64(len(a.providers))
	for _, name := range [][]byte{bucketProviders, bucketCounts, bucketLast} {
		n := 0
		b, err := disk.BucketOf(tx, name)
		if err == nil {
			err = b.ForEach(func(_, _ []byte) error { n++; return nil })
		}
		if err != nil {
			return err
		}
		if n != len(a.providers) {
			a.problem("%d providers, %d rows in %q", len(a.providers), n, name)
		}
	}
	return nil
}

// copies returns the number of records according to the rows of the runs.
func (a *auditor) copies() (n int64) {
	for _, r := range a.twin.view.Load().runs {
		n += r.records
	}
	return n
}

// addTable adds the state of records from a table. It ignores records that a newer table
// contains.
func (a *auditor) addTable(t *table) {
	for i := range t.entries[:t.n] {
		e := &t.entries[i]
		id := recordID(&e.key, e.number)
		if _, newer := a.tables[id]; !newer && e.seen() != unborn {
			a.tables[id] = e.seen()
		}
	}
}

// begin starts a step in which total records are expected.
func (a *auditor) begin(step string, total int64) *disk.Meter {
	return disk.NewMeter(a.twin.opts.Progress, Progress{Step: step, Total: total})
}

// checkRuns checks each run.
func (a *auditor) checkRuns(tx *bbolt.Tx) error {
	known := make(map[uint32]bool)
	m := a.begin("checking provider records", a.copies())
	for _, r := range a.twin.view.Load().runs {
		known[r.number] = true
		if err := a.checkRun(tx, r, m); err != nil {
			return err
		}
		a.Copies += r.records
	}
	m.End()
	for _, prefix := range []byte{prefixBlocks, prefixFilter} {
		err := eachNumbered(tx, prefix, func(n uint32) error {
			if !known[n] {
				known[n] = true
				a.Garbage++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkRun checks order, epochs, segments and filters.
func (a *auditor) checkRun(tx *bbolt.Tx, r *run, m *disk.Meter) error {
	b, err := r.open(tx)
	if err != nil {
		return fmt.Errorf("%w: run %d has no blocks", ErrCorrupt, r.number)
	}
	var last [idLen]byte
	var n int64
	seg, left := -1, uint32(0)
	err = b.ForEach(func(k, v []byte) error {
		recs, err := openBlock(r.number, k, v)
		if err != nil {
			return r.damage(err)
		}
		m.Add(int64(len(recs) / recordLen))
		for ; len(recs) > 0; recs = recs[recordLen:] {
			rec := recordAt(recs, 0)
			if n > 0 && bytes.Compare(recs[:idLen], last[:]) <= 0 {
				a.problem("run %d: record %x is out of order", r.number, recs[:idLen])
			}
			copy(last[:], recs)
			if rec.expires != removed && (epochOf(rec.expires) != r.epoch.epoch || rec.expires > r.newest) {
				a.problem("run %d of epoch %d: record %x expires at %d", r.number, r.epoch.epoch, recs[:idLen], rec.expires)
			}
			for left == 0 && seg+1 < len(r.segments) {
				seg++
				left = r.segments[seg].records
				if r.segments[seg].start != rec.key {
					a.problem("run %d: segment %d begins at another record", r.number, seg)
				}
			}
			left--
			if !r.maybe(&rec.key, a.twin.seed.hash(&rec.key)) {
				a.problem("run %d: the filter excludes record %x", r.number, recs[:idLen])
			}
			n++
		}
		return nil
	})
	if err == nil && n != r.records {
		a.problem("run %d says %d records, contents %d", r.number, r.records, n)
	}
	return err
}

// countRuns walks all runs together, in order, and counts each record that is not in a table.
func (a *auditor) countRuns(tx *bbolt.Tx) error {
	var ins []*input
	for _, r := range a.twin.view.Load().runs {
		in, err := newInput(tx, r, &merge{})
		if err != nil {
			return err
		}
		if in.recs != nil {
			ins = append(ins, in)
		}
	}
	b := &builder{}
	m := &merge{}
	done := a.begin("counting provider records", a.copies())
	defer done.End()
	for len(ins) > 0 {
		before := m.taken
		b.recs = b.recs[:0]
		var err error
		if ins, err = b.mergeOne(ins, m); err != nil {
			return err
		}
		done.Add(m.taken - before)
		if _, known := a.tables[m.last]; len(b.recs) > 0 && !known {
			a.count(b.recs[0].number, b.recs[0].expires)
		}
	}
	return nil
}

// count counts a record.
func (a *auditor) count(number, expires uint32) {
	a.Records++
	e := a.twin.led.state.epoch(epochOf(expires))
	if e == nil {
		a.problem("a record of provider %d is in epoch %d, which does not exist", number, epochOf(expires))
		return
	}
	a.epochs[e.id]++
	if expires > e.newest {
		a.problem("epoch %d ends at %d, a record at %d", e.epoch, e.newest, expires)
	}
	p := a.providers[number]
	if p == nil {
		a.problem("a record names provider %d, which is unknown", number)
		return
	}
	p.found.add(e.id, 1)
	if epochOf(expires) > p.tally.last {
		a.problem("provider %d was last in epoch %d, a record is in %d", number, p.tally.last, epochOf(expires))
	}
}

// compare compares the counted numbers with the stored ones.
func (a *auditor) compare() {
	st := &a.twin.led.state
	if st.providers != a.Providers {
		a.problem("state says %d providers, contents %d", st.providers, a.Providers)
	}
	for _, e := range st.epochs {
		if e.records != a.epochs[e.id] {
			a.problem("epoch %d says %d records, contents %d", e.epoch, e.records, a.epochs[e.id])
		}
	}
	for number, p := range a.providers {
		if !sameCounts(p.tally.counts, p.found.counts) {
			a.problem("provider %d says %+v, contents %+v", number, p.tally.counts, p.found.counts)
		}
	}
}

func sameCounts(a, b []epochCount) bool {
	byID := func(x, y epochCount) int { return cmp.Compare(x.id, y.id) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), byID), slices.SortedFunc(slices.Values(b), byID))
}
