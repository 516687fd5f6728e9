package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

const (
	// notifyChunk is how many bytes of frames one write carries at most, unless
	// one frame is larger.
	notifyChunk = 16 << 10
	// notifyGiveUp is after how many failures in a row the rest of a Notify is
	// given up, when each message has its own stream.
	notifyGiveUp = 3
	// answerWait is how long a peer that is not known to answer messages without a
	// reply, or not to, has to answer the first one before our side of the stream is
	// closed: a round trip and some work. Others have ConfirmTimeout.
	answerWait = 500 * time.Millisecond
)

// confirm says how it is known that a peer has read what was written.
type confirm uint8

const (
	confirmEnd     confirm = iota // it ends the stream after we have ended our side
	confirmFence                  // it answers the fence
	confirmAnswers                // it answers each message, and only then we end our side
	confirmEither                 // it answers soon, or ends the stream as with confirmEnd
)

// errResetAtEnd is returned by pipeline when a peer that had a while to answer or to
// reject a message has reset the stream only at the end of our side.
var errResetAtEnd = errors.New("rpc: peer reset the stream at its end")

// errEndedEarly is returned by writeAll when the peer has ended the stream before
// our side did; drain knows how.
var errEndedEarly = errors.New("rpc: peer ended the stream early")

// Notify sends messages that have no reply (ADD_PROVIDER) and returns how many
// the peer has taken, as far as can be known; err tells why not all.
//
// A message written to a stream that the peer has already ended is lost without
// an error, so nothing is written to pooled streams, the streams used here are
// never pooled, and what is written is confirmed:
//
//   - One message travels alone: its stream is half-closed, and the peer ends its
//     side when it has read it. An answer confirms it too, however the stream ends. A
//     reset without one means that it was rejected.
//   - A peer that answers may reset the stream when it reads the end of our side, and
//     its answer is lost with that. So our side is not closed before the answer. A peer
//     not yet known has a moment to answer; if it resets the stream later, it gets the
//     message once more and has ConfirmTimeout to answer. One that then resets the
//     stream at the end of our side alone (js-libp2p) has taken the message; it ends
//     the stream well if our side ends at once, which is done from then on.
//   - Many messages to a peer known to serve many requests on one stream are
//     pipelined on one and confirmed in the same way.
//   - To a peer not yet known, a FIND_NODE follows the messages as a fence:
//     streams are served in order, so its reply proves that all were read. If the
//     stream ends instead, the peer serves one request per stream.
//   - To such peers, and after a failed pipeline, each message travels alone.
//     Some may thus arrive twice, which only refreshes them.
//
// A peer that takes the bytes and neither ends the stream nor resets it within
// ConfirmTimeout is believed. A peer that is known to answer and resets a message
// instead limits how many it takes: ErrLimited.
func (c *Client) Notify(ctx context.Context, to peer.ID, reqs ...*wire.Message) (sent int, err error) {
	start := time.Now()
	ctx, cancel := c.bind(ctx)
	defer cancel()
	op, err := c.pool.acquire(ctx, to)
	if err != nil {
		err = describe(ctx, err)
	} else {
		sent, err = c.notify(ctx, to, reqs)
		c.pool.release(op)
	}
	c.observeNotify(start, to, reqs, sent, err)
	if err != nil {
		return sent, fmt.Errorf("rpc: notify %v: %w", to, err)
	}
	return sent, nil
}

func (c *Client) notify(ctx context.Context, to peer.ID, reqs []*wire.Message) (int, error) {
	h := c.habit(to)
	if len(reqs) < 2 || h == habitOne {
		return c.notifyEach(ctx, to, reqs)
	}
	how := confirmEnd
	if h == habitUnknown {
		how = confirmFence
	}
	taken, err := c.pipeline(ctx, to, reqs, how)
	switch {
	case err == nil && how == confirmFence:
		c.learn(to, habitMany)
		return len(reqs), nil
	case err == nil:
		return len(reqs), nil
	case !errors.Is(err, ErrNoReply):
		return taken, err // unreachable, silent or cancelled: another way would do no better
	case errors.Is(err, io.EOF):
		c.doubt(to)
	}
	rest, err := c.notifyEach(ctx, to, reqs[taken:])
	return taken + rest, err
}

