package main

// kind is how a panel draws its queries.
type kind int

const (
	lines   kind = iota // one line per series
	stacked             // stacked areas: parts of a whole
	number              // one large number, green to red
	heat                // one row per series, coloured by value
	fleet               // a table with a row for each node
	alarms              // the alerts that fire now; it has no queries
)

// row is a titled group of panels. Only the first is open when the dashboard opens.
type row struct {
	title   string
	section string // of the status page, which the series of the panels link to; "": its top
	panels  []panel
}

// panel is one graph, heat map, number, table or list.
type panel struct {
	kind        kind
	title       string
	description string // what it shows, and which values are good or bad
	unit        string // a unit of Grafana
	queries     []query
	alerts      []string // the panel links to their runbooks

	width  int     // in columns of 24; 0: the default of the kind
	steps  []step  // colours of a number, dashed lines in a graph; none: one colour
	worst  bool    // a number shows the largest value in the time range instead of the last
	absent string  // text of a number without data; "": Grafana's "No data"
	top    float64 // upper end of the axis or the colours; 0: automatic
}

// query is one expression and the name of its series.
type query struct{ expr, legend string }

// step is a colour of a number and the value it starts at.
type step struct {
	from  float64
	color string
}

// below returns steps: red below bad, orange below good, green from there.
func below(bad, good float64) []step {
	return []step{{0, "red"}, {bad, "orange"}, {good, "green"}}
}

// above returns steps: green, orange from warn, red from bad.
func above(warn, bad float64) []step {
	return []step{{0, "green"}, {warn, "orange"}, {bad, "red"}}
}

// quantiles returns the queries for the median and the 95th percentile of a histogram, for
// each node.
func quantiles(histogram string) []query {
	var qs []query
	for _, q := range []struct{ of, name string }{{"0.5", "median"}, {"0.95", "95 %"}} {
		qs = append(qs, query{
			"histogram_quantile(" + q.of + ", sum by (instance, le) (rate(" + histogram + "_bucket{@}[@])))",
			"{{instance}} " + q.name,
		})
	}
	return qs
}

// p95 returns the query for the 95th percentile of a histogram, for each node and value of a
// label.
func p95(histogram, by string) []query {
	return []query{{
		"histogram_quantile(0.95, sum by (instance, le, " + by + ") (rate(" + histogram + "_bucket{@}[@])))",
		"{{instance}} {{" + by + "}}",
	}}
}

// rates returns the query for the rate of a counter, for each node and value of a label.
func rates(counter, by string) []query {
	return []query{{"sum by (instance, " + by + ") (rate(" + counter + "{@}[@]))", "{{instance}} {{" + by + "}}"}}
}
