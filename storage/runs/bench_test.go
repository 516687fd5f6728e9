package runs

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/cputime"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// workload generates provider records from 15,000 providers that announce in bursts. Ninety
// in a hundred records have a key of their own; the others have one of a few popular keys.
type workload struct {
	rng   *rand.Rand
	n     uint64 // records generated
	peers []records.Provider
}

func newWorkload(seed uint64) *workload {
	w := &workload{rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range 15_000 {
		id := make([]byte, 38)
		binary.BigEndian.PutUint64(id[6:], uint64(i)*0x9e3779b97f4a7c15)
		binary.BigEndian.PutUint64(id[20:], uint64(i)*0xd1342543de82ef95)
		copy(id, "\x00\x24\x08\x01\x12\x20")
		p := records.Provider{ID: kad.PeerID(id)}
		for j := range 3 {
			p.Addrs = append(p.Addrs, fmt.Appendf(nil, "\x04\x0a%02d%03d\x91\x02\xfa\xa1\xcd\x03", j, i%1000))
		}
		w.peers = append(w.peers, p)
	}
	return w
}

// key returns the key of record i, and at returns the record for a place among n.
func (w *workload) key(i uint64) []byte {
	if i%10 == 0 {
		i = 1<<40 + i%100_003*7
	}
	k := make([]byte, 34)
	k[0], k[1] = 0x12, 0x20
	binary.BigEndian.PutUint64(k[2:], i*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(k[20:], i)
	return k
}

func (w *workload) record(i uint64, expires time.Time) ProviderRecord {
	p := w.peers[i/500*7919%uint64(len(w.peers))]
	p.Expires = expires
	return ProviderRecord{Key: w.key(i), Provider: p}
}

// batch returns n new records.
func (w *workload) batch(n int, now time.Time) []ProviderRecord {
	out := make([]ProviderRecord, 0, n)
	for range n {
		out = append(out, w.record(w.n, now.Add(records.MaxTTL)))
		w.n++
	}
	return out
}

// fill puts n records into the store. Their expiries are spread over 48 hours, up to that of
// a record received at now.
func (w *workload) fill(t testing.TB, s *Store, n int, now time.Time) {
	const step = 50_000
	for done := 0; done < n; done += step {
		at := now.Add(-time.Duration(float64(records.MaxTTL) * float64(n-done) / float64(n)))
		refused, err := s.AddProviders(at, w.batch(min(step, n-done), at), true)
		require.NoError(t, err)
		require.Zero(t, refused)
	}
}

// settled waits until the builder is idle.
func (s *Store) settled() {
	for {
		if v := s.view.Load(); len(v.tables) == 1 && s.builder.chooseMerge(v) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// BenchmarkIngest adds new records to a store that holds a million.
func BenchmarkIngest(b *testing.B) {
	for _, size := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint("batch", size), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{MaxPending: 1 << 20})
			w := newWorkload(1)
			now := time.Now()
			w.fill(b, s, 1_000_000, now)
			s.settled()
			b.ReportAllocs()
			began := cputime.Used()
			n := 0
			for b.Loop() {
				b.StopTimer()
				ads := w.batch(size, now)
				b.StartTimer()
				if refused, err := s.AddProviders(now, ads, true); refused > 0 {
					b.Fatal(err)
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64((cputime.Used()-began).Nanoseconds())/float64(n), "cpu-ns/record")
		})
	}
}

// BenchmarkDurable adds one record at a time and waits for each.
func BenchmarkDurable(b *testing.B) {
	for _, n := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("callers", n), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{})
			w := newWorkload(1)
			now := time.Now()
			ads := w.batch(1<<20, now)
			var next atomic.Int64
			b.ReportAllocs()
			b.SetParallelism((n + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			began := cputime.Used()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a := &ads[int(next.Add(1))%len(ads)]
					if err := s.AddProvider(now, a.Key, a.Provider, true); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
			b.ReportMetric(float64((cputime.Used()-began).Nanoseconds())/float64(b.N), "cpu-ns/record")
		})
	}
}
