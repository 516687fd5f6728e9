package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/internal/config"
)

// ErrNoReload is returned by Reload if Options.Reload is nil.
var ErrNoReload = errors.New("nothing to reload from")

// Reload reads the configuration again and applies what may change at run time:
// log.level, network.bootstrap, the limits of libp2p and the intervals of background
// work. If the configuration is invalid, nothing changes.
func (d *Daemon) Reload() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	notifyReloading(d.log)
	defer notify(d.log, "READY=1")
	err := d.reload()
	d.metrics.ConfigLoaded(err)
	if err != nil {
		d.log.Error("configuration reload failed; keeping current settings", "err", err)
		d.refuse(err)
		notifyStatus(d.log, "configuration not reloaded: %v", err)
		return err
	}
	d.refused.Store(nil)
	notifyStatus(d.log, "configuration reloaded")
	return nil
}

// refusal says why a reload was rejected.
type refusal struct {
	since time.Time // of the first rejected one in a row
	why   string
}

func (d *Daemon) refuse(err error) {
	now := refusal{since: time.Now(), why: err.Error()}
	if before := d.refused.Load(); before != nil {
		now.since = before.since
	}
	d.refused.Store(&now)
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
	for _, key := range toApply(applied) {
		if err := d.apply(key, &next.Config); err != nil {
			return fmt.Errorf("reload %s: %w", key, err)
		}
	}
	d.loaded = next
	d.log.Info("configuration reloaded", "applied", strings.Join(applied, " "))
	if len(waiting) > 0 {
		d.log.Warn("some changes need a restart", "keys", strings.Join(waiting, " "))
	}
	return nil
}

// current returns the configuration that was loaded last.
func (d *Daemon) current() *config.Loaded {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.loaded
}

// changes returns the keys that differ: those that a reload applies and those that need a
// restart.
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

// toApply returns the keys to apply for the changed ones, each once.
func toApply(changed []string) []string {
	if slices.Contains(changed, levelsKey) {
		return changed
	}
	return append(slices.Clone(changed), levelsKey)
}
