package node_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// If a node has reached its limit of queries, it retries a publication soon.
func TestBusyNodePublishesLater(t *testing.T) {
	n := newNode(t, openConfig())
	joinForeign(t, n).silent.Store(true)
	ctx, cancel := context.WithCancel(testContext(t))
	var wg sync.WaitGroup
	for range dht.MaxQueries {
		wg.Go(func() { _, _ = n.Closest(ctx, []byte("x")) })
	}
	waitFor(t, func() bool { return n.Status().Queries == dht.MaxQueries })
	_, err := n.Publish(ctx, []byte("/example/k"), []byte("v"))
	require.ErrorIs(t, err, dht.ErrBusy)
	s := n.Status().Republish
	require.Equal(t, 1, s.Keys)
	require.WithinDuration(t, time.Now(), s.NextDue, 2*dht.PublishRetry)
	cancel()
	wg.Wait()
}

// The status names a key that could not be published, with the reason, until it is
// published.
func TestFailedPublicationsAreTold(t *testing.T) {
	n := newNode(t, openConfig())
	_, err := n.Publish(testContext(t), []byte("/example/k"), []byte("v"))
	require.NoError(t, err) // stored here
	f := joinForeign(t, n)
	f.refuse.Store(true)
	require.NoError(t, n.RepublishNow())
	failures := func() []node.PublishFailure { return n.Status().Republish.Failures }
	waitFor(t, func() bool {
		all := failures()
		return len(all) == 1 && all[0].Problem == "no peer took it (1 asked)"
	})
	require.Equal(t, records.KindValue, failures()[0].Kind)
	require.Equal(t, "/example/k", string(failures()[0].Key))
	s := n.Status().Republish
	require.Equal(t, []int{1, 1}, []int{s.Unannounced, s.UnannouncedFailed})
	f.refuse.Store(false)
	require.NoError(t, n.RepublishNow())
	waitFor(t, func() bool { return len(failures()) == 0 })
	waitFor(t, func() bool { return n.Status().Republish.Unannounced == 0 })
	require.Zero(t, n.Status().Republish.UnannouncedFailed)

	f.refuse.Store(true) // a key that was published once is not counted
	require.NoError(t, n.RepublishNow())
	waitFor(t, func() bool { return len(failures()) == 1 })
	require.Zero(t, n.Status().Republish.UnannouncedFailed)
}

// A key that peers refuse is not counted any more once it is no longer published.
func TestRefusedKeyIsUnpublished(t *testing.T) {
	n := newNode(t, openConfig())
	joinForeign(t, n).refuse.Store(true)
	key := []byte("/example/k")
	_, err := n.Publish(testContext(t), key, []byte("v"))
	require.NoError(t, err)
	waitFor(t, func() bool { return n.Status().Republish.UnannouncedFailed == 1 })
	require.NoError(t, n.Unpublish(testContext(t), key))
	s := n.Status().Republish
	require.Equal(t, []int{0, 0}, []int{s.Unannounced, s.UnannouncedFailed})
}

// A publication that only one of three peers stored is not done: it is retried soon.
func TestOneHolderOfThreeIsNotEnough(t *testing.T) {
	n := newNode(t, openConfig())
	peers := []*foreign{joinForeign(t, n), joinForeign(t, n), joinForeign(t, n)}
	peers[1].refuse.Store(true)
	peers[2].refuse.Store(true)
	r, err := n.Publish(testContext(t), []byte("/example/k"), []byte("v"))
	require.NoError(t, err)
	require.Equal(t, []int{1, 3}, []int{r.StoredAt, r.Sent})
	s := n.Status().Republish
	require.Equal(t, node.Holders{Keys: 1, Fewest: 1, FewestKeys: 1}, s.Holders)
	require.WithinDuration(t, time.Now(), s.NextDue, 2*dht.PublishRetry)
	waitFor(t, func() bool {
		all := n.Status().Republish.Failures
		return len(all) == 1 && all[0].Problem == "only 1 of 3 peers took it"
	})

	peers[1].refuse.Store(false)
	require.NoError(t, n.RepublishNow())
	waitFor(t, func() bool { s = n.Status().Republish; return len(s.Failures) == 0 && s.Active == 0 })
	require.Equal(t, node.Holders{Keys: 1, Fewest: 2, FewestKeys: 1}, s.Holders)
	require.WithinDuration(t, time.Now().Add(republish.Interval), s.NextDue, time.Hour)
}

// hooked is a Keystore that calls a hook, once, after a key that is due was read.
type hooked struct {
	records.Keystore
	hook atomic.Pointer[hook]
}

type hook struct {
	key []byte
	run func()
}

func (k *hooked) Range(region kad.Prefix, fn func(records.Published) bool) error {
	err := k.Keystore.Range(region, fn)
	if h := k.hook.Load(); h != nil && region == kad.PrefixOf(kad.KeyOf(h.key), kad.KeyBits) && k.hook.CompareAndSwap(h, nil) {
		h.run()
	}
	return err
}

