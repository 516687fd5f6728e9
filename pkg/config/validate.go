package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Violation is one broken rule.
type Violation struct {
	Key     string // section.name
	Problem string // with the value, and what to do
}

// Violations are all broken rules. errors.Is(v, ErrInvalid) holds.
type Violations []Violation

// Error lists every violation, one a line.
func (v Violations) Error() string {
	lines := make([]string, len(v))
	for i, x := range v {
		lines[i] = x.Key + " " + x.Problem
	}
	return ErrInvalid.Error() + ": " + strings.Join(lines, "\n"+ErrInvalid.Error()+": ")
}

// Unwrap returns ErrInvalid.
func (v Violations) Unwrap() error { return ErrInvalid }

// Validate returns Violations with the origin of each key, or nil.
func (l *Loaded) Validate() error { return l.WithOrigins(l.Config.Validate()) }

// WithOrigins adds to each violation where its value came from.
func (l *Loaded) WithOrigins(v Violations) error {
	if len(v) == 0 {
		return nil
	}
	for i := range v {
		if o := l.Origin(v[i].Key); o.Source != "" {
			v[i].Problem += " (from " + o.String() + ")"
		}
	}
	return v
}

// checks collects violations.
type checks struct{ found Violations }

func (c *checks) require(ok bool, key, format string, args ...any) {
	if !ok {
		c.found = append(c.found, Violation{Key: key, Problem: fmt.Sprintf(format, args...)})
	}
}

// Validate returns every broken rule. Lifetimes are ordered: republish interval
// < lifetime of a record <= the network's 48 h.
func (c *Config) Validate() Violations {
	var v checks
	v.require(c.ConfigVersion == Version, "config_version", "is %d; this program knows version %d", c.ConfigVersion, Version)
	c.Network.validate(&v)
	c.validateTTLs(&v)
	c.validateLimits(&v)
	c.Quotas.validate(&v)
	v.require(isListen(c.Metrics.Listen), "metrics.listen", "is %q; write host:port, for instance \"127.0.0.1:9474\", or \"off\"", c.Metrics.Listen)
	v.require(isListen(c.RoutingAPI.Listen), "routing_api.listen", "is %q; write host:port, for instance \"127.0.0.1:8474\", or \"off\"", c.RoutingAPI.Listen)
	_, _, err := ParseLevels(c.Log.Level)
	v.require(err == nil, "log.level", "is %q: %v", c.Log.Level, err)
	v.require(oneOf(c.Log.Format, "auto", "text", "json"), "log.format", "is %q; it is auto, text or json", c.Log.Format)
	return v.found
}

func (n *Network) validate(v *checks) {
	prefix := n.ProtocolPrefix
	v.require(strings.HasPrefix(prefix, "/") && len(prefix) > 1 && !strings.HasSuffix(prefix, "/") && isPlain(prefix),
		"network.protocol_prefix", "is %q; it begins with / and does not end with one, for instance \"/ipfs\" or \"/mynet\"", prefix)
	v.require(oneOf(n.Mode, "auto", "client", "server"), "network.mode", "is %q; it is auto, client or server", n.Mode)
	v.require(oneOf(n.BootstrapRole, RoleMember, RoleFirst), "network.bootstrap_role", "is %q; it is member or first", n.BootstrapRole)
	v.require(len(n.Security) > 0, "network.security", "is empty; it lists noise, tls or both")
	for i, name := range n.Security {
		v.require(oneOf(name, "noise", "tls"), "network.security", "has %q; it lists noise, tls or both", name)
		v.require(!slices.Contains(n.Security[:i], name), "network.security", "has %q twice", name)
	}
	v.require(len(n.Listen) > 0 || n.Mode == "client", "network.listen", "is empty; only client mode works without a listener")
}

