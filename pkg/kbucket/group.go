package kbucket

// groupUse counts the peers of one group in the whole table.
type groupUse struct {
	name Group
	n    int
}

// use returns the count of g, nil for the exempt group and for a group without
// a peer in the table.
func (t *Table) use(g Group) *groupUse { return t.groups[g] }

// join counts one more peer of g.
func (t *Table) join(g Group) *groupUse {
	if g == "" {
		return nil
	}
	u := t.groups[g]
	if u == nil {
		if t.groups == nil {
			t.groups = make(map[Group]*groupUse)
		}
		u = &groupUse{name: g}
		t.groups[g] = u
	}
	u.n++
	return u
}

// leave counts one peer less; a nil u is exempt.
func (t *Table) leave(u *groupUse) {
	if u == nil {
		return
	}
	if u.n--; u.n == 0 {
		delete(t.groups, u.name)
	}
}

// fits reports whether b may take one more peer of g once the entry `without`
// has left it; nil if none leaves.
func (t *Table) fits(b *bucket, g Group, without *entry) bool {
	u := t.use(g)
	if u == nil {
		return true
	}
	inTable, inBucket := u.n, b.ofGroup(u)
	if without != nil && without.group == u {
		inTable--
		inBucket--
	}
	return inTable < t.cfg.MaxPerGroup && inBucket < t.cfg.MaxPerGroupInBucket
}
