package rpcbench

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// types are the message types of the operations that have a reply.
var types = map[string]wire.Type{Ping: wire.Ping, FindNode: wire.FindNode, GetProviders: wire.GetProviders}

// target is the measured node.
type target struct {
	ai      peer.AddrInfo
	kad     protocol.ID
	records int  // number of stored records, whose keys are known
	own     *own // nil: a remote node
}

// Own starts a daemon, measures it, and stops it. Its data is in cfg.Dir.
func Own(ctx context.Context, cfg Config, progress func(string), each func(Result)) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.setDefaults()
	o, err := startOwn(ctx, &cfg, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	ai := peer.AddrInfo{ID: o.daemon.ID(), Addrs: o.daemon.Host().Addrs()}
	return measure(ctx, &cfg, &target{ai: ai, kad: kadID, records: cfg.Records, own: o}, progress, each)
}

// Other measures the node at an address. It sends requests but never writes to the node. The
// limit is libp2p's own ping of 32 bytes in each direction, which every host answers.
func Other(ctx context.Context, cfg Config, ai peer.AddrInfo, prefix string, progress func(string), each func(Result)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.setDefaults()
	return measure(ctx, &cfg, &target{ai: ai, kad: protocol.ID(prefix + "/kad/1.0.0")}, progress, each)
}

// measure runs the operations one after the other.
func measure(ctx context.Context, cfg *Config, t *target, progress func(string), each func(Result)) error {
	hosts, err := askingHosts(ctx, cfg.Peers, cfg.Transport, t)
	defer closeAll(hosts)
	if err != nil {
		return err
	}
	for _, op := range cfg.Operations {
		if op == AddProvider && t.own == nil {
			continue
		}
		progress("measuring " + op)
		var r Result
		if op == AddProvider {
			r, err = announce(ctx, cfg, t)
		} else {
			r, err = ask(ctx, cfg, t, hosts, op)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		r.Operation, r.Transport, r.Records = op, cfg.Transport, t.records
		each(r)
	}
	return nil
}

// askingHosts returns hosts that are connected to the target over a transport.
func askingHosts(ctx context.Context, count int, transport string, t *target) ([]host.Host, error) {
	to := overTransport(t.ai, transport)
	if len(to.Addrs) == 0 {
		return nil, fmt.Errorf("%s has no address over %s among %v", t.ai.ID, transport, t.ai.Addrs)
	}
	var hosts []host.Host
	for range count {
		h, err := newHost("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1")
		if err != nil {
			return hosts, err
		}
		hosts = append(hosts, h)
		if err := h.Connect(ctx, to); err != nil {
			return hosts, fmt.Errorf("connect to %s: %w", to.ID, err)
		}
		h.Peerstore().AddAddrs(to.ID, to.Addrs, peerstore.PermanentAddrTTL)
	}
	return hosts, nil
}

// overTransport returns ai with the addresses of one transport only.
func overTransport(ai peer.AddrInfo, transport string) peer.AddrInfo {
	want := ma.P_TCP
	if transport == "quic" {
		want = ma.P_QUIC_V1
	}
	out := peer.AddrInfo{ID: ai.ID}
	for _, a := range ai.Addrs {
		if _, err := a.ValueForProtocol(want); err == nil {
			out.Addrs = append(out.Addrs, a)
		}
	}
	return out
}

func closeAll[C io.Closer](list []C) {
	for _, c := range list {
		_ = c.Close() // the measurement is complete
	}
}

// ask measures an operation with a reply, alternately with its limit.
func ask(ctx context.Context, cfg *Config, t *target, hosts []host.Host, op string) (Result, error) {
	requests := func(stream int) func() []byte { return requestsOf(types[op], t.records, uint64(stream)) }
	load, err := open(ctx, hosts, t.ai.ID, t.kad, cfg.Streams, nil, requests)
	if err != nil {
		return Result{}, err
	}
	defer load.close()
	warm, err := load.run(ctx, cfg.Window/4) // also determines the size of a reply
	if err != nil {
		return Result{}, err
	}
	limit, name, err := openLimit(ctx, cfg, t, hosts, load.sent, warm.reply)
	if err != nil {
		return Result{}, err
	}
	defer limit.close()
	r, err := rounds(cfg.Rounds, limit.runs(ctx, cfg.Window), load.runs(ctx, cfg.Window))
	r.LimitName, r.RequestBytes, r.ReplyBytes, r.Streams = name, load.sent, warm.reply, cfg.Streams
	return r, err
}

// openLimit opens the echo with the sizes of a message, or libp2p's ping for a remote node.
func openLimit(ctx context.Context, cfg *Config, t *target, hosts []host.Host, request, reply int) (*load, string, error) {
	if t.own == nil {
		l, err := openPing(ctx, hosts, t.ai.ID, cfg.Streams)
		return l, "ping of 32 bytes", err
	}
	l, err := open(ctx, hosts, t.ai.ID, echoProtocol, cfg.Streams, twoNumbers(request, reply), sameAgain(make([]byte, request)))
	return l, "echo of as many bytes", err
}

// openPing opens streams of libp2p's ping, whose reply equals the request. The request is a
// frame of 32 bytes.
func openPing(ctx context.Context, hosts []host.Host, to peer.ID, streams int) (*load, error) {
	l, err := open(ctx, hosts, to, ping.ID, streams, nil, sameAgain(frameOf(ping.PingSize-1)))
	if errors.As(err, new(multistream.ErrNotSupported[protocol.ID])) {
		return nil, fmt.Errorf("%s does not answer libp2p's ping", to)
	}
	return l, err
}
