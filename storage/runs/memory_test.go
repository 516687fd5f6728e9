package runs

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMemory prints what a store of HOLDFAST_MEMORY millions of records keeps in
// memory, in a process that does little else.
func TestMemory(t *testing.T) {
	var millions float64
	if _, err := fmt.Sscan(os.Getenv("HOLDFAST_MEMORY"), &millions); err != nil {
		t.Skip("set HOLDFAST_MEMORY to the millions of records")
	}
	s := open(t, t.TempDir(), Options{MaxPending: 1 << 20})
	w := newWorkload(1)
	now := time.Now()
	w.fill(t, s, int(millions*1e6), now)
	s.settled()
	tell := func(when string) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("%s: heap %d MiB live, %d in use, %d from the system; %s", when, m.HeapAlloc>>20, m.HeapInuse>>20, (m.HeapSys-m.HeapReleased)>>20, anonymous())
	}
	tell("after fill")
	debug.FreeOSMemory()
	tell("after GC")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 30 * 100 {
		<-tick.C
		for _, a := range w.batch(20, now) {
			require.NoError(t, s.AddProvider(now, a.Key, a.Provider, false))
		}
		_, err := s.Providers(nil, now, w.key(w.rng.Uint64N(w.n)), 20)
		require.NoError(t, err)
	}
	tell("after 30 s at 2,000/s")
	debug.FreeOSMemory()
	tell("after GC")
}
