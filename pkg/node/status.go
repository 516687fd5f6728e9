package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/republish"
)

// Status returns what the node is doing. After Close the Machine's part is zero.
func (n *Node) Status() Status {
	s := Status{
		ID: n.host.ID(), Mode: n.cfg.Mode, Serving: n.server.Serving(),
		Reachability: network.Reachability(n.reachability.Load()).String(),
		Uptime:       time.Since(n.started),
		Records:      n.cfg.Store.Stats(),
		Bootstrapped: n.bootstrapped.Load(),
	}
	s.Connected, s.ConnectedIn = n.connectedPeers()
	s.Load.InboundStreams = n.server.InboundStreams()
	s.Load.OutboundStreams, s.Load.IdleStreams = n.client.StreamsInFlight(), n.client.StreamsIdle()
	s.Load.WaitingCalls, s.Load.DroppedCalls = len(n.calls), n.dropped.Load()
	s.Bootstraps = Bootstraps{
		Reached: n.bootstraps.reached.Load(), Failed: n.bootstraps.failed.Load(), Skipped: n.bootstraps.skipped.Load(),
	}
	for q := range n.over {
		s.Records.Refused[q] += n.over[q].Load()
	}
	s.LastSnapshot, s.LastExpiry = n.cleaner.last()
	s.LastRepublish = n.publisher.lastRenewed()
	unannounced, done, failed := n.unannounced.counts()
	_ = n.ask(func(now time.Time, m *dht.Machine) {
		s.TablePeers, s.VerifiedPeers = m.Table().Len()
		s.RestoredPeers = n.restored
		s.Bootstrapped = s.Bootstrapped || s.VerifiedPeers > 0
		if since, isolated := m.Isolated(now); isolated {
			s.IsolatedSince = since
		}
		s.Queries = m.Queries()
		s.Load.Load = m.Load()
		s.NetworkSize = m.NetworkSize()
		s.LastRefresh, s.OldestRefresh = m.LastRefresh(), m.Table().OldestRefresh()
		sched, ended := m.Schedule().Stats(now), n.publisher.endings()
		s.Republish = RepublishStatus{
			Keys: sched.Keys, Active: sched.Active, Overdue: sched.Overdue,
			Interval: n.republishInterval(), NextDue: sched.Next, Failures: n.publisher.failures(),
			Ended: ended.last, EndedNum: ended.n,
			Holders:     Holders{Keys: sched.Tried, Fewest: sched.Fewest, FewestKeys: sched.Worst},
			Unannounced: unannounced, Done: done, Failed: failed,
		}
	})
	return s
}

// connectedPeers counts the connected peers, and those among them whose oldest
// connection they opened.
func (n *Node) connectedPeers() (all, inbound int) {
	oldest := make(map[peer.ID]network.ConnStats)
	for _, c := range n.host.Network().Conns() {
		now := c.Stat()
		if was, ok := oldest[c.RemotePeer()]; !ok || now.Opened.Before(was.Opened) {
			oldest[c.RemotePeer()] = now
		}
	}
	for _, s := range oldest {
		if s.Direction == network.DirInbound {
			inbound++
		}
	}
	return len(oldest), inbound
}

// Table returns the peers of the routing table, nearest buckets first.
func (n *Node) Table() []TableEntry {
	var out []TableEntry
	_ = n.ask(func(time.Time, *dht.Machine) {
		for e := range n.machine.Table().Entries {
			t := TableEntry{
				CPL: e.CPL, ID: peer.ID(e.Peer.ID), Verified: e.Verified,
				LastSeen: e.LastSeen, Added: e.Added, Group: string(e.Group),
			}
			if c := n.book.contacts[e.Peer.ID]; c != nil {
				t.RTT = c.rtt
				for _, a := range rpc.Multiaddrs(c.addrs) {
					t.Addrs = append(t.Addrs, a.String())
				}
			}
			out = append(out, t)
		}
	})
	return out
}

// Picture returns the buckets up to the highest that has a peer, and the published
// keys by equal parts of the keyspace. Its cost is bounded, whatever is published.
func (n *Node) Picture(sectors int) (buckets []Bucket, ring []republish.Sector) {
	_ = n.ask(func(now time.Time, m *dht.Machine) {
		for e := range m.Table().Entries {
			for len(buckets) <= e.CPL {
				buckets = append(buckets, Bucket{CPL: len(buckets)})
			}
			buckets[e.CPL].Peers++
			if e.Verified {
				buckets[e.CPL].Verified++
			}
		}
		ring = m.Schedule().Ring(sectors, now)
	})
	return buckets, ring
}

// BucketSizes returns the number of peers in each bucket that has any, by CPL.
func (n *Node) BucketSizes() map[int]int {
	sizes := make(map[int]int)
	_ = n.ask(func(time.Time, *dht.Machine) {
		for e := range n.machine.Table().Entries {
			sizes[e.CPL]++
		}
	})
	return sizes
}
