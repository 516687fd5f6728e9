package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/storage"
	"github.com/holdfast-dht/holdfast/storage/runs"
)

// stranger is a peer that stores at a daemon.
type stranger struct {
	t *testing.T
	d *Daemon
	h host.Host
	c *rpc.Client
}

func newStranger(t *testing.T, d *Daemon) *stranger {
	h := loopbackHost(t)
	require.NoError(t, h.Connect(t.Context(), peer.AddrInfo{ID: d.ID(), Addrs: d.Host().Addrs()}))
	c := rpc.NewClient(h, protocol.ID("/test/kad/1.0.0"), rpc.ClientConfig{}, nil)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return &stranger{t, d, h, c}
}

// announce sends one ADD_PROVIDER and waits until it was stored or refused. An accepted
// one waits for a commit, which may still refuse it.
func (s *stranger) announce(key string, addrs ...string) {
	s.t.Helper()
	if len(addrs) == 0 {
		addrs = []string{"/ip4/127.0.0.1/tcp/4011"}
	}
	entry := wire.Peer{ID: kad.PeerID(s.h.ID())}
	for _, a := range addrs {
		entry.Addrs = append(entry.Addrs, ma.StringCast(a).Bytes())
	}
	done := func() float64 { return metric(s.t, s.d, `holdfast_record_puts_total{kind="provider"`) }
	before := done()
	// A refusal ends the stream, which may give an error here.
	_, _ = s.c.Notify(s.t.Context(), s.d.ID(), &wire.Message{Type: wire.AddProvider, Key: []byte(key), ProviderPeers: []wire.Peer{entry}})
	require.Eventually(s.t, func() bool { return done() == before+1 }, 30*time.Second, 5*time.Millisecond)
}

func (s *stranger) put(key, value string) error {
	_, err := s.c.Request(s.t.Context(), s.d.ID(), &wire.Message{
		Type: wire.PutValue, Key: []byte(key), Record: &wire.Record{Key: []byte(key), Value: []byte(value)},
	})
	return err
}

// metric returns the sum of the samples whose names have the prefix.
func metric(t *testing.T, d *Daemon, begin string) (sum float64) {
	t.Helper()
	_, page := fetch(t, "http://"+d.web.addr+"/metrics")
	found := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, begin) {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			require.NoError(t, err)
			sum, found = sum+v, true
		}
	}
	require.True(t, found, begin)
	return sum
}

// requireRefused requires that a quota has refused or truncated that many records, that
// its limit is reported, and that no other quota has refused any.
func requireRefused(t *testing.T, d *Daemon, quota records.Quota, limit, refused float64) {
	t.Helper()
	require.Equal(t, limit, metric(t, d, `holdfast_quota_limit{quota="`+quota.String()+`"}`))
	by := func() float64 { return metric(t, d, `holdfast_quota_refusals_total{quota="`+quota.String()+`"}`) }
	require.Eventually(t, func() bool { return by() == refused }, 30*time.Second, 10*time.Millisecond, "%s", quota)
	require.Equal(t, refused, metric(t, d, `holdfast_quota_refusals_total{`))
}

// requireProviders waits until a key has these providers, and returns their records.
func requireProviders(t *testing.T, d *Daemon, key string, want ...*stranger) (found []records.Provider) {
	t.Helper()
	all := func() bool {
		var err error
		found, err = d.Records().Providers(nil, time.Now(), []byte(key), 100)
		require.NoError(t, err)
		return len(found) == len(want) && !slices.ContainsFunc(want, func(s *stranger) bool {
			return !slices.ContainsFunc(found, func(p records.Provider) bool { return peer.ID(p.ID) == s.h.ID() })
		})
	}
	require.Eventually(t, all, 30*time.Second, 10*time.Millisecond, "%s: %v", key, found)
	return found
}

func TestQuotaOfProvidersOfAKey(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "quotas.providers_per_key", Value: "2"})
	a, b, c := newStranger(t, d), newStranger(t, d), newStranger(t, d)
	for _, s := range []*stranger{a, b, c, a} { // the last one republishes
		s.announce("hot")
	}
	c.announce("cold")
	requireRefused(t, d, records.QuotaProvidersPerKey, 2, 1)
	requireProviders(t, d, "cold", c)
	requireProviders(t, d, "hot", a, b)
}

