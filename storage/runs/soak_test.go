package runs

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// TestSoak simulates days in which every record is republished every 22 hours and a tenth of
// them is replaced. Every live record is found, and from the third day on the file does not
// grow. HOLDFAST_SOAK="<millions of records> <days>" makes the test larger.
func TestSoak(t *testing.T) {
	millions, days := 0.1, 9
	o := Options{NoSync: true, TableRecords: 3000, MaxPending: 1 << 20}
	if _, err := fmt.Sscan(os.Getenv("HOLDFAST_SOAK"), &millions, &days); err == nil {
		o = Options{MaxPending: 1 << 20}
	} else if testing.Short() {
		t.Skip("long")
	}
	s := open(t, t.TempDir(), o)
	k := &soak{t: t, s: s, w: newWorkload(1), now: start, live: uint64(millions * 1e6)}
	var third Sizes
	var worst int64
	for day := 1; day <= days; day++ {
		n := k.announced
		k.day()
		s.settled()
		sizes, st := s.Sizes(), s.Stats()
		if day == 3 {
			third = sizes
		}
		worst = max(worst, sizes.Runs)
		t.Logf("day %d: announced %d; file %d + %d KiB = %.1f B per live record, %.1f used; %d runs, %d epochs, longest put %s", day,
			k.announced-n, sizes.Log>>10, sizes.Runs>>10, float64(sizes.Log+sizes.Runs)/float64(k.live),
			float64(sizes.Used)/float64(k.live), st.Runs, st.Epochs, k.longest)
		k.longest = 0
	}
	require.LessOrEqual(t, float64(worst), float64(third.Runs)*1.02+runsGrowth, "the file keeps growing")
	checked(t, s)
}

// soak is the traffic of a network in which live records are republished in turn.
type soak struct {
	t         *testing.T
	s         *Store
	w         *workload
	now       time.Time
	live      uint64
	round     uint64 // completed passes over the whole set
	next      uint64 // next record of this round
	announced int
	longest   time.Duration
}

// republishEvery is the interval after which a record is republished.
const republishEvery = 22 * time.Hour

// day simulates a day in batches of at most ten minutes.
func (k *soak) day() {
	const batches = 24 * 6
	for i := range batches {
		k.now = k.now.Add(24 * time.Hour / batches)
		n := int(float64(k.live) * float64(24*time.Hour/batches) / float64(republishEvery))
		for n > 0 {
			k.announce(min(n, 10_000))
			n -= 10_000
		}
		if i%6 == 0 {
			out, err := k.s.Expire(k.now)
			require.NoError(k.t, err)
			for out.More {
				out, err = k.s.Expire(k.now)
				require.NoError(k.t, err)
			}
			k.sample()
		}
	}
}

// record returns the number of the record at a place. In each round, a tenth of the places
// gets another record.
func (k *soak) record(place, round uint64) uint64 {
	generation := (round + place%10) / 10
	return place + generation*k.live
}

func (k *soak) announce(n int) {
	ads := make([]ProviderRecord, 0, n)
	for range n {
		ads = append(ads, k.w.record(k.record(k.next, k.round), k.now.Add(records.MaxTTL)))
		if k.next++; k.next == k.live {
			k.next, k.round = 0, k.round+1
		}
	}
	began := time.Now()
	refused, err := k.s.AddProviders(k.now, ads, true)
	k.longest = max(k.longest, time.Since(began))
	require.NoError(k.t, err)
	require.Zero(k.t, refused)
	k.announced += n
}

// sample looks up some of the records of this round.
func (k *soak) sample() {
	for range 200 {
		if k.next == 0 {
			return
		}
		place := k.w.rng.Uint64N(k.next)
		list, err := k.s.Providers(nil, k.now, k.w.key(k.record(place, k.round)), 1000)
		require.NoError(k.t, err)
		require.NotEmpty(k.t, list, "a live record is missing")
	}
}
