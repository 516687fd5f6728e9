package interop

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	holdfast "github.com/holdfast-dht/holdfast/pkg/node"
)

// jsNetwork is a network of five Holdfast nodes and a js-libp2p server that knows one of
// them.
func jsNetwork(t *testing.T) (*mixedNet, *jsNode) {
	nw := newNetwork(t, 5, 0)
	js := newJS(t)
	js.join(nw.nodes[0])
	return nw, js
}

// join connects to n and waits until either has the other in its table.
func (j *jsNode) join(n node) {
	j.t.Helper()
	j.must("connect", map[string]any{"addr": hostAddr(j.t, n.host())})
	require.Eventually(j.t, func() bool { return j.must("table", nil).Size > 0 && n.tableSize() > 0 },
		opTimeout, 100*time.Millisecond, "js did not take %s into its table", n.name())
}

// throughOurs is a js node that knows one node of a network of Holdfast nodes.
type throughOurs struct {
	*mixedNet
	js  *jsNode
	far node // another node of the network
}

// TestJSThroughOurs: a js node that knows one Holdfast node finds peers, providers and
// IPNS records of the others through it.
func TestJSThroughOurs(t *testing.T) {
	nw, js := jsNetwork(t)
	n := &throughOurs{mixedNet: nw, js: js, far: nw.nodes[4]}
	t.Run("ping", func(t *testing.T) {
		js.must("ping", map[string]any{"addr": hostAddr(t, nw.nodes[0].host())})
	})
	t.Run("find_peer", n.testJSFindPeer)
	t.Run("closest", n.testJSClosest)
	t.Run("any_key", n.testJSAnyKey)
	t.Run("find_providers", n.testJSFindProviders)
	t.Run("get_ipns", n.testJSGetIPNS)
	t.Run("provide", n.testJSProvide)
	t.Run("put_ipns", n.testJSPutIPNS)
}

func (n *throughOurs) farID() string { return n.far.host().ID().String() }

func (n *throughOurs) testJSFindPeer(t *testing.T) {
	r := n.js.must("findPeer", map[string]any{"peer": n.farID()})
	require.NotNil(t, r.Peer)
	require.Equal(t, n.farID(), r.Peer.Peer)
	require.NotEmpty(t, r.Peer.Addrs)
}

func (n *throughOurs) testJSClosest(t *testing.T) {
	r := n.js.must("closest", map[string]any{"key": hex.EncodeToString([]byte(randomKey()))})
	for _, o := range n.nodes {
		require.Contains(t, r.Closest, o.host().ID().String())
	}
}

// testJSAnyKey looks up a key that is no multihash: js resets GET_PROVIDERS of such a key.
func (n *throughOurs) testJSAnyKey(t *testing.T) {
	asker := newOursWith(t, holdfast.Config{Mode: holdfast.ModeClient, DHT: dht.Config{Trace: true}})
	n.js.must("connect", map[string]any{"addr": hostAddr(t, asker.Host())})
	require.Eventually(t, func() bool { return asker.tableSize() > 0 }, opTimeout, 100*time.Millisecond)
	story, err := asker.Explain(n.ctx(), dht.FindProviders, []byte("no multihash"))
	require.NoError(t, err)
	answered := false
	for _, s := range story.Steps {
		answered = answered || peer.ID(s.Peer.ID).String() == n.js.info.Peer && s.State == dht.StepAnswered
	}
	require.True(t, answered, "%v", story.Steps)
}

func (n *throughOurs) testJSFindProviders(t *testing.T) {
	c := randomCID(t)
	require.NoError(t, n.far.Provide(n.ctx(), c, true))
	requireProvider(t, n.js.must("findProviders", map[string]any{"cid": c.String()}).Providers, n.farID())
}

func (n *throughOurs) testJSGetIPNS(t *testing.T) {
	name := newName(t)
	value := name.record(t, 5)
	require.NoError(t, n.far.PutValue(n.ctx(), name.key, value))
	key := hex.EncodeToString([]byte(name.key))
	r := n.js.must("get", map[string]any{"key": key})
	require.Equal(t, hex.EncodeToString(value), r.Value)
	checked := n.js.must("checkIpns", map[string]any{"key": key, "value": r.Value})
	require.Equal(t, 5, checked.Sequence)
}

