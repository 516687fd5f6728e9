package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

func texts(addrs ...string) (out [][]byte) {
	for _, a := range addrs {
		out = append(out, []byte(a))
	}
	return out
}

// The changes of a node's addresses after which its provider records are announced again.
func TestOwnAddresses(t *testing.T) {
	start := time.Now()
	type step struct {
		after       time.Duration // since the start
		public, all [][]byte
		fresh       bool
	}
	for name, steps := range map[string][]step{
		"the first ones": {{0, texts("a"), texts("a", "lan"), false}},
		"a new one":      {{0, texts("a"), nil, false}, {time.Second, texts("a", "b"), nil, true}, {time.Minute, texts("a", "b"), nil, false}},
		"another one":    {{0, texts("a"), nil, false}, {time.Second, texts("b"), nil, true}},
		"one less":       {{0, texts("a", "b"), nil, false}, {time.Second, texts("a"), nil, false}},
		"gone and back":  {{0, texts("a", "b"), nil, false}, {time.Second, texts("a"), nil, false}, {ownMemory, texts("a", "b"), nil, false}},
		"gone for long": {{0, texts("a", "b"), nil, false}, {time.Second, texts("a"), nil, false},
			{time.Second + ownMemory, texts("a", "b"), nil, true}},
		"there for long, then briefly gone": {{0, texts("a", "b"), nil, false}, {5 * time.Hour, texts("a"), nil, false},
			{5*time.Hour + time.Minute, texts("a", "b"), nil, false}},
		"a private one beside a public one": {{0, texts("a"), texts("a", "lan"), false}, {time.Second, texts("a"), texts("a", "lan2"), false}},
		"a private network":                 {{0, nil, texts("lan"), false}, {time.Second, nil, texts("lan2"), true}},
		"the first public one":              {{0, nil, texts("lan"), false}, {time.Second, texts("a"), texts("a", "lan"), true}},
		"none for a while":                  {{0, texts("a"), texts("a", "lan"), false}, {time.Second, nil, texts("lan"), false}, {time.Minute, texts("a"), nil, false}},
		"none yet":                          {{0, nil, nil, false}, {time.Second, texts("a"), nil, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var o own
			for _, s := range steps {
				require.Equal(t, s.fresh, o.update(start.Add(s.after), s.public, s.all), "after %v", s.after)
			}
		})
	}
}

// A restart compares with the addresses of the last snapshot.
func TestOwnAddressesAreRestored(t *testing.T) {
	var before, after, other own
	before.update(time.Now(), texts("a", "b"), nil)
	require.True(t, before.dirty)
	saved := before.saved()
	require.False(t, before.dirty)
	require.Equal(t, texts("a", "b"), saved)
	after.restore(saved, true)
	require.False(t, after.update(time.Now(), nil, texts("lan")), "the public one may not be known yet")
	require.False(t, after.update(time.Now(), texts("a"), nil))
	other.restore(saved, true)
	require.True(t, other.update(time.Now(), texts("c"), nil))
}

// The memory of past addresses is bounded, even if addresses are always new.
func TestOwnAddressesAreBounded(t *testing.T) {
	for _, atOnce := range []int{1, records.MaxAddressesPerProvider} {
		var o own
		most := 0
		for i := range 10 * maxOwn {
			var fresh [][]byte
			for j := range atOnce {
				fresh = append(fresh, []byte(fmt.Sprint(i, j)))
			}
			o.update(time.Now(), fresh, nil)
			most = max(most, len(o.gone))
		}
		require.Equal(t, maxOwn, most, atOnce)
	}
}
