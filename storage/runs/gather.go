package runs

// found is what is known of one provider of a key.
type found struct {
	number  uint32
	expires uint32
	settled bool // by a table, which knows better than any run
}

// gather collects the copies of a key's records: the newest table that names a
// provider decides, else its latest expiry in any run.
type gather struct {
	list  []found
	index map[uint32]int // by number; only used once the list is long
}

// linear is up to which length the list is searched rather than the index.
const linear = 24

// keepFound bounds the memory a gather keeps for its next use, in records.
const keepFound = 4096

func (g *gather) reset() {
	if cap(g.list) > keepFound {
		g.list, g.index = nil, nil
	}
	g.list = g.list[:0]
	clear(g.index)
}

// at returns the place of a provider, made if there is none.
func (g *gather) at(number uint32) (f *found, fresh bool) {
	if len(g.list) < linear {
		for i := range g.list {
			if g.list[i].number == number {
				return &g.list[i], false
			}
		}
	} else {
		if len(g.index) != len(g.list) {
			g.reindex()
		}
		if i, ok := g.index[number]; ok {
			return &g.list[i], false
		}
		g.index[number] = len(g.list)
	}
	g.list = append(g.list, found{number: number})
	return &g.list[len(g.list)-1], true
}

func (g *gather) reindex() {
	if g.index == nil {
		g.index = make(map[uint32]int, 4*linear)
	}
	for i := range g.list {
		g.index[g.list[i].number] = i
	}
}

// settle takes what a table says. Tables are asked newest first.
func (g *gather) settle(number, expires uint32) {
	if f, fresh := g.at(number); fresh {
		f.expires, f.settled = expires, true
	}
}

// offer takes what a run says.
func (g *gather) offer(number, expires uint32) {
	if f, _ := g.at(number); !f.settled && expires > f.expires {
		f.expires = expires
	}
}

// live keeps those that live at now.
func (g *gather) live(now uint32) []found {
	kept := g.list[:0]
	for _, f := range g.list {
		if live(now, f.expires) {
			kept = append(kept, f)
		}
	}
	g.list = kept
	return kept
}