// notifyOne sends one message on its own stream.
func (c *Client) notifyOne(ctx context.Context, to peer.ID, req []*wire.Message) error {
	known := c.conduct(to).acks
	_, err := c.pipeline(ctx, to, req, [...]confirm{
		acksUnknown: confirmEither, acksNever: confirmEnd, acksAlways: confirmAnswers,
	}[known])
	if errors.Is(err, network.ErrReset) && known == acksUnknown && c.conduct(to).acks != acksNever {
		if _, err = c.pipeline(ctx, to, req, confirmAnswers); errors.Is(err, errResetAtEnd) {
			c.took(to, false)
			return nil
		}
	}
	if errors.Is(err, network.ErrReset) && c.conduct(to).acks == acksAlways {
		return fmt.Errorf("%w: %w", ErrLimited, err)
	}
	return err
}

// notifyEach sends each message on its own stream.
func (c *Client) notifyEach(ctx context.Context, to peer.ID, reqs []*wire.Message) (sent int, err error) {
	failed := 0 // in a row
	for i := range reqs {
		e := c.notifyOne(ctx, to, reqs[i:i+1])
		if e == nil {
			sent, failed = sent+1, 0
			continue
		}
		if err == nil {
			err = e
		}
		if failed++; failed == notifyGiveUp || !errors.Is(e, ErrNoReply) || errors.Is(e, ErrLimited) {
			break
		}
	}
	return sent, err
}

// pipeline is pipelineOnce, once more if the connection is lost.
func (c *Client) pipeline(ctx context.Context, to peer.ID, reqs []*wire.Message, how confirm) (taken int, err error) {
	taken, err = c.pipelineOnce(ctx, to, reqs, how)
	if !errors.Is(err, ErrConnLost) {
		return taken, err
	}
	rest, err := c.pipelineOnce(ctx, to, reqs[taken:], how)
	return taken + rest, err
}

// pipelineOnce writes messages back to back on a fresh stream and waits for the
// confirmation that the peer has read them all. If it has not, the first taken ones
// were answered.
func (c *Client) pipelineOnce(ctx context.Context, to peer.ID, reqs []*wire.Message, how confirm) (taken int, err error) {
	st, err := c.openWithin(ctx, to)
	if err != nil {
		return 0, err
	}
	stop := st.watch(ctx)
	defer stop()
	ended, done := st.drainAside(len(reqs), how)
	defer func() { <-done }()

	closed, failed := c.writeAll(ctx, st, reqs, how, ended)
	wait := c.cfg.ConfirmTimeout
	if how == confirmFence {
		wait = c.cfg.Timeout // the fence takes an answer, as a request does
	}
	if isTimeout(failed) || ctx.Err() != nil || st.SetReadDeadline(time.Now().Add(wait)) != nil {
		st.reset() // which ends drain
	}
	got := <-ended
	switch err = got.err; {
	case err == nil && (failed == nil || len(reqs) == 1 || got.answers == len(reqs)):
		st.close()
		c.took(to, got.answers > 0)
		return len(reqs), nil
	case err == nil:
		err = io.EOF // before the peer can have read all
	case st.lost(err): // nothing says what the peer has read; describe makes it ErrConnLost
	case failed == nil && how != confirmFence && isTimeout(err) && ctx.Err() == nil:
		c.closeSlowly(st) // a reset could still take away what the peer has not read
		return len(reqs), nil
	case isTimeout(failed):
		err = failed
	case closed && how == confirmAnswers && errors.Is(err, network.ErrReset):
		err = fmt.Errorf("%w: %w", errResetAtEnd, err)
	}
	st.reset()
	if got.answers > 0 {
		c.took(to, true)
	}
	return got.answers, st.describe(ctx, err)
}

// openWithin opens a stream within the timeout of a request.
func (c *Client) openWithin(ctx context.Context, to peer.ID) (*outStream, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	return c.open(ctx, to)
}

