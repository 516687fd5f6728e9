package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/config"
	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/storage"
)

// The overview of a daemon that stops has all sectors, without keys.
func TestOverviewAfterClose(t *testing.T) {
	d := start(t, t.TempDir())
	_, err := d.Backend().Provide(t.Context(), []byte("content"))
	require.NoError(t, err)
	o, err := d.Backend().Overview(t.Context())
	require.NoError(t, err)
	require.Len(t, o.Ring, ringSectors)
	require.NotEqual(t, make([]api.Sector, ringSectors), o.Ring)
	require.NoError(t, d.Close())
	o, err = d.Backend().Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, make([]api.Sector, ringSectors), o.Ring)
}

// The page and its data are on the metrics listener, and name no peer except the node.
func TestStatusPage(t *testing.T) {
	a := start(t, t.TempDir())
	b := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: a.Addrs()[:1]})
	require.NoError(t, b.WaitForPeer(t.Context()))
	_, err := b.Backend().Provide(t.Context(), []byte("content"))
	require.NoError(t, err)

	code, text := fetch(t, "http://"+a.web.addr+"/")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, text, "<!doctype html>")
	var o api.Overview
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		code, text = fetch(c, "http://"+a.web.addr+"/status.json")
		require.Equal(c, http.StatusOK, code)
		require.NoError(c, json.Unmarshal([]byte(text), &o))
		require.EqualValues(c, 1, o.Status.ProviderRecords)
		require.NotEmpty(c, o.Buckets)
	}, 10*time.Second, 100*time.Millisecond)
	require.NotContains(t, text, b.ID().String())
	require.Empty(t, o.Status.DataDir)
	require.Equal(t, BuildInfo().Version, o.Status.Version)
	require.Empty(t, causes(&o), "%+v", o.Verdict)
	require.Equal(t, api.Connected{In: 1}, o.Connected)
	require.Empty(t, o.Bootstrap)
	require.Equal(t, 30.0, o.History.StepSeconds)
	require.Len(t, o.History.Series, 13)
	require.NotZero(t, o.Latency.In["FIND_NODE"].Count)
	require.Positive(t, o.Latency.In["FIND_NODE"].P95Ms)
	require.NotZero(t, o.Latency.Out["FIND_NODE"].Count)
	require.NotZero(t, o.Latency.Lookups["refresh"].Count)
	require.NotEmpty(t, o.Limits)
	require.NotEmpty(t, o.RecentLookups)
	for _, l := range o.RecentLookups {
		require.Equal(t, "refresh", l.Kind)
	}
	require.EqualValues(t, 1, o.Traffic.In["ADD_PROVIDER"])
	require.NotZero(t, o.Traffic.In["FIND_NODE"])
	require.NotZero(t, o.Traffic.Out["FIND_NODE"])
	require.NotZero(t, o.Traffic.Received)
	require.NotZero(t, o.Traffic.Lookups["refresh"].Done)
	require.Len(t, o.Ring, ringSectors)

	own, err := b.Backend().Overview(t.Context())
	require.NoError(t, err)
	keys := 0
	for _, s := range own.Ring {
		keys += s.Keys
	}
	require.Equal(t, 1, keys)
	require.EqualValues(t, 1, own.Traffic.Lookups["store_provider"].Done)
	require.EqualValues(t, 1, own.Traffic.Out["ADD_PROVIDER"])
	require.Len(t, own.Bootstrap, 1)
	require.Equal(t, api.BootstrapConnected, own.Bootstrap[0].Result)
	require.Equal(t, a.ID().String(), own.Bootstrap[0].PeerID)
	require.False(t, own.Bootstrap[0].At.IsZero())
	require.Equal(t, api.Connected{Out: 1}, own.Connected)
	stored := slices.IndexFunc(own.RecentLookups, func(l api.RecentLookup) bool { return l.Kind == "store_provider" })
	require.NotEqual(t, -1, stored)
	require.Equal(t, api.KeyText([]byte("content")), own.RecentLookups[stored].Key)
	code, text = fetch(t, "http://"+b.web.addr+"/"+own.RecentLookups[stored].Link)
	require.Equal(t, http.StatusOK, code, text)
	require.Contains(t, text, own.RecentLookups[stored].Key)
	require.Contains(t, text, a.ID().String())
}

