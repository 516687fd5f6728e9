//go:build force

package force

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

	"github.com/holdfast-dht/holdfast/pkg/api"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/node"
	"github.com/holdfast-dht/holdfast/pkg/rpc"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// world is what a daemon lives among: some nodes of its network, and peers that
// write to it and ask it.
type world struct {
	t          *testing.T
	neighbours []*node.Node
	askers     []*asker
	offset     atomic.Int64 // of the daemon's clock, in nanoseconds
	moved      bool         // offset is not always zero
}

// now is the time of the daemon.
func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

const (
	neighbours = 3
	askers     = 3
)

// newHost speaks Noise only: the certificates of libp2p's TLS are not yet valid to
// peers whose clock is more than an hour behind.
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
		h := newHost(t)
		a := &asker{host: h, self: kad.PeerID(h.ID())}
		for _, x := range h.Addrs() {
			a.addrs = append(a.addrs, x.Bytes())
		}
		w.askers = append(w.askers, a)
	}
	return w
}

// bootstrap are the arguments by which a daemon finds the network for the first
// time.
func (w *world) bootstrap() (args []string) {
	for _, n := range w.neighbours {
		args = append(args, "--bootstrap", fmt.Sprintf("%s/p2p/%s", n.Host().Addrs()[0], n.Host().ID()))
	}
	return args
}

// asker speaks the raw protocol to a daemon.
type asker struct {
	host   host.Host
	client *rpc.Client
	to     peer.ID
	self   kad.PeerID
	addrs  [][]byte
}

