package daemon

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// This file passes the settings to the parts of the process: at the start as the options
// of each part, at a reload with an applier for each key.

// hostSettings returns the host's part of the configuration, without its key, its listen
// addresses and its metrics.
func hostSettings(c *config.Config) hostConfig {
	return hostConfig{
		protocol: node.ProtocolID(c.Network.ProtocolPrefix),
		announce: c.Network.Announce,
		security: c.Network.Security,
		limits:   c.Limits,
	}
}

// nodeConfig returns the node's part of the configuration, without its stores.
func nodeConfig(c *config.Config, bootstrap []peer.AddrInfo, logs *Logs) node.Config {
	return node.Config{
		ProtocolPrefix:          c.Network.ProtocolPrefix,
		Mode:                    node.Mode(c.Network.Mode),
		First:                   c.Network.BootstrapRole == config.RoleFirst,
		Bootstrap:               bootstrap,
		UnvalidatedNamespaces:   c.Values.UnvalidatedNamespaces,
		RawKeys:                 c.Values.RawKeys,
		MaxValueTTL:             c.Values.MaxTTL.Duration,
		DefaultValueTTL:         c.Values.ValueTTL(),
		ProviderTTL:             c.Storage.ProviderTTL.Duration,
		MaxValueSize:            int(c.Values.MaxSize),
		MaxAddressesPerProvider: c.Quotas.AddressesPerProvider,
		MaxInboundStreams:       maxInboundStreams(c.Limits),
		RepublishInterval:       c.Republish.Interval.Duration,
		DHT: dht.Config{
			RefreshInterval:  c.Refresh.Interval.Duration,
			SnapshotInterval: c.Snapshot.Interval.Duration,
			ExpiryInterval:   c.Storage.ExpiryInterval.Duration,
			Trace:            true,
		},
		RPCObserver: rpcTrace{log: logs.Logger("rpc"), next: rpc.NopObserver{}},
		Logger:      logs.Logger("node"),
	}
}

// storageOptions returns the database's part of the configuration.
func storageOptions(c *config.Config) storage.Options {
	return storage.Options{
		Options: runs.Options{
			MaxBytes:              int64(c.Storage.MaxBytes),
			MaxProviders:          c.Quotas.Providers,
			MaxRecordsPerProvider: c.Quotas.RecordsPerProvider,
			MaxProvidersPerKey:    c.Quotas.ProvidersPerKey,
		},
		Network:      c.Network.ProtocolPrefix,
		Program:      program(),
		MaxValueSize: int(c.Values.MaxSize),
		ValueQuotas: records.ValueQuotas{
			All:      tally(c.Quotas.Values, c.Quotas.ValuesSize),
			PerPeer:  tally(c.Quotas.ValuesPerPeer, c.Quotas.ValuesSizePerPeer),
			PerGroup: tally(c.Quotas.ValuesPerGroup, c.Quotas.ValuesSizePerGroup),
		},
	}
}

func tally(values int, size config.Size) records.Tally {
	return records.Tally{Values: int64(values), Bytes: int64(size)}
}

// quotaLimits returns the limits on what other peers may store here. The limits on the
// size of values come from db, because they may be a share of its capacity.
func quotaLimits(c *config.Config, db *storage.DB) [records.NumQuotas]int64 {
	values := db.ValueQuotas()
	return [records.NumQuotas]int64{
		records.QuotaBytes:                db.MaxBytes(),
		records.QuotaProviders:            int64(c.Quotas.Providers),
		records.QuotaRecordsPerProvider:   int64(c.Quotas.RecordsPerProvider),
		records.QuotaProvidersPerKey:      int64(c.Quotas.ProvidersPerKey),
		records.QuotaAddressesPerProvider: int64(c.Quotas.AddressesPerProvider),
		records.QuotaValueBytes:           int64(c.Values.MaxSize),
		records.QuotaValues:               values.All.Values,
		records.QuotaValuesSize:           values.All.Bytes,
		records.QuotaValuesPerPeer:        values.PerPeer.Values,
		records.QuotaValuesSizePerPeer:    values.PerPeer.Bytes,
		records.QuotaValuesPerGroup:       values.PerGroup.Values,
		records.QuotaValuesSizePerGroup:   values.PerGroup.Bytes,
	}
}

// unfit returns the violations of settings that conflict with settings that only a
// restart changes. A reload is then rejected as a whole.
func (d *Daemon) unfit(next *config.Config) config.Violations {
	shortest := min(d.config.Storage.ProviderTTL.Duration, d.config.Values.ValueTTL())
	if i := next.Republish.Interval; i.Duration >= shortest {
		return config.Violations{{
			Key:    "republish.interval",
			What:   fmt.Sprintf("is %s", i),
			Detail: fmt.Sprintf("the records of the running daemon live for %s: restart it to change both", config.Duration{Duration: shortest}),
		}}
	}
	return nil
}

// apply sets a reloadable key in the running daemon.
func (d *Daemon) apply(key string, c *config.Config) error {
	if set, ok := intervals[key]; ok {
		var i dht.Intervals
		set(&i, c)
		return d.node.SetIntervals(i)
	}
	return appliers[key](d, c)
}

// levelsKey is applied by each reload, even if unchanged, because a command may have set
// other levels.
const levelsKey = "log.level"

// appliers apply the reloadable keys, except intervals.
var appliers = map[string]func(*Daemon, *config.Config) error{
	levelsKey:                 func(d *Daemon, c *config.Config) error { return d.options.Logs.SetAll(c.Log.Level) },
	"network.bootstrap":       (*Daemon).applyBootstrap,
	"limits.connections_low":  (*Daemon).applyLimits,
	"limits.connections_high": (*Daemon).applyLimits,
	"limits.memory":           (*Daemon).applyLimits,
}

func (d *Daemon) applyBootstrap(c *config.Config) error {
	peers, err := ParseBootstrap(c.Network.Bootstrap)
	if err != nil {
		return err
	}
	d.node.SetBootstrap(peers)
	return nil
}

func (d *Daemon) applyLimits(c *config.Config) error {
	d.node.SetMaxInboundStreams(maxInboundStreams(c.Limits))
	return setLimits(d.host, d.node.Protocol(), c.Limits)
}

// intervals set the reloadable intervals.
var intervals = map[string]func(*dht.Intervals, *config.Config){
	"refresh.interval":        func(i *dht.Intervals, c *config.Config) { i.Refresh = c.Refresh.Interval.Duration },
	"snapshot.interval":       func(i *dht.Intervals, c *config.Config) { i.Snapshot = c.Snapshot.Interval.Duration },
	"storage.expiry_interval": func(i *dht.Intervals, c *config.Config) { i.Expiry = c.Storage.ExpiryInterval.Duration },
	"republish.interval":      func(i *dht.Intervals, c *config.Config) { i.Republish = c.Republish.Interval.Duration },
}
