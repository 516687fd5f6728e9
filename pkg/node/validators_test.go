package node_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	record "github.com/libp2p/go-libp2p-record"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// Validators of go-libp2p-record work unchanged.
var _ = map[string]node.Validator{"pk": record.PublicKeyValidator{}, "all": record.NamespacedValidator{}}

var errVersion = errors.New("no version")

// versions is the validator of values "SEQUENCE END". The highest sequence is the best,
// and END is the value's end in Unix seconds.
type versions struct{}

func version(sequence int, end time.Time) []byte {
	return fmt.Appendf(nil, "%d %d", sequence, end.Unix())
}

func parseVersion(value []byte) (sequence int, end time.Time, err error) {
	var unix int64
	if _, err := fmt.Sscanf(string(value), "%d %d", &sequence, &unix); err != nil {
		return 0, end, errVersion
	}
	return sequence, time.Unix(unix, 0), nil
}

func (versions) Validate(_ string, value []byte) error {
	if _, end, err := parseVersion(value); err != nil || !time.Now().Before(end) {
		return errVersion
	}
	return nil
}

func (versions) Select(_ string, values [][]byte) (int, error) {
	sequence := func(value []byte) int { n, _, _ := parseVersion(value); return n }
	best := slices.MaxFunc(values, func(a, b []byte) int { return sequence(a) - sequence(b) })
	return slices.IndexFunc(values, func(v []byte) bool { return string(v) == string(best) }), nil
}

func (versions) End(_ string, value []byte) time.Time { _, end, _ := parseVersion(value); return end }

// versioned is a world of three nodes that know each other, whose namespace "v" has
// versions, and a host that is not a node.
type versioned struct {
	t      *testing.T
	nodes  []*node.Node
	mems   []*records.Mem
	client *rpc.Client
}

func newVersioned(t *testing.T) *versioned {
	w, v := newWorld(t), &versioned{t: t}
	h := w.host()
	var boot []peer.AddrInfo
	for range 3 {
		cfg, mem := keeping(node.Config{
			Bootstrap: boot, Validators: map[string]node.Validator{"v": versions{}},
			MaxValueTTL: 2 * time.Hour, RepublishInterval: time.Hour,
		})
		n := nodeOn(t, w.host(), cfg)
		boot = []peer.AddrInfo{infoOf(n)}
		v.nodes, v.mems = append(v.nodes, n), append(v.mems, mem)
	}
	w.net.Start()
	for _, n := range v.nodes {
		require.NoError(t, h.Connect(t.Context(), infoOf(n)))
	}
	v.client = rpc.NewClient(h, v.nodes[0].Protocol(), rpc.ClientConfig{}, nil)
	t.Cleanup(func() { v.client.Close() })
	time.Sleep(5 * time.Minute)
	return v
}

// held returns what each node holds under key.
func (v *versioned) held(key string) (values []string) {
	for _, m := range v.mems {
		got, err := m.Value(time.Now(), []byte(key))
		if !errors.Is(err, records.ErrNotFound) {
			require.NoError(v.t, err)
		}
		values = append(values, string(got.Value))
	}
	return values
}

// put sends a value to node i.
func (v *versioned) put(i int, key string, value []byte) error {
	m := &wire.Message{Type: wire.PutValue, Key: []byte(key), Record: &wire.Record{Key: []byte(key), Value: value}}
	_, err := v.client.Request(v.t.Context(), v.nodes[i].Host().ID(), m)
	return err
}

