package records

import (
	"bytes"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

// memProvider is a provider record: a peer has the content of the key.
type memProvider struct {
	id      kad.PeerID
	expires time.Time
}

func (p *memProvider) live(now time.Time) bool { return Live(now, p.expires, MaxTTL) }

// memPeer is a provider with its addresses, shared by all its records.
type memPeer struct {
	records     int // records that name it; the entry is removed with the last
	addrs       [][]byte
	addrsExpire time.Time
}

// Providers implements Store.
func (m *Mem) Providers(dst []Provider, now time.Time, key []byte, n int) ([]Provider, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s == nil || n <= 0 {
		return dst, nil
	}
	var live []memProvider
	for _, p := range m.s.providers[string(key)] {
		if p.live(now) {
			live = append(live, p)
		}
	}
	if len(live) > n {
		if m.Shuffle != nil {
			m.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
		}
		live = live[:n]
	}
	for _, p := range live {
		dst = append(dst, m.s.provider(now, p))
	}
	return dst, nil
}

// provider joins a record with the addresses of its provider, if they have not expired.
func (s *memState) provider(now time.Time, p memProvider) Provider {
	out := Provider{ID: p.id, Expires: p.expires}
	peer := s.peers[p.id]
	if len(peer.addrs) > 0 && Live(now, peer.addrsExpire, ProviderAddrTTL) {
		out.Addrs, out.AddrsExpire = cloneAddrs(peer.addrs), peer.addrsExpire
	}
	return out
}

// AddProvider implements Store. An accepted record is visible at once.
func (m *Mem) AddProvider(now time.Time, key []byte, p Provider, _ bool) error {
	if err := ValidateProvider(key, &p); err != nil {
		return err
	}
	p, err := CapProvider(now, p)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state()
	list := s.providers[string(key)]
	i := slices.IndexFunc(list, func(o memProvider) bool { return o.id == p.ID })
	if i < 0 || !list[i].live(now) { // a new provider
		live := 0
		for _, o := range list {
			if o.live(now) {
				live++
			}
		}
		if live >= DefaultMaxProvidersPerKey {
			s.stats.RefusedWrites++
			s.stats.Refused[QuotaProvidersPerKey]++
			return ErrQuota
		}
	}
	s.putProvider(now, key, i, p)
	return nil
}

// putProvider stores p as element i of key's list (negative: as a new element).
func (s *memState) putProvider(now time.Time, key []byte, i int, p Provider) {
	if s.providers == nil {
		s.providers = make(map[string][]memProvider)
		s.peers = make(map[kad.PeerID]*memPeer)
	}
	peer := s.peers[p.ID]
	if peer == nil {
		peer = &memPeer{}
		s.peers[p.ID] = peer
	}
	if len(p.Addrs) > 0 {
		peer.addrs, peer.addrsExpire = cloneAddrs(p.Addrs), p.AddrsExpire
	}
	s.due(p.Expires)
	list := s.providers[string(key)]
	if i >= 0 {
		if p.Expires.After(list[i].expires) || !list[i].live(now) {
			list[i].expires = p.Expires
		}
		return
	}
	s.providers[string(key)] = append(list, memProvider{id: p.ID, expires: p.Expires})
	peer.records++
	s.countProvider(1)
}

func (s *memState) countProvider(n int64) {
	const recordBytes = 40 // an ID's string header and a time
	s.stats.Records[KindProvider] += n
	s.stats.Bytes[KindProvider] += n * recordBytes
}

// RemoveProvider implements Store.
func (m *Mem) RemoveProvider(now time.Time, key []byte, id kad.PeerID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s == nil {
		return ErrNotFound
	}
	list := m.s.providers[string(key)]
	i := slices.IndexFunc(list, func(o memProvider) bool { return o.id == id })
	if i < 0 {
		return ErrNotFound
	}
	expires := list[i].expires
	m.s.forget(id)
	m.s.setProviders(string(key), slices.Delete(list, i, i+1))
	if !Live(now, expires, MaxTTL) {
		return ErrNotFound
	}
	return nil
}

// forget removes one record of a provider from the counts.
func (s *memState) forget(id kad.PeerID) {
	s.countProvider(-1)
	peer := s.peers[id]
	if peer.records--; peer.records == 0 {
		delete(s.peers, id)
	}
}

func (s *memState) setProviders(key string, list []memProvider) {
	if len(list) == 0 {
		delete(s.providers, key)
		return
	}
	s.providers[key] = list
}

// expireProviders removes the records that expired at limit or before.
func (s *memState) expireProviders(limit time.Time) (removed int64) {
	for key, list := range s.providers {
		kept := list[:0]
		for _, p := range list {
			if p.expires.After(limit) {
				s.due(p.expires)
				kept = append(kept, p)
				continue
			}
			s.forget(p.id)
			removed++
		}
		clear(list[len(kept):])
		s.setProviders(key, kept)
	}
	return removed
}

func cloneAddrs(addrs [][]byte) [][]byte {
	out := make([][]byte, len(addrs))
	for i, a := range addrs {
		out[i] = bytes.Clone(a)
	}
	return out
}
