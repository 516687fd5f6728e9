package node

import (
	"fmt"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// SetIntervals changes intervals of the running node, see dht.Machine.SetIntervals. The
// republish interval must be shorter than Config.ProviderTTL, otherwise it returns
// ErrConfig.
func (n *Node) SetIntervals(i dht.Intervals) error {
	if i.Republish >= n.cfg.ProviderTTL {
		return fmt.Errorf("%w: republish interval %s must be under the provider TTL %s", ErrConfig, i.Republish, n.cfg.ProviderTTL)
	}
	return n.ask(func(now time.Time, m *dht.Machine) {
		m.SetIntervals(now, i)
		if i.Republish > 0 {
			n.interval.Store(int64(i.Republish))
		}
	})
}

// SetMaxInboundStreams changes Config.MaxInboundStreams of the running node.
func (n *Node) SetMaxInboundStreams(streams int) { n.server.SetMaxStreams(streams) }

func (n *Node) republishInterval() time.Duration { return time.Duration(n.interval.Load()) }
