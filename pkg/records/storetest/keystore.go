package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

func requirePublished(t *testing.T, want, got records.Published) {
	t.Helper()
	for _, times := range [][2]*time.Time{
		{&want.Until, &got.Until}, {&want.Added, &got.Added}, {&want.Last, &got.Last}, {&want.Due, &got.Due},
	} {
		require.True(t, times[0].Equal(*times[1]), "%s became %s", times[0], times[1])
		*times[0], *times[1] = time.Time{}, time.Time{}
	}
	require.Equal(t, string(want.Value), string(got.Value))
	want.Value, got.Value = nil, nil
	require.Equal(t, want, got)
}

func testPublished(t *testing.T, f *fixture) {
	want := records.Published{
		Kind: records.KindValue, Key: []byte("/ipns/me"), Value: []byte("v"), TTL: time.Hour,
		Until: start.Add(72*time.Hour + 5), Added: start, Due: start.Add(time.Nanosecond),
	}
	other := records.Published{Kind: records.KindProvider, Key: []byte("cid"), Added: start, Due: start}
	require.NoError(t, f.Publish(want, other))
	require.NoError(t, f.Publish())
	f.restart()
	load := func(kind records.Kind, key string) records.Published {
		p, err := f.Load(kind, []byte(key))
		require.NoError(t, err)
		return p
	}
	requirePublished(t, want, load(records.KindValue, "/ipns/me"))
	requirePublished(t, other, load(records.KindProvider, "cid"))
	require.Equal(t, [records.NumKinds]int64{1, 1}, f.Stats().Published)

	require.NoError(t, f.Done(records.KindValue, want.Key, start.Add(time.Minute), start.Add(time.Hour)))
	require.NoError(t, f.Done(records.KindProvider, want.Key, start, start), "a key of another kind is a different key")
	f.restart()
	want.Last, want.Due = start.Add(time.Minute), start.Add(time.Hour)
	requirePublished(t, want, load(records.KindValue, "/ipns/me"))
	require.NoError(t, f.Done(records.KindValue, want.Key, time.Time{}, start.Add(2*time.Hour)))
	want.Due = start.Add(2 * time.Hour)
	requirePublished(t, want, load(records.KindValue, "/ipns/me"))

	want.Value, want.Last = []byte("w"), time.Time{}
	require.NoError(t, f.Publish(want), "replaces")
	requirePublished(t, want, load(records.KindValue, "/ipns/me"))
	require.Equal(t, [records.NumKinds]int64{1, 1}, f.Stats().Published)
	require.NoError(t, f.Unpublish(records.KindValue, want.Key))
	f.restart()
	_, err := f.Load(records.KindValue, want.Key)
	require.ErrorIs(t, err, records.ErrNotFound)
	require.ErrorIs(t, f.Unpublish(records.KindValue, want.Key), records.ErrNotFound)
	require.Equal(t, [records.NumKinds]int64{1, 0}, f.Stats().Published)
	require.Zero(t, f.expire(start.Add(1000*time.Hour)), "published keys do not expire")
	requirePublished(t, other, load(records.KindProvider, "cid"))
}

func testPublishedRefused(t *testing.T, f *fixture) {
	good := records.Published{Kind: records.KindProvider, Key: []byte("good")}
	long := func(n int) []byte { return []byte(strings.Repeat("k", n)) }
	for _, c := range []struct {
		bad  records.Published
		want error
	}{
		{records.Published{Kind: records.KindProvider}, records.ErrInvalid},
		{records.Published{Kind: 7, Key: []byte("k")}, records.ErrInvalid},
		{records.Published{Kind: records.KindProvider, Key: long(records.MaxKeyLen + 1)}, records.ErrTooLarge},
		{records.Published{Kind: records.KindValue, Key: long(records.MaxValueKeyLen + 1)}, records.ErrTooLarge},
		{records.Published{Kind: records.KindValue, Key: []byte("k"), Value: long(records.DefaultMaxValueSize + 1)}, records.ErrTooLarge},
	} {
		require.ErrorIs(t, f.Publish(good, c.bad), c.want)
	}
	_, err := f.Load(records.KindProvider, good.Key)
	require.ErrorIs(t, err, records.ErrNotFound, "published together with a refused key")
	require.ErrorIs(t, f.Unpublish(7, []byte("k")), records.ErrNotFound)
	require.NoError(t, f.Done(7, []byte("k"), start, start))
}

