package workload

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Report is the result of Compare.
type Report struct {
	Config Config   `json:"config"`
	Limits Limits   `json:"limits"`
	Stores []string `json:"stores"` // the first one is compared with the others
	Rows   []Row    `json:"rows"`
}

// Row is one figure of every store.
type Row struct {
	Name   string             `json:"name"`
	Unit   string             `json:"unit"`
	Less   bool               `json:"less"` // smaller values are better
	Values map[string]float64 `json:"values"`
}

// add adds the figures of one store.
func (r *Report) add(store string, figures []Figure) {
	for _, f := range figures {
		r.row(f).Values[store] = f.Value
	}
}

func (r *Report) row(f Figure) *Row {
	for i := range r.Rows {
		if r.Rows[i].Name == f.Name {
			return &r.Rows[i]
		}
	}
	r.Rows = append(r.Rows, Row{Name: f.Name, Unit: f.Unit, Less: f.Less, Values: make(map[string]float64)})
	return &r.Rows[len(r.Rows)-1]
}

// WriteTable writes the report as a table: a column per store, then how many times better the
// first store is than each of the others.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s records; %s\n\n", thousands(r.Config.Records), r.Limits.String())
	head := append([]string{"", "UNIT"}, r.Stores...)
	for _, s := range r.Stores[min(1, len(r.Stores)):] {
		head = append(head, "x "+s)
	}
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for i := range r.Rows {
		fmt.Fprintln(t, strings.Join(r.cells(&r.Rows[i]), "\t"))
	}
	return t.Flush()
}

func (r *Report) cells(row *Row) []string {
	cells := []string{row.Name, row.Unit}
	for _, s := range r.Stores {
		cell := "-"
		if v, ok := row.Values[s]; ok {
			cell = number(v)
		}
		cells = append(cells, cell)
	}
	for _, s := range r.Stores[1:] {
		cells = append(cells, row.ratio(r.Stores[0], s))
	}
	return cells
}

// ratio returns how many times better store a is than b.
func (r *Row) ratio(a, b string) string {
	x, okA := r.Values[a]
	y, okB := r.Values[b]
	if r.Less {
		x, y = y, x
	}
	if q := x / y; okA && okB && !math.IsNaN(q) && !math.IsInf(q, 0) {
		return number(q)
	}
	return "-"
}

// number formats a number with at least three digits and thousands separators.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return thousands(int(math.Round(v)))
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