func (c *Config) validateTTLs(v *checks) {
	max := c.Values.MaxTTL.Duration
	v.require(max >= minInterval && max <= maxRecordTTL, "values.max_ttl", "is %s; it is from 1s to 48h", c.Values.MaxTTL)
	ttl := c.Values.DefaultTTL.Duration
	v.require(ttl == 0 || ttl >= minInterval && ttl <= max, "values.default_ttl", "is %s; it is 0s or from 1s to values.max_ttl (%s)", c.Values.DefaultTTL, c.Values.MaxTTL)
	v.require(c.Values.MaxSize >= 1 && c.Values.MaxSize <= maxValueSize, "values.max_size", "is %s; it is from 1 byte to %s", c.Values.MaxSize, maxValueSize)
	provider := c.Storage.ProviderTTL.Duration
	v.require(provider >= minInterval && provider <= maxRecordTTL, "storage.provider_ttl", "is %s; it is from 1s to 48h", c.Storage.ProviderTTL)

	interval := c.Republish.Interval
	shortest := min(c.Values.ValueTTL(), provider)
	v.require(interval.Duration >= minInterval && interval.Duration < shortest, "republish.interval",
		"is %s; it is at least 1s and under the shortest lifetime of own records (%s), or they expire before they are renewed", interval, Duration{shortest})
	for _, i := range []struct {
		key   string
		value time.Duration
	}{
		{"refresh.interval", c.Refresh.Interval.Duration},
		{"snapshot.interval", c.Snapshot.Interval.Duration},
		{"storage.expiry_interval", c.Storage.ExpiryInterval.Duration},
	} {
		v.require(i.value >= minInterval && i.value <= 24*time.Hour, i.key, "is %s; it is from 1s to 24h", Duration{i.value})
	}
}

func (c *Config) validateLimits(v *checks) {
	low, high := c.Limits.ConnectionsLow, c.Limits.ConnectionsHigh
	v.require(low >= 1, "limits.connections_low", "is %d; it is at least 1", low)
	v.require(high > low, "limits.connections_high", "is %d; it is more than connections_low (%d)", high, low)
	v.require(c.Limits.Memory == 0 || c.Limits.Memory >= minMemory, "limits.memory", "is %s; it is 0 or at least %s", c.Limits.Memory, minMemory)
	v.require(c.Storage.CompactAbove >= 0, "storage.compact_above", "is %s; it is 0 or more", c.Storage.CompactAbove)
	v.require(c.Storage.MaxBytes >= minDatabase, "storage.max_bytes", "is %s; it is at least %s", c.Storage.MaxBytes, minDatabase)
	for _, ns := range c.Values.UnvalidatedNamespaces {
		v.require(ns != "" && isPlain(ns) && !strings.Contains(ns, "/"), "values.unvalidated_namespaces", "has %q; a namespace is a name without slashes, for instance \"example\"", ns)
		v.require(ns != "pk" && ns != "ipns", "values.unvalidated_namespaces", "has %q, which is always validated; remove it", ns)
	}
}

func (c *Quotas) validate(v *checks) {
	for _, q := range []struct {
		key         string
		value, most int
	}{
		{"quotas.providers", c.Providers, maxQuota},
		{"quotas.records_per_provider", c.RecordsPerProvider, maxQuota},
		{"quotas.providers_per_key", c.ProvidersPerKey, maxQuota},
		{"quotas.addresses_per_provider", c.AddressesPerProvider, maxAddresses},
		{"quotas.values", c.Values, maxQuota},
		{"quotas.values_per_peer", c.ValuesPerPeer, maxQuota},
		{"quotas.values_per_group", c.ValuesPerGroup, maxQuota},
	} {
		v.require(q.value >= 1 && q.value <= q.most, q.key, "is %d; it is from 1 to %d", q.value, q.most)
	}
	for _, q := range []struct {
		key   string
		value Size
	}{
		{"quotas.values_size", c.ValuesSize},
		{"quotas.values_size_per_peer", c.ValuesSizePerPeer},
		{"quotas.values_size_per_group", c.ValuesSizePerGroup},
	} {
		v.require(q.value >= 0, q.key, "is %s; it is 0 or more", q.value)
	}
}

// isListen accepts "off" and host:port.
func isListen(s string) bool {
	if s == Off {
		return true
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func oneOf(s string, allowed ...string) bool { return slices.Contains(allowed, s) }

// isPlain reports whether s has printable ASCII without spaces only.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
