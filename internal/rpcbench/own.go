package rpcbench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/daemon"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

const (
	// prefix is the protocol prefix of the bench's own network.
	prefix = "/holdfast-bench"
	kadID  = protocol.ID(prefix + "/kad/1.0.0")
	// neighbours is the number of neighbours of the measured node. It exceeds answer, the
	// number of peers that must have answered, which have two addresses each.
	neighbours = 24
	answer     = 20
	// providers is the number of peers that provide the stored records.
	providers = 10_000
	// joinPatience bounds the wait for the neighbours.
	joinPatience = 2 * time.Minute
)

// own is a daemon with neighbours and records. Except for its listen addresses, it has
// default settings.
type own struct {
	daemon *daemon.Daemon
	closes []io.Closer // in the order in which they were started
}

func (o *own) close() error {
	var errs []error
	for i := len(o.closes) - 1; i >= 0; i-- {
		errs = append(errs, o.closes[i].Close())
	}
	return errors.Join(errs...)
}

// startOwn starts the daemon and waits until its routing table has enough peers for a full
// answer. progress receives a line per step.
func startOwn(ctx context.Context, cfg *Config, progress func(string)) (*own, error) {
	o := &own{}
	if err := o.start(ctx, cfg, progress); err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

func (o *own) start(ctx context.Context, cfg *Config, progress func(string)) error {
	progress("starting a daemon")
	loaded, err := config.Load(config.Sources{Flags: []config.Setting{
		{Key: "storage.path", Value: cfg.Dir, Flag: "bench"},
		{Key: "network.protocol_prefix", Value: prefix, Flag: "bench"},
		{Key: "network.listen", List: []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}, Flag: "bench"},
		{Key: "metrics.listen", Value: "127.0.0.1:0", Flag: "bench"},
		{Key: "log.level", Value: "error", Flag: "bench"},
	}})
	if err != nil {
		return err
	}
	logs, err := daemon.NewLogs(io.Discard, "text", "error")
	if err != nil {
		return err
	}
	if o.daemon, err = daemon.Start(daemon.Options{Loaded: loaded, Logs: logs}); err != nil {
		return err
	}
	o.closes = append(o.closes, o.daemon)
	serveLimits(o.daemon.Host())
	progress(fmt.Sprintf("starting %d neighbours", neighbours))
	if err := o.surround(ctx); err != nil {
		return err
	}
	return o.fill(ctx, cfg.Records, progress)
}

// surround starts the neighbours and waits until they have answered.
func (o *own) surround(ctx context.Context) error {
	ai := peer.AddrInfo{ID: o.daemon.ID(), Addrs: o.daemon.Host().Addrs()}
	for range neighbours {
		h, err := newHost("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1")
		if err != nil {
			return err
		}
		o.closes = append(o.closes, h)
		n, err := node.New(h, node.Config{ProtocolPrefix: prefix, Bootstrap: []peer.AddrInfo{ai}})
		if err != nil {
			return fmt.Errorf("neighbour: %w", err)
		}
		o.closes = append(o.closes, n)
	}
	deadline := time.Now().Add(joinPatience)
	for {
		s, err := o.daemon.Backend().Status(ctx)
		if err != nil {
			return err
		}
		if s.VerifiedPeers >= answer {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("only %d of %d neighbours answered in %s", s.VerifiedPeers, neighbours, joinPatience)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// dialTimeout bounds a handshake during a measurement, when the machine is busy; libp2p's
// default is 5 seconds on a local network.
const dialTimeout = 30 * time.Second

func newHost(listen ...string) (host.Host, error) {
	h, err := libp2p.New(libp2p.ListenAddrStrings(listen...), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.SwarmOpts(swarm.WithDialTimeout(dialTimeout), swarm.WithDialTimeoutLocal(dialTimeout)))
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	return h, nil
}

// fill stores records in the daemon, each with one provider.
func (o *own) fill(ctx context.Context, count int, progress func(string)) error {
	store := o.daemon.Records()
	var key []byte
	for i := range count {
		if i%100_000 == 0 {
			progress(fmt.Sprintf("storing %d records: %d", count, i))
		}
		now := time.Now()
		p := records.Provider{ID: providerID(i % providers), Addrs: addrsOf(i % providers), Expires: now.Add(records.MaxTTL), AddrsExpire: now.Add(records.ProviderAddrTTL)}
		key = keyOf(key, uint64(i))
		for {
			err := store.AddProvider(now, key, p, false)
			if err == nil {
				break
			}
			if !errors.Is(err, records.ErrBusy) {
				return fmt.Errorf("fill: %w", err)
			}
			if err := sleep(ctx, time.Millisecond); err != nil {
				return err
			}
		}
	}
	return o.awaitRecords(ctx, int64(count))
}

// awaitRecords waits until count provider records are visible.
func (o *own) awaitRecords(ctx context.Context, count int64) error {
	for o.held() < count {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d records are visible: %w", o.held(), count, err)
		}
	}
	return nil
}

// held returns the number of visible provider records.
func (o *own) held() int64 { return o.daemon.Records().Stats().Records[records.KindProvider] }

// providerID returns the ID of an artificial peer, in the form of an Ed25519 ID.
func providerID(i int) kad.PeerID {
	id := append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, make([]byte, 32)...)
	binary.BigEndian.PutUint64(id[6:], uint64(i)*0x9e3779b97f4a7c15)
	return kad.PeerID(id)
}

// addrsOf returns two addresses of an artificial peer: TCP and QUIC.
func addrsOf(i int) [][]byte {
	ip := []byte{0x04, 10, byte(i >> 16), byte(i >> 8), byte(i)}
	tcp := append(append([]byte(nil), ip...), 0x06, 0x0f, 0xab)
	quic := append(append([]byte(nil), ip...), 0x91, 0x02, 0x0f, 0xab, 0xcd, 0x03)
	return [][]byte{tcp, quic}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
