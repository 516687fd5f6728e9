package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/holdfast-dht/holdfast/internal/api"
	"github.com/holdfast-dht/holdfast/internal/columns"
	"github.com/holdfast-dht/holdfast/internal/verdict"
)

// style colours text, if it is on.
type style struct{ on bool }

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string { return s.paint("1", text) }
func (s style) soft(text string) string { return s.paint("2", text) }
func (s style) red(text string) string  { return s.paint("31", text) }

// alarm returns text, coloured if wrong is set.
func (s style) alarm(wrong bool, text string) string {
	if !wrong {
		return text
	}
	return s.red(text)
}

// halfWidth is the width of one of two columns side by side.
const halfWidth = 58

// topText returns topLines as one text without colours.
func topText(o, before *api.Overview, width int) string {
	return strings.Join(topLines(o, before, width, style{}), "\n")
}

// topLines returns the lines of an overview. Rates need the previous overview; before is
// nil if there is none. No line is longer than width.
func topLines(o, before *api.Overview, width int, s style) []string {
	lines := append(topHead(o, s), "")
	r := rates{now: o, before: before}
	left, right := topRequests(r, s), topLookups(r, s)
	buckets, republish := topBuckets(o, s), topRepublish(o, s)
	if width >= 2*halfWidth {
		lines = append(append(lines, beside(left, right)...), "")
		lines = append(lines, beside(buckets, republish)...)
	} else {
		for _, part := range [][]string{left, right, republish, buckets} {
			lines = append(append(lines, part...), "")
		}
	}
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, width, "")
	}
	return lines
}

func topHead(o *api.Overview, s style) []string {
	st := &o.Status
	head := []string{
		s.bold("holdfast "+columns.Printable(st.PeerID)) + "  " + o.Taken.Format(time.TimeOnly),
		fmt.Sprintf("%s, %s %s, reachability %s, up %s", s.alarm(st.State != "ready", columns.Printable(st.State)), roleText(st), columns.Printable(o.Identity.Protocol), columns.Printable(st.Reachability), span(time.Duration(st.UptimeSeconds*float64(time.Second)))),
		fmt.Sprintf("peers: %s of %d in the table verified, %d connected, network %s", s.alarm(st.VerifiedPeers == 0, fmt.Sprint(st.VerifiedPeers)), st.TablePeers, st.ConnectedPeers, networkSizeText(st)),
		fmt.Sprintf("records: %s provider, %s value; database %s, space %s", humanize.Comma(st.ProviderRecords), humanize.Comma(st.ValueRecords), bytesText(st.DBBytes),
			s.alarm(st.DBFill >= verdict.FillHigh, fmt.Sprintf("%.0f %% used", 100*st.DBFill))),
	}
	for _, c := range o.Verdict.Causes {
		if c.IsProblem() {
			head = append(head, s.alarm(true, columns.Printable(c.Word))+columns.Printable(strings.TrimPrefix(causeText(&c), c.Word)))
		}
	}
	return head
}

// rates compares two overviews.
type rates struct{ now, before *api.Overview }

// of returns how much a counter grows in a second; "-" while that is unknown.
func (r rates) of(count func(*api.Traffic) uint64) string {
	v, ok := r.value(count)
	switch {
	case !ok:
		return "-"
	case v >= 100:
		return humanize.Comma(int64(v))
	}
	return fmt.Sprintf("%.1f", v)
}

func (r rates) value(count func(*api.Traffic) uint64) (float64, bool) {
	if r.before == nil {
		return 0, false
	}
	now, was := count(&r.now.Traffic), count(&r.before.Traffic)
	took := r.now.Taken.Sub(r.before.Taken).Seconds()
	if now < was || took <= 0 { // the daemon was restarted
		return 0, false
	}
	return float64(now-was) / took, true
}

func (r rates) bytes(count func(*api.Traffic) uint64) string {
	v, ok := r.value(count)
	if !ok {
		return "-"
	}
	return bytesText(int64(v)) + "/s"
}

