package dht

import (
	"cmp"
	"slices"
)

// underway holds the requests or the queries that have not ended, by ascending ID. On
// most nodes most of the time they fit in a cache line or two, unlike a map.
type underway[K ~uint64, T any] struct{ list []numbered[K, T] }

type numbered[K ~uint64, T any] struct {
	id K
	x  *T
}

// busy is how many elements leave memory behind that is worth freeing.
const busy = 32

func (u *underway[K, T]) len() int { return len(u.list) }

// place returns the index of an ID, or the index to insert it at.
func (u *underway[K, T]) place(id K) (int, bool) {
	return slices.BinarySearchFunc(u.list, id, func(n numbered[K, T], id K) int { return cmp.Compare(n.id, id) })
}

// find returns the element of an ID, or nil.
func (u *underway[K, T]) find(id K) *T {
	if i, ok := u.place(id); ok {
		return u.list[i].x
	}
	return nil
}

// add appends an element whose ID is higher than any before.
func (u *underway[K, T]) add(id K, x *T) { u.list = append(u.list, numbered[K, T]{id, x}) }

func (u *underway[K, T]) remove(id K) {
	if i, ok := u.place(id); ok {
		u.list = slices.Delete(u.list, i, i+1)
	}
	if len(u.list) == 0 && cap(u.list) > busy {
		u.list = nil
	}
}
