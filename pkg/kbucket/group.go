package kbucket

// Group is the IP group of a peer for diversity (an IPv4 /16, an IPv6 ASN or
// /32). The empty Group is exempt from all limits: private and loopback
// addresses, simulations.
type Group string

// Defaults of Config.MaxPerGroup and MaxPerGroupInBucket, as in go-libp2p-kad-dht.
const (
	defaultMaxPerGroup         = 3
	defaultMaxPerGroupInBucket = 2
)

// groupID is the number of a group that has a peer in the table. It makes an entry
// smaller than the group's string would.
type groupID uint32

// noGroup is the exempt group, or one without a peer in the table.
const noGroup groupID = 0

// groups counts the peers of each group in the whole table.
type groups struct {
	ids  map[Group]groupID
	uses []groupUse // by ID
	free []groupID
}

type groupUse struct {
	name Group
	n    int
}

// join counts one more peer of g.
func (s *groups) join(g Group) groupID {
	if g == "" {
		return noGroup
	}
	id := s.ids[g]
	if id == noGroup {
		id = s.take(g)
	}
	s.uses[id].n++
	return id
}

// take assigns an ID to g.
func (s *groups) take(g Group) (id groupID) {
	if s.ids == nil {
		s.ids, s.uses = make(map[Group]groupID), make([]groupUse, 1)
	}
	if last := len(s.free) - 1; last >= 0 {
		id, s.free = s.free[last], s.free[:last]
	} else {
		id = groupID(len(s.uses))
		s.uses = append(s.uses, groupUse{})
	}
	s.ids[g], s.uses[id] = id, groupUse{name: g}
	return id
}

// leave counts one peer fewer.
func (s *groups) leave(id groupID) {
	if id == noGroup {
		return
	}
	if s.uses[id].n--; s.uses[id].n == 0 {
		delete(s.ids, s.uses[id].name)
		s.uses[id] = groupUse{}
		s.free = append(s.free, id)
	}
}

// name returns the group of an ID.
func (s *groups) name(id groupID) Group {
	if id == noGroup {
		return ""
	}
	return s.uses[id].name
}

// fits reports whether b may take one more peer of g after the entry `without` has left;
// nil if none leaves.
func (t *Table) fits(b *bucket, g Group, without *entry) bool {
	id := t.groups.ids[g]
	if id == noGroup {
		return true
	}
	inTable, inBucket := t.groups.uses[id].n, b.ofGroup(id)
	if without != nil && without.group == id {
		inTable--
		inBucket--
	}
	return inTable < t.cfg.MaxPerGroup && inBucket < t.cfg.MaxPerGroupInBucket
}
