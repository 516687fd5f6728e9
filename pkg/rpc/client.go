package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Client sends requests to peers. Safe for concurrent use.
type Client struct {
	host  host.Host
	proto protocol.ID
	cfg   ClientConfig
	obs   Observer
	pool  *pool

	// life ends with Close, and ends every running RPC.
	life  context.Context
	close context.CancelCauseFunc

	mu       sync.Mutex
	conducts *lru[peer.ID, conduct]
}

// Reply is the answer to a Request.
type Reply struct {
	// Message has the type of the request; every other field may be missing. Addresses
	// outside Scope have been removed. The caller owns the message.
	Message *wire.Message
	// RTT is the time from the written request to the complete reply.
	RTT time.Duration
	// Addr is the remote address of the connection, and Scope its scope (see GroupOf).
	Addr  ma.Multiaddr
	Scope wire.Scope
}

// NewClient returns a client that opens streams of proto on h. The host must outlive it. obs
// may be nil.
func NewClient(h host.Host, proto protocol.ID, cfg ClientConfig, obs Observer) *Client {
	cfg.setDefaults()
	if obs == nil {
		obs = NopObserver{}
	}
	c := &Client{host: h, proto: proto, cfg: cfg, obs: obs, conducts: newLRU[peer.ID, conduct](cfg.MaxMemory)}
	c.life, c.close = context.WithCancelCause(context.Background())
	c.pool = newPool(&c.cfg)
	return c
}

// Request sends req to a peer and returns its reply. It dials the peer if necessary, and
// returns within ClientConfig.Timeout. Errors: ErrUnreachable, ErrUnsupported, ErrTimeout,
// ErrNoReply, ErrConnLost, ErrReplyType, ErrClosed, context.Canceled, and the errors of
// package wire.
func (c *Client) Request(ctx context.Context, to peer.ID, req *wire.Message) (Reply, error) {
	return c.RequestParts(ctx, to, req, nil)
}

// RequestParts is Request for replies with many providers. If a reply is longer than about 64
// KiB, its providers are passed to more as they arrive, in the calling goroutine, and the
// returned reply contains the rest. Providers that arrived before an error have been passed
// to more too.
func (c *Client) RequestParts(ctx context.Context, to peer.ID, req *wire.Message, more func(Reply)) (Reply, error) {
	start := time.Now()
	s := Stats{Type: req.Type, Peer: to, Key: req.Key}
	reply, err := c.request(ctx, to, req, more, &s)
	if err != nil {
		err = fmt.Errorf("%v to %v: %w", req.Type, to, err)
	}
	s.Outcome, s.Reason = classify(err)
	s.At = time.Now()
	s.Duration = s.At.Sub(start)
	c.obs.Outbound(s)
	return reply, err
}

func (c *Client) request(ctx context.Context, to peer.ID, req *wire.Message, more func(Reply), s *Stats) (Reply, error) {
	ctx, cancelTime := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancelTime()
	ctx, cancel := c.bind(ctx)
	defer cancel()
	op, err := c.pool.acquire(ctx, to)
	if err != nil {
		return Reply{}, describe(ctx, err)
	}
	defer c.pool.release(op)
	out := takeBuffer()
	defer giveBuffer(out)
	*out = wire.AppendFrame((*out)[:0], req)

	idle := c.pool.take(op)
	st := idle
	if st == nil {
		if st, err = c.open(ctx, to); err != nil {
			return Reply{}, err
		}
	}
	reply, err := c.exchange(ctx, op, st, *out, req, more, s)
	if err == nil && idle != nil {
		c.learn(to, habitMany)
	}
	if !mayBeUnread(err, idle != nil, s) {
		return reply, err
	}
	if st, err = c.open(ctx, to); err != nil {
		return Reply{}, err
	}
	reply, err = c.exchange(ctx, op, st, *out, req, more, s)
	if err == nil && idle != nil && !idle.Conn().IsClosed() {
		c.doubt(to) // the peer answers, but only once per stream
	}
	return reply, err
}

// mayBeUnread reports whether the peer may not have read the request, because the connection
// was lost or a reused stream ended before the first byte of the reply. Such a request is
// sent once more.
func mayBeUnread(err error, reused bool, s *Stats) bool {
	return s.BytesIn == 0 && (errors.Is(err, ErrConnLost) || reused && errors.Is(err, ErrNoReply))
}

// exchange sends one request on st, and then returns the stream to the pool or ends it.
func (c *Client) exchange(ctx context.Context, op *outPeer, st *outStream, out []byte, req *wire.Message, more func(Reply), s *Stats) (Reply, error) {
	stop := st.watch(ctx)
	deadline, _ := ctx.Deadline()
	m, n, sent, err := st.roundTrip(deadline, out, req.Type, more)
	rtt := time.Since(sent)
	s.BytesIn, s.BytesOut = n, len(out)
	alive := stop()
	switch {
	case err != nil:
		st.reset()
		return Reply{}, st.describe(ctx, err)
	case !alive:
	case st.clean() && c.habit(op.id) != habitOne:
		st.reused = true
		c.pool.put(op, st)
	default:
		st.close()
	}
	filterMessage(m, st.scope)
	return Reply{Message: m, RTT: rtt, Addr: st.Conn().RemoteMultiaddr(), Scope: st.scope}, nil
}

// open opens a new stream and dials the peer if it is not connected. If the connection is
// lost meanwhile, open retries once on another connection.
func (c *Client) open(ctx context.Context, to peer.ID) (*outStream, error) {
	ctx = network.WithDialPeerTimeout(ctx, c.cfg.DialTimeout)
	conns := c.host.Network().ConnsToPeer(to)
	s, err := c.host.NewStream(ctx, to, c.proto)
	if err != nil && anyLost(conns, err) {
		select {
		case <-time.After(reopenAfter):
		case <-ctx.Done(): // NewStream fails at once
		}
		s, err = c.host.NewStream(ctx, to, c.proto)
	}
	if err == nil {
		return newOutStream(s, &c.cfg), nil
	}
	if d := describe(ctx, err); errors.Is(d, ErrUnsupported) || errors.Is(d, context.Canceled) || errors.Is(d, ErrClosed) {
		return nil, d
	}
	if isDialError(err) {
		err = NewDialError(to, err, c.host.Peerstore().Addrs(to)...)
	}
	return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// anyLost reports whether opening a stream failed because a connection to the peer is lost.
func anyLost(conns []network.Conn, err error) bool {
	return len(conns) > 0 && isConnLost(err) || slices.ContainsFunc(conns, network.Conn.IsClosed)
}

// reopenAfter is the pause before open retries. A host on a busy machine may take a moment to
// notice that a connection is lost, and opens streams on it until then.
const reopenAfter = 20 * time.Millisecond

// bind returns a context that also ends when the client is closed.
func (c *Client) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.life, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// StreamsInFlight returns the number of outbound streams in use.
func (c *Client) StreamsInFlight() int {
	busy, _ := c.pool.counts()
	return busy
}

// StreamsIdle returns the number of outbound streams that wait for reuse.
func (c *Client) StreamsIdle() int {
	_, idle := c.pool.counts()
	return idle
}

// Close ends all RPCs with ErrClosed, resets the streams and waits for them. It may be called
// more than once.
func (c *Client) Close() error {
	c.pool.close()
	c.close(ErrClosed)
	c.pool.users.Wait()
	return nil
}
