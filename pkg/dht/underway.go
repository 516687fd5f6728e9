package dht

import (
	"cmp"
	"slices"
)

// underway are the requests, or the queries, that have not ended, by ascending ID.
// Of most nodes at most times they fit a cache line or two, which a map does not.
type underway[K ~uint64, T any] struct{ list []numbered[K, T] }

type numbered[K ~uint64, T any] struct {
	id K
	x  *T
}

// busy is how many of them leave room behind that is worth giving back.
const busy = 32

func (u *underway[K, T]) len() int { return len(u.list) }

// place returns where an ID is, or would be.
func (u *underway[K, T]) place(id K) (int, bool) {
	return slices.BinarySearchFunc(u.list, id, func(n numbered[K, T], id K) int { return cmp.Compare(n.id, id) })
}

// find returns nil if there is none of that ID.
func (u *underway[K, T]) find(id K) *T {
	if i, ok := u.place(id); ok {
		return u.list[i].x
	}
	return nil
}

// add takes one whose ID is higher than any before.
func (u *underway[K, T]) add(id K, x *T) { u.list = append(u.list, numbered[K, T]{id, x}) }

func (u *underway[K, T]) remove(id K) {
	if i, ok := u.place(id); ok {
		u.list = slices.Delete(u.list, i, i+1)
	}
	if len(u.list) == 0 && cap(u.list) > busy {
		u.list = nil
	}
}
