package storetest

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
)

// model is the simple reference implementation: maps and the documented rules.
type model struct {
	values    map[string]records.Value
	providers map[string]map[kad.PeerID]time.Time
	addrs     map[kad.PeerID]modelAddrs
	published map[string]records.Published
	snapshot  *records.Snapshot
}

// modelAddrs are the addresses of a provider. Their expiry is only known within bounds,
// because a store does not have to write the same addresses again at once.
type modelAddrs struct {
	addrs            string
	earliest, latest time.Time
}

var (
	modelKeys  = []string{"a", "b", "/ns/c"}
	modelPeers = []kad.PeerID{"p", "q", "r", "s", "t"}
)

// walk applies the same calls to a store and to its model.
type walk struct {
	*rapid.T
	s      Stores
	reopen Reopen
	m      model
	now    time.Time
	floor  time.Time // lower bound for the clock: what was due may be gone
}

func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		s, reopen := open(t)
		w := &walk{T: rt, s: s, reopen: reopen, now: start, floor: start, m: model{
			values: map[string]records.Value{}, providers: map[string]map[kad.PeerID]time.Time{},
			addrs: map[kad.PeerID]modelAddrs{}, published: map[string]records.Published{},
		}}
		defer func() {
			if c, ok := w.s.(io.Closer); ok {
				_ = c.Close()
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"put":       func(*rapid.T) { w.put() },
			"delete":    func(*rapid.T) { w.delete() },
			"provide":   func(*rapid.T) { w.provide() },
			"provide2":  func(*rapid.T) { w.provide() },
			"remove":    func(*rapid.T) { w.remove() },
			"publish":   func(*rapid.T) { w.publish() },
			"unpublish": func(*rapid.T) { w.unpublish() },
			"done":      func(*rapid.T) { w.done() },
			"save":      func(*rapid.T) { w.save() },
			"expire":    func(*rapid.T) { w.expire() },
			"jump":      func(*rapid.T) { w.jump() },
			"restart":   func(*rapid.T) { w.restart() },
			"":          func(*rapid.T) { w.compare() },
		})
	})
}

func (w *walk) key() string        { return rapid.SampledFrom(modelKeys).Draw(w.T, "key") }
func (w *walk) peer() kad.PeerID   { return rapid.SampledFrom(modelPeers).Draw(w.T, "peer") }
func (w *walk) kind() records.Kind { return records.Kind(rapid.IntRange(0, 1).Draw(w.T, "kind")) }

// ttl draws a lifetime in whole seconds, sometimes longer than MaxTTL.
func (w *walk) ttl() time.Duration {
	return time.Duration(rapid.IntRange(1, 50*3600).Draw(w.T, "ttl")) * time.Second
}

func (w *walk) want(got, want error) {
	if got != nil && want == nil || want != nil && got == nil {
		w.Fatalf("error %v, the model has %v", got, want)
	}
}

// live reports whether something with this expiry and a maximum lifetime of most is live.
func (w *walk) live(expires time.Time, most time.Duration) bool {
	return expires.After(w.now) && !expires.After(w.now.Add(most+records.ExpireGrace))
}

