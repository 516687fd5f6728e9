package rpc

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// pool holds the idle streams of a client and limits the streams per peer. Its streams are
// clean: every request on them was answered, and no byte is unread.
type pool struct {
	cfg *ClientConfig

	mu     sync.Mutex
	closed bool
	peers  map[peer.ID]*outPeer
	idle   *list.List  // of *outStream, oldest first
	reaper *time.Timer // runs while idle is not empty
	busy   int         // streams in use
	users  sync.WaitGroup
}

// outPeer is a peer with streams that are in use or idle.
type outPeer struct {
	id    peer.ID
	slots chan struct{} // one element per stream in use
	users int           // callers that hold a slot or wait for one
	idle  []*outStream  // newest last
}

func newPool(cfg *ClientConfig) *pool {
	return &pool{cfg: cfg, peers: make(map[peer.ID]*outPeer), idle: list.New()}
}

// acquire waits for a slot of the peer. After success the caller must call release.
func (p *pool) acquire(ctx context.Context, id peer.ID) (*outPeer, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	op := p.peers[id]
	if op == nil {
		op = &outPeer{id: id, slots: make(chan struct{}, p.cfg.MaxStreamsPerPeer)}
		p.peers[id] = op
	}
	op.users++
	p.users.Add(1)
	p.mu.Unlock()
	select {
	case op.slots <- struct{}{}:
	case <-ctx.Done():
		p.leave(op, 0)
		return nil, ctx.Err()
	}
	p.mu.Lock()
	p.busy++
	p.mu.Unlock()
	return op, nil
}

// release returns the slot.
func (p *pool) release(op *outPeer) {
	<-op.slots
	p.leave(op, 1)
}

func (p *pool) leave(op *outPeer, busy int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy -= busy
	op.users--
	p.forget(op)
	p.users.Done()
}

// forget removes a peer that is no longer needed. The caller holds p.mu.
func (p *pool) forget(op *outPeer) {
	if op.users == 0 && len(op.idle) == 0 && p.peers[op.id] == op {
		delete(p.peers, op.id)
	}
}

// take returns the newest idle stream of the peer, or nil.
func (p *pool) take(op *outPeer) *outStream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(op.idle) == 0 {
		return nil
	}
	s := op.idle[len(op.idle)-1]
	p.remove(s)
	return s
}

// put keeps a clean stream for reuse, or closes it if enough are kept.
func (p *pool) put(op *outPeer, s *outStream) {
	p.mu.Lock()
	if p.closed || len(op.idle) >= p.cfg.MaxIdlePerPeer {
		p.mu.Unlock()
		s.close()
		return
	}
	var oldest *outStream
	if p.idle.Len() >= p.cfg.MaxIdle {
		oldest = p.idle.Front().Value.(*outStream)
		p.remove(oldest)
	}
	s.since, s.owner = time.Now(), op
	s.place = p.idle.PushBack(s)
	op.idle = append(op.idle, s)
	if p.idle.Len() == 1 {
		p.schedule(p.cfg.IdleTimeout)
	}
	p.mu.Unlock()
	oldest.close()
}

// remove removes an idle stream from the pool. The caller holds p.mu.
func (p *pool) remove(s *outStream) {
	op := s.owner
	for i, t := range op.idle {
		if t == s {
			op.idle = append(op.idle[:i], op.idle[i+1:]...)
			break
		}
	}
	p.idle.Remove(s.place)
	s.place = nil
	p.forget(op)
}

// join makes close wait for users.Done. It returns false if the pool is already closed.
func (p *pool) join() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.users.Add(1)
	}
	return !p.closed
}

// schedule arms the reaper. The caller holds p.mu.
func (p *pool) schedule(d time.Duration) {
	if p.reaper == nil {
		p.reaper = time.AfterFunc(d, p.reap)
		return
	}
	p.reaper.Reset(d)
}

// reap closes streams that have been idle for too long.
func (p *pool) reap() {
	var old []*outStream
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.users.Add(1) // Close waits
	defer p.users.Done()
	now := time.Now()
	for p.idle.Len() > 0 {
		s := p.idle.Front().Value.(*outStream)
		if left := p.cfg.IdleTimeout - now.Sub(s.since); left > 0 {
			p.schedule(left)
			break
		}
		p.remove(s)
		old = append(old, s)
	}
	p.mu.Unlock()
	for _, s := range old {
		s.close()
	}
}

// close refuses new users and resets idle streams. It does not wait.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.reaper != nil {
		p.reaper.Stop()
	}
	var old []*outStream
	for p.idle.Len() > 0 {
		s := p.idle.Front().Value.(*outStream)
		p.remove(s)
		old = append(old, s)
	}
	p.mu.Unlock()
	for _, s := range old {
		s.reset()
	}
}

func (p *pool) counts() (busy, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy, p.idle.Len()
}
