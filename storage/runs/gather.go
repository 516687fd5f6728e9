package runs

// found is what is known about one provider of a key.
type found struct {
	number  uint32
	expires uint32
	settled bool // by a table, which overrides any run
}

// gather collects the copies of a key's records. For each provider, the newest table that
// contains its record decides; otherwise the latest expiry in any run.
type gather struct {
	list  []found
	index map[uint32]int // by number; used only when the list is long
}

// linear is the length up to which the list is searched instead of the index.
const linear = 24

// keepFound bounds the memory that a gather keeps for its next use, in records.
const keepFound = 4096

func (g *gather) reset() {
	if cap(g.list) > keepFound {
		g.list, g.index = nil, nil
	}
	g.list = g.list[:0]
	clear(g.index)
}

// at returns the element of a provider, which it creates if needed.
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

// settle adds the expiry in a table. Tables are added newest first.
func (g *gather) settle(number, expires uint32) {
	if f, fresh := g.at(number); fresh {
		f.expires, f.settled = expires, true
	}
}

// offer adds the expiry in a run.
func (g *gather) offer(number, expires uint32) {
	if f, _ := g.at(number); !f.settled && expires > f.expires {
		f.expires = expires
	}
}

// live keeps and returns the records that are live at now.
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
