package sim

import (
	"encoding/binary"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/dht"
	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/records"
	"github.com/holdfast-dht/holdfast/pkg/wire"
	"github.com/holdfast-dht/holdfast/republish"
)

// opKind is the kind of an operation of the workload.
type opKind uint8

const (
	opLookup  opKind = iota // the k closest to a random key
	opSeek                  // find a peer that does not exist: a finding lookup to its end
	opProvide               // announce content
	opFind                  // find providers of it
	opPut                   // store a value
	opGet                   // find it

	numOps = 6
)

var opNames = [numOps]string{"lookup", "seek", "provide", "find", "put", "get"}

// opWords explain the operations.
var opWords = [numOps]string{
	"find the closest servers to a random key",
	"find a peer that does not exist: ends at the nearest server",
	"announce content: store a provider record at the closest servers",
	"find a provider of content that was announced",
	"store a value at the closest servers",
	"find a value that was stored",
}

// op is a query of the workload. The world follows it and compares it with the ground
// truth.
type op struct {
	kind    opKind
	query   dht.QueryID
	started time.Duration
	target  kad.Key
	content *content // nil for opLookup and opSeek
	phase   *phase   // the phase in which it began

	messages int
	hops     map[uint32]int // answers that led to each peer that an answer named
	nearest  []uint32       // the k closest when it began
	firstHop int            // hops to the first of nearest that was named; -1: none yet
	rounds   int            // longest chain of answers
	first    time.Duration  // when the first record arrived; -1: not yet
}

// content is a key of the workload and the holders of its record.
type content struct {
	key     []byte
	at      kad.Key
	value   bool // not a provider record
	version uint64
	owner   *node
	holders []holder // servers that stored the record, in order
}

// holder is a server that stored a record, and when the record expires there.
type holder struct {
	node    *node
	expires time.Duration
}

// randomNode draws a live honest node. It returns nil if 10,000 draws find none.
func (w *World) randomNode() *node {
	for range 10_000 {
		n := w.nodes[w.random.work.IntN(len(w.nodes))]
		if n.up() && !n.evil && n.started {
			return n
		}
	}
	return nil
}

// randomServer draws a live honest server.
func (w *World) randomServer() *node {
	if len(w.truth.order) == 0 {
		return nil
	}
	return w.nodes[w.truth.order[w.random.work.IntN(len(w.truth.order))]]
}

// publisher draws a server that never leaves, because the workload measures records that
// are republished.
func (w *World) publisher() *node {
	for range 1000 {
		if n := w.randomServer(); n != nil && n.stable {
			return n
		}
	}
	return w.nodes[w.random.work.IntN(w.opts.Bootstrap)]
}

// newContent makes content whose key has the form of a SHA2-256 multihash.
func (w *World) newContent(value bool) *content {
	c := &content{key: w.randomKey(), value: value}
	c.at = kad.KeyOf(c.key)
	return c
}

func (w *World) randomKey() []byte {
	b := make([]byte, 0, idLen)
	b = append(b, 0x12, 0x20)
	for len(b) < idLen {
		b = binary.BigEndian.AppendUint32(b, w.random.work.Uint32())
	}
	return b
}

// lookup has a random node look for the peers nearest to a random key.
func (w *World) lookup() {
	if n := w.randomNode(); n != nil {
		key := w.randomKey()
		w.ask(n, &op{kind: opLookup, target: kad.KeyOf(key)}, dht.Query{Kind: dht.FindClosest, Key: key})
	}
}

// seek has a random node look for a peer that does not exist.
func (w *World) seek() {
	if n := w.randomNode(); n != nil {
		key := w.randomKey()
		w.ask(n, &op{kind: opSeek, target: kad.KeyOf(key)}, dht.Query{Kind: dht.FindPeer, Key: key})
	}
}

// provide has a server announce new content: once or, if publish is set, again at every
// republish interval.
func (w *World) provide(c *content, publish bool) {
	n := w.randomServer()
	if publish {
		n = w.publisher()
	}
	if n != nil {
		w.provideBy(n, c, publish)
	}
}

