package storetest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// larger prefers the value that is greater in byte order.
func larger(_, a, b []byte) bool { return bytes.Compare(b, a) > 0 }

func testValueLifetime(t *testing.T, f *fixture) {
	v := records.Value{
		Key: []byte("/ns/k"), Value: []byte("v"), Publisher: []byte("me"),
		Received: start.Add(-time.Minute), Expires: start.Add(10*time.Second + 1),
	}
	require.NoError(t, f.PutValue(start, v, nil))
	f.restart()
	got, err := f.Value(start, v.Key)
	require.NoError(t, err)
	require.Equal(t, v.Value, got.Value)
	require.Equal(t, v.Publisher, got.Publisher)
	require.True(t, v.Received.Equal(got.Received))
	require.True(t, v.Expires.Equal(got.Expires))

	require.Equal(t, "v", f.value(v.Expires.Add(-1), "/ns/k"))
	require.Empty(t, f.value(v.Expires, "/ns/k"), "served at its expiry")
	require.Empty(t, f.value(v.Expires.Add(1), "/ns/k"))
	require.Empty(t, f.value(v.Expires.Add(100*time.Hour), "/ns/k"))

	require.NoError(t, f.put(start, "long", "v", start.Add(1000*time.Hour), nil))
	require.Equal(t, "v", f.value(start.Add(records.MaxTTL-1), "long"))
	require.Empty(t, f.value(start.Add(records.MaxTTL), "long"), "outlived MaxTTL")

	require.ErrorIs(t, f.put(start, "late", "v", start, nil), records.ErrExpired)
	require.NoError(t, f.put(start, "empty", "", start.Add(time.Hour), nil))
	got, err = f.Value(start, []byte("empty"))
	require.NoError(t, err, "an empty value is a value")
	require.Empty(t, got.Value)
}

func testValueBest(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	require.NoError(t, f.put(start, "k", "b", exp, larger))
	require.ErrorIs(t, f.put(start, "k", "a", exp.Add(time.Hour), larger), records.ErrOlder)
	require.NoError(t, f.put(start, "k", "c", exp.Add(-time.Minute), larger), "the better value wins even with a shorter lifetime")
	f.restart()
	for _, replay := range []string{"a", "b"} {
		require.ErrorIs(t, f.put(start, "k", replay, exp, larger), records.ErrOlder)
	}
	require.Equal(t, "c", f.value(start, "k"))
	require.Empty(t, f.value(exp.Add(-time.Minute), "k"), "the winner does not inherit the lifetime of the loser")

	late := exp.Add(-time.Minute)
	require.NoError(t, f.put(late, "k", "a", late.Add(time.Hour), larger), "an expired value does not compete")
	require.Equal(t, "a", f.value(late, "k"))
	require.NoError(t, f.put(late, "k", "0", late.Add(time.Hour), nil), "without a Better function, the newer value wins")
	require.Equal(t, "0", f.value(late, "k"))
	require.EqualValues(t, 1, f.Stats().Records[records.KindValue])
}

func testValueRefresh(t *testing.T, f *fixture) {
	never := func(_, _, _ []byte) bool { t.Error("identical values were compared"); return false }
	exp := start.Add(time.Hour)
	require.NoError(t, f.put(start, "k", "v", exp, never))
	require.NoError(t, f.put(start.Add(time.Minute), "k", "v", exp.Add(time.Hour), never))
	f.restart()
	require.Equal(t, "v", f.value(exp.Add(time.Hour-1), "k"), "republishing extends the lifetime")
	require.NoError(t, f.put(start.Add(2*time.Minute), "k", "v", exp, never))
	got, err := f.Value(start, []byte("k"))
	require.NoError(t, err)
	require.True(t, got.Expires.Equal(exp.Add(time.Hour)), "the later expiry stays")
	require.True(t, got.Received.Equal(start.Add(2*time.Minute)), "the time of receipt is updated")
	require.EqualValues(t, 1, f.Stats().Records[records.KindValue])

	require.NoError(t, f.DeleteValue([]byte("k")))
	f.restart()
	require.Empty(t, f.value(start, "k"))
	require.ErrorIs(t, f.DeleteValue([]byte("k")), records.ErrNotFound)
	require.Zero(t, f.Stats().Records)
	require.Zero(t, f.Stats().Bytes)
}

