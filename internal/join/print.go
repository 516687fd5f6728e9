package join

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the report as text.
func (r *Report) Print(w io.Writer) error {
	p := printer{w: w}
	p.line("Before")
	p.tables(r.Before)
	p.line("\nAlice joins\n")
	for i := range r.Steps {
		p.step(&r.Steps[i])
	}
	p.line("\nAfter")
	p.tables(r.After)
	p.line("\nAlice's buckets 0 and 3 stay empty: no node lives there.")
	return p.err
}

// Print writes the report as text.
func (r *AliveReport) Print(w io.Writer) error {
	p := printer{w: w}
	p.line("All sixteen join through %s, seed %d", bob, r.Seed)
	p.line("order: %s", list(r.Order))
	p.tables(r.Tables)
	p.line("\n%d of %d tables hold exactly 1, 2, 2 and 2 others", r.Full, len(r.Tables))
	p.line("%d of %d lookups found the two nearest", r.Exact, r.Lookups)
	return p.err
}

// printer writes lines and keeps the first error of its writer.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) tables(ts []Table) {
	for i := range ts {
		t := &ts[i]
		title := t.Node.String()
		if t.Name != title {
			title = fmt.Sprintf("%s (%s)", t.Name, t.Node)
		}
		p.line("\n%s\nKademlia connectivity: %t", title, t.Connected)
		for b, peers := range t.Buckets {
			p.line("%s", strings.TrimRight(fmt.Sprintf("bucket %d: %s", b, list(peers)), " "))
		}
	}
}

func (p *printer) step(s *Step) {
	who := fmt.Sprintf("%-9s", "["+s.Who+"]")
	switch s.Kind {
	case Lookup:
		p.line("%s looks for %s, starts at %s", who, s.Target, list(s.Peers))
	case Candidate:
		p.line("%s candidate %s", who, s.Peer)
	case Dial:
		p.line("%s dials %s", who, s.Peer)
	case Silence:
		p.line("%s no answer from %s", who, s.Peer)
	case Answer:
		p.line("%s answers %s: nearest to %s are %s", who, s.Peer, s.Target, list(s.Peers))
	case Added:
		p.line("%s bucket %d: %s %s", who, s.Bucket, s.Peer, s.Outcome)
	case Shortlist:
		p.line("%s shortlist %s", who, entries(s.Entries))
	case NewClosest:
		p.line("%s new closest %s", who, s.Peer)
	case Closest:
		p.line("%s closest to %s: %s", who, s.Target, list(s.Peers))
	case Refresh:
		p.line("\n%s refreshes bucket %d, target %s", who, s.Bucket, s.Target)
	}
}

func list(peers []ID) string {
	words := make([]string, len(peers))
	for i, id := range peers {
		words[i] = id.String()
	}
	return strings.Join(words, " ")
}

// entries writes a shortlist: a plus has answered, a minus has failed.
func entries(es []Entry) string {
	words := make([]string, len(es))
	for i, e := range es {
		words[i] = e.Peer.String() + map[State]string{responded: "+", failed: "-"}[e.State]
	}
	return strings.Join(words, " ")
}
