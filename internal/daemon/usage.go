package daemon

import (
	"context"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/usage"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// observers calls several observers for each RPC.
type observers []rpc.Observer

var _ rpc.Observer = observers{}

// Outbound implements rpc.Observer.
func (all observers) Outbound(s rpc.Stats) {
	for _, o := range all {
		o.Outbound(s)
	}
}

// Inbound implements rpc.Observer.
func (all observers) Inbound(s rpc.Stats) {
	for _, o := range all {
		o.Inbound(s)
	}
}

// Usage implements api.Backend.
func (b *Backend) Usage(context.Context) ([]api.PeerUsage, error) {
	if b.usage == nil {
		return nil, api.Errorf(api.CodeUnsupported, "this node runs for one command only and does not count usage; ask a daemon")
	}
	r := b.usage.Report()
	held, err := b.held(recordPeers(r.Peers))
	out := make([]api.PeerUsage, 0, len(r.Peers)+1)
	for i := range r.Peers {
		u := b.peerUsage(&r.Peers[i])
		if u.RecordsHeld = -1; err == nil {
			u.RecordsHeld = int64(held[i])
		}
		out = append(out, u)
	}
	if r.Others.Total() > 0 {
		out = append(out, costOf(&r.Others))
	}
	return out, nil
}

// recordPeers returns the IDs of peers, as records name them.
func recordPeers(peers []usage.Peer) []kad.PeerID {
	ids := make([]kad.PeerID, len(peers))
	for i := range peers {
		ids[i] = kad.PeerID(peers[i].ID)
	}
	return ids
}

func (b *Backend) peerUsage(p *usage.Peer) api.PeerUsage {
	u := costOf(&p.Cost)
	u.PeerID = p.ID.String()
	u.Agent = b.agentOf(p.ID)
	u.Connected = b.node.Host().Network().Connectedness(p.ID) == network.Connected
	return u
}

// agentOf returns the agent that a peer has sent by identify, or "".
func (b *Backend) agentOf(id peer.ID) string {
	v, err := b.node.Host().Peerstore().Get(id, "AgentVersion")
	if err != nil {
		return ""
	}
	agent, _ := v.(string)
	return agent
}

func costOf(c *usage.Cost) api.PeerUsage {
	u := api.PeerUsage{
		Requests: c.Total(), ByType: make(map[string]uint64), Rejected: c.Rejected,
		BytesIn: c.BytesIn, BytesOut: c.BytesOut, BusyMs: milliseconds(c.Busy),
		RecordsStored: c.Stored, First: c.First, Last: c.Last,
	}
	for t, n := range c.Requests {
		if n > 0 {
			u.ByType[wire.Type(t).String()] = n
		}
	}
	return u
}
