package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

func testProviderLifetime(t *testing.T, f *fixture) {
	exp := start.Add(10 * time.Second)
	require.NoError(t, f.provide(start, "k", "p", exp))
	f.restart()
	got := f.providers(start, "k")["p"]
	require.Equal(t, [][]byte{[]byte("addr of p")}, got.Addrs)
	require.True(t, got.Expires.Equal(exp))
	require.True(t, got.AddrsExpire.Equal(start.Add(records.ProviderAddrTTL)))
	require.Len(t, f.providers(exp.Add(-1), "k"), 1)
	require.Empty(t, f.providers(exp, "k"), "served at its expiry")
	require.Empty(t, f.providers(exp.Add(time.Nanosecond), "k"))
	require.Empty(t, f.providers(start, "other"))

	require.NoError(t, f.provide(start, "long", "p", start.Add(1000*time.Hour)))
	require.Len(t, f.providers(start.Add(records.MaxTTL-1), "long"), 1)
	require.Empty(t, f.providers(start.Add(records.MaxTTL), "long"), "outlived MaxTTL")
	require.ErrorIs(t, f.provide(start, "late", "p", start), records.ErrExpired)
}

func testProviderRefresh(t *testing.T, f *fixture) {
	first := start.Add(time.Hour)
	require.NoError(t, f.provide(start, "k", "p", first))
	last := first
	for i := range 40 { // across many epochs of expiry, with removal in between
		now := start.Add(time.Duration(i) * 50 * time.Minute)
		last = now.Add(70 * time.Minute)
		require.NoError(t, f.provide(now, "k", "p", last))
		require.NoError(t, f.provide(now, "k", "p", now.Add(time.Minute)), "a shorter lifetime does not shorten a longer one")
		require.True(t, f.providers(now, "k")["p"].Expires.Equal(last))
		f.expire(now)
		require.Len(t, f.providers(now, "k"), 1, "republish %d did not extend the record", i)
		require.EqualValues(t, 1, f.Stats().Records[records.KindProvider])
	}
	f.restart()
	require.Len(t, f.providers(last.Add(-1), "k"), 1)
	require.Empty(t, f.providers(last, "k"))
	f.expire(last.Add(200 * time.Hour))
	require.Zero(t, f.Stats().Records)
	require.Zero(t, f.Stats().Bytes)
	require.Zero(t, f.Stats().Providers, "a provider without records was kept")
}

func testProviderAddrs(t *testing.T, f *fixture) {
	add := func(now time.Time, key string, expires time.Time, addrs ...string) {
		p := records.Provider{ID: "p", Expires: now.Add(records.MaxTTL), AddrsExpire: expires}
		for _, a := range addrs {
			p.Addrs = append(p.Addrs, []byte(a))
		}
		require.NoError(t, f.AddProvider(now, []byte(key), p, true))
	}
	addrs := func(now time.Time, key string) string {
		var out []string
		for _, a := range f.providers(now, key)["p"].Addrs {
			out = append(out, string(a))
		}
		return strings.Join(out, " ")
	}
	add(start, "a", start.Add(time.Hour), "x", "y")
	f.restart()
	require.Equal(t, "x y", addrs(start.Add(time.Hour-1), "a"))
	require.Empty(t, addrs(start.Add(time.Hour), "a"), "addresses served at their expiry")
	require.Len(t, f.providers(start.Add(time.Hour), "a"), 1, "the record outlives its addresses")

	now := start.Add(time.Minute)
	add(now, "b", time.Time{}) // no addresses: the known ones stay
	require.Equal(t, "x y", addrs(now, "b"))
	add(now, "b", time.Time{}, "z") // new addresses apply to the provider, whatever the key
	require.Equal(t, "z", addrs(now, "a"))
	require.Empty(t, addrs(now.Add(records.ProviderAddrTTL), "a"), "outlived ProviderAddrTTL")

	now = now.Add(13 * time.Hour) // more than half of their lifetime has passed
	add(now, "b", time.Time{}, "z")
	f.restart()
	require.Equal(t, "z", addrs(now.Add(records.ProviderAddrTTL-1), "a"), "republishing extends the addresses")
}

