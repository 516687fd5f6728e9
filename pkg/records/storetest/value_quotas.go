package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// OpenQuotas creates an empty store with bounds on the values of others.
type OpenQuotas func(t *testing.T, q records.ValueQuotas) (Stores, Reopen)

// RunValueQuotas runs the tests of the bounds on values.
func RunValueQuotas(t *testing.T, open OpenQuotas) {
	for _, c := range []struct {
		name string
		q    records.ValueQuotas
		test func(t *testing.T, f *fixture)
	}{
		{"PerPeer", records.ValueQuotas{PerPeer: records.Tally{Values: 3}}, testValuesPerPeer},
		{"PerGroup", records.ValueQuotas{PerGroup: records.Tally{Values: 3}}, testValuesPerGroup},
		{"All", records.ValueQuotas{All: records.Tally{Values: 3}}, testValuesOfAll},
		{"Size", records.ValueQuotas{PerPeer: records.Tally{Bytes: 43_000}, PerGroup: records.Tally{Bytes: 63_500}, All: records.Tally{Bytes: 83_500}}, testValuesSize},
		{"Freed", records.ValueQuotas{PerPeer: records.Tally{Values: 1}}, testValuesFreed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, reopen := open(t, c.q)
			f := &fixture{T: t, Stores: s, reopen: reopen}
			defer f.close()
			c.test(t, f)
		})
	}
	t.Run("Model", func(t *testing.T) { testQuotaModel(t, open) })
}

// putFrom stores a value for an hour on an account. "" means no account.
func (f *fixture) putFrom(now time.Time, peer, group, key, value string) error {
	return f.PutValue(now, records.Value{
		Key: []byte(key), Value: []byte(value), Expires: now.Add(time.Hour),
		Account: records.Account{Peer: kad.PeerID(peer), Group: group},
	}, larger)
}

// requireOver checks that a quota has refused the first value, and that the refusal was
// counted.
func (f *fixture) requireOver(err error, q records.Quota) {
	f.Helper()
	require.ErrorIs(f, err, records.ErrQuota)
	var over *records.QuotaError
	require.ErrorAs(f, err, &over)
	require.Equal(f, q, over.Quota)
	require.EqualValues(f, 1, f.Stats().Refused[q])
}

func testValuesPerPeer(t *testing.T, f *fixture) {
	for i := range 3 {
		require.NoError(t, f.putFrom(start, "a", "g", fmt.Sprint("k", i), "1"))
	}
	f.requireOver(f.putFrom(start, "a", "g", "k3", "1"), records.QuotaValuesPerPeer)
	require.EqualValues(t, 1, f.Stats().RefusedWrites)
	f.restart()
	require.Error(t, f.putFrom(start, "a", "other group", "k3", "1"))
	require.Equal(t, "", f.value(start, "k3"))
	require.NoError(t, f.putFrom(start, "b", "g", "k3", "1"), "another peer")
	require.NoError(t, f.putFrom(start, "", "", "own", "1"))
	for i := range 3 { // republished and replaced, by anyone
		require.NoError(t, f.putFrom(start, "a", "g", fmt.Sprint("k", i), "1"))
		require.NoError(t, f.putFrom(start, "b", "g", fmt.Sprint("k", i), "2"))
		require.Equal(t, "2", f.value(start, fmt.Sprint("k", i)))
	}
	require.Error(t, f.putFrom(start, "a", "g", "k4", "1"), "a value that others republish stays on the account")
	require.NoError(t, f.putFrom(start, "b", "g", "k4", "1"))
}

func testValuesPerGroup(t *testing.T, f *fixture) {
	for i := range 3 {
		require.NoError(t, f.putFrom(start, fmt.Sprint("peer", i), "g", fmt.Sprint("k", i), "1"))
	}
	f.requireOver(f.putFrom(start, "peer", "g", "k3", "1"), records.QuotaValuesPerGroup)
	require.NoError(t, f.putFrom(start, "peer", "h", "k3", "1"))
	for i := range 10 { // no group
		require.NoError(t, f.putFrom(start, "peer", "", fmt.Sprint("private", i), "1"))
	}
}

func testValuesOfAll(t *testing.T, f *fixture) {
	for i := range 3 {
		require.NoError(t, f.putFrom(start, fmt.Sprint("peer", i), fmt.Sprint("g", i), fmt.Sprint("k", i), "1"))
		require.NoError(t, f.putFrom(start, "", "", fmt.Sprint("own", i), "1"), "own values are not counted")
	}
	f.requireOver(f.putFrom(start, "peer", "g", "k3", "1"), records.QuotaValues)
	require.NoError(t, f.putFrom(start, "", "", "own", "1"))
	require.NoError(t, f.putFrom(start, "peer", "g", "own", "2"), "it is on no account and stays so")
	require.Equal(t, "2", f.value(start, "own"))
}