func TestQuotaOfRecordsOfAProvider(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "quotas.records_per_provider", Value: "2"})
	a, b := newStranger(t, d), newStranger(t, d)
	for _, key := range []string{"one", "two", "three", "one"} { // the last one republishes
		a.announce(key)
	}
	b.announce("three")
	requireRefused(t, d, records.QuotaRecordsPerProvider, 2, 1)
	requireProviders(t, d, "one", a)
	requireProviders(t, d, "two", a)
	requireProviders(t, d, "three", b)
}

func TestQuotaOfProviders(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "quotas.providers", Value: "2"})
	a, b, c := newStranger(t, d), newStranger(t, d), newStranger(t, d)
	for _, s := range []*stranger{a, b, c} {
		s.announce("one")
	}
	a.announce("two")
	requireRefused(t, d, records.QuotaProviders, 2, 1)
	requireProviders(t, d, "one", a, b)
	requireProviders(t, d, "two", a)
	// The node itself would be one more, and still publishes.
	stored, err := d.Backend().Provide(t.Context(), []byte("own"))
	require.NoError(t, err)
	require.False(t, stored.Expires.IsZero())
}

func TestQuotaOfAddresses(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "quotas.addresses_per_provider", Value: "2"})
	s := newStranger(t, d)
	var addrs []string
	for i := range 40 {
		addrs = append(addrs, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", 1000+i))
	}
	s.announce("k", addrs...)
	s.announce("l", addrs[:2]...)
	found := requireProviders(t, d, "k", s)
	require.Len(t, found[0].Addrs, 2)
	require.Equal(t, ma.StringCast(addrs[0]).Bytes(), found[0].Addrs[0])
	requireRefused(t, d, records.QuotaAddressesPerProvider, 2, 1)
}

func TestQuotaOfValuesOfAPeer(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "quotas.values_per_peer", Value: "2"})
	a, b := newStranger(t, d), newStranger(t, d)
	for _, key := range []string{"one", "two"} {
		require.NoError(t, a.put("/example/"+key, "small"))
	}
	require.Error(t, a.put("/example/three", "small"))
	require.NoError(t, a.put("/example/one", "small"), "a renewal")
	require.NoError(t, b.put("/example/three", "small"))
	for i := range 3 { // the node's own
		_, err := d.Backend().Put(t.Context(), fmt.Appendf(nil, "/example/own%d", i), []byte("small"), 0)
		require.NoError(t, err)
	}
	requireRefused(t, d, records.QuotaValuesPerPeer, 2, metric(t, d, `holdfast_rpc_inbound_rejected_total{reason="quota",type="PUT_VALUE"}`))
}

func TestQuotaOfValues(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "quotas.values_size", Value: "3KiB"})
	a, b := newStranger(t, d), newStranger(t, d)
	require.NoError(t, a.put("/example/one", strings.Repeat("x", 1<<10)))
	require.NoError(t, b.put("/example/two", strings.Repeat("x", 1<<10)))
	require.Error(t, b.put("/example/three", strings.Repeat("x", 1<<10)))
	requireRefused(t, d, records.QuotaValuesSize, 3<<10, metric(t, d, `holdfast_rpc_inbound_rejected_total{reason="quota",type="PUT_VALUE"}`))
}

func TestQuotaOfValueSize(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "values.max_size", Value: "1KiB"})
	s := newStranger(t, d)
	require.NoError(t, s.put("/example/k", "small"))
	require.Error(t, s.put("/example/k", strings.Repeat("x", 1025)))
	v, err := d.Records().Value(time.Now(), []byte("/example/k"))
	require.NoError(t, err)
	require.Equal(t, "small", string(v.Value))
	// A client may retry.
	requireRefused(t, d, records.QuotaValueBytes, 1024, metric(t, d, `holdfast_rpc_inbound_rejected_total{reason="too_large",type="PUT_VALUE"}`))
}

