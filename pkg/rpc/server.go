package rpc

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/time/rate"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ErrStillServing is returned by Server.Close if a handler did not return in time.
var ErrStillServing = errors.New("handlers still at work")

// Inbound describes the origin of a request.
type Inbound struct {
	From  peer.ID
	Addr  ma.Multiaddr // remote address of the connection
	Scope wire.Scope   // of the connection
	Now   time.Time    // when the request was complete
}

// HandleFunc answers one request. It is called concurrently for different streams, and in
// order for each stream. req and resp are valid only during the call. The bytes of req are in
// a buffer that is reused, so the handler must copy what it keeps. Addresses in req outside
// Inbound.Scope have been removed. resp has the type of the request and no other field. The
// handler must append to its lists and must not replace them with slices that other
// goroutines read, because they are trimmed and cleared. If reply is false, nothing is sent.
// An error rejects the request by resetting the stream.
type HandleFunc func(in Inbound, req, resp *wire.Message) (reply bool, err error)

// Server answers the requests of peers. Safe for concurrent use.
type Server struct {
	host   host.Host
	protos []protocol.ID
	handle HandleFunc
	cfg    ServerConfig
	obs    Observer

	switching sync.Mutex // held while stream handlers are set or removed

	mu      sync.Mutex
	serving bool
	closed  bool
	streams map[*inStream]struct{}
	peers   map[peer.ID]*inPeer          // with open streams
	gone    *lru[peer.ID, *rate.Limiter] // peers without open streams
	workers sync.WaitGroup
}

// NewServer returns a server that is not serving yet (see SetServing). The host must outlive
// it. obs may be nil.
func NewServer(h host.Host, protos []protocol.ID, handle HandleFunc, cfg ServerConfig, obs Observer) *Server {
	cfg.setDefaults()
	if obs == nil {
		obs = NopObserver{}
	}
	return &Server{
		host: h, protos: protos, handle: handle, cfg: cfg, obs: obs,
		streams: make(map[*inStream]struct{}),
		peers:   make(map[peer.ID]*inPeer),
		gone:    newLRU[peer.ID, *rate.Limiter](cfg.MaxMemory),
	}
}

// SetServing switches between server mode and client mode. In server mode, the protocols are
// announced. In client mode they are not, and open streams are reset. After Close it does
// nothing.
func (s *Server) SetServing(on bool) {
	s.switching.Lock()
	defer s.switching.Unlock()
	s.mu.Lock()
	on = on && !s.closed
	changed := s.serving != on
	s.serving = on
	s.mu.Unlock()
	if !changed {
		return
	}
	for _, p := range s.protos {
		if on {
			s.host.SetStreamHandler(p, s.serve)
		} else {
			s.host.RemoveStreamHandler(p)
		}
	}
	if !on {
		s.resetAll()
	}
}

// Serving reports whether the server is in server mode.
func (s *Server) Serving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serving
}

func (s *Server) resetAll() {
	s.mu.Lock()
	open := make([]network.Stream, 0, len(s.streams))
	for in := range s.streams {
		open = append(open, in.st)
	}
	s.mu.Unlock()
	for _, st := range open {
		_ = st.ResetWithError(network.StreamShutdown) // its goroutine notices
	}
}

// InboundStreams returns the number of open inbound streams.
func (s *Server) InboundStreams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Close stops serving, resets open streams and waits for their handlers, at most for
// ServerConfig.CloseTimeout. After that it returns ErrStillServing. It may be called more
// than once.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.SetServing(false)
	done := make(chan struct{})
	go func() {
		s.workers.Wait()
		close(done)
	}()
	t := time.NewTimer(s.cfg.CloseTimeout)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fmt.Errorf("close server: %w after %v", ErrStillServing, s.cfg.CloseTimeout)
	}
}

// serve handles an inbound stream.
func (s *Server) serve(st network.Stream) {
	in, reason := s.admit(st)
	if in == nil {
		_ = st.ResetWithError(network.StreamResourceLimitExceeded)
		s.obs.Inbound(Stats{Type: wire.NumTypes, Peer: st.Conn().RemotePeer(), At: time.Now(), Outcome: Rejected, Reason: reason})
		return
	}
	defer s.leave(in)
	if err := in.run(); err != nil {
		_ = st.Reset()
		return
	}
	_ = st.Close() // the peer has ended its side
}