// A key that is unprovided while it is being republished does not come back.
func TestUnpublishDuringRepublication(t *testing.T) {
	ctx := testContext(t)
	mem := records.NewMem(nil)
	keys := &hooked{Keystore: mem}
	cfg := openConfig()
	cfg.Store, cfg.Keystore, cfg.Snapshots = mem, keys, mem
	n := newNode(t, cfg)
	f := joinForeign(t, n)
	value, content := []byte("/example/k"), []byte("content")
	_, err := n.Publish(ctx, value, []byte("v"))
	require.NoError(t, err)
	_, err = n.ProvideKey(ctx, content)
	require.NoError(t, err)

	takeBack := func(key []byte, unpublish func(context.Context, []byte) error) {
		done := make(chan error, 1)
		keys.hook.Store(&hook{key: key, run: func() { done <- unpublish(ctx, key) }})
		require.NoError(t, n.RepublishNow())
		require.NoError(t, <-done)
		waitFor(t, func() bool { s := n.Status(); return s.Republish.Active == 0 && s.Queries == 0 })
	}
	takeBack(value, n.Unpublish)
	puts := f.count(wire.PutValue)
	takeBack(content, n.UnprovideKey)
	require.Equal(t, 1, puts)
	require.Equal(t, 2, f.count(wire.AddProvider)) // the first publication, and the one together with the value
	_, err = mem.Value(time.Now(), value)
	require.ErrorIs(t, err, records.ErrNotFound)
	ps, err := mem.Providers(nil, time.Now(), content, 1)
	require.NoError(t, err)
	require.Empty(t, ps)
}

// lateReader is a store that calls a hook, once, after a value was read.
type lateReader struct {
	*records.Mem
	hook atomic.Pointer[func()]
}

func (l *lateReader) Value(now time.Time, key []byte) (records.Value, error) {
	v, err := l.Mem.Value(now, key)
	if run := l.hook.Swap(nil); run != nil {
		(*run)()
	}
	return v, err
}

// A value that is unpublished while the better one of another publisher is republished in its
// place is gone: republish does not store it again.
func TestUnpublishDuringRepublicationOfABetterValue(t *testing.T) {
	ctx, key, end := testContext(t), []byte("/v/key"), time.Now().Add(time.Hour)
	store := &lateReader{Mem: records.NewMem(nil)}
	n := newNode(t, node.Config{
		Validators: map[string]node.Validator{"v": versions{}},
		Store:      store, Keystore: store.Mem, Snapshots: store.Mem,
	})
	f := joinForeign(t, n)
	_, err := n.Publish(ctx, key, version(1, end))
	require.NoError(t, err)
	better := records.Value{Key: key, Value: version(2, end), Received: time.Now(), Expires: end}
	require.NoError(t, store.PutValue(time.Now(), better, nil))

	done := make(chan error, 1)
	unpublish := func() { done <- n.Unpublish(ctx, key) }
	store.hook.Store(&unpublish)
	require.NoError(t, n.RepublishNow())
	require.NoError(t, <-done)
	waitFor(t, func() bool { s := n.Status(); return s.Republish.Active == 0 && s.Queries == 0 })
	_, err = store.Value(time.Now(), key)
	require.ErrorIs(t, err, records.ErrNotFound)
	require.Equal(t, 1, f.count(wire.PutValue), "it is not published either")
}

// attempts counts the publications that are reported as done or failed.
type attempts struct {
	dht.NopObserver
	n atomic.Int64
}

func (a *attempts) Republished(records.Kind, bool, int, time.Duration) { a.n.Add(1) }

// A cancelled call says nothing about the network: no failure is counted or shown, and
// the schedule publishes the key soon.
func TestCancelledIsNotFailed(t *testing.T) {
	var told attempts
	cfg := openConfig()
	cfg.Observer = &told
	n := newNode(t, cfg)
	f := joinForeign(t, n)
	asked := f.count(wire.FindNode)
	f.silent.Store(true)
	for name, publish := range map[string]func(ctx context.Context) error{
		"provide": func(ctx context.Context) error { _, err := n.ProvideKey(ctx, []byte("content")); return err },
		"store": func(ctx context.Context) error {
			_, err := n.Publish(ctx, []byte("/example/k"), []byte("v"))
			return err
		},
	} {
		ctx, cancel := context.WithCancel(testContext(t))
		done := make(chan error, 1)
		go func() { done <- publish(ctx) }()
		asked++
		waitFor(t, func() bool { return f.count(wire.FindNode) >= asked })
		cancel()
		require.ErrorIs(t, <-done, context.Canceled, name)
	}
	waitFor(t, func() bool { return n.Status().Queries == 0 })
	s := n.Status().Republish
	require.Empty(t, s.Failures)
	require.Zero(t, told.n.Load())
	require.Equal(t, 2, s.Keys)
	require.WithinDuration(t, time.Now(), s.NextDue, 2*dht.PublishRetry)
}

// The errors of go-libp2p's interface tell a record that peers refused from one that no
// peer was asked to store.
func TestPutValueErrors(t *testing.T) {
	withTwoHosts(t, func(t *testing.T, h1, h2 host.Host) {
		n := nodeOn(t, h1, openConfig())
		require.ErrorIs(t, n.PutValue(t.Context(), "/example/k", []byte("v")), node.ErrNoPeers)
		nodeOn(t, h2, node.Config{Bootstrap: []peer.AddrInfo{infoOf(n)}}) // knows no namespace "example"
		require.True(t, joinedBy(t, n, 20*time.Second))
		err := n.PutValue(t.Context(), "/example/k", []byte("v"))
		require.ErrorIs(t, err, node.ErrNotTaken)
		require.NotErrorIs(t, err, node.ErrNoPeers)
	})
}
