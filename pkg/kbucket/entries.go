package kbucket

import (
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// Entry is a copy of what the table stores about a peer.
type Entry struct {
	Peer     kad.Peer
	Group    Group
	Verified bool      // its last exchange with this node succeeded; lookups get no others
	LastSeen time.Time // when it last answered
	Added    time.Time // when it entered the table, to the second; for a promoted replacement: its last answer before that
	CPL      int       // its bucket: the common prefix length with the node's own key
}

func (t *Table) export(b *bucket, i, cpl int) Entry {
	e := &b.entries[i]
	return Entry{
		Peer: *b.handles[i].peer, Group: t.groups.name(e.group), Verified: e.verified,
		LastSeen: fromNanos(e.lastSeen), Added: fromSeconds(e.added), CPL: cpl,
	}
}

// Has reports whether Lookup would find k.
func (t *Table) Has(k kad.Key) bool {
	_, i := t.find(&k)
	return i >= 0
}

// Lookup returns the entry of k; replacements are not entries.
func (t *Table) Lookup(k kad.Key) (Entry, bool) {
	b, i := t.find(&k)
	if i < 0 {
		return Entry{}, false
	}
	return t.export(b, i, kad.CommonPrefixLen(&t.self, &k)), true
}

// Entries is an iter.Seq over all peers in buckets: nearest bucket first, least
// recently seen first within it. The table must not change during the iteration.
func (t *Table) Entries(yield func(Entry) bool) {
	var places []int
	for cpl := len(t.buckets) - 1; cpl >= 0; cpl-- {
		b := &t.buckets[cpl]
		places = b.order(places[:0])
		for _, i := range places {
			if !yield(t.export(b, i, cpl)) {
				return
			}
		}
	}
}

// Len returns how many peers the buckets hold and how many of them are verified.
func (t *Table) Len() (peers, verified int) { return t.peers, t.verified }

// BucketLen returns how many peers share exactly cpl leading bits with the node's key.
func (t *Table) BucketLen(cpl int) int {
	if cpl < 0 || cpl >= len(t.buckets) {
		return 0
	}
	return len(t.buckets[cpl].entries)
}

// Generation changes whenever the set of verified peers changes. Owners of a View or a
// snapshot compare it to know whether theirs is up to date.
func (t *Table) Generation() uint64 { return t.gen }