func testProviderRemove(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	for _, id := range []kad.PeerID{"p", "q"} {
		require.NoError(t, f.provide(start, "k", id, exp))
		require.NoError(t, f.provide(start, "l", id, exp))
	}
	require.NoError(t, f.provide(start, "k", "p", exp.Add(20*time.Hour))) // two copies in a store with epochs
	require.NoError(t, f.RemoveProvider(start, []byte("k"), "p"))
	f.restart()
	require.ErrorIs(t, f.RemoveProvider(start, []byte("k"), "p"), records.ErrNotFound)
	require.ErrorIs(t, f.RemoveProvider(start, []byte("k"), "stranger"), records.ErrNotFound)
	require.Contains(t, f.providers(start, "k"), kad.PeerID("q"))
	require.Len(t, f.providers(start, "k"), 1)
	require.ErrorIs(t, f.RemoveProvider(exp, []byte("k"), "q"), records.ErrNotFound, "it has expired")
	f.restart()
	require.Empty(t, f.providers(start, "k"), "the clock was set back")
	require.Len(t, f.providers(start, "l"), 2)
	require.EqualValues(t, 2, f.Stats().Records[records.KindProvider])
	require.NoError(t, f.provide(start, "k", "p", exp))
	require.Len(t, f.providers(start, "k"), 1)
	f.expire(start.Add(300 * time.Hour))
	require.Zero(t, f.Stats().Records)
	require.Zero(t, f.Stats().Bytes)
	require.Zero(t, f.Stats().Providers)
}

func testProviderSubset(t *testing.T, f *fixture) {
	const have, want = 100, 10
	for i := range have {
		require.NoError(t, f.provide(start, "hot", peerID(i), start.Add(time.Duration(i+1)*20*time.Minute)))
	}
	given := []records.Provider{{ID: "given"}}
	seen := make(map[kad.PeerID]bool)
	var orders int
	for range 200 { // a provider is omitted each time with probability 0.9, and always with probability 1e-9
		list, err := f.Providers(given, start, []byte("hot"), want)
		require.NoError(t, err)
		require.Equal(t, kad.PeerID("given"), list[0].ID, "it appends")
		require.Len(t, list, 1+want)
		once := make(map[kad.PeerID]bool)
		for _, p := range list[1:] {
			require.False(t, once[p.ID])
			once[p.ID], seen[p.ID] = true, true
			require.NotEmpty(t, p.Addrs)
		}
		if list[1].ID > list[2].ID {
			orders++
		}
	}
	require.Len(t, seen, have, "some providers are never returned")
	require.NotContains(t, []int{0, 200}, orders, "the order is not random")
	list, err := f.Providers(nil, start, []byte("hot"), have)
	require.NoError(t, err)
	require.Len(t, list, have)
	list, err = f.Providers(given, start, []byte("hot"), 0)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Len(t, f.providers(start.Add(50*20*time.Minute), "hot"), have/2, "expired records do not count")
}

func testProviderQuota(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	most := records.DefaultMaxProvidersPerKey
	for i := range most {
		p := records.Provider{ID: peerID(i), Expires: exp}
		require.NoError(t, f.AddProvider(start, []byte("hot"), p, i == most-1))
	}
	f.flush()
	require.Len(t, f.providers(start, "hot"), most)
	require.ErrorIs(t, f.provide(start, "hot", "newcomer", exp), records.ErrQuota)
	require.Positive(t, f.Stats().RefusedWrites)
	require.NoError(t, f.provide(start, "other", "newcomer", exp))
	require.NoError(t, f.provide(start, "hot", peerID(7), exp.Add(5*time.Hour)), "a republished record is always accepted")
	require.NotContains(t, f.providers(start, "hot"), kad.PeerID("newcomer"))
	f.restart()
	require.ErrorIs(t, f.provide(start, "hot", "newcomer", exp.Add(time.Hour)), records.ErrQuota)
	require.NoError(t, f.RemoveProvider(start, []byte("hot"), peerID(8)))
	require.NoError(t, f.provide(start, "hot", "newcomer", exp))
	require.ErrorIs(t, f.provide(start, "hot", peerID(8), exp), records.ErrQuota)
	require.NoError(t, f.provide(exp, "hot", peerID(9), exp.Add(time.Hour)), "expired records free capacity")
	require.Len(t, f.providers(exp, "hot"), 2)
}

func testProviderRefused(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	add := func(key string, p records.Provider) error {
		p.Expires = exp
		return f.AddProvider(start, []byte(key), p, true)
	}
	long := make([]byte, records.MaxAddrLen+1)
	require.ErrorIs(t, add("", records.Provider{ID: "p"}), records.ErrInvalid)
	require.ErrorIs(t, add("k", records.Provider{}), records.ErrInvalid)
	require.ErrorIs(t, add(strings.Repeat("k", records.MaxKeyLen+1), records.Provider{ID: "p"}), records.ErrTooLarge)
	require.ErrorIs(t, add("k", records.Provider{ID: kad.PeerID(strings.Repeat("p", records.MaxPeerIDLen+1))}), records.ErrTooLarge)
	require.ErrorIs(t, add("k", records.Provider{ID: "p", Addrs: [][]byte{long}}), records.ErrTooLarge)
	require.ErrorIs(t, add("k", records.Provider{ID: "p", Addrs: make([][]byte, records.MaxAddressesPerProvider+1)}), records.ErrTooLarge)
	require.Empty(t, f.providers(start, "k"))
	most := records.Provider{ID: kad.PeerID(strings.Repeat("p", records.MaxPeerIDLen))}
	for range records.MaxAddressesPerProvider {
		most.Addrs = append(most.Addrs, long[1:])
	}
	key := strings.Repeat("k", records.MaxKeyLen)
	require.NoError(t, add(key, most))
	f.restart()
	require.Len(t, f.providers(start, key)[most.ID].Addrs, records.MaxAddressesPerProvider)
}