func (w *World) provideBy(n *node, c *content, publish bool) {
	c.owner = n
	w.track(c)
	o := &op{kind: opProvide, target: c.at, content: c}
	if c.value {
		o.kind = opPut
	}
	q := w.publication(n, c)
	if publish {
		it := republish.Item{Key: c.at, Kind: uint8(c.recordKind())}
		pub := records.Published{Kind: c.recordKind(), Key: c.key, TTL: w.opts.Protocol.TTL, Added: w.clock}
		if c.value {
			pub.Value = c.bytes()
		}
		_ = n.store.Publish(pub) // an in-memory store does not fail
		n.machine.Scheduled(w.clock, it, w.clock.Add(w.opts.Protocol.Republish), false)
		q.Publish = &it
	}
	w.ask(n, o, q)
}

func (c *content) recordKind() records.Kind {
	if c.value {
		return records.KindValue
	}
	return records.KindProvider
}

// bytes returns the value of the current version. The value of a later version is
// greater.
func (c *content) bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, c.version), c.key...)
}

// publication republishes the owner's own copy and returns the query that stores it at
// the closest peers.
func (w *World) publication(n *node, c *content) dht.Query {
	expires := w.clock.Add(w.opts.Protocol.TTL)
	self := w.peer(n.num).ID
	if c.value {
		v := records.Value{Key: c.key, Value: c.bytes(), Received: w.clock, Expires: expires}
		_ = n.store.PutValue(w.clock, v, newer)
		return dht.Query{Kind: dht.StoreValue, Key: c.key, Value: v}
	}
	_ = n.store.AddProvider(w.clock, c.key, records.Provider{ID: self, Expires: expires}, true)
	return dht.Query{Kind: dht.StoreProvider, Key: c.key, Provider: wire.Peer{ID: self, Addrs: w.addrs}}
}

// load gives a Machine the published key that it is about to republish.
func (w *World) load(n *node, it republish.Item) {
	c := w.contents[it.Key]
	if c == nil || c.owner != n {
		n.machine.Loaded(w.clock, it, nil, true)
		return
	}
	q := w.publication(n, c)
	n.machine.Loaded(w.clock, it, &q, false)
}

// find has a random node look for the record of a content.
func (w *World) find(c *content) {
	n := w.randomNode()
	if n == nil || n == c.owner {
		return
	}
	if c.value {
		w.ask(n, &op{kind: opGet, target: c.at, content: c}, dht.Query{Kind: dht.FindValue, Key: c.key})
		return
	}
	w.ask(n, &op{kind: opFind, target: c.at, content: c}, dht.Query{Kind: dht.FindProviders, Key: c.key, Count: 1})
}

// ask starts a query and follows it.
func (w *World) ask(n *node, o *op, q dht.Query) {
	o.started, o.phase, o.first, o.firstHop = w.now, w.phase, -1, -1
	o.hops = make(map[uint32]int)
	o.nearest = w.nearest(n, &o.target)
	w.heard(o, n.table.Nearest(nil, o.target, w.opts.Protocol.K), 0)
	id, err := n.machine.Start(w.clock, q)
	if err != nil {
		w.phase.ops[o.kind].refused++
		return
	}
	o.query = id
	n.ops = append(n.ops, o)
	w.perform(n)
}

// nearest returns the k live servers nearest to a target that n could reach.
func (w *World) nearest(n *node, target *kad.Key) []uint32 {
	return w.truth.closest(nil, target, w.opts.Protocol.K, func(num uint32) bool {
		return num != n.num && w.nodes[num].side == n.side
	})
}

// heard records the peers that an operation has learned of.
func (w *World) heard(o *op, peers []kad.Peer, hop int) {
	for i := range peers {
		num, ok := w.number(peers[i].ID)
		if !ok {
			continue
		}
		if _, known := o.hops[num]; known {
			continue
		}
		o.hops[num] = hop
		if o.firstHop < 0 && contains(o.nearest, num) {
			o.firstHop = hop
		}
	}
}

func contains(list []uint32, x uint32) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

// op returns the operation that a query of n serves, or nil.
func (n *node) op(id dht.QueryID) *op {
	for _, o := range n.ops {
		if o.query == id && id != 0 {
			return o
		}
	}
	return nil
}

// progress records when the first record arrived.
func (w *World) progress(n *node, p *dht.Progress) {
	if o := n.op(p.Query); o != nil && o.first < 0 {
		o.first = w.now - o.started
	}
}

// done ends an operation.
func (w *World) done(n *node, r *dht.Result) {
	for i, o := range n.ops {
		if o.query == r.Query {
			n.ops = append(n.ops[:i], n.ops[i+1:]...)
			w.judge(n, o, r)
			return
		}
	}
}