// meet points the askers at a daemon that has just started.
func (w *world) meet(d *daemon) {
	w.t.Helper()
	ai, err := peer.AddrInfoFromString(d.addr)
	require.NoError(w.t, err)
	for _, a := range w.askers {
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
}

// ask sends a request and waits for the answer.
func (a *asker) ask(ctx context.Context, msg *wire.Message) (*wire.Message, error) {
	r, err := a.client.Request(ctx, a.to, msg)
	if err != nil {
		return nil, err
	}
	return r.Message, nil
}

// load writes to a daemon and keeps the model of what that must hold.
type load struct {
	w     *world
	d     *daemon
	m     *model
	round int
	ttl   time.Duration // of provider records
	big   bool          // values of several KiB
	// fillers are further writers of such values, each under a new key.
	fillers int
	// fenced: what a reader was shown counts only once a later write to the same
	// records was answered, for a commit is visible a moment before it is durable.
	fenced bool

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	failed []failure
	acked  []string // values, for readers
}

// failure is an error and when it came.
type failure struct {
	at  time.Time
	err error
}

// maxFailures bounds what is kept of errors.
const maxFailures = 1000

func (l *load) fail(what string, err error) {
	l.mu.Lock()
	if len(l.failed) < maxFailures {
		l.failed = append(l.failed, failure{time.Now(), fmt.Errorf("%s: %w", what, err)})
	}
	l.mu.Unlock()
	select { // whoever is refused tries again, but not at once
	case <-l.ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}

// begin starts the writers.
func (l *load) begin(rng *rand.Rand) {
	l.ctx, l.stop = context.WithCancel(context.Background())
	works := []func(*asker, *rand.Rand, int){
		l.putValues, l.putValues, l.putShort, l.advertise, l.advertise, l.advertiseAcked,
		l.provide, l.put, l.provideMany, l.read, l.backup,
	}
	for range l.fillers {
		works = append(works, l.fillValues)
	}
	for g, work := range works {
		a := l.w.askers[g%len(l.w.askers)]
		mine := rand.New(rand.NewPCG(rng.Uint64(), uint64(g)))
		l.wg.Go(func() {
			for i := 0; l.ctx.Err() == nil; i++ {
				work(a, mine, g*100_000+i)
			}
		})
	}
}

// finish waits for the writers, after the daemon has ended, and returns the errors
// that came well before its end.
func (l *load) finish() []failure {
	<-l.d.ended
	return l.halt(l.d.at.Add(-500 * time.Millisecond))
}

// halt stops the writers and returns the errors that came before a time.
func (l *load) halt(before time.Time) (early []failure) {
	l.stop()
	l.wg.Wait()
	l.m.cut()
	for _, f := range l.failed {
		if f.at.Before(before) {
			early = append(early, f)
		}
	}
	return early
}

// unique is a number that no other write of this kind has.
func (l *load) unique(i int) int64 { return int64(l.round)*10_000_000 + int64(i) }

// timed is a change that stands for ttl from some moment between now and its
// answer on. A holder tells nothing that ends within a second.
func (w *world) timed(what string, n int64, ttl time.Duration) change {
	now := w.now()
	return change{what: what, stands: true, n: n, lo: now.Add(ttl - time.Second).UnixNano(), hi: now.Add(ttl + time.Minute).UnixNano()}
}

// answered ends a change of timed.
func (l *load) answered(number int, ttl time.Duration) {
	l.m.endBy(number, l.w.now().Add(ttl).UnixNano())
}

func (l *load) putValue(a *asker, key string, n int64, ttl time.Duration, size int) {
	value := append(fmt.Appendf(nil, "%d;", n), make([]byte, size)...)
	record := &wire.Record{Key: []byte(key), Value: value}
	if ttl < longTTL {
		record.TTL = uint32(ttl / time.Second)
	}
	number := l.m.begin(l.w.timed("v:"+key, n, ttl))
	_, err := a.ask(l.ctx, &wire.Message{Type: wire.PutValue, Key: []byte(key), Record: record})
	if err != nil {
		l.fail("put value", err)
		return
	}
	l.answered(number, ttl)
	l.mu.Lock()
	l.acked = append(l.acked, key)
	l.mu.Unlock()
}

func (l *load) putValues(a *asker, rng *rand.Rand, i int) {
	size := rng.IntN(100)
	if l.big || rng.IntN(20) == 0 {
		size = rng.IntN(9000)
	}
	l.putValue(a, fmt.Sprintf("/example/%d-%d", i/100_000, rng.IntN(300)), l.unique(i), longTTL, size)
}

// fillValues puts values that need room.
func (l *load) fillValues(a *asker, _ *rand.Rand, i int) {
	l.putValue(a, fmt.Sprintf("/example/fill-%d", l.unique(i)), l.unique(i), longTTL, 9000)
}

// putShort puts values that do not live to the end of the next round.
func (l *load) putShort(a *asker, rng *rand.Rand, i int) {
	l.putValue(a, fmt.Sprintf("/example/short-%d", l.unique(i)), l.unique(i), time.Duration(2+rng.IntN(4))*time.Second, 10)
	l.rest(rng, 10)
}

// rest makes way for others, up to some milliseconds.
func (l *load) rest(rng *rand.Rand, most int) {
	select {
	case <-l.ctx.Done():
	case <-time.After(time.Duration(rng.IntN(most*1000)) * time.Microsecond):
	}
}

func (l *load) advert(a *asker, key string) *wire.Message {
	return &wire.Message{Type: wire.AddProvider, Key: []byte(key), ProviderPeers: []wire.Peer{{ID: a.self, Addrs: a.addrs}}}
}

// recordOf names a provider record in the model.
func recordOf(key string, id kad.PeerID) string { return "p:" + key + ":" + peer.ID(id).String() }

func (l *load) advertChange(key string, id kad.PeerID) change {
	c := l.w.timed(recordOf(key, id), 0, l.ttl)
	c.extends, c.most = true, c.lo // of the longest life: ttl is the daemon's
	return c
}

// advertise sends provider records that nobody answers: they count once a reader
// was shown them. Some are refreshes.
func (l *load) advertise(a *asker, rng *rand.Rand, i int) {
	var messages []*wire.Message
	var keys []string
	var numbers []int
	for range 1 + rng.IntN(60) {
		key := fmt.Sprintf("advert %d-%d", i/100_000, rng.IntN(5000))
		if slices.Contains(keys, key) {
			continue
		}
		keys = append(keys, key)
		numbers = append(numbers, l.m.begin(l.advertChange(key, a.self)))
		messages = append(messages, l.advert(a, key))
	}
	if _, err := a.client.Notify(l.ctx, a.to, messages...); err != nil {
		l.fail("advertise", err)
		return
	}
	var shown []int
	for j, key := range keys {
		if l.m.known(recordOf(key, a.self)) {
			continue // it was there before: being shown says nothing
		}
		for l.ctx.Err() == nil {
			there, err := l.w.provides(l.ctx, a, key, a.self)
			if err != nil {
				l.fail("look for advert", err)
				return
			}
			if there {
				shown = append(shown, numbers[j])
				break
			}
			l.rest(rng, 5)
		}
	}
	if l.fenced && !l.ask(a, fmt.Sprintf("fence %d", i/100_000)) {
		return
	}
	for _, number := range shown {
		l.answered(number, l.ttl)
	}
}

// ask advertises with an answer, which a plain ADD_PROVIDER does not have, and
// tells whether it came.
func (l *load) ask(a *asker, key string) bool {
	number := l.m.begin(l.advertChange(key, a.self))
	msg := l.advert(a, key)
	msg.WantsAck = true
	if _, err := a.ask(l.ctx, msg); err != nil {
		l.fail("advertise with answer", err)
		return false
	}
	l.answered(number, l.ttl)
	return true
}

// provides reports whether the daemon names a provider of a key, with addresses
// unless the clock was moved: those have lives of their own.
func (w *world) provides(ctx context.Context, a *asker, key string, id kad.PeerID) (bool, error) {
	resp, err := a.ask(ctx, &wire.Message{Type: wire.GetProviders, Key: []byte(key)})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(resp.ProviderPeers, func(p wire.Peer) bool {
		return p.ID == id && (len(p.Addrs) > 0 || w.moved)
	}), nil
}

func (l *load) advertiseAcked(a *asker, rng *rand.Rand, i int) {
	l.ask(a, fmt.Sprintf("acked %d-%d", i/100_000, rng.IntN(2000)))
}

// own is the change that a key is published by the daemon itself.
func own(kind, key string, stands bool) change {
	return change{what: "k:" + kind + ":" + key, stands: stands, lo: never, hi: never}
}

// provide has the daemon itself provide keys, and some no longer.
func (l *load) provide(_ *asker, rng *rand.Rand, i int) {
	key := fmt.Sprintf("own %d", l.unique(i))
	kept := rng.IntN(3) > 0
	number := l.m.begin(own("provider", key, true))
	there := 0
	if !l.w.moved { // it is renewed at any time, and ends early where the clock is behind
		record := l.advertChange(key, kad.PeerID(l.w.askers[0].to))
		record.hi = never
		there = l.m.begin(record)
	}
	if _, err := l.d.api.Provide(l.ctx, []byte(key)); err != nil {
		l.fail("provide", err)
		return
	}
	l.m.end(number)
	if kept {
		if !l.w.moved {
			l.m.end(there)
		}
		return
	}
	number = l.m.begin(own("provider", key, false))
	if err := l.d.api.Unprovide(l.ctx, []byte(key)); err != nil {
		l.fail("unprovide", err)
		return
	}
	l.m.end(number)
}

// put has the daemon itself publish values.
func (l *load) put(_ *asker, rng *rand.Rand, i int) {
	key := fmt.Sprintf("/example/own-%d", rng.IntN(100))
	n := l.unique(i)
	number := l.m.begin(own("value", key, true))
	there := 0
	if !l.w.moved { // as with provide
		value := l.w.timed("v:"+key, n, longTTL)
		value.hi = never
		there = l.m.begin(value)
	}
	if _, err := l.d.api.Put(l.ctx, []byte(key), fmt.Appendf(nil, "%d;", n), 0); err != nil {
		l.fail("put", err)
		return
	}
	l.m.end(number)
	if !l.w.moved {
		l.m.end(there)
	}
	l.rest(rng, 20)
}

// provideMany has the daemon provide many keys at once, rarely.
func (l *load) provideMany(_ *asker, rng *rand.Rand, i int) {
	l.rest(rng, 1000)
	var keys [][]byte
	var numbers []int
	for j := range 20 {
		key := fmt.Sprintf("many %d-%d", l.unique(i), j)
		keys = append(keys, []byte(key))
		numbers = append(numbers, l.m.begin(own("provider", key, true)))
	}
	if l.ctx.Err() != nil {
		return
	}
	if err := l.d.api.ProvideAll(l.ctx, keys, func(api.Progress) {}); err != nil {
		l.fail("provide all", err)
		return
	}
	for _, n := range numbers {
		l.m.end(n)
	}
}

// read looks for values that were acknowledged a moment ago.
func (l *load) read(a *asker, rng *rand.Rand, _ int) {
	l.mu.Lock()
	var key string
	if n := len(l.acked); n > 0 {
		key = l.acked[rng.IntN(n)]
	}
	l.mu.Unlock()
	if key == "" {
		l.rest(rng, 5)
		return
	}
	if _, _, err := l.w.look(l.ctx, a, l.m, "v:"+key); err != nil {
		l.fail("read "+key, err)
	}
}

// backup copies the database while it is written to, rarely.
func (l *load) backup(_ *asker, rng *rand.Rand, _ int) {
	l.rest(rng, 2000)
	if l.ctx.Err() != nil {
		return
	}
	if err := l.d.api.Backup(l.ctx, io.Discard); err != nil {
		l.fail("backup", err)
	}
}

// look asks the daemon for something and holds the answer against the model.
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

// maxLooks bounds the records of earlier rounds that are looked for after a
// restart; which, is chance.
const maxLooks = 1500

// wrongs are things that are not as they must be: the first few, and a count. Safe
// for concurrent use.
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

// verify looks for everything that the model says a daemon has.
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
