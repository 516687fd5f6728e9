package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kbucket"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/republish"
)

// Status describes the node at one moment.
type Status struct {
	ID            peer.ID
	Mode          Mode   // as configured
	Serving       bool   // in server mode now
	Reachability  string // public, private, unknown
	Uptime        time.Duration
	TablePeers    int
	VerifiedPeers int
	RestoredPeers int      // taken from the snapshot at start
	Buckets       []Bucket // by CPL from 0, to the highest that has a peer
	Connected     int
	ConnectedIn   int // of Connected: those whose oldest connection they opened
	Queries       int // running
	NetworkSize   float64
	Records       records.Stats
	Bootstrapped  bool      // the table was restored or bootstrap was attempted
	IsolatedSince time.Time // zero: a peer answers, or none ever did
	LastSnapshot  time.Time
	LastExpiry    time.Time
	LastRefresh   time.Time
	OldestRefresh time.Time // of the bucket that has waited longest; zero: one never was
	LastRepublish time.Time
	Republish     RepublishStatus
	Load          Load
	Bootstraps    Bootstraps
}

// Load says how far the node's bounds are used.
type Load struct {
	dht.Load
	InboundStreams  int // open
	OutboundStreams int // in use
	IdleStreams     int // outbound, kept for the next request
	WaitingCalls    int // for the loop
	// DroppedCalls counts since the start: news of peers the loop had no time for.
	DroppedCalls uint64
}

// Bootstraps counts attempts to reach the bootstrap peers since the start.
type Bootstraps struct {
	Reached uint64 // at least one
	Failed  uint64 // none
	Skipped uint64 // there were none to reach
}

// RepublishStatus describes the schedule of the published keys.
type RepublishStatus struct {
	Keys     int
	Active   int
	Overdue  int
	Interval time.Duration
	NextDue  time.Time        // zero: nothing scheduled
	Failures []PublishFailure // the last ones, of keys not published since; newest first
	Holders  Holders
	Ended    []PublishEnd // the last publications that ended by themselves, newest first
	EndedNum int          // of them since the start

	Unannounced  int    // keys whose first publication has not succeeded yet
	Done, Failed uint64 // publications since the start
}

// Holders says by how many other peers the published keys are held, as far as they
// were published or tried since the start.
type Holders struct {
	Keys       int // of which it is known
	Fewest     int // the smallest number of peers that took any of these keys when it was last tried
	FewestKeys int // how many keys that number holds for
}

// Bucket sums up the peers of one bucket.
type Bucket struct {
	CPL      int
	Peers    int
	Verified int
}

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
		s.Buckets = buckets(m.Table())
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

// Table returns the peers of the routing table, nearest buckets first; none after Close.
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

// buckets sums up a table, whose buckets are bounded in number and size.
func buckets(t *kbucket.Table) (out []Bucket) {
	for e := range t.Entries {
		for len(out) <= e.CPL {
			out = append(out, Bucket{CPL: len(out)})
		}
		out[e.CPL].Peers++
		if e.Verified {
			out[e.CPL].Verified++
		}
	}
	return out
}

// Ring returns the published keys by equal parts of the keyspace, from key 0 upwards.
// Its cost is bounded, whatever is published.
func (n *Node) Ring(sectors int) (ring []republish.Sector) {
	_ = n.ask(func(now time.Time, m *dht.Machine) { ring = m.Schedule().Ring(sectors, now) })
	return ring
}
