package dashboard

// kind is how a panel draws its queries.
type kind int

const (
	lines   kind = iota // one line a series
	stacked             // areas on top of each other: parts of a whole
	number              // one large number, green to red
	heat                // one row a series, colour for the value
)

// row is a titled group of panels.
type row struct {
	title  string
	panels []panel
}

// panel is one picture.
type panel struct {
	kind        kind
	title       string
	description string // what it shows, and what is good or bad about it
	unit        string // a unit of Grafana
	queries     []query

	width  int    // of 24; 0: 8
	steps  []step // colours of a number; none: one colour
	worst  bool   // a number: the largest of the time range instead of the last
	absent string // what a number shows when nothing happened; "": Grafana's "No data"
	top    float64
}

// query is one expression and the name of its series.
type query struct{ expr, legend string }

// step is the value from which on a number has a colour.
type step struct {
	from  float64
	color string
}

// below is green from good on, orange under it and red under bad.
func below(bad, good float64) []step {
	return []step{{0, "red"}, {bad, "orange"}, {good, "green"}}
}

// above is green, orange from warn on and red from bad on.
func above(warn, bad float64) []step {
	return []step{{0, "green"}, {warn, "orange"}, {bad, "red"}}
}

// quantiles are the queries of a histogram's median and 95th percentile, over all
// series or by a label.
func quantiles(histogram, by string) []query {
	group, legend := "le", ""
	if by != "" {
		group, legend = "le, "+by, "{{"+by+"}} "
	}
	var qs []query
	for _, q := range []struct{ of, name string }{{"0.5", "median"}, {"0.95", "95 %"}} {
		qs = append(qs, query{
			"histogram_quantile(" + q.of + ", sum by (" + group + ") (rate(" + histogram + "_bucket{@}[@])))",
			legend + q.name,
		})
	}
	return qs
}

// p95 is the query of a histogram's 95th percentile by a label.
func p95(histogram, by string) []query {
	return []query{{
		"histogram_quantile(0.95, sum by (le, " + by + ") (rate(" + histogram + "_bucket{@}[@])))",
		"{{" + by + "}}",
	}}
}

// rates is the query of a counter's rate by a label.
func rates(counter, by string) []query {
	return []query{{"sum by (" + by + ") (rate(" + counter + "{@}[@]))", "{{" + by + "}}"}}
}
