package node_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

func manyKeys(n int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "content %d", i)
	}
	return keys
}

// withMem is a configuration whose stores outlive the node.
func withMem() (node.Config, *records.Mem) {
	return keeping(openConfig())
}

// The schedule announces each key of ProvideMany once, however often the key is given.
func TestProvideMany(t *testing.T) {
	ctx := testContext(t)
	cfg, held := withMem()
	other := newNode(t, cfg)
	cfg, _ = withMem()
	n := newNode(t, cfg)
	reached, errs := n.Connect(ctx, []peer.AddrInfo{infoOf(other)})
	require.Empty(t, errs)
	require.Len(t, reached, 1)
	require.NoError(t, n.Joined(ctx))

	keys := manyKeys(40)
	h, err := n.ProvideMany(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{New: len(keys)}, h)
	waitFor(t, func() bool { return n.Status().Republish.Unannounced == 0 })
	s := n.Status().Republish
	require.Equal(t, len(keys), s.Keys)
	require.EqualValues(t, len(keys), s.Done)
	require.Zero(t, s.Failed)
	for _, key := range keys {
		waitFor(t, func() bool {
			ps, err := held.Providers(nil, time.Now(), key, 1)
			return err == nil && len(ps) == 1 && ps[0].ID == kad.PeerID(n.Host().ID())
		})
	}
	more := append(manyKeys(len(keys)), []byte("another"))
	h, err = n.ProvideMany(ctx, more)
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{New: 1, Known: len(keys)}, h)
	waitFor(t, func() bool { return n.Status().Republish.Unannounced == 0 })
	require.EqualValues(t, len(more), n.Status().Republish.Done)
}

// Keys that were given without any peers are still to be announced after a restart, and
// can be unprovided.
func TestHandedOverKeysAreKept(t *testing.T) {
	ctx := testContext(t)
	cfg, mem := withMem()
	keys := manyKeys(3000)
	n := newNode(t, cfg)
	h, err := n.ProvideMany(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, len(keys), h.New)
	require.NoError(t, n.Close())

	n = newNode(t, cfg)
	s := n.Status().Republish
	require.Equal(t, len(keys), s.Keys)
	require.Equal(t, len(keys), s.Unannounced)
	require.Less(t, s.Overdue, len(keys)) // a start spreads them over time
	h, err = n.ProvideMany(ctx, keys)
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{Known: len(keys)}, h)
	require.Equal(t, len(keys), n.Status().Republish.Overdue)
	removed, err := n.UnprovideMany(ctx, append([][]byte{[]byte("never provided")}, keys[1:]...))
	require.NoError(t, err)
	require.Equal(t, len(keys)-1, removed)
	s = n.Status().Republish
	require.Equal(t, 1, s.Keys)
	require.Equal(t, 1, s.Unannounced)
	require.NoError(t, n.UnprovideKey(ctx, keys[0]))
	require.Zero(t, n.Status().Republish.Unannounced)
	require.EqualValues(t, 0, mem.Stats().Published[records.KindProvider])
}

// UnprovideMany also removes the node's own record.
func TestUnprovideManyForgetsRecords(t *testing.T) {
	ctx := testContext(t)
	cfg, mem := withMem()
	n := newNode(t, cfg)
	for _, key := range manyKeys(3) {
		_, err := n.ProvideKey(ctx, key)
		require.NoError(t, err)
	}
	_, err := n.UnprovideMany(ctx, manyKeys(3))
	require.NoError(t, err)
	for _, key := range manyKeys(3) {
		ps, err := mem.Providers(nil, time.Now(), key, 1)
		require.NoError(t, err)
		require.Empty(t, ps)
	}
}

// If one key cannot be provided, none of the keys is.
func TestProvideManyRefuses(t *testing.T) {
	cfg, mem := withMem()
	n := newNode(t, cfg)
	for _, bad := range [][]byte{nil, make([]byte, records.MaxKeyLen+1)} {
		_, err := n.ProvideMany(testContext(t), [][]byte{[]byte("good"), bad})
		require.ErrorIs(t, err, node.ErrKeyLength)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	_, err := n.ProvideMany(ctx, [][]byte{[]byte("good")})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, mem.Stats().Published)
}

// partial is a keystore that stores only the first keys of a call while it is broken, as one
// does that fails after its first transaction.
type partial struct {
	records.Keystore
	first int // 0: it is not broken
}