// Upkeep is listed only as far as there is space beside other queries.
func TestLatestQueries(t *testing.T) {
	for _, c := range []struct{ kinds, want string }{ // r: refresh, c: correct, f: find value
		{"", ""}, {"r", "r"}, {"rrrrr", "rrr"}, {"fffff", "fff"}, {"rfcfr", "rff"}, {"rrfrrff", "fff"}, {"rf", "rf"}, {"crrf", "crf"},
	} {
		var traces []*dht.Trace
		for _, k := range c.kinds {
			kind := map[rune]dht.QueryKind{'r': dht.Refresh, 'c': dht.Correct, 'f': dht.FindValue}[k]
			traces = append(traces, &dht.Trace{Stats: dht.QueryStats{Kind: kind}})
		}
		got := ""
		for _, x := range latest(traces, 3) {
			got += map[dht.QueryKind]string{dht.Refresh: "r", dht.Correct: "c", dht.FindValue: "f"}[x.Stats.Kind]
		}
		require.Equal(t, c.want, got, c.kinds)
	}
}

// The result of each bootstrap peer: it is connected, it answered when it was last dialled,
// the dial failed, or it was not dialled.
func TestBootstrapPeers(t *testing.T) {
	absent := "/ip4/127.0.0.1/tcp/1/p2p/" + peerA
	a := start(t, t.TempDir())
	o, _ := options(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: []string{a.Addrs()[0], absent}})
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.WaitForPeer(t.Context()))
	result := func(i int) (string, string) {
		o, err := d.Backend().Overview(t.Context())
		require.NoError(t, err)
		return o.Bootstrap[i].Result, o.Bootstrap[i].Why
	}
	got, why := result(0)
	require.Equal(t, api.BootstrapConnected, got)
	require.Empty(t, why)
	got, why = result(1)
	require.Equal(t, api.BootstrapFailed, got)
	require.Contains(t, why, "[/ip4/127.0.0.1/tcp/1] ")
	require.NotContains(t, why, peerA)

	peers, err := ParseBootstrap([]string{a.Addrs()[0], absent})
	require.NoError(t, err)
	require.Equal(t, api.BootstrapPeer{Addr: "/ip4/127.0.0.1/tcp/1", PeerID: peerA, Result: api.BootstrapNotAsked}, bootstrapPeer(peers[1], nil))
	at := time.Unix(1, 0)
	require.Equal(t, api.BootstrapAnswered, bootstrapPeer(peers[1], []node.BootstrapDial{{Peer: peers[1].ID, At: at}}).Result)
}

// The metrics listener shows no value and not where the configuration is; the admin socket does.
func TestPagesShowNoValues(t *testing.T) {
	a := start(t, t.TempDir())
	dir := t.TempDir()
	require.NoError(t, start(t, dir).Close())
	require.NoError(t, os.Chmod(filepath.Join(dir, IdentityFile), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, storage.FileName), make([]byte, 1<<16), 0o600))
	o, _ := options(t, dir,
		config.Setting{Key: "network.bootstrap", List: a.Addrs()[:1]},
		config.Setting{Key: "values.unvalidated_namespaces", List: []string{"example"}})
	o.Loaded.File = "/somewhere/holdfast.toml"
	o.Reload = func() (*config.Loaded, error) { return nil, errors.New("/somewhere/holdfast.toml: wrong") }
	b, err := Start(o)
	require.NoError(t, err)
	defer b.Close()
	require.NoError(t, b.WaitForPeer(t.Context()))
	require.Error(t, b.Reload())
	_, err = b.Backend().Put(t.Context(), []byte("/example/key"), []byte("a private value"), 0)
	require.NoError(t, err)

	full, err := b.Backend().Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, o.Loaded.File, full.Config.File)
	require.NotEmpty(t, full.Config.ReloadError)
	public, err := b.publicOverview(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.ConfigState{ReloadFailedSince: full.Config.ReloadFailedSince, RestartNeeded: []string{}}, public.Config)
	shown := fmt.Sprint(full.Warnings)
	require.Contains(t, shown, dir)
	require.Contains(t, shown, o.Loaded.File)
	for _, path := range []string{"/", "/status.json", "/readyz", "/metrics"} {
		code, text := fetch(t, "http://"+b.web.addr+path)
		require.Equal(t, http.StatusOK, code, path)
		require.NotContains(t, text, dir, path)
		require.NotContains(t, text, o.Loaded.File, path)
	}

	put := full.RecentLookups[slices.IndexFunc(full.RecentLookups, func(l api.RecentLookup) bool { return l.Key == "/example/key" })]
	trace, ok := b.backend.traceOf(put.ID)
	require.True(t, ok)
	require.Equal(t, "a private value", string(trace.Value))
	code, text := fetch(t, fmt.Sprintf("http://%s/explain/%d", b.web.addr, put.ID))
	require.Equal(t, http.StatusOK, code)
	require.NotContains(t, text, "a private value")
	require.Contains(t, text, "15 bytes. It is not shown here.")
}

