package daemon

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-dht/holdfast/pkg/config"
	"github.com/holdfast-dht/holdfast/pkg/dht"
)

// ErrNoReload is returned by Reload of a daemon that was given no way to.
var ErrNoReload = errors.New("daemon: nothing to reload from")

// Reload reads the configuration again and applies what may change at run time:
// log.level, network.bootstrap, the limits of libp2p and the intervals of
// background work. If it cannot be used, all stays as it was.
func (d *Daemon) Reload() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	notifyReloading(d.log)
	defer notify(d.log, "READY=1")
	err := d.reload()
	d.metrics.ConfigLoaded(err)
	if err != nil {
		d.log.Error("configuration not reloaded; the old one stays", "error", err)
		d.refused.Store(err.Error())
		notifyStatus(d.log, "configuration not reloaded: %v", err)
		return err
	}
	d.refused.Store("")
	notifyStatus(d.log, "configuration reloaded")
	return nil
}

func (d *Daemon) reload() error {
	if d.options.Reload == nil {
		return ErrNoReload
	}
	next, err := d.options.Reload()
	if err != nil {
		return err
	}
	if err := next.WithOrigins(Check(&next.Config)); err != nil {
		return err
	}
	if err := next.WithOrigins(d.unfit(&next.Config)); err != nil {
		return err
	}
	applied, waiting := changes(&d.loaded.Config, &next.Config)
	for _, key := range applied {
		if err := d.apply(key, &next.Config); err != nil {
			return fmt.Errorf("daemon: reload %s: %w", key, err)
		}
	}
	// A command may have set other levels since.
	if err := d.options.Logs.SetAll(next.Config.Log.Level); err != nil {
		return fmt.Errorf("daemon: reload log.level: %w", err)
	}
	d.loaded = next
	d.log.Info("configuration reloaded", "applied", strings.Join(applied, " "))
	if len(waiting) > 0 {
		d.log.Warn("some changes need a restart", "keys", strings.Join(waiting, " "))
	}
	return nil
}

// unfit finds settings that do not go with those which only a restart changes, so
// that a reload is taken whole or not at all.
func (d *Daemon) unfit(next *config.Config) config.Violations {
	shortest := min(d.config.Storage.ProviderTTL.Duration, d.config.Values.ValueTTL())
	if i := next.Republish.Interval; i.Duration >= shortest {
		return config.Violations{{Key: "republish.interval", Problem: fmt.Sprintf("is %s; the records of the running daemon live for %s: restart it to change both", i, shortest)}}
	}
	return nil
}

// changes returns the keys that differ: those that reload and those that do not.
func changes(old, next *config.Config) (applied, waiting []string) {
	for _, k := range config.Keys() {
		switch {
		case k.Value(old) == k.Value(next):
		case k.Reload:
			applied = append(applied, k.Path())
		default:
			waiting = append(waiting, k.Path())
		}
	}
	return applied, waiting
}

func (d *Daemon) apply(key string, c *config.Config) error {
	if set, ok := intervals[key]; ok {
		var i dht.Intervals
		set(&i, c)
		return d.node.SetIntervals(i)
	}
	return appliers[key](d, c)
}

// appliers apply the keys that may change at run time, intervals apart.
var appliers = map[string]func(*Daemon, *config.Config) error{
	"log.level":               func(d *Daemon, c *config.Config) error { return d.options.Logs.SetAll(c.Log.Level) },
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

// intervals are the periods that may change at run time.
var intervals = map[string]func(*dht.Intervals, *config.Config){
	"refresh.interval":        func(i *dht.Intervals, c *config.Config) { i.Refresh = c.Refresh.Interval.Duration },
	"snapshot.interval":       func(i *dht.Intervals, c *config.Config) { i.Snapshot = c.Snapshot.Interval.Duration },
	"storage.expiry_interval": func(i *dht.Intervals, c *config.Config) { i.Expire = c.Storage.ExpiryInterval.Duration },
	"republish.interval":      func(i *dht.Intervals, c *config.Config) { i.Republish = c.Republish.Interval.Duration },
}
