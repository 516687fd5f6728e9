package rpc

import (
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// inPeer is a peer with open inbound streams.
type inPeer struct {
	streams map[*inStream]struct{}
	limiter *rate.Limiter
}

// SetMaxStreams changes ServerConfig.MaxStreams of a running server. If the new bound is
// lower, idle streams above it are ended at once.
func (s *Server) SetMaxStreams(n int) {
	setDefault(&n, DefaultMaxStreams)
	var ended []*inStream
	s.mu.Lock()
	s.cfg.MaxStreams = n
	for len(s.streams) > n {
		in := s.longestIdle()
		if in == nil {
			break
		}
		s.remove(in)
		ended = append(ended, in)
	}
	s.mu.Unlock()
	for _, in := range ended {
		s.end(in)
	}
}

// end resets a stream that has been unregistered.
func (s *Server) end(in *inStream) {
	_ = in.st.ResetWithError(network.StreamResourceLimitExceeded)
	s.obs.Inbound(Stats{Type: wire.NumTypes, Peer: in.in.From, At: time.Now(), Outcome: Rejected, Reason: ReasonIdle})
}

// admit registers a stream. At a bound it ends an idle stream to admit the new one. If all
// streams are busy, it refuses the new stream and returns the reason.
func (s *Server) admit(st network.Stream) (*inStream, string) {
	from := st.Conn().RemotePeer()
	s.mu.Lock()
	in, ended, reason := s.register(st, from)
	s.mu.Unlock()
	if ended != nil {
		s.end(ended)
	}
	return in, reason
}

// register is the part of admit that needs s.mu.
func (s *Server) register(st network.Stream, from peer.ID) (in, ended *inStream, reason string) {
	if !s.serving {
		return nil, nil, ReasonClosed
	}
	p := s.peers[from]
	switch {
	case p != nil && len(p.streams) >= s.cfg.MaxStreamsPerPeer:
		if ended = p.longestIdle(); ended == nil {
			return nil, nil, ReasonStreams
		}
	case len(s.streams) >= s.cfg.MaxStreams:
		if ended = s.longestIdle(); ended == nil {
			return nil, nil, ReasonStreams
		}
	}
	if ended != nil {
		s.remove(ended)
	}
	if p = s.peers[from]; p == nil {
		p = &inPeer{streams: make(map[*inStream]struct{}), limiter: s.limiterOf(from)}
		s.peers[from] = p
	}
	in = newInStream(s, st, p.limiter)
	p.streams[in] = struct{}{}
	s.streams[in] = struct{}{}
	s.workers.Add(1)
	return in, ended, ReasonNone
}

// longestIdle returns the longest idle stream of the peer with the most streams, or nil if no
// stream is idle. The caller holds s.mu.
func (s *Server) longestIdle() *inStream {
	var found *inStream
	most := 0
	for _, p := range s.peers {
		if len(p.streams) <= most {
			continue
		}
		if idle := p.longestIdle(); idle != nil {
			found, most = idle, len(p.streams)
		}
	}
	return found
}

func (p *inPeer) longestIdle() *inStream {
	var found *inStream
	oldest := int64(math.MaxInt64)
	for in := range p.streams {
		if since := in.idleSince.Load(); since != 0 && since < oldest {
			found, oldest = in, since
		}
	}
	return found
}

// limiterOf returns the limiter of a peer without streams. The caller holds s.mu.
func (s *Server) limiterOf(from peer.ID) *rate.Limiter {
	if l, ok := s.gone.load(from); ok {
		s.gone.remove(from)
		return l
	}
	burst := 0 // ignored without a limit
	if s.cfg.Rate != rate.Inf {
		burst = max(1, int(s.cfg.Rate))
	}
	return rate.NewLimiter(s.cfg.Rate, burst)
}

// leave undoes admit when the goroutine of a stream ends.
func (s *Server) leave(in *inStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(in)
	s.workers.Done()
}

// remove unregisters a stream. It is called early if the stream is ended to admit another.
// The limiter of a peer outlives its streams; otherwise a peer could reset its rate with a
// new stream. The caller holds s.mu.
func (s *Server) remove(in *inStream) {
	if _, ok := s.streams[in]; !ok {
		return
	}
	delete(s.streams, in)
	p := s.peers[in.in.From]
	delete(p.streams, in)
	if len(p.streams) == 0 {
		delete(s.peers, in.in.From)
		s.gone.store(in.in.From, p.limiter)
	}
}
