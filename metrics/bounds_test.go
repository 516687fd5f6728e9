package metrics

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
)

// gate is a collector that blocks scrapes.
type gate struct{ entered, open chan struct{} }

func (g gate) Describe(chan<- *prometheus.Desc) {}

func (g gate) Collect(chan<- prometheus.Metric) {
	g.entered <- struct{}{}
	<-g.open
}

// maxScrapes scrapes are answered concurrently; one more is refused.
func TestMaxScrapes(t *testing.T) {
	m := New("v1.2.3", "abc")
	g := gate{make(chan struct{}), make(chan struct{})}
	m.Registerer().MustRegister(g)
	h := m.Handler()
	scrape := func() int {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return rec.Code
	}
	var wg sync.WaitGroup
	codes := make(chan int, maxScrapes)
	for range maxScrapes {
		wg.Go(func() { codes <- scrape() })
		<-g.entered
	}
	require.Equal(t, http.StatusServiceUnavailable, scrape())
	close(g.open)
	wg.Wait()
	for range maxScrapes {
		require.Equal(t, http.StatusOK, <-codes)
	}
}

// Peers in buckets deeper than maxCPL are counted there.
func TestMaxCPL(t *testing.T) {
	var s scrape
	for cpl := range maxCPL + 3 {
		s.Buckets = append(s.Buckets, node.Bucket{CPL: cpl, Peers: 1})
	}
	counts := map[string]float64{}
	buckets(&s, func(v float64, labels ...string) { counts[labels[0]] = v })
	require.Len(t, counts, maxCPL+1)
	require.EqualValues(t, 1, counts[strconv.Itoa(maxCPL-1)])
	require.EqualValues(t, 3, counts[strconv.Itoa(maxCPL)])
}
