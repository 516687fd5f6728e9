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

// Source is what can be read of the files of a damaged store (LogName, RunsName).
type Source interface {
	// Buckets calls fn with the names of a file's buckets, and tells whether that
	// was all of them.
	Buckets(file string, fn func(name []byte)) (whole bool)
	// Rows calls fn with the rows of a bucket, which are valid only meanwhile, and
	// tells whether that was all of them.
	Rows(file string, bucket []byte, fn func(key, value []byte)) (whole bool)
	// Scan calls fn with whatever looks like a row anywhere in a file, old versions
	// and removed ones as well.
	Scan(file string, fn func(key, value []byte))
}

// intakeBatch is how many records are taken over in one transaction.
const intakeBatch = 4096

// intake takes over records in batches.
type intake struct {
	s       *Store
	ops     []op
	refused bool // a quota has refused some
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
	if disk.IsOutcome(err) { // a quota refuses some, and that is all
		t.refused, err = true, nil
	}
	t.err, t.ops = err, t.ops[:0]
}

// Row is a provider record as other layouts of this store have it.
type Row struct {
	Key                  [16]byte // the beginning of SHA-256 of the key on the wire
	Expires, AddrsExpire uint32   // Unix time in seconds
	ID                   kad.PeerID
	Addrs                [][]byte // binary multiaddrs
}

// Import takes over records, durable on return, whether or not they have expired:
// that is for Expire to see to. Whole tells that no quota has refused any.
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

// Salvage takes over from a damaged store the records that are whole and whose
// provider is known, the newest first, at most so many. Where the way to some is
// lost, it takes whatever is found in the file: records that were removed may come
// back then. Whole tells that nothing was missing; an error that this store takes
// no more.
func (s *Store) Salvage(from Source, most int) (whole bool, err error) {
	v := &salvage{in: intake{s: s}, from: from, left: most, whole: true, peers: make(map[uint32]*info), log: make(map[[idLen]byte]uint32)}
	v.readPeers()
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
	in    intake
	from  Source
	peers map[uint32]*info
	log   map[[idLen]byte]uint32 // newest expiry of the records that the log names
	left  int
	whole bool
}

// numbered returns the numbers of a prefix's buckets, the lowest first.
func (v *salvage) numbered(file string, prefix byte) (numbers []uint32, whole bool) {
	found := make(map[uint32]bool)
	whole = v.from.Buckets(file, func(name []byte) {
		if len(name) == 5 && name[0] == prefix {
			found[binary.BigEndian.Uint32(name[1:])] = true
		}
	})
	return slices.Sorted(maps.Keys(found)), whole
}

// readPeers reads who the providers are.
func (v *salvage) readPeers() {
	take := func(key, value []byte) bool {
		if len(key) != 4 {
			return false
		}
		f, err := decodeInfo(key, value)
		if err == nil && v.peers[f.number] == nil {
			v.peers[f.number] = f
		}
		return err == nil
	}
	whole := v.from.Rows(LogName, bucketPeers, func(key, value []byte) { v.whole = take(key, value) && v.whole })
	if !whole {
		v.whole = false
		v.from.Scan(LogName, func(key, value []byte) { take(key, value) })
	}
}

// readLog reads the log from its beginning: the last entry of a record counts.
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

// readRuns takes over the records of runs that the log does not know better.
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

// take takes over a record. Its time of receipt is the beginning of time: what has
// expired is removed by Expire, not by a clock that may be wrong just now.
func (v *salvage) take(r *record) {
	if r.expires == removed || v.left == 0 {
		return
	}
	f := v.peers[r.number]
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