func (w *walk) put() {
	v := records.Value{
		Key: []byte(w.key()), Received: w.now, Expires: w.now.Add(w.ttl()),
		Value: []byte(rapid.SampledFrom([]string{"1", "2", "3"}).Draw(w.T, "value")),
	}
	err := w.s.PutValue(w.now, v, larger)
	old, ok := w.m.values[string(v.Key)]
	v.Expires = earlier(v.Expires, w.now.Add(records.MaxTTL))
	switch {
	case !ok || !w.live(old.Expires, records.MaxTTL):
	case string(old.Value) == string(v.Value):
		if old.Expires.After(v.Expires) {
			v.Expires = earlier(old.Expires, w.now.Add(records.MaxTTL))
		}
	case string(old.Value) > string(v.Value):
		w.want(err, records.ErrOlder)
		return
	}
	w.want(err, nil)
	w.m.values[string(v.Key)] = v
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (w *walk) delete() {
	key := w.key()
	err := w.s.DeleteValue([]byte(key))
	// An expired value may or may not have been removed.
	if v, ok := w.m.values[key]; ok && w.live(v.Expires, records.MaxTTL) {
		w.want(err, nil)
	}
	delete(w.m.values, key)
}

func (w *walk) provide() {
	key, id := w.key(), w.peer()
	addr := rapid.SampledFrom([]string{"x", "y"}).Draw(w.T, "addr")
	p := records.Provider{ID: id, Addrs: [][]byte{[]byte(addr)}, Expires: w.now.Add(w.ttl())}
	durable := rapid.Bool().Draw(w.T, "durable")
	w.want(w.s.AddProvider(w.now, []byte(key), p, durable), nil)
	w.flush()
	if w.m.providers[key] == nil {
		w.m.providers[key] = map[kad.PeerID]time.Time{}
	}
	expires := earlier(p.Expires, w.now.Add(records.MaxTTL))
	if old := w.m.providers[key][id]; expires.After(old) || !w.live(old, records.MaxTTL) {
		w.m.providers[key][id] = expires
	}
	until := w.now.Add(records.ProviderAddrTTL)
	a := w.m.addrs[id]
	if a.addrs != addr {
		w.m.addrs[id] = modelAddrs{addrs: addr, earliest: until, latest: until}
		return
	}
	switch half := w.now.Add(records.ProviderAddrTTL / 2); { // later addresses may stay unchanged
	case a.latest.Before(half):
		a.earliest = until
	case a.earliest.Before(half):
		a.earliest = half
	}
	a.earliest = earlier(a.earliest, until)
	if until.After(a.latest) {
		a.latest = until
	}
	a.latest = earlier(a.latest, until.Add(records.ExpireGrace)) // later expiries are replaced
	w.m.addrs[id] = a
}

func (w *walk) flush() {
	if q, ok := w.s.(interface{ Flush() error }); ok {
		w.want(q.Flush(), nil)
	}
}

func (w *walk) remove() {
	key, id := w.key(), w.peer()
	err := w.s.RemoveProvider(w.now, []byte(key), id)
	if w.live(w.m.providers[key][id], records.MaxTTL) {
		w.want(err, nil)
	} else {
		w.want(err, records.ErrNotFound)
	}
	delete(w.m.providers[key], id)
}

func publishedName(kind records.Kind, key string) string { return kind.String() + key }

func (w *walk) publish() {
	p := records.Published{Kind: w.kind(), Key: []byte(w.key()), Added: w.now, TTL: w.ttl(), Due: w.now}
	w.want(w.s.Publish(p), nil)
	w.m.published[publishedName(p.Kind, string(p.Key))] = p
}

func (w *walk) unpublish() {
	kind, key := w.kind(), w.key()
	err := w.s.Unpublish(kind, []byte(key))
	if _, ok := w.m.published[publishedName(kind, key)]; ok {
		w.want(err, nil)
	} else {
		w.want(err, records.ErrNotFound)
	}
	delete(w.m.published, publishedName(kind, key))
}

func (w *walk) done() {
	kind, key := w.kind(), w.key()
	last := time.Time{}
	if rapid.Bool().Draw(w.T, "ok") {
		last = w.now
	}
	w.want(w.s.Done(kind, []byte(key), last, w.now.Add(time.Hour)), nil)
	if p, ok := w.m.published[publishedName(kind, key)]; ok {
		if !last.IsZero() {
			p.Last = last
		}
		p.Due = w.now.Add(time.Hour)
		w.m.published[publishedName(kind, key)] = p
	}
}

func (w *walk) save() {
	s := snapshot(rapid.IntRange(0, 4).Draw(w.T, "peers"), w.now)
	w.want(w.s.SaveSnapshot(s), nil)
	w.m.snapshot = &s
}

// expire also removes from the model what a clock set back can no longer make live again.
func (w *walk) expire() {
	for {
		out, err := w.s.Expire(w.now)
		w.want(err, nil)
		if !out.More {
			break
		}
	}
	limit := w.now.Add(-records.ExpireGrace)
	if w.floor.Before(limit) {
		w.floor = limit
	}
	for k, v := range w.m.values {
		if !v.Expires.After(limit) {
			delete(w.m.values, k)
		}
	}
	for _, ps := range w.m.providers {
		for id, expires := range ps {
			if !expires.After(limit) {
				delete(ps, id)
			}
		}
	}
}

// jump lets time pass or sets the clock.
func (w *walk) jump() {
	const week = 7 * 24 * 3600
	s := rapid.OneOf(rapid.IntRange(1, 60), rapid.IntRange(1, 30*3600), rapid.IntRange(-3599, -1), rapid.IntRange(-week, week)).Draw(w.T, "seconds")
	w.now = w.now.Add(time.Duration(s) * time.Second)
	if w.now.Before(w.floor) {
		w.now = w.floor
	}
}

func (w *walk) restart() {
	if w.reopen != nil {
		w.s = w.reopen()
	}
}

// compare compares everything that can be read with the model.
func (w *walk) compare() {
	live := [records.NumKinds]int64{}
	for _, key := range modelKeys {
		w.compareValue(key, &live[records.KindValue])
		w.compareProviders(key, &live[records.KindProvider])
	}
	w.comparePublished()
	snap, err := w.s.LoadSnapshot()
	if w.m.snapshot == nil {
		w.want(err, records.ErrNotFound)
	} else if err != nil || !snap.Taken.Equal(w.m.snapshot.Taken) || len(snap.Peers) != len(w.m.snapshot.Peers) {
		w.Fatalf("snapshot of %s with %d peers (%v), the model has %+v", snap.Taken, len(snap.Peers), err, w.m.snapshot)
	}
	st := w.s.Stats()
	for k, n := range live {
		if st.Records[k] < n {
			w.Fatalf("stats count %d records of kind %d, %d live", st.Records[k], k, n)
		}
	}
}

func (w *walk) compareValue(key string, live *int64) {
	got, err := w.s.Value(w.now, []byte(key))
	want, ok := w.m.values[key]
	if !ok || !w.live(want.Expires, records.MaxTTL) {
		w.want(err, records.ErrNotFound)
		return
	}
	*live++
	if err != nil || string(got.Value) != string(want.Value) || !got.Expires.Equal(want.Expires) || !got.Received.Equal(want.Received) {
		w.Fatalf("value %q: %+v, %v; the model has %+v", key, got, err, want)
	}
}

func (w *walk) compareProviders(key string, live *int64) {
	list, err := w.s.Providers(nil, w.now, []byte(key), 100)
	w.want(err, nil)
	var got, want []string
	for _, p := range list {
		got = append(got, fmt.Sprint(p.ID, " ", p.Expires.Unix()))
		w.compareAddrs(p)
	}
	for id, expires := range w.m.providers[key] {
		if w.live(expires, records.MaxTTL) {
			want = append(want, fmt.Sprint(id, " ", expires.Unix()))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Fatalf("providers of %q: %v, the model has %v", key, got, want)
	}
	*live += int64(len(want))
}

func (w *walk) compareAddrs(p records.Provider) {
	a := w.m.addrs[p.ID]
	if len(p.Addrs) == 0 {
		if w.live(a.earliest, records.ProviderAddrTTL) && w.live(a.latest, records.ProviderAddrTTL) {
			w.Fatalf("addresses of %q are missing before %s", p.ID, a.earliest)
		}
		return
	}
	if string(p.Addrs[0]) != a.addrs || p.AddrsExpire.After(a.latest) || p.AddrsExpire.Before(a.earliest) || !w.live(p.AddrsExpire, records.ProviderAddrTTL) {
		w.Fatalf("addresses of %q: %s until %s, the model has %+v", p.ID, p.Addrs, p.AddrsExpire, a)
	}
}

func (w *walk) comparePublished() {
	var want []records.Published
	for _, p := range w.m.published {
		want = append(want, p)
	}
	sortPublished(want)
	i := 0
	err := w.s.Range(kad.Prefix{}, func(p records.Published) bool {
		if i >= len(want) || p.Kind != want[i].Kind || string(p.Key) != string(want[i].Key) || p.TTL != want[i].TTL ||
			!p.Last.Equal(want[i].Last) || !p.Due.Equal(want[i].Due) || !p.Added.Equal(want[i].Added) {
			w.Fatalf("published key %d: %+v, the model has %+v", i, p, want)
		}
		i++
		return true
	})
	w.want(err, nil)
	if i != len(want) {
		w.Fatalf("%d published keys, the model has %d", i, len(want))
	}
	if st := w.s.Stats().Published; st[0]+st[1] != int64(len(want)) {
		w.Fatalf("stats count %v published keys, the model has %d", st, len(want))
	}
}
