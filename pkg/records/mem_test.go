package records_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/records/storetest"
)

func TestMem(t *testing.T) {
	storetest.Run(t, func(*testing.T) (storetest.Stores, storetest.Reopen) {
		rng := rand.New(rand.NewPCG(1, 2))
		return records.NewMem(rng.Shuffle), nil
	})
}

func TestMemIsDeterministic(t *testing.T) {
	run := func() string {
		m := records.NewMem(rand.New(rand.NewPCG(3, 4)).Shuffle)
		now := time.Unix(1_000_000, 0)
		var out []records.Provider
		for i := range 500 {
			now = now.Add(time.Minute)
			p := records.Provider{ID: kad.PeerID(fmt.Sprint(i)), Expires: now.Add(time.Hour)}
			require.NoError(t, m.AddProvider(now, []byte{byte(i % 7)}, p, false))
			_, _ = m.Expire(now)
			out, _ = m.Providers(out, now, []byte{byte(i % 7)}, 3)
		}
		return fmt.Sprint(out, m.Stats())
	}
	require.Equal(t, run(), run())
}

func TestMemWithoutShuffleKeepsOrder(t *testing.T) {
	var m records.Mem
	now := time.Unix(1_000_000, 0)
	for i := range 10 {
		p := records.Provider{ID: kad.PeerID(fmt.Sprint(i)), Expires: now.Add(time.Hour)}
		require.NoError(t, m.AddProvider(now, []byte("k"), p, false))
	}
	out, err := m.Providers(nil, now, []byte("k"), 2)
	require.NoError(t, err)
	require.Equal(t, kad.PeerID("0"), out[0].ID)
	require.Equal(t, kad.PeerID("1"), out[1].ID)
}

// TestMemIsSmall guards the cost of a simulation with one store per node.
func TestMemIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(records.Mem{}), uintptr(48))
	var m records.Mem
	now := time.Unix(1_000_000, 0)
	allocs := testing.AllocsPerRun(100, func() {
		_, _ = m.Value(now, []byte("k"))
		_, _ = m.Providers(nil, now, []byte("k"), 20)
		_, _ = m.Expire(now)
		m.Stats()
	})
	require.Zero(t, allocs, "reading an empty store allocates")
}

func TestMemValueQuotas(t *testing.T) {
	storetest.RunValueQuotas(t, func(_ *testing.T, q records.ValueQuotas) (storetest.Stores, storetest.Reopen) {
		m := records.NewMem(nil)
		m.ValueQuotas = &q
		return m, nil
	})
}
