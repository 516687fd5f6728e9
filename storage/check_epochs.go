package storage

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// check implements providerStore.
func (epochStore) check(tx *bbolt.Tx, c *counters, problem func(string, ...any)) error {
	peers, err := openPeers(tx)
	if err != nil {
		return err
	}
	known, err := peers.check(c, problem)
	if err != nil {
		return err
	}
	providers, err := bucketOf(tx, bucketProviders)
	if err != nil {
		return err
	}
	stats, err := bucketOf(tx, bucketEpochs)
	if err != nil {
		return err
	}
	m := epochMerge{known: known, c: c, problem: problem}
	eachEpoch(providers, func(epoch uint32, rows *bbolt.Bucket) bool {
		m.add(epoch, rows)
		return true
	})
	m.run()
	return m.compare(stats)
}

// check compares the three buckets of the table and returns each provider's last
// epoch by its number.
func (t peerTable) check(c *counters, problem func(string, ...any)) (map[uint32]uint32, error) {
	known := make(map[uint32]uint32)
	err := t.ids.ForEach(func(id, row []byte) error {
		c.Providers++
		ref, err := decodePeerRef(row)
		if err != nil {
			problem("provider %x: %v", id, err)
			return nil
		}
		if _, twice := known[ref.number]; twice {
			problem("provider number %d is used twice", ref.number)
		}
		known[ref.number] = ref.last
		if p, err := t.load(ref.number); err != nil || string(p.ID) != string(id) {
			problem("provider %x: addresses of number %d: %v", id, ref.number, err)
		}
		if t.last.Get(ref.lastKey()) == nil {
			problem("provider %x is missing in the order of collection", id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, b := range []*bbolt.Bucket{t.addrs, t.last} {
		n := 0
		if err := b.ForEach(func(_, _ []byte) error { n++; return nil }); err != nil {
			return nil, err
		}
		if n != len(known) {
			problem("%d providers, %d rows beside them", len(known), n)
		}
	}
	return known, nil
}

// epochMerge goes through all epochs at once, in the order of their rows.
type epochMerge struct {
	known   map[uint32]uint32
	c       *counters
	problem func(string, ...any)
	epochs  []*mergedEpoch // newest first
}

type mergedEpoch struct {
	epoch      uint32
	cursor     *bbolt.Cursor
	key, value []byte
	epochStats
}

func (m *epochMerge) add(epoch uint32, rows *bbolt.Bucket) {
	e := &mergedEpoch{epoch: epoch, cursor: rows.Cursor()}
	e.key, e.value = e.cursor.First()
	m.epochs = append(m.epochs, e)
}

// run counts records and copies. Of the copies of a record that of the newest
// epoch is the record, the others are superseded.
func (m *epochMerge) run() {
	for {
		var least []byte
		for _, e := range m.epochs {
			if e.key != nil && (least == nil || bytes.Compare(e.key, least) < 0) {
				least = e.key
			}
		}
		if least == nil {
			return
		}
		m.c.Records[records.KindProvider]++
		first := true
		for _, e := range m.epochs {
			if bytes.Equal(e.key, least) && e.key != nil {
				m.row(e, !first)
				first = false
			}
		}
	}
}

// row checks the row an epoch is at and goes to its next.
func (m *epochMerge) row(e *mergedEpoch, superseded bool) {
	defer func() { e.key, e.value = e.cursor.Next() }()
	e.copies++
	m.c.Bytes[records.KindProvider] += recordBytes
	if superseded {
		e.superseded++
	}
	if len(e.key) != 20 || len(e.value) != 4 {
		m.problem("epoch %d: malformed record %x", e.epoch, e.key)
		return
	}
	expires := binary.BigEndian.Uint32(e.value)
	e.newest = max(e.newest, expires)
	if epochOf(expires) != e.epoch {
		m.problem("epoch %d: record %x belongs to epoch %d", e.epoch, e.key, epochOf(expires))
	}
	number := binary.BigEndian.Uint32(e.key[16:])
	if last, ok := m.known[number]; !ok || last < e.epoch {
		m.problem("epoch %d: record %x names provider %d, last in epoch %d", e.epoch, e.key, number, last)
	}
}

// compare holds what was counted against what is written down.
func (m *epochMerge) compare(stats *bbolt.Bucket) error {
	for _, e := range m.epochs {
		s, err := decodeEpochStats(stats.Get(u32(e.epoch)))
		if err != nil {
			return err
		}
		// The newest of the epoch may have been removed since.
		if s.copies != e.copies || s.superseded != e.superseded || s.newest < e.newest {
			m.problem("epoch %d says %+v, contents %+v", e.epoch, s, e.epochStats)
		}
	}
	n := 0
	err := stats.ForEach(func(_, _ []byte) error { n++; return nil })
	if n != len(m.epochs) {
		m.problem("%d epochs, %d rows about them", len(m.epochs), n)
	}
	return err
}
