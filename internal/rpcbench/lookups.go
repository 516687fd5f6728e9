package rpcbench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/multiformats/go-multihash"

	"github.com/holdfast-dht/holdfast/internal/api"
)

// Bounds of a LookupConfig.
const (
	maxLookups  = 1_000_000
	maxParallel = 256
)

// LookupConfig configures Lookups.
type LookupConfig struct {
	Lookup   string // api.LookupClosest or api.LookupFindProviders, with random keys
	Count    int
	Parallel int // concurrent lookups
}

// Validate reports all fields that are out of range.
func (c LookupConfig) Validate() error {
	var errs []error
	if c.Lookup != api.LookupClosest && c.Lookup != api.LookupFindProviders {
		errs = append(errs, fmt.Errorf("%w: no lookup %q; there are %s and %s", ErrConfig, c.Lookup, api.LookupClosest, api.LookupFindProviders))
	}
	if c.Count < 1 || c.Count > maxLookups {
		errs = append(errs, fmt.Errorf("%w: count %d is not from 1 to %d", ErrConfig, c.Count, maxLookups))
	}
	if c.Parallel < 1 || c.Parallel > maxParallel {
		errs = append(errs, fmt.Errorf("%w: parallel %d is not from 1 to %d", ErrConfig, c.Parallel, maxParallel))
	}
	return errors.Join(errs...)
}

// LookupResult is the result of Lookups. Limit is the time of the consecutive round trips
// that led to the closest peers, each at the median of all round trips.
type LookupResult struct {
	Lookup    string  `json:"lookup"`
	Lookups   int     `json:"lookups"`
	Failed    int     `json:"failed"` // no peer answered
	Parallel  int     `json:"parallel"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	RTT       float64 `json:"rtt_ms"` // median of single requests
	Limit     float64 `json:"limit_ms"`
	Share     float64 `json:"share"` // Limit/P50
	Hops      float64 `json:"hops"`  // mean
	Asked     float64 `json:"asked"` // mean number of peers
	Silent    float64 `json:"silent"`
}

// Explainer runs a lookup and returns its trace; an api.Backend is one.
type Explainer interface {
	Explain(ctx context.Context, lookup string, key []byte) (api.Trace, error)
}

// Lookups measures lookups of random keys by a node. It calls done with the number of
// completed lookups.
func Lookups(ctx context.Context, node Explainer, cfg LookupConfig, done func(int)) (LookupResult, error) {
	if err := cfg.Validate(); err != nil {
		return LookupResult{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var traces []api.Trace
	next := make(chan struct{}, cfg.Count)
	for range cfg.Count {
		next <- struct{}{}
	}
	close(next)
	begun := time.Now()
	for range cfg.Parallel {
		wg.Go(func() {
			for range next {
				t, err := node.Explain(ctx, cfg.Lookup, randomKey())
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				traces = append(traces, t)
				done(len(traces))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return LookupResult{}, fmt.Errorf("lookup: %w", err)
	}
	return sumUp(cfg, traces, time.Since(begun)), nil
}

// randomKey returns a random multihash, which is not the hash of any content.
func randomKey() []byte {
	digest := make([]byte, 32)
	_, _ = rand.Read(digest) // never fails
	key, err := multihash.Encode(digest, multihash.SHA2_256)
	if err != nil {
		panic(err) // the digest has the right length
	}
	return key
}

func sumUp(cfg LookupConfig, traces []api.Trace, took time.Duration) LookupResult {
	r := LookupResult{Lookup: cfg.Lookup, Lookups: len(traces), Parallel: cfg.Parallel, PerSecond: float64(len(traces)) / took.Seconds()}
	var times, rtts []float64
	for i := range traces {
		t := &traces[i]
		if t.Outcome == "failed" {
			r.Failed++
			continue
		}
		times = append(times, t.LookupMs)
		r.Hops += float64(t.Hops)
		r.Asked += float64(t.Asked)
		r.Silent += float64(t.Failed)
		for _, s := range t.Steps {
			if s.RTTMs > 0 {
				rtts = append(rtts, s.RTTMs)
			}
		}
	}
	n := float64(max(len(times), 1))
	r.Hops, r.Asked, r.Silent = r.Hops/n, r.Asked/n, r.Silent/n
	r.P50, r.P95, r.P99 = quantile(times, 0.5), quantile(times, 0.95), quantile(times, 0.99)
	r.RTT = quantile(rtts, 0.5)
	r.Limit = r.RTT * (1 + r.Hops)
	if r.P50 > 0 {
		r.Share = r.Limit / r.P50
	}
	return r
}

// quantile returns a quantile of v, or 0 if v is empty. It sorts v.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(int(math.Ceil(q*float64(len(v)))), len(v))-1]
}
