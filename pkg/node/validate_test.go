package node

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

func tcpHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics())
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

// panics is a validator with a bug.
type panics struct{}

func (panics) Validate(_ string, value []byte) error {
	_ = value[1000]
	return nil
}

func (panics) Select(string, [][]byte) (int, error) { panic("no order") }

func (panics) End(string, []byte) time.Time { panic("no end") }

// A panic in a validator ends the request that caused it, and nothing else.
func TestValidatorThatPanics(t *testing.T) {
	var log bytes.Buffer
	n, err := New(tcpHost(t), Config{
		Validators: map[string]Validator{"bug": panics{}}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	h := tcpHost(t)
	require.NoError(t, h.Connect(t.Context(), peer.AddrInfo{ID: n.Host().ID(), Addrs: n.Host().Addrs()}))
	c := rpc.NewClient(h, n.Protocol(), rpc.ClientConfig{}, nil)
	key := []byte("/bug/key")
	_, err = c.Request(t.Context(), n.Host().ID(), &wire.Message{Type: wire.PutValue, Key: key, Record: &wire.Record{Key: key, Value: []byte("short")}})
	require.ErrorIs(t, err, rpc.ErrNoReply)
	_, err = c.Request(t.Context(), n.Host().ID(), &wire.Message{Type: wire.FindNode, Key: key})
	require.NoError(t, err)
	_, err = n.Publish(t.Context(), key, []byte("short"))
	require.ErrorIs(t, err, ErrValidatorPanic)
	_, err = n.valid.Select(string(key), [][]byte{{1}, {2}})
	require.ErrorIs(t, err, ErrValidatorPanic)
	require.False(t, n.valid.replaces(key, nil, []byte{1}))
	require.Zero(t, n.valid.End(string(key), []byte{1}))
	require.NoError(t, c.Close())
	require.NoError(t, n.Close())
	require.Contains(t, log.String(), "a validator panicked")
	require.Contains(t, log.String(), "validate_test.go")
}

// Two nodes with the same protocol on one host would handle each other's requests.
func TestTwoNodesOnOneHost(t *testing.T) {
	for _, modes := range [][2]Mode{{ModeServer, ModeServer}, {ModeServer, ModeClient}, {ModeClient, ModeServer}, {ModeClient, ModeClient}} {
		h := tcpHost(t)
		first, err := New(h, Config{Mode: modes[0]})
		require.NoError(t, err)
		_, err = New(h, Config{Mode: modes[1]})
		require.ErrorIs(t, err, ErrProtocolTaken, modes)
		other, err := New(h, Config{Mode: modes[1], ProtocolPrefix: "/other"})
		require.NoError(t, err, "another protocol")
		require.NoError(t, first.Close())
		again, err := New(h, Config{Mode: modes[1]})
		require.NoError(t, err, "after Close")
		require.NoError(t, again.Close())
		require.NoError(t, other.Close())
	}
	h := tcpHost(t)
	h.SetStreamHandler(ProtocolID(PublicPrefix), func(s network.Stream) { _ = s.Reset() })
	_, err := New(h, Config{})
	require.ErrorIs(t, err, ErrProtocolTaken, "the handler of another user of the host")
}

func TestNegativeNumbers(t *testing.T) {
	n, err := New(tcpHost(t), Config{UnvalidatedNamespaces: []string{"example"}})
	require.NoError(t, err)
	_, err = n.Get(t.Context(), []byte("/example/k"), -1)
	require.ErrorIs(t, err, ErrNegative)
	_, err = n.Providers(t.Context(), []byte("k"), -1, nil)
	require.ErrorIs(t, err, ErrNegative)
	require.NoError(t, n.Close())
}

// ending is a validator whose values contain their end.
type ending struct{}

func (ending) Validate(_ string, value []byte) error {
	if end := (ending{}).End("", value); !time.Now().Before(end) {
		return errors.New("over")
	}
	return nil
}

func (ending) Select(string, [][]byte) (int, error) { return 0, nil }

func (ending) End(_ string, value []byte) time.Time {
	end, _ := time.Parse(time.RFC3339, string(value))
	return end
}

// Any validator that is an Ender works like that of IPNS.
func TestAnyValidatorMayKnowAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := records.NewMem(nil)
		n := &Node{started: time.Now(), cfg: Config{Store: mem, DefaultValueTTL: records.MaxTTL}}
		n.valid = newValidator(nil, &Config{Validators: map[string]Validator{"x": ending{}}})
		key, end := []byte("/x/key"), time.Now().Add(time.Hour).Truncate(time.Second)
		value := []byte(end.Format(time.RFC3339))
		old := records.Value{Key: key, Value: value, Received: n.started.Add(-time.Hour), Expires: end.Add(time.Hour)}
		require.NoError(t, mem.PutValue(time.Now(), old, nil))
		got, err := n.localValue(key)
		require.NoError(t, err)
		require.True(t, got.Expires.Equal(end))
		pub := n.publishedValue(&records.Published{Key: key, Value: value, TTL: records.MaxTTL}, time.Now())
		require.True(t, pub.Expires.Equal(end))
		held, err := n.republishNewer(time.Now(), records.Value{Key: key, Expires: end.Add(time.Hour)})
		require.NoError(t, err)
		require.True(t, held.Expires.Equal(end), "what is published instead of an older one of ours")

		time.Sleep(time.Until(end))
		got, err = n.localValue(key)
		require.NoError(t, err)
		require.Nil(t, got.Value)
		require.True(t, n.valid.replaces(key, value, []byte("another")), "the first stays while it is valid only")
		at, reason := n.end(&records.Published{Kind: records.KindValue, Key: key, Value: value})
		require.True(t, at.Equal(end))
		require.Contains(t, reason, "valid until")
	})
}

// silent is a validator whose values end at a time that it does not report.
type silent struct{}

func (silent) Validate(key string, value []byte) error { return ending{}.Validate(key, value) }

func (silent) Select(string, [][]byte) (int, error) { return 0, nil }

// A stored value that no longer validates does not count and does not block others, even
// if its end was unknown.
func TestCopyThatNoLongerValidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := records.NewMem(nil)
		n := &Node{started: time.Now(), cfg: Config{Store: mem}}
		n.valid = newValidator(nil, &Config{Validators: map[string]Validator{"x": silent{}}})
		key, end := []byte("/x/key"), time.Now().Add(time.Hour).Truncate(time.Second)
		value := []byte(end.Format(time.RFC3339))
		v := records.Value{Key: key, Value: value, Received: time.Now(), Expires: end.Add(time.Hour)}
		require.NoError(t, mem.PutValue(time.Now(), v, nil))
		got, err := n.localValue(key)
		require.NoError(t, err)
		require.NotNil(t, got.Value)

		time.Sleep(time.Until(end))
		got, err = n.localValue(key)
		require.NoError(t, err)
		require.Nil(t, got.Value)
		require.True(t, n.valid.replaces(key, value, []byte("another")))
	})
}
