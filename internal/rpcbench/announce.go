package rpcbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// announcer is a host that announces. One goroutine owns it.
type announcer struct {
	host   host.Host
	frames [][]byte // frames of the round, encoded in advance
}

// announce measures announcements from many peers until all of them are visible, alternately
// with a protocol that only reads the same number of bytes.
func announce(ctx context.Context, cfg *Config, t *target) (Result, error) {
	hosts, err := askingHosts(ctx, cfg.Announcers, cfg.Transport, t)
	defer closeAll(hosts)
	if err != nil {
		return Result{}, err
	}
	var all []*announcer
	for _, h := range hosts {
		all = append(all, &announcer{host: h})
	}
	next := uint64(t.records)
	each := cfg.Announcements / len(all)
	size := 0
	encode := func() {
		for _, a := range all {
			next = a.encode(each, next)
			size = len(a.frames[0])
		}
	}
	limit := func() (measured, error) {
		encode()
		return timed(each*len(all), func() error {
			return together(all, func(a *announcer) error { return a.drain(ctx, t) })
		})
	}
	rate := func() (measured, error) {
		encode()
		before := t.own.held()
		return timed(each*len(all), func() error {
			if err := together(all, func(a *announcer) error { return a.send(ctx, t) }); err != nil {
				return err
			}
			return t.own.awaitRecords(ctx, before+int64(each*len(all)))
		})
	}
	r, err := rounds(cfg.Rounds, limit, rate)
	r.LimitName, r.RequestBytes, r.Streams = "reading as many bytes", size, len(all)
	return r, err
}

func timed(count int, f func() error) (measured, error) {
	start, cpu := time.Now(), cpuTime()
	err := f()
	took, used := time.Since(start), cpuTime()-cpu
	return measured{perSecond: float64(count) / took.Seconds(), cpu: float64(used.Microseconds()) / float64(count)}, err
}

func together(all []*announcer, f func(*announcer) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, a := range all {
		wg.Go(func() { errs[i] = f(a) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// encode encodes the frames of a round, for keys that were not announced before.
func (a *announcer) encode(count int, next uint64) uint64 {
	var addrs [][]byte
	for _, addr := range a.host.Addrs() {
		addrs = append(addrs, addr.Bytes())
	}
	a.frames = a.frames[:0]
	for range count {
		a.frames = append(a.frames, wire.AppendFrame(nil, &wire.Message{
			Type: wire.AddProvider, Key: keyOf(nil, next),
			ProviderPeers: []wire.Peer{{ID: kad.PeerID(a.host.ID()), Addrs: addrs}},
		}))
		next++
	}
	return next
}

// send announces everything and waits until the node has read it.
func (a *announcer) send(ctx context.Context, t *target) error {
	s, err := a.host.NewStream(ctx, t.ai.ID, t.kad)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	if err := a.write(s); err != nil {
		return err
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the node did not accept all announcements: %w", err)
	}
	return nil
}

func (a *announcer) write(s network.Stream) error {
	for _, f := range a.frames {
		if _, err := s.Write(f); err != nil {
			return err
		}
	}
	return nil
}

// drain sends the same bytes to a protocol that only reads them.
func (a *announcer) drain(ctx context.Context, t *target) error {
	s, err := a.host.NewStream(ctx, t.ai.ID, sinkProtocol)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	if _, err := s.Write(twoNumbers(len(a.frames[0]), len(a.frames))); err != nil {
		return err
	}
	if err := a.write(s); err != nil {
		return err
	}
	_, err = io.ReadFull(s, make([]byte, 1))
	return err
}
