package sim

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

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
	dec.Strict, dec.AutoClose, dec.Entity = false, []string{"meta"}, xml.HTMLEntity
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
	require.Equal(t, 6, p.elements["svg"], "five curves and the quantiles")
	require.Contains(t, p.texts, hostile, "the title, as it was written")
	require.Contains(t, p.texts, "find "+hostile, "the name of a line")
	require.Contains(t, p.texts, text.String(), "the report as text")
}

// Curves need two points. A value that was not measured is missing, not -1.
func TestCurvesOfAReport(t *testing.T) {
	r := worldOf(measured()).Report()
	plots := r.plots()
	require.Len(t, plots, 6)
	require.Equal(t, []float64{0.25, 0.5}, plots[0].lines[0].xs)
	require.True(t, math.IsNaN(plots[0].lines[0].ys[0]), "no lookup ended")
	require.Equal(t, 0.5, plots[0].lines[0].ys[1])
	require.Equal(t, 19.5, plots[1].lines[0].ys[1])
	require.Equal(t, 0.125, plots[2].lines[0].ys[1])
	require.Equal(t, []float64{0, 30}, plots[3].lines[0].ys)
	require.Equal(t, []float64{10, 9}, plots[4].lines[0].ys)
	last := plots[5]
	require.Len(t, last.lines, numOps)
	require.Equal(t, line{name: "lookup", xs: []float64{0, 1, 2, 3}, ys: []float64{0.3, 1, 1, 1}}, last.lines[0])

	r.Series = r.Series[:1]
	require.Len(t, r.plots(), 1)
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

	require.NoError(t, s.SVG(&svg))
	requireAlone(t, svg.String())
	d := readSVG(t, svg.String())
	require.Contains(t, d.texts, hostile)
	places := regexp.MustCompile(`translate\((\d+),(\d+)\)`).FindAllString(svg.String(), -1)
	require.Equal(t, []string{"translate(0,0)", "translate(640,0)", "translate(0,280)", "translate(640,280)", "translate(0,560)", "translate(640,560)"}, places)
	require.Contains(t, svg.String(), `width="1280" height="840" viewBox="0 0 1280 840"`, "all of them fit")
}
