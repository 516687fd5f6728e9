package metrics

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// slow is a node that takes a while to answer.
type slow struct {
	takes time.Duration
	reads atomic.Int32
}

func (s *slow) Status() node.Status {
	s.reads.Add(1)
	time.Sleep(s.takes)
	return node.Status{TablePeers: 5}
}

// answered scrapes and reports whether the result includes the metrics that are read from the
// node. The others must be present in any case.
func answered(t *testing.T, m *Metrics) bool {
	t.Helper()
	all, err := m.Gatherer().Gather()
	require.NoError(t, err)
	has := func(name string) bool {
		return slices.ContainsFunc(all, func(f *dto.MetricFamily) bool { return f.GetName() == name })
	}
	require.True(t, has("holdfast_lookups_total"))
	return has("holdfast_routing_table_peers")
}

// TestHungSource checks that a node that does not answer costs a scrape only its own metrics
// and a bounded time, and that it is not read again while it hangs.
func TestHungSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v1.2.3", "abc")
		s := &slow{takes: time.Hour}
		m.Watch(Source{Node: s})
		start := time.Now()
		for range 3 {
			require.False(t, answered(t, m))
		}
		require.Equal(t, 3*readTimeout, time.Since(start))
		require.EqualValues(t, 1, s.reads.Load())
		var timeouts dto.Metric
		require.NoError(t, m.pull.timeouts.Write(&timeouts))
		require.EqualValues(t, 3, timeouts.GetCounter().GetValue())

		time.Sleep(time.Hour)
		synctest.Wait()
		s.takes = 0
		require.True(t, answered(t, m), "it answers again")
	})
}

// TestSharedRead checks that concurrent scrapes read the node once.
func TestSharedRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v1.2.3", "abc")
		s := &slow{takes: time.Second}
		m.Watch(Source{Node: s})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				require.True(t, answered(t, m))
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, s.reads.Load())
	})
}

// TestReasons checks that every expected reason has a known name, and that each is known once.
func TestReasons(t *testing.T) {
	once := make(map[string]bool)
	for _, r := range knownReasons {
		require.False(t, once[r], r)
		once[r] = true
	}
	for typ, reasons := range inboundReasons {
		for _, r := range reasons {
			require.Contains(t, knownReasons, r, wire.Type(typ))
		}
	}
	for _, r := range outboundReasons {
		require.Contains(t, knownReasons, r)
	}
	for r := range putReasons {
		require.Contains(t, knownReasons, r)
	}
}

// The path of each served request: no allocation, well below a microsecond.
func BenchmarkInbound(b *testing.B) {
	find := rpc.Stats{Type: wire.FindNode, Duration: 80 * time.Microsecond, BytesIn: 40, BytesOut: 1400}
	b.Run("FIND_NODE", func(b *testing.B) { benchInbound(b, find) })
	put := rpc.Stats{Type: wire.AddProvider, Outcome: rpc.NoReply, Duration: 80 * time.Microsecond, BytesIn: 200}
	b.Run("ADD_PROVIDER", func(b *testing.B) { benchInbound(b, put) })
	busy := rpc.Stats{Type: wire.AddProvider, Outcome: rpc.Rejected, Reason: "busy", Duration: 80 * time.Microsecond}
	b.Run("rejected", func(b *testing.B) { benchInbound(b, busy) })
	limited := rpc.Stats{Type: wire.NumTypes, Outcome: rpc.Rejected, Reason: rpc.ReasonRate}
	b.Run("rate limited", func(b *testing.B) { benchInbound(b, limited) })
}

func benchInbound(b *testing.B, s rpc.Stats) {
	o := New("v1.2.3", "abc").RPC()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			o.Inbound(s)
		}
	})
}

// TestInboundAllocates checks the claim of the benchmark in every test run.
func TestInboundAllocates(t *testing.T) {
	o := New("v1.2.3", "abc").RPC()
	for _, s := range []rpc.Stats{
		{Type: wire.FindNode, Duration: time.Millisecond, BytesIn: 40, BytesOut: 1400},
		{Type: wire.AddProvider, Outcome: rpc.NoReply, BytesIn: 40},
		{Type: wire.PutValue, Outcome: rpc.Rejected, Reason: "older_record"},
		{Type: wire.NumTypes, Outcome: rpc.Rejected, Reason: rpc.ReasonStreams},
	} {
		require.Zero(t, testing.AllocsPerRun(100, func() { o.Inbound(s) }), "%v", s.Type)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := New("v1.2.3", "abc")
	m.Watch(Source{Node: &slow{}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Gatherer().Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestStorageOps checks that every operation that package storage names has a label of its
// own.
func TestStorageOps(t *testing.T) {
	files, err := filepath.Glob("../storage/*.go")
	require.NoError(t, err)
	call := regexp.MustCompile(`\.(?:do|enqueue|view|report)\("([^"]+)"`)
	found := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, match := range call.FindAllSubmatch(source, -1) {
			require.Contains(t, storageOps, string(match[1]), path)
			found++
		}
	}
	require.Greater(t, found, 10)
}
