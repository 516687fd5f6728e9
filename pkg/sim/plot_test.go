package sim

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawing is a parsed SVG.
type drawing struct {
	texts   []string
	circles [][2]float64
	paths   []string
	numbers []float64 // every coordinate
}

// readSVG parses an SVG. It fails if the text is not well formed.
func readSVG(t require.TestingT, svg string) (d drawing) {
	dec := xml.NewDecoder(strings.NewReader(svg))
	inText := false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		require.NoError(t, err, svg)
		switch e := token.(type) {
		case xml.StartElement:
			inText = e.Name.Local == "text"
			d.element(t, e)
		case xml.CharData:
			if inText {
				d.texts = append(d.texts, string(e))
			}
		case xml.EndElement:
			inText = false
		}
	}
}

var coordinate = regexp.MustCompile(`-?[0-9.]+`)

func (d *drawing) element(t require.TestingT, e xml.StartElement) {
	attr := map[string]string{}
	for _, a := range e.Attr {
		require.NotContains(t, attr, a.Name.Local)
		attr[a.Name.Local] = a.Value
	}
	number := func(text string) float64 {
		x, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err, text)
		d.numbers = append(d.numbers, x)
		return x
	}
	for _, name := range []string{"x", "y", "x1", "x2", "y1", "y2"} {
		if v, ok := attr[name]; ok {
			number(v)
		}
	}
	switch e.Name.Local {
	case "circle":
		d.circles = append(d.circles, [2]float64{number(attr["cx"]), number(attr["cy"])})
	case "path":
		d.paths = append(d.paths, attr["d"])
		require.NotContains(t, attr["d"], "NaN")
		for _, x := range coordinate.FindAllString(attr["d"], -1) {
			number(x)
		}
	}
}

// drawPlot generates plots: lines with missing points, with one point, with none, and
// with equal points.
func drawPlot(t *rapid.T) *plot {
	p := &plot{title: rapid.String().Draw(t, "title"), x: "x"}
	if rapid.Bool().Draw(t, "labelled") {
		p.labels = rapid.SliceOfN(rapid.StringMatching(`[a-z<&"]{1,3}`), 1, 6).Draw(t, "labels")
	}
	for range rapid.IntRange(0, 9).Draw(t, "lines") {
		l := line{name: rapid.StringMatching(`[a-z<&"']{0,5}`).Draw(t, "name")}
		for i := range rapid.IntRange(0, 30).Draw(t, "points") {
			x, y := float64(i), rapid.Float64Range(0, 1e6).Draw(t, "y")
			if p.labels != nil && i >= len(p.labels) {
				break
			}
			if rapid.IntRange(0, 3).Draw(t, "missing") == 0 {
				y = math.NaN()
			}
			l.xs, l.ys = append(l.xs, x), append(l.ys, y)
		}
		p.lines = append(p.lines, l)
	}
	return p
}

// Every plot is well formed and within its size, and the curves are within the axes.
func TestPlotsAreWellFormedAndOnThePaper(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlot(t)
		p.end = rapid.Float64Range(0, 5000).Draw(t, "end")
		p.title = strings.Map(printable, p.title)
		on := rapid.SampledFrom([]paper{inPage, alone}).Draw(t, "paper")
		d := readSVG(t, p.svg(on))
		for _, x := range d.numbers {
			require.True(t, x >= 0 && x <= on.width, "%v", x)
		}
		for _, at := range d.circles {
			require.True(t, at[0] >= plotLeft && at[0] <= on.width-plotRight, "%v", at)
			require.True(t, at[1] >= plotTop && at[1] <= on.height-axisHeight, "%v", at)
		}
		require.Len(t, d.paths, len(p.lines))
		for _, label := range p.labels {
			require.Contains(t, d.texts, label)
		}
		for i, l := range p.lines {
			there := 0
			for _, y := range l.ys {
				if !math.IsNaN(y) {
					there++
				}
			}
			require.Len(t, coordinate.FindAllString(d.paths[i], -1), 2*there, "a place for each point that is there")
			if l.name != "" {
				require.Contains(t, d.texts, l.name)
			}
		}
	})
}

// printable removes runes that XML cannot contain.
func printable(r rune) rune {
	if r < ' ' || r == 0xfffe || r == 0xffff || r == 0xfffd {
		return -1
	}
	return r
}

