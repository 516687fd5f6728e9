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
	RestoredPeers int      // restored from the snapshot at the start
	Buckets       []Bucket // by CPL, from 0 to the highest that has a peer
	Connected     int
	ConnectedIn   int // of Connected: peers that opened their oldest connection
	Queries       int // running
	NetworkSize   float64
	Records       records.Stats
	Bootstrapped  bool      // a peer has answered, or the first bootstrap attempt is over
	IsolatedSince time.Time // zero: a peer answers, or none has ever answered
	SilentSince   time.Time // like IsolatedSince, but from the first moment, and also with Config.First
	LastSnapshot  time.Time
	LastExpiry    time.Time
	LastRefresh   time.Time
	OldestRefresh time.Time // earliest last refresh of the buckets; zero: one was never refreshed
	LastRepublish time.Time
	Republish     RepublishStatus
	Load          Load
	Bootstraps    Bootstraps
}

// Load is the current use of what the node limits.
type Load struct {
	dht.Load
	InboundStreams  int    // open
	OutboundStreams int    // in use
	IdleStreams     int    // outbound, kept for the next request
	WaitingCalls    int    // waiting for the loop
	DroppedCalls    uint64 // since the start: sightings of peers, dropped because the loop was busy
}

// Bootstraps counts attempts to reach the bootstrap peers since the start.
type Bootstraps struct {
	Reached uint64          // attempts that reached at least one
	Failed  uint64          // attempts that reached none
	Skipped uint64          // attempts without bootstrap peers
	Last    []BootstrapDial // of the last attempt, in the order of the bootstrap peers; read only
}

// BootstrapDial is the result of dialling one bootstrap peer.
type BootstrapDial struct {
	Peer peer.ID
	At   time.Time // when the attempt ended
	Err  error     // an *rpc.DialError; nil: it was reached
}

// RepublishStatus describes the schedule of the published keys.
type RepublishStatus struct {
	Keys     int
	Active   int
	Overdue  int
	Interval time.Duration
	NextDue  time.Time        // zero: nothing is scheduled
	Failures []PublishFailure // the last ones, newest first, without keys published since
	Holders  Holders
	Ended    []PublishEnd // the last keys whose publication ended by itself, newest first
	EndedNum int          // number of such keys since the start

	Unannounced       int    // keys whose first publication has not succeeded yet
	UnannouncedFailed int    // of them: tried since the start, and too few peers stored them
	Done, Failed      uint64 // publications since the start
}

// Holders describes how many other peers stored the published keys. It covers keys whose
// publication was tried since the start.
type Holders struct {
	Keys       int // keys that were tried
	Fewest     int // the smallest number of peers that stored one of them on the last try
	FewestKeys int // keys with that number
}

// Bucket counts the peers of one bucket.
type Bucket struct {
	CPL      int
	Peers    int
	Verified int
}

// Status returns the current state of the node. After Close the fields that the loop fills
// are zero.
func (n *Node) Status() Status {
	s := Status{
		ID: n.host.ID(), Mode: n.cfg.Mode, Serving: n.server.Serving(),
		Reachability: network.Reachability(n.reachability.Load()).String(),
		Uptime:       time.Since(n.started),
		Records:      n.cfg.Store.Stats(),
		Bootstrapped: n.bootstrapped.Load(),
		Bootstraps: Bootstraps{
			Reached: n.bootstraps.reached.Load(), Failed: n.bootstraps.failed.Load(), Skipped: n.bootstraps.skipped.Load(),
			Last: n.bootstrapDials(),
		},
		LastRepublish: n.publisher.lastRepublished(),
	}
	s.Connected, s.ConnectedIn = n.connectedPeers()
	s.Load.InboundStreams = n.server.InboundStreams()
	s.Load.OutboundStreams, s.Load.IdleStreams = n.client.StreamsInFlight(), n.client.StreamsIdle()
	s.Load.WaitingCalls, s.Load.DroppedCalls = len(n.calls), n.dropped.Load()
	for q := range n.over {
		s.Records.Refused[q] += n.over[q].Load()
	}
	s.LastSnapshot, s.LastExpiry = n.cleaner.last()
	_ = n.ask(func(now time.Time, m *dht.Machine) { n.machineStatus(now, m, &s) })
	return s
}

// machineStatus fills the fields that the loop owns. It is called by the loop.
func (n *Node) machineStatus(now time.Time, m *dht.Machine, s *Status) {
	s.TablePeers, s.VerifiedPeers = m.Table().Len()
	s.Buckets = buckets(m.Table())
	s.RestoredPeers = n.restored
	s.Bootstrapped = s.Bootstrapped || s.VerifiedPeers > 0
	since, isolated := m.Isolated(now)
	if s.SilentSince = since; isolated {
		s.IsolatedSince = since
	}
	s.Queries = m.Queries()
	s.Load.Load = m.Load()
	s.NetworkSize = m.NetworkSize()
	s.LastRefresh, s.OldestRefresh = m.LastRefresh(), m.Table().OldestRefresh()
	s.Republish = n.republishStatus(m.Schedule().Stats(now))
}

func (n *Node) republishStatus(sched republish.Stats) RepublishStatus {
	ended := n.publisher.endings()
	r := RepublishStatus{
		Keys: sched.Keys, Active: sched.Active, Overdue: sched.Overdue,
		Interval: n.republishInterval(), NextDue: sched.Next, Failures: n.publisher.failures(),
		Ended: ended.last, EndedNum: ended.n,
		Holders: Holders{Keys: sched.Tried, Fewest: sched.Fewest, FewestKeys: sched.Worst},
	}
	n.unannounced.describe(&r)
	return r
}

// connectedPeers counts the connected peers, and those of them that opened their oldest
// connection.
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

// buckets counts the peers of a table by bucket.
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

// Ring counts the published keys by equal sectors of the keyspace, from key 0 upwards. Its
// cost does not grow with the number of keys. After Close it returns nil.
func (n *Node) Ring(sectors int) (ring []republish.Sector) {
	_ = n.ask(func(now time.Time, m *dht.Machine) { ring = m.Schedule().Ring(sectors, now) })
	return ring
}
