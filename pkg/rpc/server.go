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

// ErrStillServing is returned by Server.Close when a handler did not return in time.
var ErrStillServing = errors.New("rpc: handlers still at work")

// Inbound says where a request comes from.
type Inbound struct {
	From  peer.ID
	Addr  ma.Multiaddr // remote address of the connection
	Scope wire.Scope   // of the connection
	Now   time.Time    // when the request was complete
}

// HandleFunc answers one request. It is called concurrently, for one stream in
// order. req and resp are valid during the call only; all bytes of req belong to
// a buffer that is reused, so what is kept must be copied. Addresses in req that
// do not fit Inbound.Scope have been removed. resp comes with the type of the
// request and no other field; its lists are to be appended to, never replaced by
// slices that others read: they are trimmed and cleared. With reply false nothing
// is sent; an error rejects the request by resetting the stream.
type HandleFunc func(in Inbound, req, resp *wire.Message) (reply bool, err error)

// Server answers the requests of peers. It is safe for concurrent use.
type Server struct {
	host   host.Host
	protos []protocol.ID
	handle HandleFunc
	cfg    ServerConfig
	obs    Observer

	switching sync.Mutex // held while handlers are set or removed

	mu      sync.Mutex
	serving bool
	closed  bool
	streams map[*inStream]struct{}
	peers   map[peer.ID]*inPeer          // with open streams
	gone    *lru[peer.ID, *rate.Limiter] // without
	workers sync.WaitGroup
}

// NewServer returns a server that does not serve yet; see SetServing. The host
// must outlive it. A nil obs observes nothing.
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

// SetServing switches between server and client mode: on, the protocols are
// announced; off, they are not and open streams are reset. After Close it does
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

// Serving reports whether the server is switched on.
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
		_ = st.ResetWithError(network.StreamShutdown) // its goroutine sees the end
	}
}

// InboundStreams returns how many inbound streams are open.
func (s *Server) InboundStreams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Close stops serving, resets open streams and waits for their handlers, at most
// ServerConfig.CloseTimeout: then it returns ErrStillServing. It is idempotent.
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
		return fmt.Errorf("rpc: close server: %w after %v", ErrStillServing, s.cfg.CloseTimeout)
	}
}

// serve is the stream handler.
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
