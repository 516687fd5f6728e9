//go:build force

package force

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// load writes to a daemon and maintains the model of its contents.
type load struct {
	w     *world
	d     *daemon
	m     *model
	round int
	ttl   time.Duration // lifetime of provider records
	big   bool          // values of several KiB
	// fillers are additional writers of such values, each value under a new key.
	fillers int
	// full: there may be no space for local copies of the keys that the daemon publishes.
	// Other peers still have them.
	full bool

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	failed []failure
	acked  []string // values, for the readers
}

// failure is an error and the time at which it occurred.
type failure struct {
	at  time.Time
	err error
}

// GoString formats the error for failed assertions.
func (f failure) GoString() string { return f.String() }

func (f failure) String() string { return f.at.Format("15:04:05.000 ") + f.err.Error() }

// maxFailures bounds the errors that are kept.
const maxFailures = 1000

func (l *load) fail(what string, err error) {
	l.mu.Lock()
	if len(l.failed) < maxFailures {
		l.failed = append(l.failed, failure{time.Now(), fmt.Errorf("%s: %w", what, err)})
	}
	l.mu.Unlock()
	select { // back off after a refusal
	case <-l.ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}

// begin starts the writers.
func (l *load) begin(rng *rand.Rand) {
	l.ctx, l.stop = context.WithCancel(context.Background())
	works := []func(*asker, *rand.Rand, int){
		l.putValues, l.putValues, l.putShort, l.announce, l.announce, l.announceAcked,
		l.provide, l.put, l.provideMany, l.read, l.backup, l.crowd,
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

// finish waits for the writers after the daemon has exited, and returns the errors that
// occurred well before that.
func (l *load) finish() []failure {
	<-l.d.ended
	return l.halt(l.d.at.Add(-500 * time.Millisecond))
}

// halt stops the writers and returns the errors before a time.
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

// unique returns a number that no other write of this kind has.
func (l *load) unique(i int) int64 { return int64(l.round)*10_000_000 + int64(i) }

// timed is a change with a lifetime of ttl that begins between now and its answer. A holder
// does not return records that expire within a second.
func (w *world) timed(what string, n int64, ttl time.Duration) change {
	now := w.now()
	return change{what: what, stands: true, n: n, lo: now.Add(ttl - time.Second).UnixNano(), hi: now.Add(ttl + time.Minute).UnixNano()}
}

// answered ends a change made by timed.
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

// fillValues puts large values.
func (l *load) fillValues(a *asker, _ *rand.Rand, i int) {
	l.putValue(a, fmt.Sprintf("/example/fill-%d", l.unique(i)), l.unique(i), longTTL, 9000)
}

// putShort puts values that expire before the end of the next round.
func (l *load) putShort(a *asker, rng *rand.Rand, i int) {
	l.putValue(a, fmt.Sprintf("/example/short-%d", l.unique(i)), l.unique(i), time.Duration(2+rng.IntN(4))*time.Second, 10)
	l.rest(rng, 10)
}

// rest yields to other writers for up to some milliseconds.
func (l *load) rest(rng *rand.Rand, most int) {
	select {
	case <-l.ctx.Done():
	case <-time.After(time.Duration(rng.IntN(most*1000)) * time.Microsecond):
	}
}

func (l *load) announcement(a *asker, key string) *wire.Message {
	return &wire.Message{Type: wire.AddProvider, Key: []byte(key), ProviderPeers: []wire.Peer{{ID: a.self, Addrs: a.addrs}}}
}

// recordOf returns the name of a provider record in the model.
func recordOf(key string, id kad.PeerID) string { return "p:" + key + ":" + peer.ID(id).String() }

func (l *load) recordChange(key string, id kad.PeerID) change {
	c := l.w.timed(recordOf(key, id), 0, l.ttl)
	c.extends, c.most = true, c.lo // of maximum lifetime: ttl is the daemon's
	return c
}

// announce sends provider records without an answer. They count once a reader has seen them.
// Some of them are republished.
func (l *load) announce(a *asker, rng *rand.Rand, i int) {
	var messages []*wire.Message
	var keys []string
	var numbers []int
	for range 1 + rng.IntN(60) {
		key := fmt.Sprintf("record %d-%d", i/100_000, rng.IntN(5000))
		if slices.Contains(keys, key) {
			continue
		}
		keys = append(keys, key)
		numbers = append(numbers, l.m.begin(l.recordChange(key, a.self)))
		messages = append(messages, l.announcement(a, key))
	}
	if _, err := a.client.Notify(l.ctx, a.to, messages...); err != nil {
		l.fail("announce", err)
		return
	}
	var shown []int
	for j, key := range keys {
		if l.m.known(recordOf(key, a.self)) {
			continue // it was present before, so seeing it proves nothing
		}
		for l.ctx.Err() == nil {
			there, err := l.w.provides(l.ctx, a, key, a.self)
			if err != nil {
				l.fail("look for provider record", err)
				return
			}
			if there {
				shown = append(shown, numbers[j])
				break
			}
			l.rest(rng, 5)
		}
	}
	for _, number := range shown {
		l.answered(number, l.ttl)
	}
}

// ask announces with an answer, which a plain ADD_PROVIDER does not have.
func (l *load) ask(a *asker, key string) {
	number := l.m.begin(l.recordChange(key, a.self))
	msg := l.announcement(a, key)
	msg.WantsAck = true
	if _, err := a.ask(l.ctx, msg); err != nil {
		l.fail("announce with answer", err)
		return
	}
	l.answered(number, l.ttl)
}

// crowd sends provider records that are not checked, enough of them to fill the tables. The
// number of their keys is bounded.
func (l *load) crowd(a *asker, rng *rand.Rand, _ int) {
	messages := make([]*wire.Message, 100)
	for i := range messages {
		messages[i] = l.announcement(a, fmt.Sprint("crowd ", rng.IntN(20_000)))
	}
	if _, err := a.client.Notify(l.ctx, a.to, messages...); err != nil {
		l.fail("crowd", err)
	}
	l.rest(rng, 40)
}

func (l *load) announceAcked(a *asker, rng *rand.Rand, i int) {
	l.ask(a, fmt.Sprintf("acked %d-%d", i/100_000, rng.IntN(2000)))
}

// copies reports whether the daemon must have a local copy of the keys it publishes.
func (l *load) copies() bool { return !l.w.moved && !l.full }

// own is the change that the daemon itself publishes a key.
func own(kind, key string, stands bool) change {
	return change{what: "k:" + kind + ":" + key, stands: stands, lo: never, hi: never}
}

// provide lets the daemon provide keys and stop providing some.
func (l *load) provide(_ *asker, rng *rand.Rand, i int) {
	key := fmt.Sprintf("own %d", l.unique(i))
	kept := rng.IntN(3) > 0
	number := l.m.begin(own("provider", key, true))
	there := 0
	if l.copies() { // with a moved clock, it is republished at any time and expires early where the clock is behind
		record := l.recordChange(key, kad.PeerID(l.w.askers[0].to))
		record.hi = never
		there = l.m.begin(record)
	}
	if _, err := l.d.api.Provide(l.ctx, []byte(key)); err != nil {
		l.fail("provide", err)
		return
	}
	l.m.end(number)
	if kept {
		if l.copies() {
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

// put lets the daemon publish values.
func (l *load) put(_ *asker, rng *rand.Rand, i int) {
	key := fmt.Sprintf("/example/own-%d", rng.IntN(100))
	n := l.unique(i)
	number := l.m.begin(own("value", key, true))
	there := 0
	if l.copies() { // as in provide
		value := l.w.timed("v:"+key, n, longTTL)
		value.hi = never
		there = l.m.begin(value)
	}
	if _, err := l.d.api.Put(l.ctx, []byte(key), fmt.Appendf(nil, "%d;", n), 0); err != nil {
		l.fail("put", err)
		return
	}
	l.m.end(number)
	if l.copies() {
		l.m.end(there)
	}
	l.rest(rng, 20)
}

// provideMany occasionally lets the daemon provide many keys at once.
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
	if _, err := l.d.api.ProvideLater(l.ctx, keys); err != nil {
		l.fail("provide later", err)
		return
	}
	for _, n := range numbers {
		l.m.end(n)
	}
}

// read looks up values that were acknowledged recently.
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

// backup occasionally copies the database while it is being written.
func (l *load) backup(_ *asker, rng *rand.Rand, _ int) {
	l.rest(rng, 2000)
	if l.ctx.Err() != nil {
		return
	}
	if err := l.d.api.Backup(l.ctx, io.Discard); err != nil {
		l.fail("backup", err)
	}
}
