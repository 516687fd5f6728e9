package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"golang.org/x/time/rate"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// inBuffer is the initial size of an inbound stream's read buffer in bytes. Most requests
// have 40 to 200 bytes, and most streams are idle.
const inBuffer = 1 << 10

// reserveAbove is the size in bytes above which memory for a reply is reserved with the
// resource manager. Smaller replies have a few KiB per stream, and a reservation costs as
// much as encoding one.
const reserveAbove = 8 << 10

// errRefused wraps errors of the handler, and errMemory errors of the resource manager.
// errUnknownType and errRate are refusals of this package. Each ends the stream and is
// reported to the observer.
var (
	errUnknownType = errors.New("unknown message type")
	errRate        = errors.New("too many requests")
	errRefused     = errors.New("refused")
	errMemory      = errors.New("no memory left for the stream")
)

// inStream is one inbound stream. Its goroutine owns it.
type inStream struct {
	s       *Server
	st      network.Stream
	in      Inbound
	frames  *wire.FrameReader
	limiter *rate.Limiter

	read, write deadline
	begun       bool // a request is incomplete, and the read deadline applies to it

	// idleSince is when the stream began to wait for a request, in nanoseconds of Unix time;
	// 0 while a request is being handled. Other goroutines read it (see Server.longestIdle).
	idleSince atomic.Int64
}

func newInStream(s *Server, st network.Stream, l *rate.Limiter) *inStream {
	c := &inStream{
		s: s, st: st, limiter: l,
		in: Inbound{
			From: st.Conn().RemotePeer(), Addr: st.Conn().RemoteMultiaddr(), Scope: s.cfg.Scope(st.Conn()), Now: time.Now(),
		},
		frames: wire.NewFrameReader(inBuffer, s.cfg.MaxRequest),
		read:   deadline{set: st.SetReadDeadline},
		write:  deadline{set: st.SetWriteDeadline},
	}
	c.idleSince.Store(c.in.Now.UnixNano())
	c.frames.Reserve(c.reserve)
	return c
}

// reserve changes the amount of memory that the stream has reserved with libp2p's resource
// manager. When the stream ends, its scope releases the rest.
func (c *inStream) reserve(delta int) error {
	if delta < 0 {
		c.st.Scope().ReleaseMemory(-delta)
		return nil
	}
	if err := c.st.Scope().ReserveMemory(delta, network.ReservationPriorityMedium); err != nil {
		return fmt.Errorf("%w: %w", errMemory, err)
	}
	return nil
}

// run answers requests until the peer ends the stream (nil) or an error occurs.
func (c *inStream) run() error {
	if err := c.reserve(inBuffer); err != nil {
		c.observeUnread(err)
		return err
	}
	for {
		frame, err := c.next()
		if wire.IsEnd(err) {
			return nil
		}
		if err != nil {
			c.observeUnread(err)
			return err
		}
		if err := c.answer(frame); err != nil {
			return err
		}
	}
}

// next reads the next frame, which is valid until the following call. A peer may be silent
// for IdleTimeout, but once a request has begun, it must be complete within ReadTimeout,
// however slowly it arrives.
func (c *inStream) next() ([]byte, error) {
	for {
		frame, ok, err := c.frames.Next()
		if ok || err != nil {
			c.begun = false
			return frame, err
		}
		if err := c.arm(); err != nil {
			return nil, err
		}
		if c.frames.Buffered() == 0 {
			c.idleSince.Store(c.in.Now.UnixNano())
		}
		if _, err := c.frames.Fill(c.st); err != nil {
			return nil, err
		}
		c.idleSince.Store(0)
		c.in.Now = time.Now()
	}
}

// arm sets the deadline of the next read.
func (c *inStream) arm() error {
	switch {
	case c.frames.Buffered() == 0:
		return c.read.arm(c.in.Now, c.s.cfg.IdleTimeout)
	case !c.begun:
		c.begun = true
		return c.read.arm(c.in.Now, c.s.cfg.ReadTimeout)
	}
	return nil
}

// answer handles one request, from its frame to the written reply.
func (c *inStream) answer(frame []byte) error {
	x := exchanges.Get().(*exchange)
	defer x.free()
	stats := Stats{Type: wire.NumTypes, Peer: c.in.From, BytesIn: len(frame)}
	out, err := c.respond(x, frame, &stats)
	stats.Outcome, stats.Reason = c.outcome(err, len(out) > 0)
	if len(out) > 0 {
		stats.BytesOut = len(out)
		if err = c.send(out); err != nil {
			stats.Outcome, stats.Reason = classify(err)
		}
	}
	now := time.Now()
	stats.At, stats.Duration = now, now.Sub(c.in.Now)
	c.in.Now = now // start time of the next request, if it is already in the buffer
	c.s.obs.Inbound(stats)
	return err
}

