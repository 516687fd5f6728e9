package sim

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize/english"
)

// Print writes the report as text.
func (r *Report) Print(out io.Writer) error {
	p := &page{out: out}
	p.line("%s", r.Title)
	if r.Options != "" {
		p.line("options: %s", r.Options)
	}
	p.line("events: %d, requests: %d, fingerprint: %s", r.Events, r.Requests, r.Fingerprint)
	for i := range r.Phases {
		p.phase(&r.Phases[i], len(r.Phases) > 1)
	}
	for _, v := range r.Violations {
		p.line("VIOLATED: %s", v)
	}
	return p.err
}

// page writes lines and keeps the first error of its writer.
type page struct {
	out io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}

// table prints rows with aligned columns; the first row is the header.
func (p *page) table(rows [][]string) {
	if p.err != nil || len(rows) < 2 {
		return
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a strings.Builder does not fail
	for _, line := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		p.line("%s", strings.TrimRight(line, " "))
	}
}

func (p *page) phase(x *Phase, named bool) {
	p.line("\n%s", x.span(named))
	p.table(opRows(x.Ops))
	p.line("")
	for _, f := range x.facts() {
		p.line("%-10s %s", f.Name, f.Value)
	}
	p.line("")
	p.table(trafficRows(x))
	p.line("")
	p.table(roleRows(x))
}

// span says when a phase was, after its name if there are several.
func (x *Phase) span(named bool) string {
	name := ""
	if named {
		name = x.Name + ": "
	}
	return fmt.Sprintf("%s%s h from %s h, %s at its end", name, number(x.Hours), number(x.From), counted(x.Servers, "server"))
}

// fact is a measure of a phase in words.
type fact struct{ Name, Value string }

// facts returns the measures of a phase that are not tables.
func (x *Phase) facts() []fact {
	var out []fact
	add := func(name, format string, args ...any) { out = append(out, fact{name, fmt.Sprintf(format, args...)}) }
	add("tables", "%s peers, stale %s, complete %s", number(x.Tables.Peers), percent(x.Tables.Stale), percent(x.Tables.Complete))
	if x.Size.Nodes > 0 {
		add("size", "estimated by %s: bias %s, sigma %s", counted(x.Size.Nodes, "node"), percent(x.Size.Bias), percent(x.Size.Sigma))
	}
	add("load", "%s requests a server and minute, p99 %s, max %s, Gini %s", number(x.Load.Mean), number(x.Load.P99), number(x.Load.Max), number(x.Load.Gini))
	if c := x.Records; c != nil {
		add("records", "%d contents, %s live holders each, fewest %d, lost %d", c.Contents, number(c.Holders), c.Fewest, c.Lost)
	}
	if c := x.Republished; c != nil {
		add("republish", "%s, %s messages a key, %s of them FIND_NODE, %s of these a server, %s replicas",
			counted(c.Keys, "key"), number(c.Messages), number(c.FindNodes), number(c.PerServer), number(c.Replicas))
	}
	for _, d := range []struct {
		name string
		*Dist
	}{{"joined", x.Joined}, {"restored", x.Restored}} {
		if d.Dist != nil {
			add(d.name, "%s, p50 %s s, p95 %s s, max %s s", counted(d.Count, "node"), number(d.P50), number(d.P95), number(d.Max))
		}
	}
	return out
}

// opRows returns a table of the operations. The first row is its header, as for the other
// tables.
func opRows(ops []Op) [][]string {
	rows := [][]string{{"operation", "count", "success", "p50 s", "p95 s", "p99 s", "first s", "messages", "hops", "first hop", "rounds", "recall", "overlap", "stored at"}}
	for i := range ops {
		o := &ops[i]
		row := []string{
			o.Kind, fmt.Sprint(o.Count), percent(o.Success), number(o.Took.P50), number(o.Took.P95), number(o.Took.P99), "",
			number(o.Messages.Mean), number(o.Hops), number(o.FirstHop), number(o.Rounds), "", "", "",
		}
		if o.First != nil {
			row[6] = number(o.First.P50)
		}
		switch o.Kind {
		case "find", "get":
			row[12] = percent(o.Overlap)
		default:
			row[11] = percent(o.Recall)
			if o.Kind == "provide" || o.Kind == "put" {
				row[13] = number(o.Stored)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func trafficRows(x *Phase) [][]string {
	rows := [][]string{{"message", "requests", "bytes a server and second"}}
	for _, t := range x.Traffic {
		rows = append(rows, []string{t.Type, fmt.Sprint(t.Requests), number(t.Bytes)})
	}
	return rows
}

func roleRows(x *Phase) [][]string {
	rows := [][]string{{"requests for", "ended", "failed"}}
	for _, t := range x.Roles {
		rows = append(rows, []string{t.Role, fmt.Sprint(t.Ended), percent(t.Failed)})
	}
	return rows
}

// number writes four significant digits.
func number(x float64) string {
	if x == float64(int64(x)) {
		return fmt.Sprintf("%d", int64(x))
	}
	return strings.TrimSuffix(fmt.Sprintf("%.4g", x), ".0")
}

// percent writes a share.
func percent(x float64) string { return number(round(x*100)) + " %" }

// counted formats a number of things, in the plural where needed. Unlike english.Plural
// it writes plain digits, because scripts read them.
func counted[N int | int64](n N, thing string) string {
	return fmt.Sprintf("%d %s", n, english.PluralWord(int(n), thing, ""))
}