// writeAll writes the messages and then the fence or, without one, the end of our
// side (closed), if need be after the answers. It stops when the peer ends the stream
// before it can have read all.
func (c *Client) writeAll(ctx context.Context, st *outStream, reqs []*wire.Message, how confirm, ended chan drained) (closed bool, err error) {
	fence := how == confirmFence
	out := takeBuffer()
	defer giveBuffer(out)
	for i := 0; i < len(reqs); {
		*out = (*out)[:0]
		for ; i < len(reqs) && len(*out) < notifyChunk; i++ {
			*out = wire.AppendFrame(*out, reqs[i])
		}
		if fence && i == len(reqs) {
			*out = wire.AppendFrame(*out, c.fence())
		}
		if err := st.SetWriteDeadline(time.Now().Add(c.cfg.Timeout)); err != nil {
			return false, fmt.Errorf("set deadline: %w", err)
		}
		if hasEnded(ended) { // looked at after the deadline is set, which drain's end moves
			return false, errEndedEarly
		}
		if _, err := st.Write(*out); err != nil && hasEnded(ended) {
			return false, errEndedEarly
		} else if err != nil {
			return false, fmt.Errorf("write: %w", err)
		}
	}
	if fence {
		return false, nil
	}
	switch {
	case how == confirmAnswers && awaitEnd(ctx, ended, c.cfg.ConfirmTimeout),
		how == confirmEither && awaitEnd(ctx, ended, min(answerWait, c.cfg.ConfirmTimeout)):
		return false, nil
	}
	if hasEnded(ended) && len(reqs) > 1 {
		return false, errEndedEarly
	}
	if err := st.CloseWrite(); err != nil { // QUIC: the peer has ended both sides
		return false, fmt.Errorf("close write: %w", err)
	}
	return true, nil
}

// hasEnded reports whether drain has returned; what it returned stays in ended.
func hasEnded(ended chan drained) bool {
	select {
	case got := <-ended:
		ended <- got
		return true
	default:
		return false
	}
}

// awaitEnd waits for drain for at most the time given; it returns what hasEnded would.
func awaitEnd(ctx context.Context, ended chan drained, most time.Duration) bool {
	wait := time.NewTimer(most)
	defer wait.Stop()
	select {
	case got := <-ended:
		ended <- got
		return true
	case <-wait.C:
	case <-ctx.Done():
	}
	return false
}

// fence is the request whose reply proves that all before it were read. It asks
// for the peers nearest to ourselves: every implementation answers it, PING is
// refused by rust-libp2p.
func (c *Client) fence() *wire.Message {
	return &wire.Message{Type: wire.FindNode, Key: []byte(c.host.ID())}
}

// closeSlowly closes a stream whose peer has not ended its side. That may block
// until the peer has negotiated the protocol, 10 s at most.
func (c *Client) closeSlowly(st *outStream) {
	if !c.pool.join() {
		st.reset()
		return
	}
	go func() {
		defer c.pool.users.Done()
		stop := st.watch(c.life)
		st.close()
		stop()
	}()
}

// drained is how the reading of a stream has ended: err is nil when the peer has
// read everything.
type drained struct {
	answers int // to messages that have no reply
	err     error
}

// drainAside runs drain beside the writing. ended gets its result, upon which a
// write that is under way is ended too: nobody reads it. done closes at last.
func (s *outStream) drainAside(messages int, how confirm) (ended chan drained, done chan struct{}) {
	ended, done = make(chan drained, 1), make(chan struct{})
	go func() {
		defer close(done)
		ended <- s.drain(messages, how == confirmFence)
		_ = s.SetWriteDeadline(time.Now())
	}()
	return ended, done
}

// drain reads answers to ADD_PROVIDER. The peer has read everything at the reply to
// the fence; without one at the last answer or, if it gives none, at the end of the
// stream.
func (s *outStream) drain(messages int, fence bool) (d drained) {
	for range messages + 1 {
		var m wire.Message
		_, err := s.readMessage(func(part []byte, _ bool) error { return m.ParsePart(part) })
		if wire.IsEnd(err) && !fence {
			return d
		}
		if err != nil {
			d.err = err
			return d
		}
		switch {
		case fence && m.Type == wire.FindNode:
			return d
		case m.Type == wire.AddProvider:
			d.answers++
		}
		if !fence && d.answers == messages {
			return d
		}
	}
	d.err = errUnread
	return d
}

// observeNotify reports every message, without its key: which of them a failure
// has hit is not always known.
func (c *Client) observeNotify(start time.Time, to peer.ID, reqs []*wire.Message, sent int, err error) {
	took := time.Since(start)
	outcome, reason := classify(err)
	for i, req := range reqs {
		s := Stats{Type: req.Type, Peer: to, Outcome: NoReply, At: time.Now(), Duration: took, BytesOut: req.Size()}
		if i >= sent {
			s.Outcome, s.Reason = outcome, reason
		}
		c.obs.Outbound(s)
	}
}
