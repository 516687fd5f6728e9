package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
)

// notInTestBounds are the numbers whose bounds TestBounds does not test.
var notInTestBounds = []string{
	"config_version",                                                                                             // has one value
	"network.port",                                                                                               // see TestPortBounds
	"storage.compact_above", "quotas.values_size", "quotas.values_size_per_peer", "quotas.values_size_per_group", // any size
}

// bound is the range of a number.
type bound struct {
	key         string
	set         func(int64)
	least, most int64 // 0: none
}

// bounds returns the range of each number of c.
func bounds(c *Config) []bound {
	duration := func(d *Duration) func(int64) { return func(n int64) { d.Duration = time.Duration(n) } }
	size := func(s *Size) func(int64) { return func(n int64) { *s = Size(n) } }
	count := func(i *int) func(int64) { return func(n int64) { *i = int(n) } }
	return []bound{
		{"values.max_ttl", duration(&c.Values.MaxTTL), 0, int64(records.MaxTTL)},
		{"values.default_ttl", duration(&c.Values.DefaultTTL), 0, int64(records.MaxTTL)},
		{"values.max_size", size(&c.Values.MaxSize), 1, int64(maxValueSize)},
		{"storage.provider_ttl", duration(&c.Storage.ProviderTTL), 0, int64(records.MaxTTL)},
		{"storage.max_bytes", size(&c.Storage.MaxBytes), int64(minDatabase), 0},
		{"storage.expiry_interval", duration(&c.Storage.ExpiryInterval), int64(minInterval), int64(maxInterval)},
		{"refresh.interval", duration(&c.Refresh.Interval), int64(minInterval), int64(maxInterval)},
		{"snapshot.interval", duration(&c.Snapshot.Interval), int64(minInterval), int64(maxInterval)},
		{"republish.interval", duration(&c.Republish.Interval), int64(minInterval), int64(records.MaxTTL) - 1},
		{"limits.connections_low", count(&c.Limits.ConnectionsLow), 1, 0},
		{"limits.connections_high", count(&c.Limits.ConnectionsHigh), int64(Default().Limits.ConnectionsLow) + 1, 0},
		{"limits.memory", size(&c.Limits.Memory), int64(minMemory), 0},
		{"limits.connections_per_address", count(&c.Limits.ConnectionsPerAddress), 1, maxConnectionsPerAddress},
		{"quotas.providers", count(&c.Quotas.Providers), 1, maxQuota},
		{"quotas.records_per_provider", count(&c.Quotas.RecordsPerProvider), 1, maxQuota},
		{"quotas.providers_per_key", count(&c.Quotas.ProvidersPerKey), 1, maxQuota},
		{"quotas.addresses_per_provider", count(&c.Quotas.AddressesPerProvider), 1, records.MaxAddressesPerProvider},
		{"quotas.values", count(&c.Quotas.Values), 1, maxQuota},
		{"quotas.values_per_peer", count(&c.Quotas.ValuesPerPeer), 1, maxQuota},
		{"quotas.values_per_group", count(&c.Quotas.ValuesPerGroup), 1, maxQuota},
	}
}

// Each number may be up to its bounds, and not beyond.
func TestBounds(t *testing.T) {
	var c Config
	for _, tt := range bounds(&c) {
		t.Run(tt.key, func(t *testing.T) {
			check := func(n int64, ok bool) {
				c = Default()
				c.Values.DefaultTTL.Duration = records.MaxTTL // so that the longest interval is shorter
				tt.set(n)
				var keys []string
				for _, v := range c.Validate() {
					keys = append(keys, v.Key)
				}
				require.Equal(t, !ok, len(keys) > 0 && keys[0] == tt.key, "%d: %q", n, keys)
			}
			if tt.most > 0 {
				check(tt.most, true)
				check(tt.most+1, false)
			}
			if tt.least > 0 {
				check(tt.least, true)
				check(tt.least-1, false)
			}
		})
	}
}

// bounds has a row for each number.
func TestBoundsAreComplete(t *testing.T) {
	c := Default()
	for _, k := range Keys() {
		switch k.Raw(&c).(type) {
		case int, Size, Duration:
			bounded := slices.ContainsFunc(bounds(&c), func(b bound) bool { return b.key == k.Path() })
			require.True(t, bounded != slices.Contains(notInTestBounds, k.Path()), "%s is a number: validate.go needs its bounds, and bounds a row for them", k.Path())
		}
	}
}

// A file of maxFileSize bytes is read. A longer file is rejected, and so is one that
// never ends.
func TestMaxFileSize(t *testing.T) {
	load := func(size int) error {
		path := filepath.Join(t.TempDir(), "config.toml")
		require.NoError(t, os.WriteFile(path, append([]byte("#"), bytes.Repeat([]byte(" "), size-1)...), 0o600))
		_, err := Load(Sources{File: path})
		return err
	}
	require.NoError(t, load(maxFileSize))
	require.ErrorContains(t, load(maxFileSize+1), "more than 1048576 bytes: is it the right file?")
	_, err := Load(Sources{File: "/dev/zero"})
	require.ErrorContains(t, err, "more than 1048576 bytes")
}
