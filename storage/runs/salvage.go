package runs

import (
	"encoding/binary"
	"maps"
	"slices"
)

// Source is what can be read of the files of a damaged store.
type Source interface {
	// Buckets calls fn with the names of a file's buckets (LogName or RunsName).
	Buckets(file string, fn func(name []byte))
	// Rows calls fn with the rows of a bucket, which are valid only meanwhile, and
	// tells whether that was all of them.
	Rows(file string, bucket []byte, fn func(key, value []byte)) (whole bool)
}

// salvageBatch is how many records are taken over in one transaction.
const salvageBatch = 4096

// Salvage takes over from a damaged store the records that are whole and whose
// provider is known, those of later epochs first, at most so many. Whole tells that
// nothing was missing; an error that this store takes no more.
func (s *Store) Salvage(from Source, most int) (whole bool, err error) {
	v := &salvage{s: s, from: from, left: most, whole: true, peers: make(map[uint32]*info), log: make(map[[idLen]byte]uint32)}
	v.readPeers()
	v.readLog()
	for _, run := range v.numbered(RunsName, prefixBlocks) {
		v.takeRun(run)
	}
	for id, expires := range v.log {
		v.take(&record{key: recordKey(id[:16]), number: binary.BigEndian.Uint32(id[16:]), expires: expires})
	}
	v.flush()
	return v.whole && v.left > 0, v.err
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

func (v *salvage) rows(file string, bucket []byte, fn func(key, value []byte)) {
	v.whole = v.from.Rows(file, bucket, fn) && v.whole
}

// numbered returns the numbers of a prefix's buckets, the highest first.
func (v *salvage) numbered(file string, prefix byte) []uint64 {
	found := make(map[uint64]bool)
	v.from.Buckets(file, func(name []byte) {
		if len(name) == 9 && name[0] == prefix {
			found[binary.BigEndian.Uint64(name[1:])] = true
		}
	})
	out := slices.Sorted(maps.Keys(found))
	slices.Reverse(out)
	return out
}

func (v *salvage) readPeers() {
	v.rows(LogName, bucketPeers, func(key, value []byte) {
		if len(key) != 4 {
			v.whole = false
			return
		}
		f, err := decodeInfo(key, value)
		if err != nil {
			v.whole = false
			return
		}
		v.peers[f.number] = f
	})
}

// readLog reads the log from its beginning: the last entry of a record counts.
func (v *salvage) readLog() {
	for _, gen := range slices.Backward(v.numbered(LogName, prefixLog)) {
		v.rows(LogName, numbered(prefixLog, gen), func(_, chunk []byte) {
			err := eachOfChunk(gen, chunk, func(e *logEntry) error {
				v.log[recordID(&e.key, e.number)] = e.expires
				return nil
			})
			v.whole = v.whole && err == nil
		})
	}
}

func (v *salvage) takeRun(number uint64) {
	sum := runSum(number)
	v.rows(RunsName, numbered(prefixBlocks, number), func(key, value []byte) {
		recs, err := openBlock(sum, key, value)
		if err != nil {
			v.whole = false
			return
		}
		for ; len(recs) > 0; recs = recs[recordLen:] {
			rec := recordAt(recs, 0)
			if _, newer := v.log[recordID(&rec.key, rec.number)]; !newer {
				v.take(&rec)
			}
		}
	})
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