func testProviderExpire(t *testing.T, f *fixture) {
	const n = 300
	for i := range n { // over 50 h, three per key
		now := start.Add(time.Duration(i) * 10 * time.Minute)
		key := string(rune('a' + i/3))
		p := records.Provider{ID: peerID(i), Addrs: [][]byte{{1}}, Expires: now.Add(time.Hour)}
		require.NoError(t, f.AddProvider(now, []byte(key), p, i%50 == 0))
	}
	f.flush()
	f.restart()
	require.EqualValues(t, n, f.Stats().Records[records.KindProvider])
	require.EqualValues(t, n, f.Stats().Providers)
	// A store with epochs may remove records some hours late, but never early.
	at := start.Add(30 * time.Hour)
	removed := f.expire(at)[records.KindProvider]
	due := int64((30*time.Hour-time.Hour-records.ExpireGrace)/(10*time.Minute)) + 1
	require.LessOrEqual(t, removed, due)
	require.Greater(t, removed, due*3/4)
	require.Equal(t, n-removed, f.Stats().Records[records.KindProvider])
	require.Equal(t, removed, f.Stats().ExpiredRecords[records.KindProvider])
	live := 0
	for key := 'a'; key < 'a'+n/3; key++ {
		live += len(f.providers(at, string(key)))
	}
	require.Equal(t, n-(30*6-6)-1, live)
	require.EqualValues(t, n-removed, f.expire(start.Add(200 * time.Hour))[records.KindProvider])
	require.Zero(t, f.Stats().Records)
	require.Zero(t, f.Stats().Providers)
}

func testProviderQueued(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	for i := range 500 {
		p := records.Provider{ID: peerID(i % 50), Expires: exp}
		require.NoError(t, f.AddProvider(start, []byte{byte(i % 10)}, p, false))
	}
	f.flush()
	require.Zero(t, f.Stats().PendingWrites)
	for i := range 10 {
		require.Len(t, f.providers(start, string(rune(i))), 5)
	}
	require.NoError(t, f.AddProvider(start, []byte("last"), records.Provider{ID: "p", Expires: exp}, false))
	f.restart() // Close makes queued writes durable
	require.Len(t, f.providers(start, "last"), 1)
}

func testClockJumps(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	require.NoError(t, f.put(start, "k", "v", exp, nil))
	require.NoError(t, f.provide(start, "k", "p", exp))
	// Forward by less than the grace period, and back: nothing is removed.
	f.expire(exp.Add(records.ExpireGrace - time.Second))
	require.Empty(t, f.value(exp, "k"))
	require.Equal(t, "v", f.value(start, "k"))
	require.Len(t, f.providers(start, "k"), 1)
	// Back: neither reads nor republishing extend a lifetime.
	back := start.Add(-10 * time.Hour)
	require.NoError(t, f.put(back, "k", "v", exp, nil))
	require.NoError(t, f.provide(back, "k", "p", exp))
	require.Equal(t, "v", f.value(back, "k"))
	require.Empty(t, f.value(exp, "k"))
	require.Empty(t, f.providers(exp, "k"))
	require.NoError(t, f.put(back, "far", "v", start.Add(records.MaxTTL), nil))
	require.Empty(t, f.value(back.Add(records.MaxTTL), "far"))
	// Forward by years: everything is due, and the store keeps working.
	far := start.Add(5 * 365 * 24 * time.Hour)
	require.NotZero(t, f.expire(far))
	require.Zero(t, f.Stats().Records)
	require.NoError(t, f.provide(far, "k", "p", far.Add(time.Hour)))
	require.NoError(t, f.provide(start, "k", "q", exp))
	f.restart()
	require.Contains(t, f.providers(start, "k"), kad.PeerID("q"))
	require.Len(t, f.providers(start, "k"), 1, "a record stored while the clock was ahead must not be served for years")
	require.Contains(t, f.providers(far, "k"), kad.PeerID("p"))
	require.Len(t, f.providers(far, "k"), 1)
}

