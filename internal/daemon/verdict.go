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

// judge returns the verdict of this moment. st is the status of the daemon with s.
func (d *Daemon) judge(s *node.Status, st *api.Status) api.Verdict {
	kept := d.recorder.last.Load() // before the totals, so that its samples are older
	used, totals := readProcess(), d.metrics.Totals()
	now := d.sample(s, &totals)
	f := d.facts(s, st, &used)
	kept.orFrom(&now).describe(&f, &now)
	return verdictOn(&f, st.Version)
}

// facts returns the facts of this moment, without those of the recorder. st is the status of
// the daemon with s.
func (d *Daemon) facts(s *node.Status, st *api.Status, used *process) verdict.Facts {
	f := d.peerFacts(s)
	f.Now, f.Starting, f.Stopping = time.Now(), st.State == stateStarting, st.State == stateStopping
	f.DiskFullSince, f.DiskFree, f.DiskSize = st.DiskFullSince, st.DiskFree, st.DiskTotal
	damage := d.damage()
	f.DamagedFiles, f.Unrecovered, f.DamagedAt = damage.Files, damage.Unrecovered, damage.Last
	f.DatabaseFailed, f.DatabaseFill = d.store.Err() != nil, st.DBFill
	f.Memory, f.MemoryLimit, f.Descriptors, f.DescriptorsLimit = used.memory, used.memoryLimit, used.descriptors, used.descriptorsLimit
	f.OverdueKeys, f.UntakenKeys = s.Republish.Overdue, s.Republish.UnannouncedFailed
	if r := d.refused.Load(); r != nil {
		f.ReloadFailedSince = r.since
	}
	f.BuiltAt, _ = time.Parse(time.RFC3339, BuildInfo().Date) // unknown: the zero time
	return f
}

// peerFacts returns the facts that say whether the node has peers.
func (d *Daemon) peerFacts(s *node.Status) verdict.Facts {
	configured, _ := ParseBootstrap(d.current().Config.Network.Bootstrap) // a load checks it
	f := verdict.Facts{
		Now: time.Now(), Uptime: s.Uptime,
		TablePeers: s.TablePeers, VerifiedPeers: s.VerifiedPeers, NetworkSize: s.NetworkSize,
		SilentSince: s.SilentSince, IsolatedSince: s.IsolatedSince, Asking: s.Load.Probes+s.Load.Candidates > 0,
		First:     d.config.Network.BootstrapRole == config.RoleFirst,
		Bootstrap: verdict.Bootstrap{Peers: len(configured), Over: s.Bootstrapped, Dialled: len(s.Bootstraps.Last)},
	}
	for _, dial := range s.Bootstraps.Last {
		if dial.Err != nil {
			f.Bootstrap.Failed++
		}
	}
	return f
}

// problems returns a line for each problem in a verdict.
func problems(v *api.Verdict) (lines []string) {
	for _, c := range v.Causes {
		if c.IsProblem() {
			lines = append(lines, verdict.Cause(c).String())
		}
	}
	return lines
}
