//go:build force

package force

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/stretchr/testify/require"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// world is the surroundings of a daemon: some nodes of its network, and peers that write to
// it and query it.
type world struct {
	t          *testing.T
	neighbours []*node.Node
	askers     []*asker
	offset     atomic.Int64 // offset of the daemon's clock in nanoseconds
	moved      bool         // offset is not always zero
}

// now returns the time of the daemon.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

const (
	neighbours = 3
	askers     = 3
)

// newHost uses Noise only: peers whose clock is more than an hour behind do not accept
// libp2p's TLS certificates yet.
func newHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Security(noise.ID, noise.New),
		libp2p.DisableRelay(), libp2p.DisableMetrics())
	require.NoError(t, err)
	t.Cleanup(func() { h.Close() })
	return h
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	for range neighbours {
		n, err := node.New(newHost(t), node.Config{ProtocolPrefix: prefix, UnvalidatedNamespaces: []string{"example"}})
		require.NoError(t, err)
		t.Cleanup(func() { n.Close() })
		w.neighbours = append(w.neighbours, n)
	}
	for range askers {
		w.askers = append(w.askers, newAsker(newHost(t)))
	}
	return w
}

// bootstrap returns the arguments with which a daemon finds the network for the first time.
func (w *world) bootstrap() (args []string) {
	for _, n := range w.neighbours {
		args = append(args, "--bootstrap", fmt.Sprintf("%s/p2p/%s", n.Host().Addrs()[0], n.Host().ID()))
	}
	return args
}

// asker sends raw protocol messages to a daemon.
type asker struct {
	host   host.Host
	client *rpc.Client
	to     peer.ID
	self   kad.PeerID
	addrs  [][]byte
}

func newAsker(h host.Host) *asker {
	a := &asker{host: h, self: kad.PeerID(h.ID())}
	for _, x := range h.Addrs() {
		a.addrs = append(a.addrs, x.Bytes())
	}
	return a
}

// meet points the askers to a daemon that has just started.
func (w *world) meet(d *daemon) {
	w.t.Helper()
	ai, err := peer.AddrInfoFromString(d.addr)
	require.NoError(w.t, err)
	for _, a := range w.askers {
		a.meet(ai)
	}
}

func (a *asker) meet(ai *peer.AddrInfo) {
	if a.client != nil {
		a.client.Close()
	}
	a.to = ai.ID
	_ = a.host.Network().ClosePeer(ai.ID)
	a.host.Peerstore().ClearAddrs(ai.ID)
	a.host.Peerstore().AddAddrs(ai.ID, ai.Addrs, time.Hour)
	a.host.Network().(*swarm.Swarm).Backoff().Clear(ai.ID)
	a.client = rpc.NewClient(a.host, prefix+"/kad/1.0.0", rpc.ClientConfig{MaxStreamsPerPeer: 64}, nil)
}

// ask sends a request and waits for the answer.
func (a *asker) ask(ctx context.Context, msg *wire.Message) (*wire.Message, error) {
	r, err := a.client.Request(ctx, a.to, msg)
	if err != nil {
		return nil, err
	}
	return r.Message, nil
}

// provides reports whether the daemon returns a provider of a key. Unless the clock was
// moved, the provider must have addresses: these have a lifetime of their own.
func (w *world) provides(ctx context.Context, a *asker, key string, id kad.PeerID) (bool, error) {
	resp, err := a.ask(ctx, &wire.Message{Type: wire.GetProviders, Key: []byte(key)})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(resp.ProviderPeers, func(p wire.Peer) bool {
		return p.ID == id && (len(p.Addrs) > 0 || w.moved)
	}), nil
}

// look queries the daemon for a subject and compares the answer with the model.
func (w *world) look(ctx context.Context, a *asker, m *model, what string) (n int64, there bool, err error) {
	began := w.now().UnixNano()
	before, ok := m.entity(what)
	if !ok {
		return 0, false, nil
	}
	kind, key, _ := strings.Cut(what, ":")
	switch kind {
	case "v":
		n, there, err = a.value(ctx, key)
	case "p":
		var id peer.ID
		at := strings.LastIndexByte(key, ':')
		if id, err = peer.Decode(key[at+1:]); err == nil {
			there, err = w.provides(ctx, a, key[:at], kad.PeerID(id))
		}
	}
	if err != nil {
		return 0, false, err
	}
	now, _ := m.entity(what)
	ended := w.now().UnixNano()
	switch {
	case !there && m.must(&before, ended) && m.must(&now, ended):
		err = errLost
	case there && began >= max(before.until(), now.until()):
		err = errServed
	case there && !before.allows(n, began) && !now.allows(n, began) && n <= before.is.n:
		err = errBack
	}
	if err != nil {
		err = fmt.Errorf("%w: there %t, %d, asked from %d to %d; %+v", err, there, n, began, ended, now)
	}
	return n, there, err
}

// value returns the number in a value of the daemon.
func (a *asker) value(ctx context.Context, key string) (n int64, there bool, err error) {
	resp, err := a.ask(ctx, &wire.Message{Type: wire.GetValue, Key: []byte(key)})
	if err != nil || resp.Record == nil {
		return 0, false, err
	}
	text, _, _ := strings.Cut(string(resp.Record.Value), ";")
	n, err = strconv.ParseInt(text, 10, 64)
	return n, true, err
}

// maxLooks bounds the records of earlier rounds that are looked up after a restart. They are
// chosen at random.
const maxLooks = 1500

// wrongs are the differences found: the first few, and their number. Safe for concurrent use.
type wrongs struct {
	mu    sync.Mutex
	first []error
	count int
}

const maxWrongs = 10

func (w *wrongs) add(what string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count++; w.count <= maxWrongs {
		w.first = append(w.first, fmt.Errorf("%s: %w", what, err))
	}
}

func (w *wrongs) err() error {
	if w.count == 0 {
		return nil
	}
	return fmt.Errorf("%d things are wrong, the first:\n%w", w.count, errors.Join(w.first...))
}

// verify checks for everything that the daemon must have according to the model.
func (w *world) verify(d *daemon, m *model, began int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wrong wrongs
	if err := w.verifyOwn(ctx, d, m, &wrong); err != nil {
		return err
	}
	whats := make(chan string)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for what := range whats {
				n, there, err := w.look(ctx, w.askers[i%len(w.askers)], m, what)
				if err != nil {
					wrong.add(what, err)
				} else {
					m.resolve(what, there, n, w.now().UnixNano())
				}
			}
		})
	}
	for _, what := range m.choose(began, maxLooks, "v:", "p:") {
		whats <- what
	}
	close(whats)
	wg.Wait()
	return wrong.err()
}

// verifyOwn compares the published keys.
func (w *world) verifyOwn(ctx context.Context, d *daemon, m *model, wrong *wrongs) error {
	has := map[string]bool{}
	err := d.api.Provides(ctx, func(p api.Published) error {
		has["k:"+p.Kind+":"+string(p.Key)] = true
		return nil
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for what, e := range m.entities {
		if !strings.HasPrefix(what, "k:") {
			continue
		}
		there := has[what]
		delete(has, what)
		switch {
		case !there && m.must(e, 0):
			wrong.add(what, errLost)
		case there && !e.allows(0, 0):
			wrong.add(what, errBack)
		}
		m.settle(e, there, 0, 0)
		m.forget(e)
	}
	for what := range has {
		wrong.add(what, errBack)
	}
	return nil
}
