package daemon

import (
	"time"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/internal/verdict"
	"github.com/holdfast-dht/holdfast/pkg/node"
)

// verdictOn returns the verdict on a daemon of a version.
func verdictOn(f *verdict.Facts, version string) api.Verdict {
	found := verdict.Of(f, verdict.Docs(version))
	v := api.Verdict{Cause: api.Cause(found[0]), Causes: []api.Cause{}}
	for _, c := range found {
		if c.Level != verdict.OK {
			v.Causes = append(v.Causes, api.Cause(c))
		}
	}
	return v
}

// facts returns the facts of this moment. The status and the configuration are already in o.
func (d *Daemon) facts(s *node.Status, o *api.Overview, used *process) verdict.Facts {
	f := verdict.Facts{
		Now: o.Taken, Starting: o.Status.State == stateStarting, Stopping: o.Status.State == stateStopping, Uptime: s.Uptime,
		TablePeers: s.TablePeers, VerifiedPeers: s.VerifiedPeers, NetworkSize: s.NetworkSize, IsolatedSince: s.IsolatedSince,
		First:         d.config.Network.BootstrapRole == config.RoleFirst,
		Bootstrap:     verdict.Bootstrap{Peers: len(o.Bootstrap), Over: s.Bootstrapped, Dialled: len(s.Bootstraps.Last)},
		DiskFullSince: o.Status.DiskFullSince, DiskFree: o.Status.DiskFree, DiskSize: o.Status.DiskTotal,
		DatabaseFailed: d.store.Err() != nil, DatabaseFill: o.Status.DBFill,
		Memory: used.memory, MemoryLimit: used.memoryLimit, Descriptors: used.descriptors, DescriptorsLimit: used.descriptorsLimit,
		OverdueKeys: s.Republish.Overdue, ReloadFailedSince: o.Config.ReloadFailedSince,
	}
	for _, dial := range s.Bootstraps.Last {
		if dial.Err != nil {
			f.Bootstrap.Failed++
		}
	}
	f.BuiltAt, _ = time.Parse(time.RFC3339, BuildInfo().Date) // unknown: the zero time
	return f
}