// Points are placed by their values. The axis starts at 0 and ends above the highest
// point, at a round number.
func TestPointsAreInTheirPlaces(t *testing.T) {
	p := &plot{lines: []line{{xs: []float64{0, 5, 10}, ys: []float64{0, 100, 50}}}}
	d := readSVG(t, p.svg(alone))
	top, bottom, left, right := plotTop+titleHeight+0., alone.height-axisHeight, plotLeft+0., alone.width-plotRight
	require.Equal(t, [][2]float64{{left, bottom}, {(left + right) / 2, top}, {right, (top + bottom) / 2}}, d.circles)
	require.Equal(t, []string{"M44.0 242.0L335.0 34.0L626.0 138.0"}, d.paths)
	require.Equal(t, []string{"0", "25", "50", "75", "100", "0", "2", "4", "6", "8", "10", "hours"}, d.texts)
}

// A curve is broken where nothing was measured.
func TestCurvesAreBrokenWhereNothingWasMeasured(t *testing.T) {
	nan := math.NaN()
	path := func(ys ...float64) string {
		l := line{ys: ys}
		for i := range ys {
			l.xs = append(l.xs, float64(i))
		}
		return coordinate.ReplaceAllString(strings.ReplaceAll(readSVG(t, (&plot{lines: []line{l}}).svg(inPage)).paths[0], " ", ""), "")
	}
	require.Equal(t, "MLL", path(1, 2, 3))
	require.Equal(t, "MLMLL", path(1, 2, nan, 3, 4, 5))
	require.Equal(t, "M", path(nan, nan, 1, nan))
	require.Empty(t, path(nan))
	require.Empty(t, path())
}

// A value of a sweep at which nothing was measured keeps its place on the axis.
func TestLabelsWithoutAPointHaveAPlace(t *testing.T) {
	p := &plot{labels: []string{"one", "two", "three"}}
	p.point("line", 1, 10)
	svg := p.svg(inPage)
	require.Contains(t, svg, `<text x="44.0" y="171" text-anchor="middle">one</text>`)
	require.Contains(t, svg, `<text x="348.0" y="171" text-anchor="end">three</text>`, "within the paper")
	require.Equal(t, 190.0, readSVG(t, svg).circles[0][0], "in the middle")
}

func TestManyPointsHaveNoDots(t *testing.T) {
	long := func(n int) *plot {
		return &plot{lines: []line{{xs: make([]float64, n), ys: make([]float64, n)}}}
	}
	require.Len(t, readSVG(t, long(maxDots).svg(inPage)).circles, maxDots)
	require.Empty(t, readSVG(t, long(maxDots+1).svg(inPage)).circles)
}

func TestPointsJoinTheLineOfTheirName(t *testing.T) {
	var p plot
	p.point("a", 0, 1)
	p.point("b", 0, 2)
	p.point("a", 1, 3)
	require.Equal(t, []line{
		{name: "a", xs: []float64{0, 1}, ys: []float64{1, 3}},
		{name: "b", xs: []float64{0}, ys: []float64{2}},
	}, p.lines)
}

// The text of a plot says what its curves do.
func TestPlotsInWords(t *testing.T) {
	nan := math.NaN()
	p := &plot{title: "Failures, %", x: "alpha", labels: []string{"1", "3"}}
	require.Equal(t, "Failures, %, over alpha: no data", p.summary())
	p.lines = []line{{name: "find", xs: []float64{0, 1}, ys: []float64{2, 1.0 / 3}}, {name: "get", xs: []float64{0}, ys: []float64{nan}}}
	require.Equal(t, "Failures, %, over alpha: find from 2 to 0.3333, lowest 0.3333, highest 2", p.summary())
	over := &plot{title: "Live servers", lines: []line{{xs: []float64{0.1, 0.2, 0.3}, ys: []float64{nan, 5, 4}}}}
	require.Equal(t, "Live servers, over minutes: from 5 to 4, lowest 4, highest 5", over.summary())
	require.Contains(t, over.svg(inPage), `role="img" aria-label="Live servers, over minutes: from 5 to 4, lowest 4, highest 5"`)
}

// More names than fit side by side go into further rows, which the plot leaves space for.
func TestNamesOfLinesHaveRows(t *testing.T) {
	p := &plot{labels: []string{"1", "2"}}
	for i := range 7 {
		p.point(string(rune('a'+i)), 0, 1)
	}
	svg := p.svg(inPage)
	require.Contains(t, svg, `<text x="63" y="171">a</text>`)
	require.Contains(t, svg, `<text x="63" y="205">g</text>`)
	require.Contains(t, svg, `class="curve c0" d=`)
	require.Contains(t, svg, `class="curve c5" d=`)
	require.NotContains(t, svg, "c6", "then the colours repeat")
	require.Contains(t, p.svg(alone), `<text x="63" y="275">g</text>`)
}