func (p *partial) Publish(ps ...records.Published) error {
	if p.first == 0 {
		return p.Keystore.Publish(ps...)
	}
	return errors.Join(p.Keystore.Publish(ps[:p.first]...), errBroken)
}

// After an error of the keystore the keys that it has stored are scheduled. The call can be
// repeated.
func TestProvideManyInPart(t *testing.T) {
	cfg, mem := withMem()
	keys := &partial{Keystore: mem}
	cfg.Keystore = keys
	n := newNode(t, cfg)
	call := func(keys [][]byte) (node.HandedOver, error) { return n.ProvideMany(testContext(t), keys) }
	_, err := call(manyKeys(2))
	require.NoError(t, err)
	keys.first = 4
	h, err := call(manyKeys(10))
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, node.HandedOver{New: 4, Known: 2}, h)
	s := n.Status().Republish
	require.Equal(t, 6, s.Keys)
	require.Equal(t, 6, s.Unannounced)

	keys.first = 0
	h, err = call(manyKeys(10))
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{New: 4, Known: 6}, h)
	require.Equal(t, 10, n.Status().Republish.Keys)
	require.EqualValues(t, 10, mem.Stats().Published[records.KindProvider])
}

// A key that is given twice counts as new once.
func TestProvideManyCountsKeysOnce(t *testing.T) {
	cfg, mem := withMem()
	n := newNode(t, cfg)
	h, err := n.ProvideMany(testContext(t), append(manyKeys(3), manyKeys(3)...))
	require.NoError(t, err)
	require.Equal(t, node.HandedOver{New: 3, Known: 3}, h)
	require.EqualValues(t, 3, mem.Stats().Published[records.KindProvider])
	require.Equal(t, 3, n.Status().Republish.Keys)
}

// failing is a store that cannot remove records while it is broken.
type failing struct {
	*records.Mem
	broken atomic.Bool
}

var errBroken = errors.New("the disk is broken")

func (f *failing) RemoveProvider(now time.Time, key []byte, id kad.PeerID) error {
	if f.broken.Load() {
		return errBroken
	}
	return f.Mem.RemoveProvider(now, key, id)
}

func (f *failing) DeleteValue(key []byte) error {
	if f.broken.Load() {
		return errBroken
	}
	return f.Mem.DeleteValue(key)
}

// The caller gets the error of a record that could not be removed, and may call again.
func TestUnprovideTellsWhatTheStoreSays(t *testing.T) {
	ctx := testContext(t)
	store := &failing{Mem: records.NewMem(nil)}
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = store, store.Mem, store.Mem
	n := newNode(t, cfg)
	one, many := manyKeys(3)[0], manyKeys(3)[1:]
	held := func() (found int) {
		for _, key := range manyKeys(3) {
			ps, err := store.Providers(nil, time.Now(), key, 1)
			require.NoError(t, err)
			found += len(ps)
		}
		return found
	}
	for _, key := range manyKeys(3) {
		_, err := n.ProvideKey(ctx, key)
		require.NoError(t, err)
	}
	store.broken.Store(true)
	require.Equal(t, errBroken, n.UnprovideKey(ctx, one), "the store has named the operation")
	removed, err := n.UnprovideMany(ctx, many)
	require.Equal(t, errBroken, err)
	require.Equal(t, 2, removed)
	require.Equal(t, 3, held())
	store.broken.Store(false)
	require.NoError(t, n.UnprovideKey(ctx, one))
	removed, err = n.UnprovideMany(ctx, append(many, many...))
	require.NoError(t, err)
	require.Equal(t, 2, removed, "their records were still here")
	require.Zero(t, held())
	removed, err = n.UnprovideMany(ctx, many)
	require.NoError(t, err)
	require.Zero(t, removed)
	require.ErrorIs(t, n.UnprovideKey(ctx, one), node.ErrNotFound)
}

