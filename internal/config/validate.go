package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// WithOrigins adds the origin of the value to each violation that has none. It drops such a
// violation if it involves a key whose value could not be decoded: that value is reported
// already, and the rule was applied to another one. It returns nil if there are no violations.
func (l *Loaded) WithOrigins(v Violations) error {
	var kept Violations
	for _, x := range v {
		if x.Origin.Source == "" {
			if l.unread[x.Key] || slices.ContainsFunc(x.Others, func(key string) bool { return l.unread[key] }) {
				continue
			}
			x.Origin = l.Origin(x.Key)
		}
		kept = append(kept, x)
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// checks collects violations.
type checks struct{ found Violations }

// require adds a violation unless ok. what, detail and others are the fields of Violation.
func (c *checks) require(ok bool, key, what, detail string, others ...string) {
	if !ok {
		c.found = append(c.found, Violation{Key: key, What: what, Detail: detail, Others: others})
	}
}

// within requires a value from low to high.
func within[T int | Size | time.Duration](c *checks, key string, value, low, high T) {
	c.require(value >= low && value <= high, key, is(value), fmt.Sprintf("it is from %s to %s", text(low), text(high)))
}

// is formats the value of a key as the What of a violation.
func is(value any) string { return "is " + text(value) }

// text formats a value: strings in quotes, durations without zero units.
func text(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case time.Duration:
		return Duration{v}.String()
	}
	return fmt.Sprint(value)
}

// Validate returns every broken rule. Lifetimes are ordered: republish interval
// < lifetime of a record <= the network's 48 h.
func (c *Config) Validate() Violations {
	var v checks
	v.require(c.ConfigVersion == Version, "config_version", is(c.ConfigVersion), fmt.Sprintf("this program knows version %d", Version))
	c.Network.validate(&v)
	c.validateTTLs(&v)
	c.validateLimits(&v)
	c.Quotas.validate(&v)
	v.require(isListen(c.Metrics.Listen), "metrics.listen", is(c.Metrics.Listen), `write host:port, for instance "127.0.0.1:9474", or "off"`)
	v.require(isListen(c.RoutingAPI.Listen), "routing_api.listen", is(c.RoutingAPI.Listen), `write host:port, for instance "127.0.0.1:8474", or "off"`)
	if _, _, err := ParseLevels(c.Log.Level); err != nil {
		v.require(false, "log.level", is(c.Log.Level), err.Error())
	}
	v.require(oneOf(c.Log.Format, "auto", "text", "json"), "log.format", is(c.Log.Format), "it is auto, text or json")
	return v.found
}

func (n *Network) validate(v *checks) {
	prefix := n.ProtocolPrefix
	v.require(strings.HasPrefix(prefix, "/") && len(prefix) > 1 && !strings.HasSuffix(prefix, "/") && isPlain(prefix),
		"network.protocol_prefix", is(prefix), `it begins with / and does not end with one, for instance "/ipfs" or "/mynet"`)
	v.require(oneOf(n.Mode, "auto", "client", "server"), "network.mode", is(n.Mode), "it is auto, client or server")
	v.require(oneOf(n.BootstrapRole, RoleMember, RoleFirst), "network.bootstrap_role", is(n.BootstrapRole), "it is member or first")
	v.require(len(n.Security) > 0, "network.security", "is empty", "it lists noise, tls or both")
	for i, name := range n.Security {
		v.require(oneOf(name, "noise", "tls"), "network.security", "has "+text(name), "it lists noise, tls or both")
		v.require(!slices.Contains(n.Security[:i], name), "network.security", "has "+text(name)+" twice", "")
	}
	within(v, portKey, n.Port, 0, maxPort)
	v.require(len(n.Listen) > 0 || n.Mode == "client", listenKey, "is empty", "only client mode works without a listener", "network.mode")
}

func (c *Config) validateTTLs(v *checks) {
	longest := c.Values.MaxTTL.Duration
	within(v, "values.max_ttl", longest, minInterval, records.MaxTTL)
	ttl := c.Values.DefaultTTL.Duration
	v.require(ttl == 0 || ttl >= minInterval && ttl <= longest, "values.default_ttl", is(ttl), "it is 0s or from 1s to values.max_ttl ("+text(longest)+")", "values.max_ttl")
	within(v, "values.max_size", c.Values.MaxSize, 1, maxValueSize)
	provider := c.Storage.ProviderTTL.Duration
	within(v, "storage.provider_ttl", provider, minInterval, records.MaxTTL)

	interval, shortest := c.Republish.Interval.Duration, min(c.Values.ValueTTL(), provider)
	v.require(interval >= minInterval && interval < shortest, "republish.interval", is(interval),
		"it is at least 1s and under the shortest lifetime of own records ("+text(shortest)+"), or they expire before they are republished",
		"values.max_ttl", "values.default_ttl", "storage.provider_ttl")
	within(v, "refresh.interval", c.Refresh.Interval.Duration, minInterval, maxInterval)
	within(v, "snapshot.interval", c.Snapshot.Interval.Duration, minInterval, maxInterval)
	within(v, "storage.expiry_interval", c.Storage.ExpiryInterval.Duration, minInterval, maxInterval)
}

func (c *Config) validateLimits(v *checks) {
	low, high := c.Limits.ConnectionsLow, c.Limits.ConnectionsHigh
	v.require(low >= 1, "limits.connections_low", is(low), "it is at least 1")
	v.require(high > low, "limits.connections_high", is(high), "it is more than connections_low ("+text(low)+")", "limits.connections_low")
	within(v, "limits.connections_per_address", c.Limits.ConnectionsPerAddress, 1, maxConnectionsPerAddress)
	v.require(c.Limits.Memory == 0 || c.Limits.Memory >= minMemory, "limits.memory", is(c.Limits.Memory), "it is 0 or at least "+text(minMemory))
	v.require(c.Storage.CompactAbove >= 0, "storage.compact_above", is(c.Storage.CompactAbove), "it is 0 or more")
	v.require(c.Storage.MaxBytes >= minDatabase, "storage.max_bytes", is(c.Storage.MaxBytes), "it is at least "+text(minDatabase))
	for _, ns := range c.Values.UnvalidatedNamespaces {
		const key = "values.unvalidated_namespaces"
		v.require(ns != "" && isPlain(ns) && !strings.Contains(ns, "/"), key, "has "+text(ns), `a namespace is a name without slashes, for instance "example"`)
		v.require(ns != "pk" && ns != "ipns", key, "has "+text(ns)+", which is always validated", "remove it")
	}
}

func (c *Quotas) validate(v *checks) {
	within(v, "quotas.providers", c.Providers, 1, maxQuota)
	within(v, "quotas.records_per_provider", c.RecordsPerProvider, 1, maxQuota)
	within(v, "quotas.providers_per_key", c.ProvidersPerKey, 1, maxQuota)
	within(v, "quotas.addresses_per_provider", c.AddressesPerProvider, 1, records.MaxAddressesPerProvider)
	within(v, "quotas.values", c.Values, 1, maxQuota)
	within(v, "quotas.values_per_peer", c.ValuesPerPeer, 1, maxQuota)
	within(v, "quotas.values_per_group", c.ValuesPerGroup, 1, maxQuota)
	v.require(c.ValuesSize >= 0, "quotas.values_size", is(c.ValuesSize), "it is 0 or more")
	v.require(c.ValuesSizePerPeer >= 0, "quotas.values_size_per_peer", is(c.ValuesSizePerPeer), "it is 0 or more")
	v.require(c.ValuesSizePerGroup >= 0, "quotas.values_size_per_group", is(c.ValuesSizePerGroup), "it is 0 or more")
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

// isPlain reports whether s is printable ASCII without spaces.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
