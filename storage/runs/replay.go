package runs

import "go.etcd.io/bbolt"

// trimEvery is the number of entries after which a replay trims the cache of providers.
const trimEvery = 4096

// replay rebuilds the tables and the tallies from the log. The newest table is the active
// one.
func (s *Store) replay(tx *bbolt.Tx, flushed uint32) (tables []*table, err error) {
	gen := max(s.led.state.gen, flushed+1)
	err = eachNumbered(tx, prefixLog, func(g uint32) error {
		gen = max(gen, g)
		s.led.chores = append(s.led.chores, chore{gen: g})
		if g <= flushed {
			return s.replayGen(tx, g, nil)
		}
		n := 0
		if err := eachLogEntry(tx, g, func(*logEntry) error { n++; return nil }); err != nil {
			return err
		}
		t := newTable(g, max(n, s.opts.TableRecords))
		tables = append([]*table{t}, tables...)
		return s.replayGen(tx, g, t)
	})
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 || tables[0].gen != gen {
		return append([]*table{newTable(gen, s.opts.TableRecords)}, tables...), nil
	}
	s.led.chores = s.led.chores[:len(s.led.chores)-1] // the active table has no chore
	return tables, nil
}

// replayGen replays a generation of the log into a table, unless its records are in runs, and
// into the tallies of providers that were stored earlier.
func (s *Store) replayGen(tx *bbolt.Tx, gen uint32, t *table) error {
	n := 0
	return eachLogEntry(tx, gen, func(e *logEntry) error {
		if t != nil {
			t.replay(s.seed.hash(&e.key), &s.led.state, e)
		}
		if n++; n%trimEvery == 0 {
			s.led.providers.trim()
		}
		p, err := s.led.providers.loadNumber(tx, e.number)
		if p == nil || err != nil {
			return err
		}
		if e.commitNo > p.commitNo {
			p.replay(&s.led.state, e)
			p.dirty = true
		}
		return nil
	})
}

// replay adds a record as put and remove did, and applies later drops.
func (t *table) replay(hash uint64, st *state, e *logEntry) {
	expires := e.expires
	if expires == removed {
		t.removals = append(t.removals, removal{key: e.key, number: e.number})
	} else if ep := st.epochOf(e); ep != nil {
		t.noteEpoch(ep.epochRef)
	} else {
		expires = removed
	}
	t.count.Add(int64(t.stage(hash, &e.key, e.number, expires).publish()))
}

// epochOf returns the epoch of an entry, or nil if it was dropped. An epoch with the same
// number may exist that was created later.
func (s *state) epochOf(e *logEntry) *epoch {
	if ep := s.epoch(epochOf(e.expires)); ep != nil && e.commitNo >= ep.born {
		return ep
	}
	return nil
}

// replay counts an entry as put and remove did.
func (p *provider) replay(st *state, e *logEntry) {
	if e.oldID != 0 {
		p.add(e.oldID, -1)
	}
	if e.expires == removed {
		return
	}
	p.last = max(p.last, epochOf(e.expires))
	if ep := st.epochOf(e); ep != nil {
		p.add(ep.id, 1)
	}
}
