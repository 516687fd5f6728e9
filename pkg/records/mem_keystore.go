package records

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/holdfast-dht/holdfast/pkg/kad"
)

type publishedKey struct {
	kind Kind
	key  string
}

type memPublished struct {
	at kad.Key
	Published
}

// compare orders published keys by kad.Key, a provider before a value.
func (p *memPublished) compare(o *memPublished) int {
	if c := kad.Compare(&p.at, &o.at); c != 0 {
		return c
	}
	return int(p.Kind) - int(o.Kind)
}

// Publish implements Keystore.
func (m *Mem) Publish(ps ...Published) error {
	for i := range ps {
		if err := ValidatePublished(&ps[i], cmp.Or(m.MaxValueSize, DefaultMaxValueSize)); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state()
	if s.published == nil {
		s.published = make(map[publishedKey]*memPublished)
	}
	for _, p := range ps {
		k := publishedKey{p.Kind, string(p.Key)}
		if old := s.published[k]; old != nil {
			old.Published = clonePublished(p)
			continue
		}
		s.published[k] = &memPublished{at: kad.KeyOf(p.Key), Published: clonePublished(p)}
		s.order = nil
		s.stats.Published[p.Kind]++
	}
	return nil
}

// Unpublish implements Keystore.
func (m *Mem) Unpublish(kind Kind, key []byte) error {
	removed, _ := m.UnpublishAll(kind, [][]byte{key})
	if removed == 0 {
		return ErrNotFound
	}
	return nil
}

// UnpublishAll implements Keystore.
func (m *Mem) UnpublishAll(kind Kind, keys [][]byte) (removed int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		if m.find(kind, key) == nil {
			continue
		}
		delete(m.s.published, publishedKey{kind, string(key)})
		m.s.order = nil
		m.s.stats.Published[kind]--
		removed++
	}
	return removed, nil
}

// find returns the entry of a key, or nil. The caller holds mu.
func (m *Mem) find(kind Kind, key []byte) *memPublished {
	if m.s == nil {
		return nil
	}
	return m.s.published[publishedKey{kind, string(key)}]
}

// Load implements Keystore.
func (m *Mem) Load(kind Kind, key []byte) (Published, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.find(kind, key)
	if p == nil {
		return Published{}, ErrNotFound
	}
	return clonePublished(p.Published), nil
}

// Done implements Keystore.
func (m *Mem) Done(kind Kind, key []byte, last, due time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.find(kind, key)
	if p == nil {
		return nil
	}
	if !last.IsZero() {
		p.Last = last
	}
	p.Due = due
	return nil
}

// Range implements Keystore. fn sees the keys as they were when Range was called.
func (m *Mem) Range(region kad.Prefix, fn func(Published) bool) error {
	for _, p := range m.region(region) {
		if !fn(clonePublished(p)) {
			break
		}
	}
	return nil
}

// region returns the published keys of a region in order. Their byte slices are shared,
// because entries are replaced and never modified.
func (m *Mem) region(region kad.Prefix) []Published {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.s == nil {
		return nil
	}
	first := region.First()
	order := m.s.sorted()
	i, _ := slices.BinarySearchFunc(order, &first, func(p *memPublished, k *kad.Key) int {
		return kad.Compare(&p.at, k)
	})
	var out []Published
	for ; i < len(order) && region.Contains(&order[i].at); i++ {
		out = append(out, order[i].Published)
	}
	return out
}

// sorted returns the published keys by kad.Key.
func (s *memState) sorted() []*memPublished {
	if s.order == nil {
		for _, p := range s.published {
			s.order = append(s.order, p)
		}
		slices.SortFunc(s.order, (*memPublished).compare)
	}
	return s.order
}

func clonePublished(p Published) Published {
	p.Key, p.Value = bytes.Clone(p.Key), bytes.Clone(p.Value)
	return p
}
