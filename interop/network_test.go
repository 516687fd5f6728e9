package interop

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	holdfast "github.com/holdfast-dht/holdfast/pkg/node"
)

// opTimeout bounds one operation. No operation should take nearly as long: one that does
// has stalled.
const opTimeout = 30 * time.Second

// node is the interface that both implementations satisfy.
type node interface {
	routing.Routing
	host() host.Host
	name() string
	tableSize() int
	closest(ctx context.Context, key string) ([]peer.ID, error)
	refresh(ctx context.Context) error
	ping(ctx context.Context, p peer.ID) error
}

// mixedNet is a set of nodes that know each other.
type mixedNet struct {
	t     *testing.T
	nodes []node
	rng   *mrand.Rand
}

// newNetwork starts nodes of Holdfast (ours) and of go-libp2p-kad-dht (theirs) in turns.
// Each joins through one earlier node of either kind.
func newNetwork(t *testing.T, ours, theirs int) *mixedNet {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	nw := &mixedNet{t: t, rng: mrand.New(mrand.NewPCG(seed, 0))}
	for i := range max(ours, theirs) {
		if i < ours {
			nw.join(newOurs(t, holdfast.ModeServer))
		}
		if i < theirs {
			nw.join(newTheirs(t, dht.ModeServer))
		}
	}
	nw.settle()
	return nw
}

func (nw *mixedNet) join(n node) {
	for range min(2, len(nw.nodes)) {
		nw.connect(n, nw.nodes[nw.rng.IntN(len(nw.nodes))])
	}
	nw.nodes = append(nw.nodes, n)
}

func (nw *mixedNet) connect(a, b node) {
	nw.t.Helper()
	ctx, cancel := context.WithTimeout(nw.t.Context(), opTimeout)
	defer cancel()
	info := peer.AddrInfo{ID: b.host().ID(), Addrs: b.host().Addrs()}
	require.NoError(nw.t, a.host().Connect(ctx, info), "%s to %s", a.name(), b.name())
}

// settle refreshes every node, at least twice, until each knows 20 others, or all others
// if there are fewer. A node that has just joined may know no peer yet.
func (nw *mixedNet) settle() {
	nw.t.Helper()
	want := min(20, len(nw.nodes)-1)
	round, last := 0, error(nil)
	settled := func() bool {
		round++
		last = nil
		for _, n := range nw.nodes {
			ctx, cancel := context.WithTimeout(nw.t.Context(), opTimeout)
			err := n.refresh(ctx)
			cancel()
			if err == nil && n.tableSize() < want {
				err = fmt.Errorf("knows %d of %d others", n.tableSize(), want)
			}
			if err != nil {
				last = fmt.Errorf("%s: %w", n.name(), err)
			}
		}
		return last == nil && round > 1
	}
	require.Eventually(nw.t, settled, 2*time.Minute, 20*time.Millisecond)
}

// of returns the nodes of one implementation.
func (nw *mixedNet) of(name string) []node {
	return slices.DeleteFunc(slices.Clone(nw.nodes), func(n node) bool { return n.name() != name })
}

// pick returns a random node of one implementation that is not in not.
func (nw *mixedNet) pick(name string, not ...node) node {
	all := slices.DeleteFunc(nw.of(name), func(n node) bool { return slices.Contains(not, n) })
	return all[nw.rng.IntN(len(all))]
}

// nearest returns the correct answer, by brute force: the k nodes nearest to key, without
// self.
func (nw *mixedNet) nearest(key string, self peer.ID, k int) []peer.ID {
	target := kad.KeyOf([]byte(key))
	var ids []peer.ID
	for _, n := range nw.nodes {
		if n.host().ID() != self {
			ids = append(ids, n.host().ID())
		}
	}
	slices.SortFunc(ids, func(a, b peer.ID) int {
		ka, kb := kad.KeyOf([]byte(a)), kad.KeyOf([]byte(b))
		return kad.CompareDistance(&target, &ka, &kb)
	})
	return ids[:min(k, len(ids))]
}

func (nw *mixedNet) ctx() context.Context {
	ctx, cancel := context.WithTimeout(nw.t.Context(), opTimeout)
	nw.t.Cleanup(cancel)
	return ctx
}

// pairs calls fn with every combination of implementations, also of one with itself.
func pairs(t *testing.T, fn func(t *testing.T, from, to string)) {
	for _, from := range []string{"holdfast", "kad-dht"} {
		for _, to := range []string{"holdfast", "kad-dht"} {
			t.Run(fmt.Sprintf("%s_%s", from, to), func(t *testing.T) { fn(t, from, to) })
		}
	}
}

