package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostile is a name that would end an element, begin a script or break an attribute.
const hostile = `</h1><script>alert("1")</script>&amp;'"<!--`

// readPage is an HTML page as a browser parses it.
type readPage struct {
	elements map[string]int
	texts    []string
}

func readHTML(t *testing.T, text string) readPage {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Strict, dec.AutoClose, dec.Entity = false, []string{"meta", "link"}, xml.HTMLEntity
	p := readPage{elements: map[string]int{}}
	var open []string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			require.Empty(t, open, "every element is closed")
			return p
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			p.elements[e.Name.Local]++
			open = append(open, e.Name.Local)
		case xml.EndElement:
			require.Equal(t, open[len(open)-1], e.Name.Local)
			open = open[:len(open)-1]
		case xml.CharData:
			p.texts = append(p.texts, string(e))
		case xml.Comment:
			require.Fail(t, "an unexpected comment")
		}
	}
}

// hostileReport has the hostile name wherever a scenario or a flag may put a name.
func hostileReport() *Report {
	one, two := measured(), measured()
	two.name = hostile
	w := worldOf(one, two)
	w.scenario.Title = hostile
	w.violations = []string{hostile}
	return w.Report()
}

// outside matches what a page may not contain, because it must open without a network.
var outside = regexp.MustCompile(`(?i)<(script|link|img|iframe|object|embed|base|form)|\b(href|src|action|on[a-z]+)\s*=|url\(|@import|javascript:`)

func requireAlone(t *testing.T, page string) {
	t.Helper()
	page = strings.Replace(page, `<link rel="icon" href="data:,">`, "", 1)
	require.Empty(t, outside.FindAllString(page, -1))
	for _, address := range regexp.MustCompile(`https?://[^"\s<]*`).FindAllString(page, -1) {
		require.Equal(t, "http://www.w3.org/2000/svg", address, "an XML namespace, not an address that is loaded")
	}
}

func TestPageOfAReport(t *testing.T) {
	r := hostileReport()
	var out, text strings.Builder
	require.NoError(t, r.HTML(&out))
	require.NoError(t, r.Print(&text))
	requireAlone(t, out.String())
	p := readHTML(t, out.String())
	require.Equal(t, 6, p.elements["figure"])
	require.Equal(t, 2, p.elements["h3"]/4, "four tables for each phase")
	require.Contains(t, p.texts, hostile, "the title, as it was written")
	require.Contains(t, p.texts, hostile+": 0 min to 30 min, 10 servers at its end", "the name of a phase")
	require.NotContains(t, out.String(), "style=", "the policy forbids it")
	// Every number of the text is on the page.
	page := strings.ReplaceAll(strings.Join(p.texts, " "), ",", "") // of large numbers
	lines := strings.Split(text.String(), "\n")
	for _, word := range strings.Fields(strings.Join(lines[5:], " ")) {
		word = strings.TrimSuffix(word, ",")
		if strings.ContainsAny(word, "0123456789") && !strings.Contains(word, "alert") {
			require.Contains(t, page, word)
		}
	}
}

// The page of a report is the same to the byte on every machine.
func TestGoldenPage(t *testing.T) {
	first, second := measured(), measured()
	second.name, second.from, second.to = "quiet", first.to, first.to+time.Hour
	w := worldOf(first, second)
	w.violations = []string{"1m0s node 3: it broke"}
	var out strings.Builder
	require.NoError(t, w.Report().HTML(&out))
	_, body, _ := strings.Cut(out.String(), "<body>")
	file(t, "report/page.html", body)
}

// The policy of a page permits its own style, and nothing else.
func TestPolicyOfAPage(t *testing.T) {
	var out strings.Builder
	require.NoError(t, worldOf(measured()).Report().HTML(&out))
	_, rest, _ := strings.Cut(out.String(), "<style>")
	used, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(used))
	require.Contains(t, html.UnescapeString(out.String()), `content="default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'sha256-`+base64.StdEncoding.EncodeToString(sum[:])+`'"`)
}

// The head of a page has the network, the seed and the options.
func TestHeadOfAPage(t *testing.T) {
	v := worldOf(measured()).Report().head()
	require.Equal(t, "Simulated network of 10 nodes: round-trip times lognormal, churn none, start warm.", v.Lead)
	require.Equal(t, []fact{{"Nodes", "10"}, {"Hours", "1"}, {"Seed", "1"}, {"Events", "12,345"}, {"Requests", "1,020"}}, v.Tiles)
	require.Equal(t, []fact{{"Scenario", "made-up"}, {"Options", "--nodes 10"}, {"Fingerprint", "000000000000feed"}}, v.Facts)
	require.Len(t, v.Settings, len(settings))

	old := (&Report{Title: "of an older version"}).head()
	require.Contains(t, old.Lead, "network of ? nodes")
	require.Equal(t, "none: all have their defaults", old.Facts[1].Value)
}

