package runs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// model is the simple reference implementation: maps and the documented rules.
type model struct {
	o       Options
	records map[string]map[kad.PeerID]uint32 // key -> provider -> expires
	newest  map[uint32]uint32                // epoch -> latest expiry
	last    map[kad.PeerID]uint32            // provider -> epoch of its latest expiry ever
	addrs   map[kad.PeerID]string
}

func newModel(o Options) *model {
	return &model{
		o: o, records: map[string]map[kad.PeerID]uint32{}, newest: map[uint32]uint32{},
		last: map[kad.PeerID]uint32{}, addrs: map[kad.PeerID]string{},
	}
}

func (m *model) add(now uint32, key string, id kad.PeerID, expires uint32, addr string) error {
	old := m.records[key][id]
	if expires <= now {
		return records.ErrExpired
	}
	if !live(now, old) {
		if err := m.admit(now, key, id, old); err != nil {
			return err
		}
	}
	if _, known := m.last[id]; !known {
		m.last[id] = 0
	}
	if addr != "" {
		m.addrs[id] = addr
	} else if _, known := m.addrs[id]; !known {
		m.addrs[id] = ""
	}
	if expires <= old && live(now, old) {
		return nil
	}
	if m.records[key] == nil {
		m.records[key] = map[kad.PeerID]uint32{}
	}
	m.records[key][id] = expires
	e := epochOf(expires)
	m.newest[e] = max(m.newest[e], expires)
	m.last[id] = max(m.last[id], e)
	if ahead(now, m.last[id]*epochSeconds, recordLife) {
		m.last[id] = 0
		for _, ps := range m.records {
			m.last[id] = max(m.last[id], epochOf(ps[id]))
		}
	}
	return nil
}

func (m *model) admit(now uint32, key string, id kad.PeerID, old uint32) error {
	if ahead(now, old, recordLife) {
		if len(m.live(now, key)) >= m.o.MaxProvidersPerKey {
			return errManyPerKey
		}
		return nil
	}
	if _, known := m.last[id]; !known && len(m.last) >= m.o.MaxProviders {
		return errManyProviders
	}
	n := 0
	for _, ps := range m.records {
		if _, ok := ps[id]; ok {
			n++
		}
	}
	if n >= m.o.MaxRecordsPerProvider {
		return errManyRecords
	}
	if len(m.live(now, key)) >= m.o.MaxProvidersPerKey {
		return errManyPerKey
	}
	return nil
}

func (m *model) live(now uint32, key string) (out []string) {
	for id, expires := range m.records[key] {
		if live(now, expires) {
			out = append(out, fmt.Sprintf("%s until %d at %q", id, expires, m.addrs[id]))
		}
	}
	slices.Sort(out)
	return out
}

func (m *model) remove(now uint32, key string, id kad.PeerID) error {
	expires := m.records[key][id]
	delete(m.records[key], id)
	if !live(now, expires) {
		return records.ErrNotFound
	}
	return nil
}

func (m *model) expire(limit uint32) (removed int64) {
	for e, newest := range m.newest {
		if newest > limit {
			continue
		}
		delete(m.newest, e)
		for _, ps := range m.records {
			for id, expires := range ps {
				if epochOf(expires) == e {
					delete(ps, id)
					removed++
				}
			}
		}
	}
	for id, last := range m.last {
		if last < epochOf(limit) {
			delete(m.last, id)
			delete(m.addrs, id)
		}
	}
	return removed
}

func (m *model) count() (n int64) {
	for _, ps := range m.records {
		n += int64(len(ps))
	}
	return n
}

// walk applies the same calls to a store and to its model.
type walk struct {
	*testing.T
	rng   *rand.Rand
	dir   string
	o     Options
	s     *Store
	m     *model
	now   time.Time
	floor time.Time // lower bound for the clock: what was due stays due
}

func TestModel(t *testing.T) {
	steps, seeds := 100_000, []uint64{1, 2, 3}
	if testing.Short() {
		steps, seeds = 10_000, seeds[:1]
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			testModel(t, seed, steps)
		})
	}
}

func testModel(t *testing.T, seed uint64, steps int) {
	o := tiny()
	o.MaxProvidersPerKey, o.MaxRecordsPerProvider, o.MaxProviders = 6, 14, 25
	o.CommitWindow = time.Millisecond
	o.ProviderCache, o.shape.providers = 4, 5
	dir := t.TempDir()
	w := &walk{T: t, rng: rand.New(rand.NewPCG(seed, 0)), dir: dir, o: o, s: open(t, dir, o), m: newModel(o), now: start}
	w.floor = w.now
	for i := range steps {
		w.step()
		if i%2000 == 1999 {
			w.flush()
			check(t, w.s)
			w.compareAll()
		}
		if t.Failed() {
			t.Fatalf("seed %d, step %d", seed, i)
		}
	}
	st := w.s.Stats()
	t.Logf("seed %d: %+v %+v", seed, st, w.s.Sizes())
	checked(t, w.s)
}

