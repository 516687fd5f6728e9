package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkRun simulates five minutes of 10,000 nodes, a quarter of them with churn. Use
// it to profile the simulator.
func BenchmarkRun(b *testing.B) {
	s, err := ShippedScenario("steady")
	require.NoError(b, err)
	o := DefaultOptions()
	o.Nodes, o.Churn, o.Warmup, o.Duration = 10_000, ChurnMixture, 2*time.Minute, time.Hour
	for b.Loop() {
		b.StopTimer()
		w := New(o, s)
		w.RunUntil(o.Warmup)
		before := w.Events()
		b.StartTimer()
		w.RunUntil(o.Warmup + 5*time.Minute)
		b.ReportMetric(float64(w.Events()-before), "events/op")
	}
}
