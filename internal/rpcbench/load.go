package rpcbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// asker is a stream that sends one request after the other. One goroutine owns it.
type asker struct {
	stream  network.Stream
	frames  *wire.FrameReader
	request func() []byte // the next frame to send
	read    int           // bytes of replies, without prefixes
}

// once sends a request and reads its reply.
func (a *asker) once() error {
	if _, err := a.stream.Write(a.request()); err != nil {
		return err
	}
	for {
		frame, ok, err := a.frames.Next()
		if err != nil {
			return err
		}
		if ok {
			a.read += len(frame)
			return nil
		}
		if _, err := a.frames.Fill(a.stream); err != nil {
			return err
		}
	}
}

// load is a set of streams that send requests concurrently.
type load struct {
	askers []*asker
	sent   int // bytes of a request, including its prefix
}

// replyLimit bounds a reply in bytes.
const replyLimit = 1 << 20

// open opens the streams of a load, spread over the hosts. request returns the function that
// generates the requests of a stream. first, if not nil, is written to each stream before the
// requests.
func open(ctx context.Context, hosts []host.Host, to peer.ID, p protocol.ID, streams int, first []byte, request func(stream int) func() []byte) (*load, error) {
	l := &load{}
	for i := range streams {
		s, err := hosts[i%len(hosts)].NewStream(ctx, to, p)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("stream %d: %w", i, err)
		}
		l.askers = append(l.askers, &asker{stream: s, frames: wire.NewFrameReader(4<<10, replyLimit), request: request(i)})
		if len(first) > 0 {
			if _, err := s.Write(first); err != nil {
				l.close()
				return nil, fmt.Errorf("stream %d: %w", i, err)
			}
		}
	}
	l.sent = len(request(0)())
	for _, a := range l.askers { // this negotiates the protocol
		if err := a.once(); err != nil {
			l.close()
			return nil, fmt.Errorf("%s: the first request: %w", p, err)
		}
	}
	return l, nil
}

func (l *load) close() {
	for _, a := range l.askers {
		_ = a.stream.Reset()
	}
}

// measured is the result of one measurement.
type measured struct {
	perSecond float64
	cpu       float64 // microseconds of processor time per request
	reply     int     // mean size in bytes
}

// run sends requests on all streams during the window.
func (l *load) run(ctx context.Context, window time.Duration) (m measured, err error) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	counts := make([]int, len(l.askers))
	errs := make([]error, len(l.askers))
	start, cpu := time.Now(), cpuTime()
	for i, a := range l.askers {
		a.read = 0
		wg.Go(func() {
			for !stop.Load() {
				if errs[i] = a.once(); errs[i] != nil {
					return
				}
				counts[i]++
			}
		})
	}
	timer := time.NewTimer(window)
	select {
	case <-timer.C:
	case <-ctx.Done():
		timer.Stop()
		errs = append(errs, ctx.Err())
	}
	stop.Store(true)
	wg.Wait()
	took, used := time.Since(start), cpuTime()-cpu
	if err := errors.Join(errs...); err != nil {
		return m, err
	}
	total, bytes := 0, 0
	for i, n := range counts {
		total += n
		bytes += l.askers[i].read
	}
	if total == 0 {
		return m, errors.New("nothing was answered in the window")
	}
	return measured{float64(total) / took.Seconds(), float64(used.Microseconds()) / float64(total), bytes / total}, nil
}

// runs returns run as a function for rounds.
func (l *load) runs(ctx context.Context, window time.Duration) func() (measured, error) {
	return func() (measured, error) { return l.run(ctx, window) }
}

// rounds measures limit and rate alternately and returns their medians.
func rounds(n int, limit, rate func() (measured, error)) (r Result, err error) {
	var limits, rates, shares, cpus, limitCPUs []float64
	for range n {
		l, err := limit()
		if err != nil {
			return r, err
		}
		v, err := rate()
		if err != nil {
			return r, err
		}
		limits, rates, shares = append(limits, l.perSecond), append(rates, v.perSecond), append(shares, v.perSecond/l.perSecond)
		cpus, limitCPUs = append(cpus, v.cpu), append(limitCPUs, l.cpu)
	}
	slices.Sort(shares)
	r = Result{
		PerSecond: median(rates), Limit: median(limits), Share: median(shares),
		ShareLow: shares[0], ShareHigh: shares[n-1], CPU: median(cpus), LimitCPU: median(limitCPUs), Rounds: n,
	}
	if r.CPU > 0 {
		r.CPUShare = r.LimitCPU / r.CPU
	}
	return r, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