// A full database refuses new records, keeps the stored ones, and does not stop the node
// from publishing its own.
func TestQuotaOfBytes(t *testing.T) {
	const most = 16 << 20
	d := start(t, t.TempDir(), config.Setting{Key: "storage.max_bytes", Value: "16MiB"})
	s := newStranger(t, d)
	require.NoError(t, s.put("/example/first", "kept"))
	better := func(_, _, _ []byte) bool { return true }
	for i := 0; ; i++ {
		require.Less(t, i, most/(8<<10), "it must have become full")
		v := records.Value{Key: fmt.Appendf(nil, "/example/%d", i), Value: make([]byte, 10<<10), Expires: time.Now().Add(time.Hour)}
		err := d.Records().PutValue(time.Now(), v, better)
		if errors.Is(err, records.ErrFull) {
			break
		}
		require.NoError(t, err)
	}
	requireFullOfProviders(t, d, s)
	before := metric(t, d, `holdfast_quota_refusals_total{quota="bytes"}`)
	require.Error(t, s.put("/example/new", "refused"))
	require.NoError(t, s.put("/example/first", "renewed"))
	refused := metric(t, d, `holdfast_rpc_inbound_rejected_total{reason="full",type="PUT_VALUE"}`)
	require.Positive(t, refused)
	requireRefused(t, d, records.QuotaBytes, most, before+refused)
	require.LessOrEqual(t, metric(t, d, "holdfast_db_size_bytes"), float64(most))
	require.InDelta(t, 1, metric(t, d, "holdfast_db_fill_ratio"), 0.3)
	require.GreaterOrEqual(t, metric(t, d, "holdfast_db_fill_ratio"), 1.0)
	status, err := d.Backend().Status(t.Context())
	require.NoError(t, err)
	require.Positive(t, status.Refused["bytes"])
	_, err = d.Backend().Put(t.Context(), []byte("/example/own"), []byte("published"), 0)
	require.NoError(t, err)
	_, err = d.Backend().Provide(t.Context(), []byte("own"))
	require.NoError(t, err)
	v, err := d.Records().Value(time.Now(), []byte("/example/first"))
	require.NoError(t, err)
	require.Equal(t, "renewed", string(v.Value))
}

// requireFullOfProviders also fills the provider records of a daemon. The records that s
// stored before stay and can be republished.
func requireFullOfProviders(t *testing.T, d *Daemon, s *stranger) {
	t.Helper()
	s.announce("first")
	requireProviders(t, d, "first", s)
	now, full := time.Now(), false
	for n := 0; !full; n++ {
		require.Less(t, n, 1000, "it must have become full")
		recs := make([]runs.ProviderRecord, 10_000)
		for i := range recs {
			recs[i] = runs.ProviderRecord{
				Key:      fmt.Appendf(nil, "key %d %d", n, i),
				Provider: records.Provider{ID: kad.PeerID(fmt.Sprint("peer ", i%10)), Expires: now.Add(time.Hour)},
			}
		}
		_, err := d.store.AddProviders(now, recs, true)
		if full = errors.Is(err, records.ErrFull); !full {
			require.NoError(t, err)
		}
	}
	other := newStranger(t, d)
	refused := func() float64 { return metric(t, d, `holdfast_quota_refusals_total{quota="bytes"}`) }
	before := refused()
	other.announce("first")
	require.Eventually(t, func() bool { return refused() == before+1 }, 30*time.Second, 10*time.Millisecond)
	s.announce("first")
	requireProviders(t, d, "first", s)
}

// The default quotas of the configuration are the defaults of the store.
func TestQuotaDefaults(t *testing.T) {
	c := config.Default()
	require.EqualValues(t, int64(storage.DefaultMaxBytes), c.Storage.MaxBytes)
	require.EqualValues(t, records.DefaultMaxValueSize, c.Values.MaxSize)
	values := storage.DefaultValueQuotas(int64(c.Storage.MaxBytes))
	require.Equal(t, config.Quotas{
		Providers: records.DefaultMaxProviders, RecordsPerProvider: records.DefaultMaxRecordsPerProvider,
		ProvidersPerKey: records.DefaultMaxProvidersPerKey, AddressesPerProvider: records.MaxAddressesPerProvider,
		Values: int(values.All.Values), ValuesPerPeer: int(values.PerPeer.Values), ValuesPerGroup: int(values.PerGroup.Values),
	}, c.Quotas)
}
