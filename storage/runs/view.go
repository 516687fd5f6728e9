package runs

import (
	"cmp"
	"slices"
)

// view is what a reader sees: tables, newest first, over runs, those of later
// epochs first. It never changes; a new one takes its place.
type view struct {
	tables []*table // the first is the active one
	runs   []*run
}

// change puts a new view in the place of the current one. fn makes it from a copy
// and may be called again; it returns false if there is nothing to change.
func (s *Store) change(fn func(v *view) bool) bool {
	for {
		old := s.view.Load()
		v := &view{tables: slices.Clone(old.tables), runs: slices.Clone(old.runs)}
		if !fn(v) {
			return false
		}
		if s.view.CompareAndSwap(old, v) {
			return true
		}
	}
}

// add puts runs in their places.
func (v *view) add(runs ...*run) {
	v.runs = append(v.runs, runs...)
	slices.SortFunc(v.runs, func(a, b *run) int {
		return cmp.Or(cmp.Compare(b.epoch.epoch, a.epoch.epoch), cmp.Compare(b.number, a.number))
	})
}

// remove takes runs out, and tells whether all of them were there.
func (v *view) remove(runs []*run) bool {
	n := len(v.runs)
	v.runs = slices.DeleteFunc(v.runs, func(r *run) bool { return slices.Contains(runs, r) })
	return n-len(v.runs) == len(runs)
}

// staged returns the newest expiry of a record in the tables as the committer
// sees it; known tells whether there is one.
func (v *view) staged(hash uint64, key *recordKey, number uint32) (expires uint32, known bool) {
	for _, t := range v.tables {
		if e := t.find(hash, key, number); e != nil && e.staged != unborn {
			return t.alive(e.staged), true
		}
	}
	return removed, false
}

// seen is staged as readers see it.
func (v *view) seen(hash uint64, key *recordKey, number uint32) (expires uint32, known bool) {
	for _, t := range v.tables {
		if e := t.find(hash, key, number); e != nil {
			if expires := e.seen(); expires != unborn {
				return t.alive(expires), true
			}
		}
	}
	return removed, false
}
