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
	// notifyChunk is the maximum number of bytes of frames per write, unless one frame is
	// larger.
	notifyChunk = 16 << 10
	// notifyGiveUp is the number of consecutive failures after which the rest of a Notify is
	// skipped, when each message has its own stream.
	notifyGiveUp = 3
	// answerWait is how long a peer has to answer the first message without a reply before
	// our side of the stream is closed, as long as it is unknown whether the peer answers
	// such messages: a round trip and some work. Known peers have ConfirmTimeout.
	answerWait = 500 * time.Millisecond
)

// confirm is how a peer confirms that it has read the messages.
type confirm uint8

const (
	confirmEnd     confirm = iota // it ends the stream after our side has ended
	confirmFence                  // it answers the fence
	confirmAnswers                // it answers each message; only then our side ends
	confirmEither                 // it answers soon, or ends the stream as with confirmEnd
)

// errResetAtEnd is returned by pipeline when a peer had time to answer or reject a message,
// but reset the stream only when our side ended.
var errResetAtEnd = errors.New("peer reset the stream at its end")

// errEndedEarly is returned by writeAll when the peer ended the stream before our side did.
// drain returns the cause.
var errEndedEarly = errors.New("peer ended the stream early")

// Notify sends messages that have no reply (ADD_PROVIDER). It returns how many of them the
// peer has accepted, as far as this can be known, and in err why the others failed.
//
// A message written to a stream that the peer has already ended is lost without an error.
// Therefore Notify does not write to pooled streams, does not pool its own, and has every
// message confirmed:
//
//   - A single message has its own stream. Our side is half-closed, and the peer ends its
//     side after reading the message. An answer also confirms it, however the stream ends. A
//     reset without an answer means that the message was rejected.
//   - A peer that answers may reset the stream when it reads the end of our side, and its
//     answer is lost. So our side stays open until the answer. If it is unknown whether the
//     peer answers, it has a moment to do so. If it resets the stream after that, Notify
//     sends the message once more and waits for ConfirmTimeout. If the peer then resets the
//     stream only when our side ends (js-libp2p), it has accepted the message. Such a peer
//     ends the stream cleanly if our side ends at once, so later messages do that.
//   - Several messages to a peer that is known to serve several requests per stream share one
//     stream and are confirmed in the same way.
//   - If this is unknown, a FIND_NODE follows the messages as a fence. Streams are served in
//     order, so its reply proves that the peer has read everything before. If the stream ends
//     instead, the peer serves one request per stream.
//   - For such peers, and after a failed pipeline, each message has its own stream. Some
//     messages may therefore arrive twice, which only republishes them.
//
// If a peer receives the bytes but neither ends nor resets the stream within ConfirmTimeout,
// the messages count as accepted. If a peer that is known to answer resets a message instead,
// it limits how many it accepts: ErrLimited.
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
		return sent, fmt.Errorf("notify %v: %w", to, err)
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
		return taken, err // unreachable, silent or cancelled: a retry would not help
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

// pipeline calls pipelineOnce, and once more if the connection is lost.
func (c *Client) pipeline(ctx context.Context, to peer.ID, reqs []*wire.Message, how confirm) (taken int, err error) {
	taken, err = c.pipelineOnce(ctx, to, reqs, how)
	if !errors.Is(err, ErrConnLost) {
		return taken, err
	}
	rest, err := c.pipelineOnce(ctx, to, reqs[taken:], how)
	return taken + rest, err
}

// pipelineOnce writes messages back to back on a new stream and waits until the peer has
// confirmed all of them. On failure, taken is the number of messages that were answered.
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
		wait = c.cfg.Timeout // the fence needs an answer, like a request
	}
	if isTimeout(failed) || ctx.Err() != nil || st.SetReadDeadline(time.Now().Add(wait)) != nil {
		st.reset() // this ends drain
	}
	got := <-ended
	switch err = got.err; {
	case err == nil && (failed == nil || len(reqs) == 1 || got.answers == len(reqs)):
		st.close()
		c.took(to, got.answers > 0)
		return len(reqs), nil
	case err == nil:
		err = io.EOF // before the peer can have read everything
	case st.lost(err): // unknown what the peer has read; describe returns ErrConnLost
	case failed == nil && how != confirmFence && isTimeout(err) && ctx.Err() == nil:
		c.closeSlowly(st) // a reset could discard what the peer has not read yet
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

// writeAll writes the messages, and then the fence or, without one, the end of our side
// (closed), after the answers if necessary. It stops when the peer ends the stream before it
// can have read everything.
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
		if hasEnded(ended) { // check after setting the deadline, because the end of drain changes it
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

// hasEnded reports whether drain has returned. The result of drain stays in ended.
func hasEnded(ended chan drained) bool {
	select {
	case got := <-ended:
		ended <- got
		return true
	default:
		return false
	}
}

// awaitEnd waits for drain, at most for most, and returns the result of hasEnded.
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

// fence returns the request whose reply proves that everything before it was read. It
// requests the peers closest to ourselves, which every implementation answers. rust-libp2p
// refuses PING.
func (c *Client) fence() *wire.Message {
	return &wire.Message{Type: wire.FindNode, Key: []byte(c.host.ID())}
}

// closeSlowly closes a stream whose peer has not ended its side. This may block until the
// peer has negotiated the protocol, at most 10 s.
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

// drained is the result of reading a stream to its end. err is nil if the peer has read
// everything.
type drained struct {
	answers int // to messages that have no reply
	err     error
}

// drainAside runs drain concurrently with the writes. It sends the result to ended and then
// interrupts a pending write, which the peer will not read. Finally it closes done.
func (s *outStream) drainAside(messages int, how confirm) (ended chan drained, done chan struct{}) {
	ended, done = make(chan drained, 1), make(chan struct{})
	go func() {
		defer close(done)
		ended <- s.drain(messages, how == confirmFence)
		_ = s.SetWriteDeadline(time.Now())
	}()
	return ended, done
}

// drain reads answers to ADD_PROVIDER. The reply to the fence proves that the peer has read
// everything. Without a fence, the last answer does, or the end of the stream if the peer
// does not answer.
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

// observeNotify reports every message, without its key, because it is not always known which
// of them failed.
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
