package rpc

import "container/list"

// lru is a map of bounded size that evicts the least recently used entry. It is not safe for
// concurrent use.
type lru[K comparable, V any] struct {
	limit int
	order *list.List // of lruEntry, newest first
	byKey map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{limit: limit, order: list.New(), byKey: make(map[K]*list.Element)}
}

// load returns the value of k, if it is known, and makes it the most recently used.
func (l *lru[K, V]) load(k K) (V, bool) {
	e, ok := l.byKey[k]
	if !ok {
		var none V
		return none, false
	}
	l.order.MoveToFront(e)
	return e.Value.(lruEntry[K, V]).value, true
}

// store sets the value of k and evicts the oldest entries above the limit.
func (l *lru[K, V]) store(k K, v V) {
	if e, ok := l.byKey[k]; ok {
		e.Value = lruEntry[K, V]{k, v}
		l.order.MoveToFront(e)
		return
	}
	l.byKey[k] = l.order.PushFront(lruEntry[K, V]{k, v})
	for l.order.Len() > l.limit {
		l.remove(l.order.Back().Value.(lruEntry[K, V]).key)
	}
}

func (l *lru[K, V]) remove(k K) {
	if e, ok := l.byKey[k]; ok {
		l.order.Remove(e)
		delete(l.byKey, k)
	}
}