// A custom validator is used wherever that of IPNS is.
func TestCustomValidator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVersioned(t)
		ctx, key, end := t.Context(), "/v/key", time.Now().Add(5*time.Hour).Truncate(time.Second)
		first, second, third := version(1, end), version(2, end), version(3, end)
		all := func(value []byte) []string { return slices.Repeat([]string{string(value)}, 3) }

		_, err := v.nodes[0].Publish(ctx, []byte(key), []byte("nonsense"))
		require.ErrorIs(t, err, errVersion, "put")
		_, err = v.nodes[0].Publish(ctx, []byte("/other/key"), second)
		require.ErrorIs(t, err, node.ErrInvalidKey)
		require.ErrorContains(t, err, "pk, ipns, v")
		res, err := v.nodes[0].Publish(ctx, []byte(key), second)
		require.NoError(t, err)
		require.Equal(t, 2, res.StoredAt)
		require.Equal(t, all(second), v.held(key))
		_, err = v.nodes[1].Publish(ctx, []byte(key), first)
		require.ErrorIs(t, err, records.ErrOlder)

		// Values that peers send.
		require.ErrorIs(t, v.put(1, key, []byte("nonsense")), rpc.ErrNoReply)
		require.ErrorIs(t, v.put(1, key, first), rpc.ErrNoReply)
		require.Equal(t, all(second), v.held(key))
		require.NoError(t, v.put(1, key, third))

		// A lookup finds the best value, which replaces worse ones.
		got, err := v.nodes[2].Get(ctx, []byte(key), 0)
		require.NoError(t, err)
		require.Equal(t, string(third), string(got.Value))
		time.Sleep(time.Minute)
		require.Equal(t, all(third), v.held(key))
		reply, err := v.client.Request(ctx, v.nodes[2].Host().ID(), &wire.Message{Type: wire.GetValue, Key: []byte(key)})
		require.NoError(t, err)
		require.Equal(t, string(third), string(reply.Message.Record.Value))

		// It is republished longer than a record lives, until its own end.
		fourth := version(4, end)
		_, err = v.nodes[0].Publish(ctx, []byte(key), fourth)
		require.NoError(t, err)
		time.Sleep(time.Until(end) - time.Minute)
		require.Equal(t, all(fourth), v.held(key))
		time.Sleep(2 * dht.ExpiryInterval)
		require.Equal(t, all(nil), v.held(key))
		_, err = v.nodes[1].Get(ctx, []byte(key), 0)
		require.ErrorIs(t, err, node.ErrNotFound)
		require.ErrorIs(t, v.put(1, key, fourth), rpc.ErrNoReply)
		s := v.nodes[0].Status().Republish
		require.Zero(t, s.Keys)
		require.Equal(t, 1, s.EndedNum)
	})
}

// A better value of another publisher stays: the publisher of an older value republishes
// the better one from then on, locally and at other peers.
func TestBetterValueOfAnotherStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVersioned(t)
		key, end := "/v/key", time.Now().Add(1000*time.Hour).Truncate(time.Second)
		_, err := v.nodes[0].Publish(t.Context(), []byte(key), version(2, end))
		require.NoError(t, err)
		better := version(3, end)
		require.NoError(t, v.put(1, key, better))
		_, err = v.nodes[2].Get(t.Context(), []byte(key), 0)
		require.NoError(t, err)
		for range 9 {
			time.Sleep(24 * time.Hour)
			require.Equal(t, slices.Repeat([]string{string(better)}, 3), v.held(key))
		}
	})
}

// The namespaces of the network come first, then those of the configuration.
func TestNamespaces(t *testing.T) {
	n := newNode(t, node.Config{
		Validators:            map[string]node.Validator{"w": versions{}, "v": versions{}},
		UnvalidatedNamespaces: []string{"example"},
	})
	require.Equal(t, []string{"pk", "ipns", "v", "w", "example"}, n.Namespaces())
	_, err := n.Get(t.Context(), []byte("/other/k"), 0)
	require.ErrorContains(t, err, "in no namespace this node accepts (pk, ipns, v, w, example)")
}

// reasons is an observer that passes on why each inbound request was refused.
type reasons struct {
	rpc.NopObserver
	of chan string
}

func (r reasons) Inbound(s rpc.Stats) { r.of <- s.Reason }

// Metrics distinguish a value in a namespace that the node does not accept from an invalid
// value.
func TestReasonOfARefusedValue(t *testing.T) {
	got := reasons{of: make(chan string, 1)}
	n := newNode(t, node.Config{Validators: map[string]node.Validator{"v": versions{}}, RPCObserver: got})
	h := newHost(t)
	require.NoError(t, h.Connect(t.Context(), infoOf(n)))
	client := rpc.NewClient(h, n.Protocol(), rpc.ClientConfig{}, nil)
	t.Cleanup(func() { client.Close() })
	for key, want := range map[string]string{
		"/v/key": node.ReasonInvalid, "/other/key": node.ReasonNamespace, "/v": node.ReasonNamespace, "raw": node.ReasonNamespace,
	} {
		m := &wire.Message{Type: wire.PutValue, Key: []byte(key), Record: &wire.Record{Key: []byte(key), Value: []byte("nonsense")}}
		_, err := client.Request(t.Context(), n.Host().ID(), m)
		require.ErrorIs(t, err, rpc.ErrNoReply)
		require.Equal(t, want, <-got.of, key)
	}
}

// A namespace has only one validator.
func TestValidatorsThatCannotBe(t *testing.T) {
	for says, cfg := range map[string]node.Config{
		`namespace "ipns": its validator cannot be replaced`: {Validators: map[string]node.Validator{"ipns": versions{}}},
		"is unvalidated":      {Validators: map[string]node.Validator{"v": versions{}}, UnvalidatedNamespaces: []string{"v"}},
		"has a nil validator": {Validators: map[string]node.Validator{"v": nil}},
		"one word without /":  {Validators: map[string]node.Validator{"v/w": versions{}}},
	} {
		_, err := node.New(newHost(t), cfg)
		require.ErrorIs(t, err, node.ErrConfig)
		require.ErrorContains(t, err, says)
	}
}