func topRequests(r rates, s style) []string {
	lines := []string{s.bold(fmt.Sprintf("%-14s%9s%12s%9s%12s", "REQUESTS", "IN/s", "IN", "OUT/s", "OUT"))}
	t := &r.now.Traffic
	for _, kind := range usageTypes {
		in := func(t *api.Traffic) uint64 { return t.In[kind] }
		out := func(t *api.Traffic) uint64 { return t.Out[kind] }
		lines = append(lines, fmt.Sprintf("%-14s%9s%12s%9s%12s", kind, r.of(in), comma(in(t)), r.of(out), comma(out(t))))
	}
	got := func(t *api.Traffic) uint64 { return t.Received }
	sent := func(t *api.Traffic) uint64 { return t.Sent }
	return append(lines,
		fmt.Sprintf("%-14s%21s%21s", "refused/failed", comma(t.Rejected), comma(t.OutFailed)),
		fmt.Sprintf("%-14s%21s%21s", "bytes", r.bytes(got), r.bytes(sent)))
}

func topLookups(r rates, s style) []string {
	lines := []string{s.bold(fmt.Sprintf("%-15s%5s%8s%11s%8s%9s", "LOOKUPS", "RUN", "/s", "DONE", "FAILED", "MEAN"))}
	for _, kind := range []string{"find_value", "find_providers", "find_peer", "find_closest", "store_value", "store_provider", "refresh", "correct"} {
		l := r.now.Traffic.Lookups[kind]
		mean := "-"
		if l.Done > 0 {
			mean = span(max(time.Duration(l.TookMs)*time.Millisecond/time.Duration(l.Done), 1))
		}
		done := func(t *api.Traffic) uint64 { return t.Lookups[kind].Done }
		failed := s.alarm(l.Failed > 0 && 2*l.Failed > l.Done, fmt.Sprintf("%8s", comma(l.Failed)))
		lines = append(lines, fmt.Sprintf("%-15s%5d%8s%11s%s%9s", kind, l.Running, r.of(done), comma(l.Done), failed, mean))
	}
	return lines
}

func topBuckets(o *api.Overview, s style) []string {
	lines := []string{s.bold("ROUTING TABLE") + s.soft("  # answers, o is silent, by shared bits")}
	for _, b := range o.Buckets {
		silent := b.Peers - b.Verified
		free := max(b.Room-b.Peers, 0)
		lines = append(lines, fmt.Sprintf("%3d  %s%s%s  %d", b.CPL, strings.Repeat("#", b.Verified), strings.Repeat("o", silent), s.soft(strings.Repeat(".", free)), b.Peers))
	}
	if len(o.Buckets) == 0 {
		lines = append(lines, "empty")
	}
	return lines
}

func topRepublish(o *api.Overview, s style) []string {
	r := &o.Republish
	lines := []string{
		s.bold("PUBLISHED KEYS"),
		fmt.Sprintf("%s %s, %d in progress, %s", comma(uint64(r.Keys)), english.PluralWord(r.Keys, "key", ""), r.Active, s.alarm(r.OverdueKeys > 0, fmt.Sprintf("%d overdue", r.OverdueKeys))),
		fmt.Sprintf("every %s, next %s, last %s", span(time.Duration(r.CycleSeconds*float64(time.Second))), inTime(r.NextDue, o.Taken), sinceTime(r.LastSuccess, o.Taken)),
	}
	if r.Keys > 0 {
		lines = append(lines, "", s.soft("around the keyspace, how much of the interval is left:"), ringText(o.Ring))
	}
	return lines
}

// ringText returns the ring as a line with a character for each sector: from . (due) to #
// (just republished), ! for overdue, blank for no keys.
func ringText(ring []api.Sector) string {
	var b strings.Builder
	for _, x := range ring {
		switch {
		case x.Keys == 0:
			b.WriteByte(' ')
		case x.Overdue > 0:
			b.WriteByte('!')
		default:
			const steps = ".:-=+*%#"
			b.WriteByte(steps[min(int(x.Left*float64(len(steps))), len(steps)-1)])
		}
	}
	return b.String()
}

func inTime(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return "in " + span(max(t.Sub(now), 0))
}

func sinceTime(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(max(now.Sub(t), 0)) + " ago"
}

func comma(n uint64) string { return humanize.Comma(int64(n)) }

// beside puts two blocks of lines side by side.
func beside(left, right []string) []string {
	var out []string
	for i := range max(len(left), len(right)) {
		var l, r string
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		out = append(out, strings.TrimRight(l+strings.Repeat(" ", max(halfWidth+2-ansi.StringWidth(l), 0))+r, " "))
	}
	return out
}