// A strip shows the quantiles of an operation on an axis that all share.
func TestStrips(t *testing.T) {
	op := Op{Kind: "find", Took: Dist{Count: 100, P5: 0.1, P25: 0.2, P50: 0.25, P75: 0.4, P95: 0.8, P99: 1.6, Max: 9}}
	a := timeOfOps([]Phase{{Ops: []Op{{Took: Dist{P99: 0.5}}}}, {Ops: []Op{op}}})
	require.Equal(t, 2., a.high, "the largest p99, rounded up")
	require.Equal(t, strip{
		Name: "find", Numbers: []fact{{"p50 s", "0.25"}, {"p95 s", "0.8"}, {"p99 s", "1.6"}, {"Max s", "9"}},
		From: 5, To: 40, Box: 10, BoxWidth: 10, Middle: 12.5, Far: 80,
	}, strips([]Op{op}, &a)[0])
	require.Equal(t, []stripTick{{0, "0", "start"}, {25, "0.5", "middle"}, {50, "1", "middle"}, {75, "1.5", "middle"}, {100, "2 s", "end"}}, stripTicks(&a))

	same := Dist{P5: 2, P25: 2, P50: 2, P75: 2, P95: 2, P99: 2}
	s := stripOf(&Op{Took: same}, &a)
	require.Equal(t, []float64{100 - minBox, minBox}, []float64{s.Box, s.BoxWidth}, "it stays visible, and on the axis")
	require.Equal(t, 1., func() float64 { a := timeOfOps(nil); return a.high }())
}

// Curves need two points. A value that was not measured is missing, not -1.
func TestCurvesOfAReport(t *testing.T) {
	r := worldOf(measured()).Report()
	r.Phases[0].From = 0.25
	plots := r.plots()
	require.Len(t, plots, 6)
	require.Equal(t, []float64{0.25, 0.5}, plots[0].lines[0].xs)
	require.True(t, math.IsNaN(plots[0].lines[0].ys[0]), "no lookup ended")
	require.Equal(t, 50., plots[0].lines[0].ys[1])
	require.Equal(t, 19.5, plots[1].lines[0].ys[1])
	require.Equal(t, 12.5, plots[2].lines[0].ys[1])
	require.Equal(t, []float64{0, 30}, plots[3].lines[0].ys)
	require.True(t, math.IsNaN(plots[4].lines[0].ys[0]), "there was no content")
	require.Equal(t, 1., plots[4].lines[0].ys[1])
	require.Equal(t, []float64{10, 9}, plots[5].lines[0].ys)
	require.Equal(t, 0.75, plots[0].end)
	require.Equal(t, []float64{0.25}, plots[0].marks)
	require.Contains(t, plots[0].svg(inPage), `<line class="phase" x1="141.3"`)

	r.Series = r.Series[:1]
	require.Empty(t, r.plots())
}

// sweepOf is a sweep of two runs. The finds of the first run found nothing.
func sweepOf(option string, values ...string) *Sweep {
	s := &Sweep{Option: option, Values: values}
	for i := range values {
		p := measured()
		p.ops[opGet] = opStats{}
		if i == 0 {
			p.ops[opFind] = opStats{}
		}
		s.Runs = append(s.Runs, *worldOf(measured(), p).Report())
	}
	return s
}

func TestPlotsOfASweep(t *testing.T) {
	s := sweepOf("alpha", "1", "3", "10")
	plots := s.plots()
	require.Len(t, plots, 6)
	for _, p := range plots {
		require.Equal(t, s.Values, p.labels)
		require.Equal(t, "alpha", p.x)
	}
	at := func(p *plot, name string) *line {
		for i := range p.lines {
			if p.lines[i].name == name {
				return &p.lines[i]
			}
		}
		return &line{}
	}
	require.Equal(t, []float64{0, 1, 2}, at(plots[0], "lookup").xs)
	require.Equal(t, []float64{1, 2}, at(plots[0], "find").xs, "a value without finds has no point")
	require.Empty(t, at(plots[0], "get").xs, "the last phase is shown, the first has some")
	require.Equal(t, []float64{0.3, 0.3, 0.3}, at(plots[0], "lookup").ys)
	require.Equal(t, []float64{4, 4, 4}, at(plots[1], "lookup").ys)
	require.InDelta(t, 5, at(plots[2], "lookup").ys[0], 1e-9, "of the 20 closest one was missed")
	require.InDelta(t, 66.667, at(plots[2], "find").ys[0], 1e-9, "of three holders two")
	require.InDelta(t, 25, at(plots[3], "put").ys[0], 1e-9)
	require.Equal(t, []float64{4.5, 4.5, 4.5}, at(plots[4], "all").ys)
	require.InDelta(t, 12.5, at(plots[5], "stale").ys[0], 1e-9)
	require.InDelta(t, 1, at(plots[5], "missing").ys[0], 1e-9)

	empty := &Sweep{Option: "k", Values: []string{"1"}, Runs: []Report{{}}}
	require.Len(t, empty.plots(), 6, "a run without a phase has zeros")
}

func TestSweepAsHTMLAndSVG(t *testing.T) {
	s := sweepOf(hostile, hostile, "2")
	s.Runs[0].Title = hostile
	var page, svg bytes.Buffer
	require.NoError(t, s.HTML(&page))
	requireAlone(t, page.String())
	p := readHTML(t, page.String())
	require.Equal(t, 6, p.elements["svg"])
	require.Contains(t, p.texts, hostile+": "+hostile)
	require.Equal(t, len(s.table()), p.elements["tr"])

	require.NoError(t, s.SVG(&svg))
	requireAlone(t, svg.String())
	d := readSVG(t, svg.String())
	require.Contains(t, d.texts, hostile)
	places := regexp.MustCompile(`<svg x="(\d+)" y="(\d+)"`).FindAllString(svg.String(), -1)
	require.Equal(t, []string{`<svg x="0" y="0"`, `<svg x="640" y="0"`, `<svg x="0" y="280"`, `<svg x="640" y="280"`, `<svg x="0" y="560"`, `<svg x="640" y="560"`}, places)
	require.Contains(t, svg.String(), `width="1280" height="840" viewBox="0 0 1280 840"`, "all of them fit")
	require.Contains(t, svg.String(), "prefers-color-scheme: dark")
}