// testValueEnds stores a value that is valid for less than its lifetime.
func testValueEnds(t *testing.T, f *fixture) {
	end := start.Add(time.Hour)
	put := func(now time.Time, ends time.Time) error {
		return f.PutValue(now, records.Value{Key: []byte("k"), Value: []byte("v"), Expires: now.Add(10 * time.Hour), Ends: ends}, larger)
	}
	require.NoError(t, put(start, end))
	f.restart()
	got, err := f.Value(start, []byte("k"))
	require.NoError(t, err)
	require.True(t, got.Expires.Equal(end))
	require.Zero(t, got.Ends)
	require.NoError(t, put(start, time.Time{}))
	require.Equal(t, "v", f.value(end, "k"))
	require.NoError(t, put(start, end), "the stored, longer lifetime exceeds its end")
	require.Empty(t, f.value(end, "k"))
	require.ErrorIs(t, put(end, end), records.ErrExpired)
	require.NoError(t, put(start, start.Add(1000*time.Hour)))
	require.NotEmpty(t, f.value(start.Add(10*time.Hour-1), "k"))
	require.Empty(t, f.value(start.Add(10*time.Hour), "k"), "an end is not a lifetime")
}

func testValueRefused(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	require.ErrorIs(t, f.put(start, "", "v", exp, nil), records.ErrInvalid)
	require.ErrorIs(t, f.put(start, strings.Repeat("k", records.MaxValueKeyLen+1), "v", exp, nil), records.ErrTooLarge)
	require.ErrorIs(t, f.put(start, "k", strings.Repeat("v", records.DefaultMaxValueSize+1), exp, nil), records.ErrTooLarge)
	require.NoError(t, f.put(start, strings.Repeat("k", records.MaxValueKeyLen), strings.Repeat("v", records.DefaultMaxValueSize), exp, nil))
	f.restart()
	require.Len(t, f.value(start, strings.Repeat("k", records.MaxValueKeyLen)), records.DefaultMaxValueSize)
	require.Empty(t, f.value(start, ""))
	require.Empty(t, f.value(start, strings.Repeat("k", 40_000)))
}

func testValueExpire(t *testing.T, f *fixture) {
	const n = 1500
	for i := range n {
		require.NoError(t, f.put(start, string(peerID(i)), "v", start.Add(time.Duration(i+1)*time.Second), nil))
	}
	// Republished once: it must not be removed at its old expiry.
	require.NoError(t, f.put(start, string(peerID(0)), "v", start.Add(24*time.Hour), nil))
	f.restart()
	require.Zero(t, f.expire(start.Add(records.ExpireGrace)), "removed before its time")
	at := start.Add(records.ExpireGrace + 1200*time.Second)
	require.EqualValues(t, 1199, f.expire(at)[records.KindValue])
	require.Zero(t, f.expire(at)[records.KindValue])
	st := f.Stats()
	require.EqualValues(t, n-1199, st.Records[records.KindValue])
	require.Positive(t, st.ExpiredRecords[records.KindValue])
	require.Equal(t, "v", f.value(start, string(peerID(0))))
	require.Empty(t, f.value(start, string(peerID(1))), "still there")
	require.Equal(t, "v", f.value(start, string(peerID(1200))))
	require.EqualValues(t, n-1199, f.expire(start.Add(100 * time.Hour))[records.KindValue])
	require.Zero(t, f.Stats().Records)
}

func testNamespaces(t *testing.T, f *fixture) {
	exp := start.Add(time.Hour)
	key := "/pk/same"
	require.NoError(t, f.put(start, key, "value", exp, nil))
	require.NoError(t, f.put(start, "/ipns/same", "other", exp, nil))
	require.NoError(t, f.provide(start, key, "p", exp))
	require.NoError(t, f.Publish(
		records.Published{Kind: records.KindValue, Key: []byte(key), Value: []byte("mine"), Due: start},
		records.Published{Kind: records.KindProvider, Key: []byte(key), Due: start.Add(1)},
	))
	f.restart()
	require.Equal(t, "value", f.value(start, key))
	require.Equal(t, "other", f.value(start, "/ipns/same"))
	require.Len(t, f.providers(start, key), 1)
	require.NoError(t, f.Unpublish(records.KindProvider, []byte(key)))
	p, err := f.Load(records.KindValue, []byte(key))
	require.NoError(t, err)
	require.Equal(t, "mine", string(p.Value))
	require.NoError(t, f.DeleteValue([]byte(key)))
	require.Len(t, f.providers(start, key), 1)
	require.NoError(t, f.RemoveProvider(start, []byte(key), "p"))
	require.Equal(t, "other", f.value(start, "/ipns/same"))
	_, err = f.Load(records.KindValue, []byte(key))
	require.NoError(t, err)
}