// publishMany publishes n keys and returns them in the order of Range.
func publishMany(t *testing.T, f *fixture, n int) []records.Published {
	var all []records.Published
	for i := range n {
		p := records.Published{Kind: records.Kind(i % 2), Key: fmt.Appendf(nil, "key %d", i/3), Added: start}
		all = append(all, p)
	}
	require.NoError(t, f.Publish(all...))
	f.restart()
	sortPublished(all)
	return slices.CompactFunc(all, func(a, b records.Published) bool {
		return a.Kind == b.Kind && string(a.Key) == string(b.Key)
	})
}

func sortPublished(all []records.Published) {
	slices.SortFunc(all, func(a, b records.Published) int {
		ka, kb := kad.KeyOf(a.Key), kad.KeyOf(b.Key)
		if c := kad.Compare(&ka, &kb); c != 0 {
			return c
		}
		return int(a.Kind) - int(b.Kind)
	})
}

func collect(t *testing.T, s Stores, region kad.Prefix) []records.Published {
	var got []records.Published
	require.NoError(t, s.Range(region, func(p records.Published) bool { got = append(got, p); return true }))
	return got
}

func requireSame(t *testing.T, want, got []records.Published) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		requirePublished(t, want[i], got[i])
	}
}

func testRange(t *testing.T, f *fixture) {
	all := publishMany(t, f, 90)
	requireSame(t, all, collect(t, f, kad.Prefix{}))
	regions := []kad.Prefix{kad.Prefix{}.Child(0), kad.Prefix{}.Child(1), kad.PrefixOf(kad.KeyOf([]byte("key 3")), 256)}
	for _, bits := range []int{2, 3, 5, 8, 60} {
		regions = append(regions, kad.PrefixOf(kad.KeyOf([]byte("key 5")), bits))
	}
	for _, r := range regions {
		var want []records.Published
		for _, p := range all {
			if k := kad.KeyOf(p.Key); r.Contains(&k) {
				want = append(want, p)
			}
		}
		requireSame(t, want, collect(t, f, r))
	}
	n := 0
	require.NoError(t, f.Range(kad.Prefix{}, func(records.Published) bool { n++; return n < 5 }))
	require.Equal(t, 5, n, "false ends the iteration")
}

func testRangeMany(t *testing.T, f *fixture) {
	all := publishMany(t, f, 5000) // more than one transaction
	requireSame(t, all, collect(t, f, kad.Prefix{}))
	st := f.Stats().Published
	require.EqualValues(t, len(all), st[0]+st[1])
}

func testUnpublishAll(t *testing.T, f *fixture) {
	all := publishMany(t, f, 18000) // more than one transaction
	keys := [][]byte{[]byte("not there")}
	var want []records.Published
	for i := range all {
		switch {
		case all[i].Kind == records.KindValue || i%5 == 0:
			want = append(want, all[i])
		default:
			keys = append(keys, all[i].Key)
		}
	}
	keys = append(keys, keys[1]) // twice
	removed, err := f.UnpublishAll(records.KindProvider, keys)
	require.NoError(t, err)
	require.Equal(t, len(all)-len(want), removed)
	f.restart()
	requireSame(t, want, collect(t, f, kad.Prefix{}))
	st := f.Stats().Published
	require.EqualValues(t, len(want), st[0]+st[1])
	for _, kind := range []records.Kind{records.KindProvider, records.NumKinds} {
		removed, err = f.UnpublishAll(kind, keys)
		require.NoError(t, err)
		require.Zero(t, removed)
	}
}

func snapshot(n int, taken time.Time) records.Snapshot {
	s := records.Snapshot{Taken: taken}
	for i := range n {
		s.Own = append(s.Own, []byte{3, byte(i)})
		s.Peers = append(s.Peers, records.SnapshotPeer{
			ID: peerID(i), Addrs: [][]byte{{1, byte(i)}, {2}}, Scope: wire.Scope(i % wire.NumScopes),
		})
	}
	return s
}

func testSnapshots(t *testing.T, f *fixture) {
	for i := range 6 {
		want := snapshot(3*i, start.Add(time.Duration(i)*time.Minute))
		require.NoError(t, f.SaveSnapshot(want))
		if i%2 == 0 {
			f.restart()
		}
		got, err := f.LoadSnapshot()
		require.NoError(t, err)
		require.True(t, want.Taken.Equal(got.Taken))
		require.Equal(t, want.Trim().Own, got.Own)
		require.Len(t, got.Peers, len(want.Peers))
		for j, p := range got.Peers {
			require.Equal(t, want.Peers[j], p)
		}
	}
}

