package runs

import (
	"cmp"
	"slices"
)

// view is what a reader sees: the tables, newest first, and the runs, those of later epochs
// first. A view never changes; a new one replaces it.
type view struct {
	tables []*table // the first is the active one
	runs   []*run
}

// change replaces the current view. fn modifies a copy of it and may be called again. It
// returns false if there is nothing to change.
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

// add inserts runs in order.
func (v *view) add(runs ...*run) {
	v.runs = append(v.runs, runs...)
	slices.SortFunc(v.runs, func(a, b *run) int {
		return cmp.Or(cmp.Compare(b.epoch.epoch, a.epoch.epoch), cmp.Compare(b.number, a.number))
	})
}

// remove removes runs and reports whether all of them were present.
func (v *view) remove(runs []*run) bool {
	n := len(v.runs)
	v.runs = slices.DeleteFunc(v.runs, func(r *run) bool { return slices.Contains(runs, r) })
	return n-len(v.runs) == len(runs)
}

// staged returns the newest expiry of a record in the tables as the committer sees it. known
// reports whether any table contains the record.
func (v *view) staged(hash uint64, key *recordKey, number uint32) (expires uint32, known bool) {
	for _, t := range v.tables {
		if e := t.find(hash, key, number); e != nil && e.staged != unborn {
			return t.alive(e.staged), true
		}
	}
	return removed, false
}

// seen does the same for what readers see.
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