func (n *throughOurs) testJSProvide(t *testing.T) {
	c := randomCID(t)
	n.js.must("provide", map[string]any{"cid": c.String()})
	for _, o := range n.nodes {
		requireFinds(t, n.mixedNet, o, c, n.js.info.Peer)
	}
}

func (n *throughOurs) testJSPutIPNS(t *testing.T) {
	rec := n.js.must("ipns", map[string]any{"path": "/ipfs/" + someCID, "sequence": 3})
	n.js.must("put", map[string]any{"key": rec.Key, "value": rec.Value})
	for _, o := range n.nodes {
		got, err := o.GetValue(n.ctx(), string(unhex(t, rec.Key)))
		require.NoError(t, err)
		require.Equal(t, unhex(t, rec.Value), got)
		entry, err := ipns.UnmarshalRecord(got)
		require.NoError(t, err)
		p, err := entry.Value()
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(p.String(), someCID))
	}
}

// TestJSBetween: a Holdfast node and a js node both know only a second js node. Through
// it, the Holdfast node finds what the first js node has published.
func TestJSBetween(t *testing.T) {
	nw := &mixedNet{t: t, nodes: nil}
	middle := newJS(t)
	far := newJS(t)
	far.must("connect", map[string]any{"addr": middle.info.Addrs[0]})
	require.Eventually(t, func() bool { return far.must("table", nil).Size > 0 && middle.must("table", nil).Size > 0 },
		opTimeout, 100*time.Millisecond)
	c := randomCID(t)
	far.must("provide", map[string]any{"cid": c.String()})
	rec := far.must("ipns", map[string]any{"path": "/ipfs/" + someCID})
	far.must("put", map[string]any{"key": rec.Key, "value": rec.Value})

	n := newOurs(t, holdfast.ModeServer)
	require.NoError(t, n.Host().Connect(nw.ctx(), mustInfo(t, middle.info.Addrs[0])))
	require.Eventually(t, func() bool { return n.tableSize() > 0 }, opTimeout, 20*time.Millisecond)

	t.Run("find_peer", func(t *testing.T) {
		id, err := peer.Decode(far.info.Peer)
		require.NoError(t, err)
		info, err := n.FindPeer(nw.ctx(), id)
		require.NoError(t, err)
		require.NotEmpty(t, info.Addrs)
	})
	t.Run("find_providers", func(t *testing.T) { requireFinds(t, nw, n, c, far.info.Peer) })
	t.Run("get_ipns", func(t *testing.T) {
		got, err := n.GetValue(nw.ctx(), string(unhex(t, rec.Key)))
		require.NoError(t, err)
		require.Equal(t, unhex(t, rec.Value), got)
	})
	t.Run("provide", func(t *testing.T) {
		c := randomCID(t)
		require.NoError(t, n.Provide(nw.ctx(), c, true))
		requireProvider(t, far.must("findProviders", map[string]any{"cid": c.String()}).Providers, n.Host().ID().String())
	})
	t.Run("put_ipns", func(t *testing.T) {
		name := newName(t)
		value := name.record(t, 1)
		require.NoError(t, n.PutValue(nw.ctx(), name.key, value))
		r := far.must("get", map[string]any{"key": hex.EncodeToString([]byte(name.key))})
		require.Equal(t, hex.EncodeToString(value), r.Value)
	})
	t.Run("ping", func(t *testing.T) {
		id, err := peer.Decode(middle.info.Peer)
		require.NoError(t, err)
		require.NoError(t, n.ping(nw.ctx(), id))
	})
}

func requireProvider(t *testing.T, found []jsInfo, id string) {
	t.Helper()
	for _, p := range found {
		if p.Peer == id {
			require.NotEmpty(t, p.Addrs, "provider without addresses")
			return
		}
	}
	t.Fatalf("%s is not among the providers %v", id, found)
}

// requireFinds requires that n finds the provider id of c, with addresses.
func requireFinds(t *testing.T, nw *mixedNet, n node, c cid.Cid, id string) {
	t.Helper()
	var found []peer.AddrInfo
	for info := range n.FindProvidersAsync(nw.ctx(), c, 0) {
		if info.ID.String() == id {
			require.NotEmpty(t, info.Addrs, "provider without addresses")
			return
		}
		found = append(found, info)
	}
	t.Fatalf("%s is not among the providers %v", id, found)
}
