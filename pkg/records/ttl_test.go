package records_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

var now = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func TestCapTTL(t *testing.T) {
	for _, c := range []struct{ ttl, most, want time.Duration }{
		{0, 0, records.MaxTTL},
		{-time.Second, 0, records.MaxTTL},
		{time.Hour, 0, time.Hour},
		{records.MaxTTL + 1, 0, records.MaxTTL},
		{math.MaxInt64, time.Hour, time.Hour},
		{0, time.Hour, time.Hour},
		{time.Minute, time.Hour, time.Minute},
		{time.Hour, 100 * records.MaxTTL, time.Hour},
		{0, 100 * records.MaxTTL, records.MaxTTL},
		{records.WireTTL(math.MaxUint32), 0, records.MaxTTL},
		{records.WireTTL(0), 0, records.MaxTTL},
		{records.WireTTL(1), 0, time.Second},
	} {
		require.Equal(t, c.want, records.CapTTL(c.ttl, c.most), "%+v", c)
		require.Equal(t, now.Add(c.want), records.Expiry(now, c.ttl, c.most))
	}
}

func TestHeldExpiry(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339Nano) }
	for name, x := range map[string]struct {
		ttl      time.Duration
		received string
		want     time.Duration
	}{
		"ttl":            {time.Hour, at(-40 * time.Hour), time.Hour},
		"received":       {0, at(-40 * time.Hour), 8 * time.Hour},
		"over":           {0, at(-50 * time.Hour), -2 * time.Hour},
		"another zone":   {0, now.Add(-40 * time.Hour).In(time.FixedZone("", 3600)).Format(time.RFC3339Nano), 8 * time.Hour},
		"in the future":  {0, at(time.Hour), records.MaxTTL},
		"nothing":        {0, "", records.MaxTTL},
		"a float, as py": {0, "1767323045.1", records.MaxTTL},
	} {
		if got := records.HeldExpiry(now, x.ttl, x.received); !got.Equal(now.Add(x.want)) {
			t.Errorf("%s: expires %v, want %v", name, got, now.Add(x.want))
		}
	}
}

func TestRemainingSeconds(t *testing.T) {
	for _, c := range []struct {
		left time.Duration
		want uint32
		ok   bool
	}{
		{-time.Hour, 0, false},
		{0, 0, false},
		{1, 0, false},
		{time.Second - 1, 0, false},
		{time.Second, 1, true},
		{2*time.Second - 1, 1, true},
		{time.Hour, 3600, true},
		{records.MaxTTL, 172800, true},
		{1000 * records.MaxTTL, 172800, true},
	} {
		got, ok := records.RemainingSeconds(now, now.Add(c.left))
		require.Equal(t, c.want, got, c.left)
		require.Equal(t, c.ok, ok, c.left)
	}
}

// TestHopsNeverExtend passes a record from node to node at random times: no copy
// outlives the first.
func TestHopsNeverExtend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := now
		first := records.Expiry(at, records.WireTTL(rapid.Uint32().Draw(t, "ttl")), 0)
		expires := first
		for range rapid.IntRange(1, 6).Draw(t, "hops") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Hour)).Draw(t, "wait")))
			seconds, ok := records.RemainingSeconds(at, expires)
			if !ok {
				if expires.Sub(at) >= time.Second {
					t.Fatalf("not sent with %s left", expires.Sub(at))
				}
				return
			}
			if seconds == 0 {
				t.Fatal("zero on the wire means absent")
			}
			expires = records.Expiry(at, records.WireTTL(seconds), 0)
			if expires.After(first) {
				t.Fatalf("expires %s after the first copy", expires.Sub(first))
			}
		}
	})
}