// respond returns the frame to send, which is empty if there is no reply.
func (c *inStream) respond(x *exchange, frame []byte, stats *Stats) ([]byte, error) {
	if !c.limiter.AllowN(c.in.Now, 1) {
		return nil, errRate
	}
	if err := x.req.Parse(frame); err != nil {
		return nil, err
	}
	stats.Type, stats.Key = x.req.Type, x.req.Key
	if x.req.Type >= wire.NumTypes {
		return nil, errUnknownType
	}
	filterMessage(&x.req, c.in.Scope)
	x.resp.Type = x.req.Type
	reply, err := c.s.handle(c.in, &x.req, &x.resp)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	if !reply {
		return nil, nil
	}
	return x.encode(c.s.limitOf(x.resp.Type)), nil
}

// send writes a reply in one piece. Memory for a large reply is reserved with the resource
// manager, because a peer that does not read it holds it until WriteTimeout.
func (c *inStream) send(out []byte) error {
	if len(out) > reserveAbove {
		if err := c.reserve(len(out)); err != nil {
			return err
		}
		defer func() { _ = c.reserve(-len(out)) }()
	}
	if err := c.write.arm(c.in.Now, c.s.cfg.WriteTimeout); err != nil {
		return err
	}
	_, err := c.st.Write(out)
	return err
}

func (c *inStream) outcome(err error, reply bool) (Outcome, string) {
	switch {
	case err == nil && !reply:
		return NoReply, ReasonNone
	case errors.Is(err, errRefused):
		return Rejected, c.s.cfg.Reason(err)
	case errors.Is(err, errUnknownType):
		return Rejected, ReasonUnknownType
	case errors.Is(err, errRate):
		return Rejected, ReasonRate
	}
	return classify(err)
}

// observeUnread reports a request that was never completed. A stream that ends between
// requests is not reported.
func (c *inStream) observeUnread(err error) {
	outcome, reason := classify(err)
	if outcome != Rejected && c.frames.Buffered() == 0 {
		return
	}
	now := time.Now()
	c.s.obs.Inbound(Stats{
		Type: wire.NumTypes, Peer: c.in.From, Outcome: outcome, Reason: reason,
		At: now, Duration: now.Sub(c.in.Now), BytesIn: c.frames.Buffered(),
	})
}

// limitOf returns the maximum size of a reply of a type in bytes.
func (s *Server) limitOf(t wire.Type) int {
	if t == wire.GetProviders {
		return s.cfg.MaxProvidersReply
	}
	return wire.MaxReply
}

// deadline is a read or write deadline that is rarely moved, because setting a deadline
// creates a timer, which costs more than a small request.
type deadline struct {
	set   func(time.Time) error
	until time.Time
}

// arm makes sure that the deadline is between three quarters of after and after from now.
func (d *deadline) arm(now time.Time, after time.Duration) error {
	if left := d.until.Sub(now); left <= after && left >= after-after/4 {
		return nil
	}
	d.until = now.Add(after)
	if err := d.set(d.until); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	return nil
}

// exchange is the memory of one request and its reply. It is borrowed from a pool while a
// request is handled, so that idle streams do not hold any.
type exchange struct {
	req, resp wire.Message
	out       []byte
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// maxKeptPeers is the maximum capacity of a list of peers kept for reuse.
const maxKeptPeers = 256

// free returns the memory to the pool.
func (x *exchange) free() {
	x.shrink()
	exchanges.Put(x)
}

// shrink drops references, and memory above what is kept.
func (x *exchange) shrink() {
	x.resp = wire.Message{CloserPeers: recycle(x.resp.CloserPeers), ProviderPeers: recycle(x.resp.ProviderPeers)}
	if cap(x.req.CloserPeers) > maxKeptPeers || cap(x.req.ProviderPeers) > maxKeptPeers {
		x.req = wire.Message{}
	}
	if !pooled(x.out) {
		x.out = nil
	}
}

func recycle(peers []wire.Peer) []wire.Peer {
	if cap(peers) > maxKeptPeers {
		return nil
	}
	clear(peers[:cap(peers)])
	return peers[:0]
}

// encode returns the reply as a frame with at most limit bytes of content, as far as its
// lists of peers can be trimmed. The length prefix is added afterwards, so that a normal
// reply is encoded only once.
func (x *exchange) encode(limit int) []byte {
	const room = binary.MaxVarintLen64
	x.out = append(x.out[:0], make([]byte, room)...)
	x.out = x.resp.Append(x.out)
	if len(x.out)-room > limit {
		x.resp.TrimTo(limit)
		x.out = x.resp.Append(x.out[:room])
	}
	var prefix [room]byte
	n := binary.PutUvarint(prefix[:], uint64(len(x.out)-room))
	copy(x.out[room-n:], prefix[:n])
	return x.out[room-n:]
}
