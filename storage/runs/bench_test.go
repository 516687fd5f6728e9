package runs

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// workload makes adverts: ninety in a hundred records have a key of their own, the
// others one of a few popular keys, by 15,000 providers who announce in bursts.
type workload struct {
	rng   *rand.Rand
	n     uint64 // records made
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

// key returns the key of record i, and at makes it one of n.
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

func (w *workload) advert(i uint64, expires time.Time) Advert {
	p := w.peers[i/500*7919%uint64(len(w.peers))]
	p.Expires = expires
	return Advert{Key: w.key(i), Provider: p}
}

// batch makes n new records.
func (w *workload) batch(n int, now time.Time) []Advert {
	out := make([]Advert, 0, n)
	for range n {
		out = append(out, w.advert(w.n, now.Add(records.MaxTTL)))
		w.n++
	}
	return out
}

// fill puts n records into the store, their expiries spread over 48 hours up to
// that of a record that comes at now.
func (w *workload) fill(t testing.TB, s *Store, n int, now time.Time) {
	const step = 50_000
	for done := 0; done < n; done += step {
		at := now.Add(-time.Duration(float64(records.MaxTTL) * float64(n-done) / float64(n)))
		refused, err := s.AddProviders(at, w.batch(min(step, n-done), at), true)
		require.NoError(t, err)
		require.Zero(t, refused)
	}
}

// settled waits until the builder has nothing to do.
func (s *Store) settled() {
	for {
		if v := s.view.Load(); len(v.tables) == 1 && s.builder.chooseMerge(v) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func percentile(ds []time.Duration, p float64) time.Duration {
	slices.Sort(ds)
	return ds[min(int(float64(len(ds))*p), len(ds)-1)]
}

func written(t testing.TB) int64 {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	var n int64
	for _, line := range strings.Split(string(b), "\n") {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

// cpu returns the processor time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// meter measures a phase.
type meter struct {
	t     testing.TB
	began time.Time
	cpu   time.Duration
	wrote int64
}

func measure(t testing.TB) meter { return meter{t, time.Now(), cpu(), written(t)} }

// String tells what n records took.
func (m meter) of(n int) string {
	took, used := time.Since(m.began), cpu()-m.cpu
	return fmt.Sprintf("%d in %s: %.0f/s, %.2f us of CPU and %d B written a record", n, took.Round(time.Millisecond),
		float64(n)/took.Seconds(), float64(used.Microseconds())/float64(n), (written(m.t)-m.wrote)/int64(n))
}

func anonymous() string {
	b, _ := os.ReadFile("/proc/self/status")
	var out []string
	for _, line := range strings.Split(string(b), "\n") {
		for _, f := range []string{"RssAnon", "RssFile", "VmHWM"} {
			if strings.HasPrefix(line, f) {
				out = append(out, strings.Join(strings.Fields(line), ""))
			}
		}
	}
	return strings.Join(out, " ")
}

// TestFigures prints what the design is judged by. It runs with
// HOLDFAST_FIGURES=<millions of records>.
func TestFigures(t *testing.T) {
	var millions float64
	if _, err := fmt.Sscan(os.Getenv("HOLDFAST_FIGURES"), &millions); err != nil {
		t.Skip("set HOLDFAST_FIGURES to the millions of records")
	}
	n := int(millions * 1e6)
	dir := t.TempDir()
	if d := os.Getenv("HOLDFAST_FIGURES_DIR"); d != "" {
		dir = d
	}
	s := open(t, dir, Options{MaxPending: 1 << 20})
	w := newWorkload(1)
	now := time.Now()
	m := measure(t)
	w.fill(t, s, n, now)
	t.Logf("fill in batches of 50k: %s", m.of(n))
	t.Logf("memory after fill: %s", anonymous())
	s.settled()
	st, sizes := s.Stats(), s.Sizes()
	t.Logf("settled: %+v %+v, %.1f B/record file, %.1f used", st, sizes, float64(sizes.Log+sizes.Runs)/float64(n), float64(sizes.Used)/float64(n))
	runtime.GC()
	t.Logf("memory settled: %s", anonymous())

	for _, size := range []int{100, 1000, 10_000} {
		total := min(max(n/20, size), size*2000)
		batches := make([][]Advert, 0)
		for i := 0; i < total; i += size {
			batches = append(batches, w.batch(size, now))
		}
		m := measure(t)
		for _, b := range batches {
			refused, err := s.AddProviders(now, b, true)
			require.NoError(t, err)
			require.Zero(t, refused)
		}
		t.Logf("ingest batch %d: %s", size, m.of(total))
	}
	s.settled()
	refreshes(t, s, w, n, now.Add(time.Hour))
	s.settled()
	lookups(t, s, w, n, now, "idle")
	callers(t, s, w, 64, now)
	callers(t, s, w, 1024, now)
	callers(t, s, w, 1, now)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = s.AddProviders(now, w.batch(1000, now), true)
			}
		}
	})
	lookups(t, s, w, n, now, "under flat-out ingest")
	close(stop)
	wg.Wait()
	paced(t, s, w, now)
	s.settled()

	at := now.Add(-records.MaxTTL*9/10 + records.MaxTTL + records.ExpireGrace)
	expireUnderLoad(t, s, w, at)
	require.NoError(t, s.Close())
	begin := time.Now()
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	_, err = s.Providers(nil, now, w.key(1), 20)
	require.NoError(t, err)
	t.Logf("clean open to first answer: %s", time.Since(begin))
	runtime.GC()
	t.Logf("memory after open: %s", anonymous())
	for i := range 50 {
		_, _ = s.AddProviders(now, w.batch(1000, now), i%2 == 0)
	}
	killed(t, s)
	begin = time.Now()
	s, err = Open(dir, Options{})
	require.NoError(t, err)
	_, err = s.Providers(nil, now, w.key(1), 20)
	require.NoError(t, err)
	t.Logf("open after kill to first answer: %s, clean %v", time.Since(begin), s.CleanStart())
	begin = time.Now()
	check(t, s)
	t.Logf("check: %s", time.Since(begin))
	require.NoError(t, s.Close())
}

func refreshes(t *testing.T, s *Store, w *workload, n int, now time.Time) {
	const batches, size = 30, 10_000
	var all [][]Advert
	for range batches {
		var b []Advert
		for range size {
			i := uint64(n)/5 + w.rng.Uint64N(uint64(n)*4/5)
			b = append(b, w.advert(i, now.Add(records.MaxTTL)))
		}
		all = append(all, b)
	}
	m := measure(t)
	for _, b := range all {
		refused, err := s.AddProviders(now, b, true)
		require.NoError(t, err)
		require.Zero(t, refused)
	}
	t.Logf("refresh batch %d: %s", size, m.of(batches*size))
}

// killed closes a store without what a clean close does.
func killed(t testing.TB, s *Store) {
	s.closing.Do(func() {
		s.closed.Store(true)
		s.queue.close()
		<-s.committed
		close(s.builder.stop)
		<-s.builder.done
		require.NoError(t, s.log.bolt.Close())
		require.NoError(t, s.runs.bolt.Close())
	})
}

func lookups(t *testing.T, s *Store, w *workload, n int, now time.Time, name string) {
	const count = 100_000
	hit, miss := make([]time.Duration, 0, count), make([]time.Duration, 0, count)
	var dst []records.Provider
	found := 0
	rng := rand.New(rand.NewPCG(5, 6))
	for range count {
		i := uint64(n)/5 + rng.Uint64N(uint64(n)*4/5)
		key := w.key(i)
		begin := time.Now()
		dst, _ = s.Providers(dst[:0], now, key, 20)
		hit = append(hit, time.Since(begin))
		if len(dst) > 0 {
			found++
		}
		key = w.key(1<<50 + i)
		begin = time.Now()
		dst, _ = s.Providers(dst[:0], now, key, 20)
		miss = append(miss, time.Since(begin))
	}
	require.Equal(t, count, found)
	t.Logf("lookup %s: hit p50 %s p99 %s p999 %s max %s; miss p50 %s p99 %s", name, percentile(hit, .5), percentile(hit, .99),
		percentile(hit, .999), hit[len(hit)-1], percentile(miss, .5), percentile(miss, .99))
}

func callers(t *testing.T, s *Store, w *workload, n int, now time.Time) {
	ads := w.batch(400_000, now)
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	m := measure(t)
	begin := m.began
	for range n {
		wg.Go(func() {
			var ds []time.Duration
			for time.Since(begin) < 2*time.Second {
				i := int(next.Add(1))
				if i >= len(ads) {
					break
				}
				a := &ads[i]
				at := time.Now()
				if err := s.AddProvider(now, a.Key, a.Provider, true); err != nil {
					t.Error(err)
					return
				}
				ds = append(ds, time.Since(at))
			}
			mu.Lock()
			all = append(all, ds...)
			mu.Unlock()
		})
	}
	wg.Wait()
	t.Logf("%d callers: %s, p50 %s p99 %s", n, m.of(len(all)), percentile(all, .5), percentile(all, .99))
}

func paced(t *testing.T, s *Store, w *workload, now time.Time) {
	const rate, seconds = 2000, 10
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	m := measure(t)
	for range seconds * 100 {
		<-tick.C
		for _, a := range w.batch(rate/100, now) {
			require.NoError(t, s.AddProvider(now, a.Key, a.Provider, false))
		}
	}
	t.Logf("paced %d/s: %s", rate, m.of(rate*seconds))
}

func expireUnderLoad(t *testing.T, s *Store, w *workload, at time.Time) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var read, write time.Duration
	wg.Go(func() {
		var dst []records.Provider
		for i := uint64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			begin := time.Now()
			dst, _ = s.Providers(dst[:0], at, w.key(i%1000), 20)
			read = max(read, time.Since(begin))
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			a := w.batch(1, at)[0]
			begin := time.Now()
			_ = s.AddProvider(at, a.Key, a.Provider, true)
			write = max(write, time.Since(begin))
		}
	})
	time.Sleep(200 * time.Millisecond)
	before := [2]time.Duration{read, write}
	wrote := written(t)
	begin := time.Now()
	out, err := s.Expire(at)
	took := time.Since(begin)
	require.NoError(t, err)
	more := 0
	for out.More {
		more++
		var o records.Expired
		o, err = s.Expire(at)
		require.NoError(t, err)
		out.More = o.More
	}
	all := time.Since(begin)
	bytes := written(t) - wrote
	close(stop)
	wg.Wait()
	t.Logf("expire %d records: %s (with %d more calls %s), %d KB written; longest read %s (%s before), write %s (%s before)",
		out.Records[records.KindProvider], took, more, all, bytes>>10, read, before[0], write, before[1])
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
			began := cpu()
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
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(n), "cpu-ns/record")
		})
	}
}

// BenchmarkDurable adds one record at a time and waits for it.
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
			began := cpu()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					a := &ads[int(next.Add(1))%len(ads)]
					if err := s.AddProvider(now, a.Key, a.Provider, true); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "acks/s")
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(b.N), "cpu-ns/record")
		})
	}
}
