package runs

import (
	"encoding/binary"
	"maps"
	"slices"
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

// salvageBatch is how many records are taken over in one transaction.
const salvageBatch = 4096

// Salvage takes over from a damaged store the records that are whole and whose
// provider is known, the newest first, at most so many. Where the way to some is
// lost, it takes whatever is found in the file: records that were removed may come
// back then. Whole tells that nothing was missing; an error that this store takes
// no more.
func (s *Store) Salvage(from Source, most int) (whole bool, err error) {
	v := &salvage{s: s, from: from, left: most, whole: true, peers: make(map[uint32]*info), log: make(map[[idLen]byte]uint32)}
	v.readPeers()
	logWhole := v.readLog()
	for id, expires := range v.log {
		v.take(&record{key: recordKey(id[:16]), number: binary.BigEndian.Uint32(id[16:]), expires: expires})
	}
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
	v.flush()
	return v.whole && logWhole && runsWhole && v.left > 0, v.err
}

type salvage struct {
	s     *Store
	from  Source
	peers map[uint32]*info
	log   map[[idLen]byte]uint32 // newest expiry of the records that the log names
	ops   []op
	left  int
	whole bool
	err   error
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
	if v.ops = append(v.ops, o); len(v.ops) == salvageBatch {
		v.flush()
	}
}

func (v *salvage) flush() {
	if v.err != nil || len(v.ops) == 0 {
		return
	}
	t, at, err := v.s.queue.put(v.ops, ownLimit, true)
	if err == nil {
		err = t.results(at, len(v.ops))
	}
	if isOutcome(err) { // a quota refuses some, and that is all
		v.whole, err = false, nil
	}
	v.err, v.ops = err, v.ops[:0]
}
