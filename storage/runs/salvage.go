package runs

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/storage/internal/disk"
)

// Source gives access to everything readable in the files of a damaged store (LogName,
// RunsName).
type Source interface {
	// Buckets calls fn for the name of each bucket in a file, and reports whether it could
	// read all of them.
	Buckets(file string, fn func(name []byte)) (whole bool)
	// Rows calls fn for each row of a bucket, and reports whether it could read all of them.
	// The row is valid only during fn.
	Rows(file string, bucket []byte, fn func(key, value []byte)) (whole bool)
	// Scan calls fn for everything that looks like a row anywhere in a file, including old
	// versions and removed rows.
	Scan(file string, fn func(key, value []byte))
}

// intakeBatch is how many records are copied per transaction.
const intakeBatch = 4096

// intake copies records into a store in batches.
type intake struct {
	s       *Store
	ops     []op
	refused bool // a quota has refused some records
	err     error
}

func (t *intake) put(o op) {
	if t.ops = append(t.ops, o); len(t.ops) == intakeBatch {
		t.flush()
	}
}

func (t *intake) flush() {
	if t.err != nil || len(t.ops) == 0 {
		return
	}
	tick, at, err := t.s.queue.put(t.ops, ownLimit, true)
	if err == nil {
		err = tick.results(at, len(t.ops))
	}
	if disk.IsOutcome(err) { // only a quota has refused some records
		t.refused, err = true, nil
	}
	t.err, t.ops = err, t.ops[:0]
}

// Row is a provider record in a layout-independent form.
type Row struct {
	Key                  [16]byte // the first 16 bytes of SHA-256 of the wire key
	Expires, AddrsExpire uint32   // Unix time in seconds
	ID                   kad.PeerID
	Addrs                [][]byte // binary multiaddrs
}

// Import stores records, whether or not they have expired; Expire removes expired ones later.
// The records are durable on return. whole reports that no quota refused any of them.
func (s *Store) Import(rows iter.Seq[Row]) (whole bool, err error) {
	t := intake{s: s}
	for r := range rows {
		o := op{key: r.Key, expires: r.Expires, id: r.ID}
		if len(r.Addrs) > 0 {
			o.addrs, o.addrsExpire = disk.AppendAddrs(nil, r.Addrs), r.AddrsExpire
		}
		t.put(o)
	}
	t.flush()
	if t.err != nil {
		err = fmt.Errorf("import: %w", t.err)
	}
	return !t.refused, err
}

// Salvage copies records from a damaged store: at most most records that are intact and whose
// provider is known, newest first. If some cannot be reached, it copies everything found in
// the file, which may bring back removed records. whole reports that nothing was missing. An
// error means that this store accepts no more.
func (s *Store) Salvage(from Source, most int) (whole bool, err error) {
	v := &salvage{in: intake{s: s}, from: from, left: most, whole: true, providers: make(map[uint32]*providerRow), log: make(map[[idLen]byte]uint32)}
	v.readProviders()
	logWhole := v.readLog()
	m := disk.NewMeter(s.opts.Progress, Progress{Step: "repairing: writing provider records of the log", Total: int64(len(v.log))})
	for id, expires := range v.log {
		m.Add(1)
		v.take(&record{key: recordKey(id[:16]), number: binary.BigEndian.Uint32(id[16:]), expires: expires})
	}
	m.End()
	runsWhole := v.readRuns()
	if !logWhole {
		v.from.Scan(LogName, func(_, chunk []byte) {
			_ = eachOfChunk(chunk, func(e *logEntry) error { v.take(&e.record); return nil })
		})
	}
	if !runsWhole {
		v.from.Scan(RunsName, func(key, value []byte) {
			if recs, _, err := readBlock(key, value); err == nil {
				v.takeBlock(recs)
			}
		})
	}
	v.in.flush()
	return v.whole && !v.in.refused && logWhole && runsWhole && v.left > 0, v.in.err
}

type salvage struct {
	in        intake
	from      Source
	providers map[uint32]*providerRow
	log       map[[idLen]byte]uint32 // newest expiry of the records in the log
	left      int
	whole     bool
}

// numbered returns the numbers of the buckets with a prefix in ascending order.
func (v *salvage) numbered(file string, prefix byte) (numbers []uint32, whole bool) {
	found := make(map[uint32]bool)
	whole = v.from.Buckets(file, func(name []byte) {
		if len(name) == 5 && name[0] == prefix {
			found[binary.BigEndian.Uint32(name[1:])] = true
		}
	})
	return slices.Sorted(maps.Keys(found)), whole
}

// readProviders reads the providers.
func (v *salvage) readProviders() {
	take := func(key, value []byte) bool {
		if len(key) != 4 {
			return false
		}
		f, err := decodeProviderRow(key, value)
		if err == nil && v.providers[f.number] == nil {
			v.providers[f.number] = f
		}
		return err == nil
	}
	whole := v.from.Rows(LogName, bucketProviders, func(key, value []byte) { v.whole = take(key, value) && v.whole })
	if !whole {
		v.whole = false
		v.from.Scan(LogName, func(key, value []byte) { take(key, value) })
	}
}

// readLog reads the log from its beginning. The last entry of a record counts.
func (v *salvage) readLog() (whole bool) {
	gens, whole := v.numbered(LogName, prefixLog)
	for _, gen := range gens {
		whole = v.from.Rows(LogName, numbered(prefixLog, gen), func(_, chunk []byte) {
			err := eachOfChunk(chunk, func(e *logEntry) error {
				v.log[recordID(&e.key, e.number)] = e.expires
				return nil
			})
			v.whole = v.whole && err == nil
		}) && whole
	}
	return whole
}

// readRuns copies the records in runs that are not in the log.
func (v *salvage) readRuns() (whole bool) {
	numbers, whole := v.numbered(RunsName, prefixBlocks)
	for _, number := range slices.Backward(numbers) {
		whole = v.from.Rows(RunsName, numbered(prefixBlocks, number), func(key, value []byte) {
			recs, err := openBlock(number, key, value)
			v.whole = v.whole && err == nil
			v.takeBlock(recs)
		}) && whole
	}
	return whole
}

func (v *salvage) takeBlock(recs []byte) {
	for ; len(recs) > 0; recs = recs[recordLen:] {
		rec := recordAt(recs, 0)
		if _, newer := v.log[recordID(&rec.key, rec.number)]; !newer {
			v.take(&rec)
		}
	}
}

// take copies a record. It is added with time 0, so that Expire decides whether it has
// expired, and not a clock that may be wrong now.
func (v *salvage) take(r *record) {
	if r.expires == removed || v.left == 0 {
		return
	}
	f := v.providers[r.number]
	if f == nil {
		v.whole = false
		return
	}
	v.left--
	o := op{key: r.key, expires: r.expires, id: f.id}
	if f.addrsExpire > 0 {
		o.addrs, o.addrsExpire = f.addrs, f.addrsExpire
	}
	v.in.put(o)
}