// testClockAhead stores records while the clock is a year ahead, and then corrects the clock.
func testClockAhead(t *testing.T, f *fixture) {
	ahead := start.Add(365 * 24 * time.Hour)
	never := func(_, _, _ []byte) bool { return false }
	put := func(now time.Time) error {
		v := records.Value{Key: []byte("k"), Value: []byte(now.String()), Received: now, Expires: now.Add(records.MaxTTL)}
		return f.PutValue(now, v, never)
	}
	provide := func(now time.Time) error { return f.provide(now, "k", "p", now.Add(records.MaxTTL)) }
	require.NoError(t, put(ahead))
	require.NoError(t, provide(ahead))
	f.restart()

	// Each record is live from the moment at which its lifetime can explain its expiry.
	first := ahead.Add(-records.ExpireGrace)
	require.Empty(t, f.value(first.Add(-time.Second), "k"))
	require.NotEmpty(t, f.value(first, "k"))
	require.Empty(t, f.providers(first.Add(-time.Second), "k"))
	require.NotEmpty(t, f.providers(first, "k")["p"].Addrs)
	for _, days := range []int{0, 3, 30, 300} {
		now := start.AddDate(0, 0, days)
		require.Zero(t, f.expire(now), "the clock may be behind now instead of having been ahead")
		require.Empty(t, f.value(now, "k"))
		require.Empty(t, f.providers(now, "k"))
	}
	require.NotEmpty(t, f.value(ahead, "k"))
	require.NotEmpty(t, f.providers(ahead, "k"))

	// New records replace them and expire at their own time.
	require.NoError(t, put(start), "the stored record is not live, however good it is")
	require.NoError(t, provide(start))
	f.restart()
	end := start.Add(records.MaxTTL)
	require.NotEmpty(t, f.value(start, "k"))
	require.True(t, f.providers(start, "k")["p"].Expires.Equal(end))
	require.True(t, f.providers(start, "k")["p"].AddrsExpire.Equal(start.Add(records.ProviderAddrTTL)), "the same addresses")
	require.NotEmpty(t, f.value(end.Add(-time.Second), "k"))
	require.Len(t, f.providers(end.Add(-time.Second), "k"), 1)
	for _, now := range []time.Time{end, ahead} {
		require.Empty(t, f.value(now, "k"))
		require.Empty(t, f.providers(now, "k"))
	}
	require.EqualValues(t, 1, f.Stats().Records[records.KindProvider])
	f.expire(end.Add(10 * time.Hour))
	require.Zero(t, f.Stats().Records)
	require.Zero(t, f.Stats().Providers, "a provider is kept until the clock catches up")
}

// testClockAheadAddrs stores a record while the clock is ahead by so little that the record
// is live once the clock is correct. Its addresses have a shorter lifetime and are not.
func testClockAheadAddrs(t *testing.T, f *fixture) {
	ahead := start.Add(10 * time.Hour)
	require.NoError(t, f.provide(ahead, "k", "p", ahead.Add(time.Hour)))
	f.restart()
	first := ahead.Add(-records.ExpireGrace)
	for now, told := range map[time.Time]bool{start: false, first.Add(-time.Second): false, first: true, ahead: true} {
		got := f.providers(now, "k")
		require.Len(t, got, 1, now)
		require.Equal(t, told, len(got["p"].Addrs) > 0, now)
	}
}

// testClockAheadQuota fills a key while the clock is ahead. This must not exclude other
// providers.
func testClockAheadQuota(t *testing.T, f *fixture) {
	ahead := start.Add(365 * 24 * time.Hour)
	most := records.DefaultMaxProvidersPerKey
	for i := range most {
		p := records.Provider{ID: peerID(i), Expires: ahead.Add(time.Hour)}
		require.NoError(t, f.AddProvider(ahead, []byte("hot"), p, i == most-1))
	}
	require.ErrorIs(t, f.provide(ahead, "hot", "newcomer", ahead.Add(time.Hour)), records.ErrQuota)
	require.NoError(t, f.provide(start, "hot", "newcomer", start.Add(time.Hour)))
	for i := range most - 1 {
		require.NoError(t, f.provide(start, "hot", peerID(i), start.Add(time.Hour)))
	}
	require.ErrorIs(t, f.provide(start, "hot", peerID(most-1), start.Add(time.Hour)), records.ErrQuota)
	require.Len(t, f.providers(start, "hot"), most)
	require.ErrorIs(t, f.RemoveProvider(start, []byte("hot"), peerID(most-1)), records.ErrNotFound, "it is not live")
	require.Empty(t, f.providers(ahead, "hot"), "it is removed")
}
