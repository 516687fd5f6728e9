package daemon

import (
	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/verdict"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// The units of an api.Limit.
const (
	unitBytes = "bytes"
	unitCount = "count"
)

// high is the share of a limit that is a warning, where the verdict does not have its own.
const high = verdict.FillHigh

// limits returns what is in use of everything that is limited. The status is already in o.
func (d *Daemon) limits(s *node.Status, o *api.Overview, used *process) []api.Limit {
	st := &o.Status
	quotas := quotaLimits(&d.config, d.store)
	l := d.current().Config.Limits
	disk := api.Limit{Name: "disk", Label: "Disk", Used: st.DiskTotal - st.DiskFree, Limit: st.DiskTotal, Unit: unitBytes, Level: verdict.OK, Note: "of the file system that contains the database"}
	if verdict.DiskLow(st.DiskFree, st.DiskTotal) {
		disk.Level = verdict.Warning
	}
	if !st.DiskFullSince.IsZero() {
		disk.Level = verdict.Critical
	}
	return []api.Limit{
		disk,
		full(api.Limit{Name: "database", Label: "Space for records", Used: int64(st.DBFill * float64(st.DBMost)), Limit: st.DBMost, Unit: unitBytes, Note: "when it is used up, new records are refused"}),
		near(api.Limit{Name: "memory", Label: "Memory", Used: used.memory, Limit: used.memoryLimit, Unit: unitBytes, Note: "beyond the limit the kernel kills the process"}, verdict.MemoryHigh),
		near(api.Limit{Name: "descriptors", Label: "File descriptors", Used: int64(used.descriptors), Limit: int64(used.descriptorsLimit), Unit: unitCount, Note: "at the limit new connections fail"}, verdict.DescriptorsHigh),
		{Name: "connections", Label: "Connections", Used: int64(len(d.host.Network().Conns())), Limit: int64(l.ConnectionsHigh), Unit: unitCount, Level: verdict.OK, Note: "above the limit some are closed"},
		near(api.Limit{Name: "streams", Label: "Inbound streams", Used: int64(s.Load.InboundStreams), Limit: int64(maxInboundStreams(l)), Unit: unitCount, Note: "at the limit an idle one is closed for a new one"}, high),
		full(api.Limit{Name: "providers", Label: "Providers", Used: s.Records.Providers, Limit: quotas[records.QuotaProviders], Unit: unitCount, Note: "at the limit new providers are refused"}),
		full(api.Limit{Name: "values", Label: "Values", Used: s.Records.Records[records.KindValue], Limit: quotas[records.QuotaValues], Unit: unitCount, Note: "at the limit new values from other peers are refused"}),
		full(api.Limit{Name: "values_size", Label: "Size of values", Used: s.Records.Bytes[records.KindValue], Limit: quotas[records.QuotaValuesSize], Unit: unitBytes, Note: "at the limit new values from other peers are refused"}),
	}
}

// near sets the level of a limit that is a warning from a share on.
func near(l api.Limit, share float64) api.Limit {
	l.Level = verdict.OK
	if verdict.Over(l.Used, l.Limit, share) {
		l.Level = verdict.Warning
	}
	return l
}

// full is near for a limit that is critical once it is reached.
func full(l api.Limit) api.Limit {
	if l = near(l, high); verdict.Over(l.Used, l.Limit, 1) {
		l.Level = verdict.Critical
	}
	return l
}
