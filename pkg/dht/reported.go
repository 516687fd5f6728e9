package dht

import (
	"encoding/binary"
	"slices"

	"github.com/holdfast-dht/holdfast/pkg/kad"
	"github.com/holdfast-dht/holdfast/pkg/wire"
)

// reported holds the providers that a FindProviders has reported, and the addresses of
// each. A provider is reported again when a peer knows more of its addresses, because
// the first ones may be wrong or old.
type reported struct {
	addrs map[kad.PeerID][]uint64 // the first 8 bytes of the hash of each address
	bytes int                     // see MaxProviderBytes
	full  bool                    // MaxProviderBytes was reached
}

// Memory that a provider and an address take in addition to their own bytes: in the
// report and in reported.
const (
	providerBytes = 192
	addrBytes     = 32
)

// add returns the news about a provider: all addresses of a new one, or the new addresses
// of a known one. It returns false if nothing is new.
func (r *reported) add(p wire.Peer) (news wire.Peer, ok bool) {
	known, again := r.addrs[p.ID]
	news = wire.Peer{ID: p.ID, Connection: p.Connection, Raw: p.Raw}
	size := 0
	if !again {
		size = providerBytes + len(p.ID)
	}
	for _, a := range p.Addrs {
		k := kad.KeyOf(a)
		sum := binary.BigEndian.Uint64(k[:8])
		if len(known) < wire.MaxPeerAddrs && !slices.Contains(known, sum) {
			known = append(known, sum)
			news.Addrs = append(news.Addrs, a)
			size += addrBytes + len(a)
		}
	}
	if r.full = r.bytes+size > MaxProviderBytes; r.full || again && len(news.Addrs) == 0 {
		return news, false
	}
	if r.addrs == nil {
		r.addrs = make(map[kad.PeerID][]uint64)
	}
	r.addrs[p.ID] = known
	r.bytes += size
	return news, true
}

// takeProviders reports the new providers and addresses in an answer. It returns whether
// the query has enough.
func (m *Machine) takeProviders(q *query, providers []wire.Peer) (enough bool) {
	var news []wire.Peer
	for i := range providers {
		if q.enough() {
			break
		}
		if p, ok := q.providers.add(providers[i]); ok {
			news = append(news, p)
			q.trace.found(&p)
		}
	}
	if len(news) > 0 {
		q.lookup.Until(m.cfg.Beta)
		m.out.Progress = append(m.out.Progress, Progress{Query: q.id, Providers: news})
	}
	return q.enough()
}

func (q *query) enough() bool {
	return q.providers.full || q.Count > 0 && len(q.providers.addrs) >= q.Count
}
