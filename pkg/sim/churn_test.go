package sim

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Roles: bootstrap nodes and clients stay; clients are the last of the nodes.
func TestCastGivesEveryNodeItsRole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := DefaultOptions()
		o.Nodes = rapid.IntRange(4, 60).Draw(t, "nodes")
		o.Bootstrap = rapid.IntRange(1, 4).Draw(t, "bootstrap")
		o.Clients = rapid.Float64Range(0, 0.99).Draw(t, "clients")
		o.Churn = rapid.SampledFrom([]string{ChurnNone, ChurnWeibull, ChurnMixture}).Draw(t, "churn")
		o.Seed = rapid.Uint64().Draw(t, "seed")
		w := New(o, nil)
		ends := map[uint32]bool{}
		for w.queue.len() > 0 {
			if e := w.queue.pop(); e.kind() == evStop {
				require.False(t, ends[e.arg], "node %d ends twice", e.arg)
				ends[e.arg] = true
			}
		}
		clients := 0
		for i, n := range w.nodes {
			if n.client {
				clients++
				require.GreaterOrEqual(t, i, o.Bootstrap)
			} else if i > 0 {
				require.False(t, w.nodes[i-1].client, "servers come first")
			}
			require.Equal(t, !n.stable, ends[n.num], "node %d", i)
			if i < o.Bootstrap || n.client || o.Churn == ChurnNone {
				require.True(t, n.stable)
			} else if o.Churn == ChurnWeibull {
				require.False(t, n.stable)
			}
		}
		require.Equal(t, min(int(float64(o.Nodes)*o.Clients), o.Nodes-o.Bootstrap), clients)
	})
}

func TestThreeQuartersOfTheMixtureStay(t *testing.T) {
	w := network(5000, ChurnMixture)
	stay := 0
	for _, n := range w.nodes {
		if n.stable {
			stay++
		}
	}
	require.InDelta(t, stableShare, float64(stay)/5000, 0.02)
}

// coming is what the events of a run show about churn.
type coming struct {
	between, sessions []float64 // seconds
	mean              float64   // of the nodes that are up
}

// onlyChurn runs only the arrivals and departures of nodes, for the given time.
func onlyChurn(w *World, d time.Duration) (c coming) {
	began := map[uint32]time.Duration{} // start times of the nodes that arrived
	ended := func(e *event) {
		if at, came := began[e.arg]; came && e.kind() == evStop {
			c.sessions = append(c.sessions, (e.at - at).Seconds())
		}
	}
	last, since := time.Duration(0), time.Duration(0)
	for e, ok := w.pop(d); ok; e, ok = w.pop(d) {
		switch e.kind() {
		case evWake:
			w.wakes.remove(e.arg)
			continue
		case evArrival:
			c.between = append(c.between, (e.at - last).Seconds())
			last = e.at
			began[uint32(len(w.nodes))] = e.at
		case evStop:
			ended(&e)
		default:
			continue
		}
		c.mean += float64(len(w.truth.order)) * (e.at - since).Seconds() / d.Seconds()
		since = e.at
		w.setNow(e.at)
		w.happen(&e)
	}
	for w.queue.len() > 0 { // the nodes that are still up
		e := w.queue.pop()
		ended(&e)
	}
	return c
}

// Nodes arrive as a Poisson process, each for a Weibull session, at the rate that keeps
// their number constant.
func TestChurnKeepsTheNumberOfServers(t *testing.T) {
	for _, model := range []string{ChurnWeibull, ChurnMixture} {
		w := network(300, model)
		const length = 100 * time.Hour
		c := onlyChurn(w, length)
		mortal := 0.0
		for _, n := range w.nodes[:300] {
			if !n.stable {
				mortal++
			}
		}
		require.InEpsilon(t, 300, c.mean, 0.05, model)
		rate := mortal / w.churn.sessions.mean.Seconds()
		expected := rate * length.Seconds()
		require.InDelta(t, expected, len(c.between), 4*math.Sqrt(expected), model)
		requireDrawn(t, c.between, func(x float64) float64 { return 1 - math.Exp(-x*rate) })
		requireDrawn(t, c.sessions, func(x float64) float64 {
			return 1 - math.Exp(-math.Pow(x/sessionScale.Seconds(), sessionShape))
		})
	}
}

// Without churn no node arrives or leaves. Under churn a new node joins at once.
func TestArrivals(t *testing.T) {
	w := network(50, ChurnNone)
	require.Zero(t, w.churn.between)
	w.RunUntil(2 * time.Minute)
	require.Len(t, w.nodes, 50)

	w = network(50, ChurnWeibull)
	w.queue, w.wakes = queue{}, wakes{}
	w.arrive()
	n := w.nodes[50]
	require.True(t, n.up())
	require.True(t, n.joining)
	require.True(t, w.serves(50))
	require.False(t, n.stable)
	var stops, arrivals int
	for w.queue.len() > 0 {
		switch e := w.queue.pop(); e.kind() {
		case evStop:
			require.Equal(t, n.num, e.arg)
			stops++
		case evArrival:
			arrivals++
		}
	}
	require.Equal(t, [2]int{1, 1}, [2]int{stops, arrivals})
}
