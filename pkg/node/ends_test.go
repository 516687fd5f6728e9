package node_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/path"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// ipnsName creates IPNS records of one name.
type ipnsName struct {
	t   testing.TB
	key crypto.PrivKey
	id  peer.ID
}

func newIPNSName(t testing.TB) *ipnsName {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	return &ipnsName{t: t, key: key, id: id}
}

func (n *ipnsName) wireKey() []byte { return ipns.NameFromPeer(n.id).RoutingKey() }

// record returns a record with a sequence number that is valid until end.
func (n *ipnsName) record(sequence uint64, end time.Time) []byte {
	p, err := path.NewPath("/ipfs/bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4")
	require.NoError(n.t, err)
	r, err := ipns.NewRecord(n.key, p, sequence, end, time.Minute)
	require.NoError(n.t, err)
	b, err := ipns.MarshalRecord(r)
	require.NoError(n.t, err)
	return b
}

// A published record is stored and republished until its own end, and then reported as
// ended, also after a restart. Afterwards any valid record of the name may be published.
func TestPublishedRecordEnds(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		ctx := t.Context()
		cfg, mem1 := keeping(node.Config{})
		first := nodeOn(t, h1, cfg)
		cfg2, mem2 := keeping(node.Config{Bootstrap: []peer.AddrInfo{infoOf(first)}})
		second := nodeOn(t, h2, cfg2)
		time.Sleep(2 * time.Minute)

		name := newIPNSName(t)
		end := time.Now().Add(30 * time.Hour)
		res, err := first.Publish(ctx, name.wireKey(), name.record(7, end))
		require.NoError(t, err)
		require.Equal(t, 1, res.StoredAt)
		require.True(t, res.Expires.Equal(end), "expires at %s, not at its end", res.Expires)
		for _, m := range []*records.Mem{mem1, mem2} {
			v, err := m.Value(time.Now(), name.wireKey())
			require.NoError(t, err)
			require.False(t, v.Expires.After(end), "held until %s", v.Expires)
		}
		time.Sleep(time.Until(end) - time.Minute)
		for _, n := range []*node.Node{first, second} {
			got, err := n.Get(ctx, name.wireKey(), 0)
			require.NoError(t, err)
			require.False(t, got.Expires.After(end))
		}
		require.Equal(t, 1, first.Status().Republish.Keys)

		time.Sleep(3 * time.Minute)
		for _, n := range []*node.Node{first, second} {
			_, err := n.Get(ctx, name.wireKey(), 0)
			require.ErrorIs(t, err, node.ErrNotFound)
		}
		s := first.Status().Republish
		require.Zero(t, s.Keys, "it is republished for ever")
		require.Empty(t, s.Failures)
		require.Equal(t, 1, s.EndedNum)
		require.Equal(t, string(name.wireKey()), string(s.Ended[0].Key))
		require.Equal(t, "the record was valid until "+end.UTC().Format(time.RFC3339), s.Ended[0].Reason)
		require.NoError(t, first.Close())
		first = nodeOn(t, h1, cfg)
		require.Zero(t, first.Status().Republish.Keys, "it came back")

		time.Sleep(2 * time.Minute)
		res, err = second.Publish(ctx, name.wireKey(), name.record(3, time.Now().Add(time.Hour)))
		require.NoError(t, err, "a sequence that is over keeps out a lower one")
		require.Equal(t, 1, res.StoredAt)
	})
}

// The store of an older version may have records whose lifetime is longer than they are
// valid. They are checked when they are read.
func TestRecordsOfOlderVersionsEnd(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		ctx := t.Context()
		cfg, mem := keeping(node.Config{})
		over, valid, raw := newIPNSName(t), newIPNSName(t), []byte("a key of a network with raw keys")
		end := time.Now().Add(10 * time.Hour)
		put := func(key, value []byte) {
			v := records.Value{Key: key, Value: value, Expires: time.Now().Add(records.MaxTTL)}
			require.NoError(t, mem.PutValue(time.Now(), v, nil))
		}
		put(over.wireKey(), over.record(7, time.Now().Add(time.Minute)))
		put(valid.wireKey(), valid.record(7, end))
		put(raw, []byte("v"))
		time.Sleep(time.Hour)
		n := nodeOn(t, h1, cfg)

		require.NoError(t, h2.Connect(ctx, infoOf(n)))
		c := rpc.NewClient(h2, n.Protocol(), rpc.ClientConfig{}, nil)
		defer c.Close()
		ask := func(m *wire.Message) (*wire.Record, error) {
			r, err := c.Request(ctx, h1.ID(), m)
			if err != nil {
				return nil, err
			}
			return r.Message.Record, nil
		}
		get := func(key []byte) *wire.Record {
			r, err := ask(&wire.Message{Type: wire.GetValue, Key: key})
			require.NoError(t, err)
			return r
		}
		require.Nil(t, get(over.wireKey()), "it is over")
		require.Nil(t, get(raw), "its namespace is not taken any more")
		require.Equal(t, uint32(9*3600), get(valid.wireKey()).TTL+1, "as long as it is valid, in whole seconds")
		_, err := n.Get(ctx, over.wireKey(), 1)
		require.Error(t, err)
		got, err := n.Get(ctx, valid.wireKey(), 1)
		require.NoError(t, err)
		require.True(t, got.Expires.Equal(end), "expires at %s", got.Expires)

		// The same bytes do not get the old lifetime, and a record that is no longer valid
		// does not block others.
		for _, x := range []struct {
			name  *ipnsName
			value []byte
		}{{valid, valid.record(7, end)}, {over, over.record(3, end)}} {
			_, err = ask(&wire.Message{Type: wire.PutValue, Key: x.name.wireKey(), Record: &wire.Record{Key: x.name.wireKey(), Value: x.value}})
			require.NoError(t, err)
			v, err := mem.Value(time.Now(), x.name.wireKey())
			require.NoError(t, err)
			require.Equal(t, string(x.value), string(v.Value))
			require.True(t, v.Expires.Equal(end), "expires at %s", v.Expires)
		}
		_, err = ask(&wire.Message{Type: wire.PutValue, Key: valid.wireKey(), Record: &wire.Record{Key: valid.wireKey(), Value: valid.record(3, end)}})
		require.Error(t, err, "a valid one keeps out a lower sequence")
	})
}

// The lifetime that a holder reports, or that follows from when it received the record,
// does not exceed the record's own end.
func TestFoundRecordsEnd(t *testing.T) {
	n := newNode(t, node.Config{})
	f := joinForeign(t, n)
	name := newIPNSName(t)
	end := time.Now().Add(time.Hour)
	for _, ttl := range []uint32{0, 40 * 3600} {
		f.record.Store(&wire.Record{Key: name.wireKey(), Value: name.record(1, end), TTL: ttl})
		asked := time.Now()
		got, err := n.Get(testContext(t), name.wireKey(), 0)
		require.NoError(t, err)
		// In whole seconds, rounded down, from when the answer arrived.
		require.WithinRange(t, got.Expires, end.Add(-time.Second), end.Add(time.Since(asked)))
	}
	f.record.Store(&wire.Record{Key: name.wireKey(), Value: name.record(1, time.Now().Add(-time.Hour))})
	_, err := n.Get(testContext(t), name.wireKey(), 0)
	require.ErrorIs(t, err, node.ErrNotFound)
}