func testSnapshotBounds(t *testing.T, f *fixture) {
	s := snapshot(records.MaxSnapshotPeers+10, start)
	s.Peers[0].Addrs = make([][]byte, records.MaxAddressesPerProvider+5)
	s.Peers[1].Addrs = [][]byte{make([]byte, records.MaxAddrLen+1), {7}}
	s.Peers[2].ID = ""
	require.NoError(t, f.SaveSnapshot(s))
	f.restart()
	got, err := f.LoadSnapshot()
	require.NoError(t, err)
	require.Len(t, got.Peers, records.MaxSnapshotPeers)
	require.Len(t, got.Own, records.MaxAddressesPerProvider)
	require.Len(t, got.Peers[0].Addrs, records.MaxAddressesPerProvider)
	require.Equal(t, [][]byte{{7}}, got.Peers[1].Addrs)
	require.Equal(t, peerID(3), got.Peers[2].ID)
}

// testOwnership checks that a store neither keeps nor returns shared slices.
func testOwnership(t *testing.T, f *fixture) {
	b := []byte("bytes")
	spoil := func(bs ...[]byte) {
		for _, b := range bs {
			for i := range b {
				b[i] = '!'
			}
		}
	}
	fresh := func() []byte { return slices.Clone(b) }
	key, val, pub, addr := fresh(), fresh(), fresh(), fresh()
	exp := start.Add(time.Hour)
	require.NoError(t, f.PutValue(start, records.Value{Key: key, Value: val, Publisher: pub, Expires: exp}, nil))
	require.NoError(t, f.AddProvider(start, key, records.Provider{ID: "p", Addrs: [][]byte{addr}, Expires: exp}, false))
	require.NoError(t, f.Publish(records.Published{Kind: records.KindValue, Key: key, Value: val}))
	require.NoError(t, f.SaveSnapshot(records.Snapshot{Peers: []records.SnapshotPeer{{ID: "p", Addrs: [][]byte{addr}}}}))
	spoil(key, val, pub, addr)
	f.flush()
	for range 2 { // the second time after the returned slices were overwritten
		v, err := f.Value(start, b)
		require.NoError(t, err)
		ps, err := f.Providers(nil, start, b, 1)
		require.NoError(t, err)
		p, err := f.Load(records.KindValue, b)
		require.NoError(t, err)
		snap, err := f.LoadSnapshot()
		require.NoError(t, err)
		all := [][]byte{v.Key, v.Value, v.Publisher, ps[0].Addrs[0], p.Key, p.Value, snap.Peers[0].Addrs[0]}
		for _, q := range collect(t, f, kad.Prefix{}) {
			all = append(all, q.Key, q.Value)
		}
		for i, got := range all {
			require.Equal(t, string(b), string(got), "slice %d", i)
		}
		spoil(all...)
	}
}

func testConcurrent(t *testing.T, f *fixture) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			for i := range 100 {
				key := []byte{byte(rng.IntN(5))}
				now := start.Add(time.Duration(i) * time.Minute)
				_ = f.PutValue(now, records.Value{Key: key, Value: []byte{byte(i)}, Expires: now.Add(time.Hour)}, larger)
				_ = f.AddProvider(now, key, records.Provider{ID: peerID(g), Expires: now.Add(time.Hour)}, i%2 == 0)
				_ = f.Publish(records.Published{Kind: records.KindValue, Key: key})
				_, _ = f.Value(now, key)
				_, _ = f.Providers(nil, now, key, 3)
				_ = f.Range(kad.Prefix{}, func(records.Published) bool { return true })
				_ = f.Done(records.KindValue, key, now, now)
				f.Stats()
				switch rng.IntN(8) {
				case 0:
					_, _ = f.Expire(now)
				case 1:
					_ = f.RemoveProvider(now, key, peerID(g))
				case 2:
					_ = f.Unpublish(records.KindValue, key)
				case 3:
					_ = f.SaveSnapshot(snapshot(3, now))
					_, _ = f.LoadSnapshot()
				}
			}
		})
	}
	wg.Wait()
	f.restart()
	f.expire(start.Add(300 * time.Hour))
	require.Zero(t, f.Stats().Records)
	require.Zero(t, f.Stats().Providers)
}
