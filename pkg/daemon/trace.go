package daemon

import (
	"context"
	"log/slog"

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
)

var _ rpc.Observer = rpcTrace{}

// rpcTrace logs one line for each RPC at level debug of subsystem rpc.
type rpcTrace struct{ log *slog.Logger }

// Outbound implements rpc.Observer.
func (t rpcTrace) Outbound(s rpc.Stats) { t.line("rpc out", &s) }

// Inbound implements rpc.Observer.
func (t rpcTrace) Inbound(s rpc.Stats) { t.line("rpc in", &s) }

func (t rpcTrace) line(message string, s *rpc.Stats) {
	if !t.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	t.log.Debug(message, "type", s.Type.String(), "key", api.KeyText(s.Key), "peer", s.Peer.String(),
		"ms", milliseconds(s.Duration), "outcome", s.Outcome.String(), "reason", s.Reason)
}