// Unpublish may also be called again after an error of the store. A value that this node
// does not publish stays.
func TestUnpublishTellsWhatTheStoreSays(t *testing.T) {
	ctx, ours, other := testContext(t), []byte("/example/ours"), []byte("/example/other")
	store := &failing{Mem: records.NewMem(nil)}
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = store, store.Mem, store.Mem
	n := newNode(t, cfg)
	_, err := n.Publish(ctx, ours, []byte("v"))
	require.NoError(t, err)
	store.broken.Store(true)
	require.Equal(t, errBroken, n.Unpublish(ctx, ours), "the store has named the operation")
	store.broken.Store(false)
	require.NoError(t, n.Unpublish(ctx, ours))
	_, err = store.Value(time.Now(), ours)
	require.ErrorIs(t, err, records.ErrNotFound)
	require.Zero(t, n.Status().Republish.Keys)
	require.ErrorIs(t, n.Unpublish(ctx, ours), node.ErrNotFound)

	require.NoError(t, store.PutValue(time.Now(), records.Value{Key: other, Value: []byte("v"), Expires: time.Now().Add(time.Hour)}, nil))
	require.ErrorIs(t, n.Unpublish(ctx, other), node.ErrNotFound)
	_, err = store.Value(time.Now(), other)
	require.NoError(t, err)
}

// reviving is a store in which republish stores a value again while it is unpublished, and
// that then cannot remove it.
type reviving struct {
	*records.Mem
	removals int
}

func (r *reviving) DeleteValue(key []byte) error {
	if r.removals++; r.removals == 2 {
		return errBroken
	}
	v, err := r.Value(time.Now(), key)
	if err != nil {
		return err
	}
	return errors.Join(r.Mem.DeleteValue(key), r.PutValue(time.Now(), v, nil))
}

// If republish stores a value again during Unpublish and this copy cannot be removed, the
// value is not published any more, and the copy stays until it expires.
func TestUnpublishOfACopyStoredMeanwhile(t *testing.T) {
	ctx, key := testContext(t), []byte("/example/k")
	store := &reviving{Mem: records.NewMem(nil)}
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = store, store.Mem, store.Mem
	n := newNode(t, cfg)
	res, err := n.Publish(ctx, key, []byte("v"))
	require.NoError(t, err)
	require.ErrorIs(t, n.Unpublish(ctx, key), errBroken)
	require.Zero(t, n.Status().Republish.Keys)
	require.ErrorIs(t, n.Unpublish(ctx, key), node.ErrNotFound)
	v, err := store.Value(time.Now(), key)
	require.NoError(t, err)
	require.WithinDuration(t, res.Expires, v.Expires, time.Second)
	_, err = store.Value(res.Expires, key)
	require.ErrorIs(t, err, records.ErrNotFound)
}

// The log reports a record that republish has stored again and that then cannot be
// removed.
func TestRepublishedRecordThatStaysIsLogged(t *testing.T) {
	ctx, key := testContext(t), []byte("content")
	var log lines
	store := &failing{Mem: records.NewMem(nil)}
	keys := &hooked{Keystore: store.Mem}
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = store, keys, store.Mem
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	n := newNode(t, cfg)
	joinForeign(t, n)
	_, err := n.ProvideKey(ctx, key)
	require.NoError(t, err)
	done := make(chan error, 1)
	keys.hook.Store(&hook{key: key, run: func() {
		store.broken.Store(true)
		done <- n.UnprovideKey(ctx, key)
	}})
	require.NoError(t, n.RepublishNow())
	require.ErrorIs(t, <-done, errBroken)
	waitFor(t, func() bool { return strings.Contains(log.String(), errBroken.Error()) })
	require.Contains(t, log.String(), "not published any more could not be removed")
}

// Unprovide ends what Provide started, announced or not.
func TestProvideAndUnprovideByCID(t *testing.T) {
	ctx := testContext(t)
	cfg, mem := withMem()
	n := newNode(t, cfg)
	sum, err := multihash.Sum([]byte("content"), multihash.SHA2_256, -1)
	require.NoError(t, err)
	c := cid.NewCidV1(cid.Raw, sum)
	for _, announce := range []bool{false, true} {
		if err := n.Provide(ctx, c, announce); announce {
			require.ErrorIs(t, err, node.ErrNoPeers)
		} else {
			require.NoError(t, err)
		}
		require.NoError(t, n.Unprovide(ctx, c))
		ps, err := mem.Providers(nil, time.Now(), sum, 1)
		require.NoError(t, err)
		require.Empty(t, ps)
		require.Zero(t, mem.Stats().Published)
		require.ErrorIs(t, n.Unprovide(ctx, c), node.ErrNotFound)
	}
	require.ErrorIs(t, n.Unprovide(ctx, cid.Undef), node.ErrKeyLength)
}