func (w *walk) step() {
	switch n := w.rng.IntN(1000); {
	case n < 700:
		w.add()
	case n < 760:
		w.remove()
	case n < 900:
		w.flush()
		w.compare(w.key())
	case n < 960:
		w.jump()
	case n < 990:
		w.expire()
	case n < 994:
		w.reopen(false)
	case n < 998:
		w.reopen(true)
	default:
		w.backup()
	}
}

func (w *walk) key() string { return fmt.Sprint("key", w.rng.IntN(60)) }

func (w *walk) peer() kad.PeerID { return kad.PeerID(fmt.Sprint("peer", w.rng.IntN(30))) }

func (w *walk) flush() { require.NoError(w, w.s.Flush()) }

// add adds one durable record, or several that are not durable.
func (w *walk) add() {
	n := 1
	if w.rng.IntN(4) == 0 {
		n = w.rng.IntN(40)
	}
	for range n {
		key, id, addr := w.key(), w.peer(), ""
		ttl := time.Duration(w.rng.IntN(50*3600)) * time.Second
		if w.rng.IntN(3) == 0 {
			ttl /= 100
		}
		p := records.Provider{ID: id, Expires: w.now.Add(ttl)}
		if w.rng.IntN(3) > 0 {
			addr = fmt.Sprint("addr", w.rng.IntN(3))
			p.Addrs = [][]byte{[]byte(addr)}
		}
		durable := n == 1
		got := w.s.AddProvider(w.now, []byte(key), p, durable)
		if errors.Is(got, records.ErrExpired) {
			require.Less(w, ttl, time.Second)
			continue
		}
		want := w.m.add(seconds(w.now), key, id, min(seconds(p.Expires), seconds(w.now.Add(records.MaxTTL))), addr)
		if durable {
			w.same(want, got)
		}
	}
}

func (w *walk) same(want, got error) {
	w.Helper()
	if want == nil {
		require.NoError(w, got)
	} else {
		require.ErrorIs(w, got, want)
	}
}

func (w *walk) remove() {
	key, id := w.key(), w.peer()
	if w.rng.IntN(2) == 0 { // an existing record
		for _, p := range slices.Sorted(maps.Keys(w.m.records[key])) {
			id = p
		}
	}
	w.same(w.m.remove(seconds(w.now), key, id), w.s.RemoveProvider(w.now, []byte(key), id))
}

func (w *walk) jump() {
	d := time.Duration(w.rng.IntN(3600)) * time.Second
	switch w.rng.IntN(20) {
	case 0:
		d = -d
	case 1:
		d *= 30
	case 3:
		d *= -200 // the clock was ahead by days
	case 2:
		d *= 400 // everything expires
	}
	if w.now = w.now.Add(d); w.now.Before(w.floor) {
		w.now = w.floor
	}
}

func (w *walk) expire() {
	limit := w.now.Add(-records.ExpireGrace)
	var removed int64
	for more := true; more; {
		out, err := w.s.Expire(w.now)
		require.NoError(w, err)
		removed += out.Records[records.KindProvider]
		more = out.More
	}
	require.Equal(w, w.m.expire(seconds(limit)), removed)
	if w.floor.Before(limit) {
		w.floor = limit
	}
	w.counts()
}

func (w *walk) counts() {
	st := w.s.Stats()
	require.Equal(w, w.m.count(), st.Records)
	require.EqualValues(w, len(w.m.last), st.Providers)
}

func (w *walk) reopen(kill bool) {
	w.flush()
	if kill {
		killed(w, w.s)
	} else {
		require.NoError(w, w.s.Close())
	}
	w.s = open(w, w.dir, w.o)
	require.Equal(w, !kill, w.s.CleanStart())
	w.counts()
}

func (w *walk) compare(key string) {
	got, err := w.s.Providers(nil, w.now, []byte(key), 100)
	require.NoError(w, err)
	var have []string
	for _, p := range got {
		addr := ""
		if len(p.Addrs) > 0 {
			addr = string(p.Addrs[0])
		} else if a := w.m.addrs[p.ID]; a != "" {
			addr = a // they may have expired, which storetest checks
		}
		have = append(have, fmt.Sprintf("%s until %d at %q", p.ID, p.Expires.Unix(), addr))
	}
	slices.Sort(have)
	require.Equal(w, w.m.live(seconds(w.now), key), have)
}

func (w *walk) compareAll() {
	for i := range 60 {
		w.compare(fmt.Sprint("key", i))
	}
	w.counts()
}

// backup copies the files while the builder may be working, and checks the copy.
func (w *walk) backup() {
	w.flush()
	dir := w.TempDir()
	copyTo(w, w.s, dir)
	s := open(w, dir, w.o)
	was := w.s
	w.s = s
	w.counts()
	w.compare(w.key())
	w.s = was
	checked(w, s)
	require.NoError(w, os.RemoveAll(dir))
}

func copyTo(t testing.TB, s *Store, dir string) {
	snap, err := s.Snapshot(func() {})
	require.NoError(t, err)
	defer snap.Close()
	require.NoError(t, snap.Each(func(name string, size int64, write func(io.Writer) error) error {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			return err
		}
		require.EqualValues(t, size, b.Len())
		return os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600)
	}))
}
