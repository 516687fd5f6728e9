package runs

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// One commit stores at most choreProviders tallies, of all chores together.
func TestChorePeers(t *testing.T) {
	s := open(t, t.TempDir(), tiny())
	undo := errors.New("undo")
	for _, c := range []struct{ first, second, ended, begun int }{
		{choreProviders, 0, 2, 0},
		{choreProviders + 1, 0, 0, choreProviders},
		{10, choreProviders - 10, 2, 0},
		{10, choreProviders - 9, 1, choreProviders - 10},
	} {
		number := uint32(0)
		choreOf := func(providers int) (ch chore) {
			for range providers {
				number++
				ch.providers = append(ch.providers, &provider{number: number, dirty: true})
			}
			return ch
		}
		chores := []chore{choreOf(c.first), choreOf(c.second)} // of generation 0, which is in runs
		var x txn
		err := s.call("test", func(running *txn) error {
			defer func(old []chore) { running.led.chores = old }(running.led.chores)
			running.led.chores = chores
			err := running.doChores()
			x = *running
			return errors.Join(err, undo)
		})
		require.ErrorIs(t, err, undo)
		require.Len(t, x.stored, min(c.first+c.second, choreProviders), "%+v", c)
		require.Equal(t, []int{c.ended, c.begun}, []int{x.ended, x.begun}, "%+v", c)
	}
	checked(t, s)
}

// One transaction marks the copies of at most removeBatch removed records.
func TestRemoveBatch(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true})
	var recs []ProviderRecord
	var removals []removal
	for i := range 2*removeBatch + 1 {
		p := ProviderRecord{fmt.Appendf(nil, "key %d", i), records.Provider{ID: "peer", Expires: start.Add(time.Hour)}}
		recs = append(recs, p)
		removals = append(removals, removal{key: recordKeyOf(p.Key), number: 1})
	}
	_, err := s.AddProviders(start, recs, true)
	require.NoError(t, err)
	require.NoError(t, s.Rotate())
	s.closing.Do(func() { stop(s) }) // from here on, the test is the builder
	defer func() { require.NoError(t, errors.Join(s.log.Close(nil), s.runs.Close(nil))) }()
	copies := func() (n int) {
		require.NoError(t, s.runs.View(func(tx *bbolt.Tx) error {
			for _, r := range s.view.Load().runs {
				for i := range removals {
					err := r.each(tx, &removals[i].key, func(_, expires uint32) { n += min(int(expires), 1) })
					if err != nil {
						return err
					}
				}
			}
			return nil
		}))
		return n
	}
	require.Equal(t, len(removals), copies())
	var left []int // after each commit
	commit := s.runs.Commit
	s.runs.Commit = func(tx *bbolt.Tx) error {
		err := commit(tx)
		left = append(left, copies())
		return err
	}
	require.NoError(t, s.builder.removeCopies(removals))
	require.Equal(t, []int{removeBatch + 1, 1, 0}, left)
}

// A replay keeps at most trimEvery providers whose tallies are stored, in addition to those
// that fit into the cache.
func TestTrimEvery(t *testing.T) {
	const cache = 3
	s := open(t, t.TempDir(), Options{NoSync: true})
	n := 0
	add := func(more int) {
		var recs []ProviderRecord
		for range more {
			n++
			p := records.Provider{ID: kad.PeerID(fmt.Sprint("peer ", n)), Expires: start.Add(time.Hour)}
			recs = append(recs, ProviderRecord{fmt.Appendf(nil, "key %d", n), p})
		}
		_, err := s.AddProviders(start, recs, true)
		require.NoError(t, err)
	}
	replayed := func() int {
		twin := &Store{opts: s.opts, log: s.log, runs: s.runs}
		twin.opts.shape.providers = cache
		require.NoError(t, s.both(func(logTx, runsTx *bbolt.Tx) error { _, err := twin.load(logTx, runsTx); return err }))
		return len(twin.led.providers.byID)
	}
	add(trimEvery - 1)
	require.Equal(t, trimEvery-1, replayed())
	add(1)
	require.Equal(t, cache+1, replayed())
	checked(t, s)
}