func randomKey() string {
	b := make([]byte, 32)
	rand.Read(b)
	return string(b)
}

func randomCID(t testing.TB) cid.Cid {
	t.Helper()
	h := sha256.Sum256([]byte(randomKey()))
	mh, err := multihash.Encode(h[:], multihash.SHA2_256)
	require.NoError(t, err)
	return cid.NewCidV1(cid.Raw, mh)
}

// ipnsName is a fresh IPNS name and its key.
type ipnsName struct {
	key  string
	priv crypto.PrivKey
}

func newName(t testing.TB) ipnsName {
	t.Helper()
	priv, _, err := crypto.GenerateEd25519Key(rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(priv)
	require.NoError(t, err)
	return ipnsName{key: string(ipns.NameFromPeer(id).RoutingKey()), priv: priv}
}

// record signs a record of the name.
func (n ipnsName) record(t testing.TB, seq uint64) []byte {
	t.Helper()
	p, err := path.NewPath("/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
	require.NoError(t, err)
	rec, err := ipns.NewRecord(n.priv, p, seq, time.Now().Add(time.Hour), time.Minute)
	require.NoError(t, err)
	b, err := ipns.MarshalRecord(rec)
	require.NoError(t, err)
	return b
}

// TestGoNetwork runs all five operations between 15 Holdfast nodes and 15 of
// go-libp2p-kad-dht, in every direction.
func TestGoNetwork(t *testing.T) {
	nw := newNetwork(t, 15, 15)
	t.Run("closest", nw.testClosest)
	t.Run("find_peer", nw.testFindPeer)
	t.Run("provide", nw.testProvide)
	t.Run("value", nw.testValue)
	t.Run("newer_value", nw.testNewerValue)
	t.Run("public_key", nw.testPublicKey)
	t.Run("ping", nw.testPing)
	t.Run("after_churn", nw.testChurn)
}

// testClosest compares lookups with brute force. It tolerates one wrong entry in 20 from
// kad-dht, which stops once the 3 nearest have answered.
func (nw *mixedNet) testClosest(t *testing.T) {
	for range 10 {
		key := randomKey()
		for _, name := range []string{"holdfast", "kad-dht"} {
			n := nw.pick(name)
			got, err := n.closest(nw.ctx(), key)
			require.NoError(t, err, name)
			want := nw.nearest(key, n.host().ID(), 20)
			if name == "holdfast" {
				require.Equal(t, want, got)
				continue
			}
			wrong := slices.DeleteFunc(slices.Clone(got), func(p peer.ID) bool { return slices.Contains(want, p) })
			require.LessOrEqual(t, len(wrong), 1)
			require.Len(t, got, 20)
		}
	}
}

// newcomer starts a client of one implementation. It knows one other node, of either
// kind, and is not part of nw.
func (nw *mixedNet) newcomer(name string) node {
	var n node
	if name == "holdfast" {
		n = newOurs(nw.t, holdfast.ModeClient)
	} else {
		n = newTheirs(nw.t, dht.ModeClient)
	}
	nw.connect(n, nw.nodes[nw.rng.IntN(len(nw.nodes))])
	require.Eventually(nw.t, func() bool { return n.tableSize() > 0 }, opTimeout, 10*time.Millisecond)
	return n
}

// testFindPeer has a newcomer look for a node that it is not connected to.
func (nw *mixedNet) testFindPeer(t *testing.T) {
	pairs(t, func(t *testing.T, from, to string) {
		for range 3 {
			a, b := nw.newcomer(from), nw.pick(to)
			info, err := a.FindPeer(nw.ctx(), b.host().ID())
			require.NoError(t, err)
			require.Equal(t, b.host().ID(), info.ID)
			require.NotEmpty(t, info.Addrs)
		}
	})
}

func (nw *mixedNet) testProvide(t *testing.T) {
	pairs(t, func(t *testing.T, from, to string) {
		for range 3 {
			a := nw.pick(from)
			b := nw.pick(to, a)
			c := randomCID(t)
			require.NoError(t, a.Provide(nw.ctx(), c, true))
			require.Eventually(t, func() bool { return provides(nw.ctx(), b, c, a) }, opTimeout, 100*time.Millisecond,
				"%s does not find what %s provides", to, from)
			require.True(t, provides(nw.ctx(), nw.newcomer(to), c, a), "a new %s does not find what %s provides", to, from)
		}
	})
}

// provides reports whether by finds of, with addresses, as a provider of c.
func provides(ctx context.Context, by node, c cid.Cid, of node) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for info := range by.FindProvidersAsync(ctx, c, 0) {
		if info.ID == of.host().ID() {
			return len(info.Addrs) > 0
		}
	}
	return false
}

func (nw *mixedNet) testValue(t *testing.T) {
	pairs(t, func(t *testing.T, from, to string) {
		a := nw.pick(from)
		name := newName(t)
		value := name.record(t, 1)
		require.NoError(t, a.PutValue(nw.ctx(), name.key, value))
		for range 3 {
			b := nw.pick(to, a)
			got, err := b.GetValue(nw.ctx(), name.key)
			require.NoError(t, err)
			require.Equal(t, value, got)
		}
	})
}

// testNewerValue has one implementation replace what the other stored. No node may then
// return or accept an older record.
func (nw *mixedNet) testNewerValue(t *testing.T) {
	pairs(t, func(t *testing.T, from, to string) {
		name := newName(t)
		a := nw.pick(from)
		b := nw.pick(to, a)
		first, second := name.record(t, 1), name.record(t, 2)
		require.NoError(t, a.PutValue(nw.ctx(), name.key, first))
		require.NoError(t, b.PutValue(nw.ctx(), name.key, second))
		for _, reader := range []string{"holdfast", "kad-dht"} {
			got, err := nw.pick(reader, a, b).GetValue(nw.ctx(), name.key)
			require.NoError(t, err)
			require.Equal(t, second, got, "read by %s", reader)
		}
		require.Error(t, b.PutValue(nw.ctx(), name.key, first), "%s stores an older record", to)
	})
}

// testPublicKey stores and reads a record of the pk namespace. The key is an RSA
// key: others are part of the peer ID and need no record.
func (nw *mixedNet) testPublicKey(t *testing.T) {
	pairs(t, func(t *testing.T, from, to string) {
		_, pub, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
		require.NoError(t, err)
		id, err := peer.IDFromPublicKey(pub)
		require.NoError(t, err)
		value, err := crypto.MarshalPublicKey(pub)
		require.NoError(t, err)
		a := nw.pick(from)
		b := nw.pick(to, a)
		require.NoError(t, a.PutValue(nw.ctx(), routing.KeyForPublicKey(id), value))
		got, err := b.GetValue(nw.ctx(), routing.KeyForPublicKey(id))
		require.NoError(t, err)
		require.Equal(t, value, got)
	})
}

func (nw *mixedNet) testPing(t *testing.T) {
	pairs(t, func(t *testing.T, from, to string) {
		for range 3 {
			a := nw.pick(from)
			b := nw.pick(to, a)
			a.host().Peerstore().AddAddrs(b.host().ID(), b.host().Addrs(), peerstore.TempAddrTTL)
			require.NoError(t, a.ping(nw.ctx(), b.host().ID()))
		}
	})
}

// testChurn closes a third of the nodes of each kind. Records stored before are still
// found, and lookups still end.
func (nw *mixedNet) testChurn(t *testing.T) {
	name, c := newName(t), randomCID(t)
	value := name.record(t, 7)
	writer, provider := nw.pick("holdfast"), nw.pick("kad-dht")
	require.NoError(t, writer.PutValue(nw.ctx(), name.key, value))
	require.NoError(t, provider.Provide(nw.ctx(), c, true))
	var alive []node
	gone := map[string]int{}
	for _, n := range nw.nodes {
		if n != provider && gone[n.name()] < 5 {
			gone[n.name()]++
			require.NoError(t, n.host().Close())
			continue
		}
		alive = append(alive, n)
	}
	nw.nodes = alive
	for _, who := range []string{"holdfast", "kad-dht"} {
		reader, other, start := nw.pick(who, provider), newName(t), time.Now()
		took := func(what string) {
			t.Logf("%s: %s took %s", who, what, time.Since(start).Round(time.Millisecond))
			start = time.Now()
		}
		got, err := reader.GetValue(nw.ctx(), name.key)
		require.NoError(t, err, who)
		require.Equal(t, value, got, who)
		took("get")
		require.True(t, provides(nw.ctx(), reader, c, provider), who)
		took("find providers")
		ids, err := reader.closest(nw.ctx(), randomKey())
		require.NoError(t, err, who)
		live := slices.DeleteFunc(ids, func(id peer.ID) bool { return !slices.Contains(nw.nearest("", "", len(nw.nodes)), id) })
		if who == "holdfast" { // kad-dht: 13 to 19
			require.GreaterOrEqual(t, len(live), len(nw.nodes)-1-2, "live peers missed")
		}
		took(fmt.Sprintf("closest, %d live peers of %d,", len(live), len(nw.nodes)-1))
		require.NoError(t, reader.PutValue(nw.ctx(), other.key, other.record(t, 1)))
		took("put")
	}
}