// Stores estimate the size of a value: here its 4,000 bytes and up to 175 more. The quotas
// allow 10, 15 and 20 values of any such size, but not one more value of 4,000 bytes.
func testValuesSize(t *testing.T, f *fixture) {
	value := func(n int) string { return string(make([]byte, n)) }
	for _, c := range []struct {
		peer, group string
		quota       records.Quota
		fit         int
	}{
		{"a", "g", records.QuotaValuesSizePerPeer, 10},
		{"b", "g", records.QuotaValuesSizePerGroup, 5},
		{"c", "h", records.QuotaValuesSize, 5},
	} {
		for i := range c.fit {
			require.NoError(t, f.putFrom(start, c.peer, c.group, fmt.Sprint(c.peer, i), value(4000)))
		}
		f.requireOver(f.putFrom(start, c.peer, c.group, "one more", value(4000)), c.quota)
	}
	require.NoError(t, f.putFrom(start, "a", "g", "a0", value(4000)), "a republished value")
	require.Error(t, f.putFrom(start, "a", "g", "a0", value(8000)), "growth")
	require.Equal(t, value(4000), f.value(start, "a0"), "stored values stay")
	require.NoError(t, f.putFrom(start, "", "", "a0", value(8000)), "a value of the node itself")
	require.NoError(t, f.putFrom(start, "a", "g", "freed", value(4000)), "a0 is no longer on the account")
}

func testValuesFreed(t *testing.T, f *fixture) {
	require.NoError(t, f.putFrom(start, "a", "", "k", "1"))
	require.Error(t, f.putFrom(start, "a", "", "l", "1"))
	require.NoError(t, f.DeleteValue([]byte("k")))
	require.NoError(t, f.putFrom(start, "a", "", "l", "1"))
	f.restart()
	later := start.Add(2 * time.Hour)
	require.Error(t, f.putFrom(later, "a", "", "m", "1"), "expired but not yet removed")
	require.NoError(t, f.putFrom(later, "a", "", "l", "1"), "it replaces itself")
	later = later.Add(records.ExpireGrace + 2*time.Hour)
	require.EqualValues(t, 1, f.expire(later)[records.KindValue])
	require.NoError(t, f.putFrom(later, "a", "", "m", "1"))
}

// testQuotaModel compares a store with a model that counts everything each time.
func testQuotaModel(t *testing.T, open OpenQuotas) {
	q := records.ValueQuotas{All: records.Tally{Values: 6}, PerGroup: records.Tally{Values: 4}, PerPeer: records.Tally{Values: 2}}
	rapid.Check(t, func(rt *rapid.T) {
		s, reopen := open(t, q)
		f := &fixture{T: t, Stores: s, reopen: reopen}
		defer f.close()
		m := quotaModel{values: make(map[string]records.Value)}
		now := start
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				v := records.Value{
					Key: []byte(rapid.SampledFrom(quotaKeys).Draw(rt, "key")), Value: []byte(rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "value")),
					Expires: now.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes")) * time.Minute),
				}
				if p := rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(rt, "peer"); p != "" {
					v.Account = records.Account{Peer: kad.PeerID(p), Group: rapid.SampledFrom([]string{"", "g", "h"}).Draw(rt, "group")}
				}
				want := m.put(q, now, v)
				if err := f.PutValue(now, v, larger); !errors.Is(err, want) {
					rt.Fatalf("put: %v, the model has %v", err, want)
				}
			},
			"delete": func(rt *rapid.T) {
				key := rapid.SampledFrom(quotaKeys).Draw(rt, "key")
				_ = f.DeleteValue([]byte(key))
				delete(m.values, key)
			},
			"expire": func(*rapid.T) {
				f.expire(now)
				for k, v := range m.values {
					if !v.Expires.After(now.Add(-records.ExpireGrace)) {
						delete(m.values, k)
					}
				}
			},
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
			},
			"restart": func(*rapid.T) { f.restart() },
		})
	})
}

// quotaKeys are more keys than any quota of the model allows.
var quotaKeys = strings.Split("abcdefghij", "")

// quotaModel stores nothing but the values.
type quotaModel struct{ values map[string]records.Value }

// put returns the same as PutValue.
func (m *quotaModel) put(q records.ValueQuotas, now time.Time, v records.Value) error {
	old, ok := m.values[string(v.Key)]
	known := ok && old.Live(now)
	if known && string(old.Value) > string(v.Value) {
		return records.ErrOlder
	}
	if known && string(old.Value) == string(v.Value) && old.Expires.After(v.Expires) {
		v.Expires = old.Expires
	}
	switch {
	case v.Account.IsZero():
	case known && !old.Account.IsZero():
		v.Account = old.Account
	case m.fits(q, string(v.Key), v.Account):
	case known:
		v.Account = records.Account{}
	default:
		return records.ErrQuota
	}
	m.values[string(v.Key)] = v
	return nil
}

// fits reports whether one more value fits on an account after the value under key is
// removed.
func (m *quotaModel) fits(q records.ValueQuotas, key string, a records.Account) bool {
	var all, group, peer int64
	for k, v := range m.values {
		if k == key || v.Account.IsZero() {
			continue
		}
		all++
		if v.Account.Group == a.Group && a.Group != "" {
			group++
		}
		if v.Account.Peer == a.Peer {
			peer++
		}
	}
	return all < q.All.Values && group < q.PerGroup.Values && peer < q.PerPeer.Values
}
