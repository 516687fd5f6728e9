package daemon

import (
	"context"
	"log/slog"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

var _ rpc.Observer = rpcTrace{}

// rpcTrace logs one line for each RPC at level debug of subsystem rpc, and calls the next
// observer.
type rpcTrace struct {
	log  *slog.Logger
	next rpc.Observer
}

// Outbound implements rpc.Observer.
func (t rpcTrace) Outbound(s rpc.Stats) {
	t.next.Outbound(s)
	t.line("rpc out", &s)
}

// Inbound implements rpc.Observer.
func (t rpcTrace) Inbound(s rpc.Stats) {
	t.next.Inbound(s)
	t.line("rpc in", &s)
}

func (t rpcTrace) line(message string, s *rpc.Stats) {
	if !t.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	t.log.Debug(message, "type", s.Type.String(), "key", traceKey(s), "peer", s.Peer.String(),
		"ms", milliseconds(s.Duration), "outcome", s.Outcome.String(), "reason", s.Reason)
}

// traceKey formats the key of an RPC: that of FIND_NODE is usually a peer ID.
func traceKey(s *rpc.Stats) string {
	if s.Type == wire.FindNode {
		if id, err := peer.IDFromBytes(s.Key); err == nil {
			return id.String()
		}
	}
	return api.KeyText(s.Key)
}