// A rejected reload is reported with the time of the first one in a row, and keys that wait
// for a restart are named.
func TestConfigState(t *testing.T) {
	o, _ := options(t, t.TempDir())
	next := *o.Loaded
	next.Config.Values.RawKeys = !next.Config.Values.RawKeys
	fail := errors.New("no such file")
	o.Reload = func() (*config.Loaded, error) { return &next, fail }
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()
	state := func() api.ConfigState {
		o, err := d.Backend().Overview(t.Context())
		require.NoError(t, err)
		return o.Config
	}
	require.Equal(t, api.ConfigState{RestartNeeded: []string{}}, state())
	require.Error(t, d.Reload())
	first := state()
	require.Equal(t, "no such file", first.ReloadError)
	require.False(t, first.ReloadFailedSince.IsZero())
	require.Error(t, d.Reload())
	require.Equal(t, first, state())
	fail = nil
	require.NoError(t, d.Reload())
	require.Equal(t, api.ConfigState{RestartNeeded: []string{"values.raw_keys"}}, state())
}

// causes returns the causes of a verdict, without those that depend on the machine of the
// test: its disk and its memory may be nearly full.
func causes(o *api.Overview) (words []string) {
	for _, c := range o.Verdict.Causes {
		if !strings.Contains(c.Word, "nearly") {
			words = append(words, c.Word)
		}
	}
	return words
}

// Each fact of the daemon reaches the verdict.
func TestVerdict(t *testing.T) {
	peer := start(t, t.TempDir())
	o, _ := options(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: peer.Addrs()[:1]})
	o.Reload = func() (*config.Loaded, error) { return nil, errors.New("refused") }
	d, err := Start(o)
	require.NoError(t, err)
	defer d.Close()
	words := func() []string {
		o, err := d.Backend().Overview(t.Context())
		require.NoError(t, err)
		return causes(&o)
	}
	require.NoError(t, d.WaitForPeer(t.Context()))
	require.Empty(t, words())
	full := time.Now()
	d.disk.since.Store(&full)
	require.Error(t, d.Reload())
	require.Equal(t, []string{"DISK FULL", "Configuration refused"}, words())
	d.state.Store(stateStarting)
	require.Equal(t, []string{"DISK FULL", "Configuration refused", "Starting"}, words())
	d.state.Store(stateStopping)
	require.Equal(t, []string{"Stopping"}, words())
}

// A daemon that reaches none of its bootstrap peers says so.
func TestVerdictWithoutBootstrapPeers(t *testing.T) {
	d := start(t, t.TempDir(), config.Setting{Key: "network.bootstrap", List: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + peerA}})
	require.Error(t, d.WaitForPeer(t.Context()))
	o, err := d.Backend().Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, "NO PEERS", o.Verdict.Word)
	require.Equal(t, "no bootstrap peer could be reached (1 peer tried)", o.Verdict.Why)
}

// What the process uses and may use is known on this system.
func TestReadProcess(t *testing.T) {
	p := readProcess()
	require.Positive(t, p.memory)
	require.Greater(t, p.memoryLimit, p.memory)
	require.Positive(t, p.descriptors)
	require.Greater(t, p.descriptorsLimit, p.descriptors)
}
