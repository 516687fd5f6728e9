package nodesource

import (
	"github.com/holdfast-dht/holdfast/metrics"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/storage"
)

// The observers fit what they are for.
var (
	_ node.HousekeepingObserver = (*metrics.Housekeeping)(nil)
	_ storage.Observer          = (*metrics.Storage)(nil)
)

// Source is the metrics.Source of a node. Safe for concurrent use.
type Source struct {
	node     *node.Node
	db       *storage.DB
	quotas   [records.NumQuotas]int64
	diskFull func() bool
}

var _ metrics.Source = (*Source)(nil)

// New returns the source of a node, the database its records are in, the limits of the
// quotas, and whether the disk is full; a nil db for a node that keeps them in memory.
func New(n *node.Node, db *storage.DB, quotas [records.NumQuotas]int64, diskFull func() bool) *Source {
	return &Source{node: n, db: db, quotas: quotas, diskFull: diskFull}
}

// Read implements metrics.Source.
func (s *Source) Read() metrics.Reading {
	st := s.node.Status()
	r := metrics.Reading{
		Bootstrapped: st.Bootstrapped, Isolated: !st.IsolatedSince.IsZero(), Serving: st.Serving, Reachability: st.Reachability,
		TablePeers: st.TablePeers, VerifiedPeers: st.VerifiedPeers, RestoredPeers: st.RestoredPeers,
		Buckets: s.node.BucketSizes(), NetworkSize: st.NetworkSize, OldestRefresh: st.OldestRefresh,
		Load:           st.Load.Load,
		InboundStreams: st.Load.InboundStreams, OutboundStreams: st.Load.OutboundStreams, IdleStreams: st.Load.IdleStreams,
		WaitingCalls: st.Load.WaitingCalls, DroppedCalls: st.Load.DroppedCalls,
		ConnectedIn: st.ConnectedIn, ConnectedOut: st.Connected - st.ConnectedIn,
		RepublishKeys:   st.Republish.Keys,
		RepublishActive: st.Republish.Active, RepublishOverdue: st.Republish.Overdue,
		FewestHolders: st.Republish.Holders.Fewest, FewestHoldersKeys: st.Republish.Holders.FewestKeys,
		Records: st.Records, Quotas: s.quotas,
	}
	r.Bootstraps[metrics.BootstrapReached] = st.Bootstraps.Reached
	r.Bootstraps[metrics.BootstrapFailed] = st.Bootstraps.Failed
	r.Bootstraps[metrics.BootstrapSkipped] = st.Bootstraps.Skipped
	if s.db != nil {
		if sizes, err := s.db.Sizes(); err == nil { // its observer counts the error
			r.DBSize, r.DBFree, r.DBFill = sizes.File, sizes.Free, sizes.Fill
			r.DiskFree, r.DiskSize = sizes.Disk.Free, sizes.Disk.Total
		}
		if _, bytes, err := s.db.CopiesSize(); err == nil {
			r.DBCopies = bytes
		}
		r.DBFailed, r.DiskFull = s.db.Err() != nil, s.diskFull()
	}
	return r
}
