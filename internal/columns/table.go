package columns

import (
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

const (
	// gap is the space between two columns.
	gap = 2
	// indent is the indentation of a folded row's lines after the first.
	indent = 4
	// minLast is the smallest width at which the last column breaks its cells beside the
	// others instead of moving below them.
	minLast = 24
)

// Table is rows below a header.
type Table struct {
	Header []string
	Rows   [][]string
	// Width is the width of the terminal; 0: rows are not folded.
	Width int
	// Paint colours a piece of a cell, if it is not nil. The header is row -1.
	Paint func(row, column int, piece string) string
}

// place is the position of a column in a row.
type place struct {
	line  int // of the row, from 0
	left  int // of its first character
	width int
}

// Write prints the table.
func (t *Table) Write(w io.Writer) error {
	var b strings.Builder
	places := t.places()
	t.writeRow(&b, places, -1, t.Header)
	for i, row := range t.Rows {
		t.writeRow(&b, places, i, row)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// places returns the position of each column. If all columns fit on one line, each is as
// wide as its widest cell. Otherwise a column goes beside the previous one or on its own
// line below.
func (t *Table) places() []place {
	places := make([]place, len(t.Header))
	line, left := 0, 0
	for i := range places {
		natural, word := t.measure(i)
		last := i == len(places)-1
		room := t.Width - left
		switch {
		case t.Width == 0 || natural <= room || left == 0:
		case last && room >= max(word, minLast):
		default:
			line, left = line+1, indent
			room = t.Width - left
		}
		if t.Width > 0 && natural > room {
			natural = max(room, 1)
		}
		places[i] = place{line, left, natural}
		left += natural + gap
	}
	return places
}

// measure returns the width of a column's widest cell and of its longest word.
func (t *Table) measure(column int) (widest, word int) {
	add := func(row []string) {
		if column >= len(row) {
			return
		}
		widest = max(widest, ansi.StringWidth(row[column]))
		for w := range strings.FieldsSeq(row[column]) {
			word = max(word, ansi.StringWidth(w))
		}
	}
	add(t.Header)
	for _, row := range t.Rows {
		add(row)
	}
	return widest, word
}

// writeRow writes a row, one line of columns after the other.
func (t *Table) writeRow(b *strings.Builder, places []place, row int, cells []string) {
	for from := 0; from < len(cells); {
		to := from + 1
		for to < len(cells) && places[to].line == places[from].line {
			to++
		}
		t.writeLine(b, places[from:to], row, from, cells[from:to])
		from = to
	}
}

// writeLine writes cells that are beside each other. It writes as many lines as the
// tallest cell needs.
func (t *Table) writeLine(b *strings.Builder, places []place, row, first int, cells []string) {
	pieces, height := make([][]string, len(cells)), 0
	for i, cell := range cells {
		pieces[i] = wrap(cell, places[i].width)
		height = max(height, len(pieces[i]))
	}
	if places[0].line == 0 {
		height = max(height, 1) // an empty row is a line
	}
	for y := range height {
		at := 0
		for i := range cells {
			if y >= len(pieces[i]) || pieces[i][y] == "" {
				continue
			}
			piece := pieces[i][y]
			b.WriteString(strings.Repeat(" ", max(places[i].left-at, 0)))
			at = places[i].left + ansi.StringWidth(piece)
			if t.Paint != nil {
				piece = t.Paint(row, first+i, piece)
			}
			b.WriteString(piece)
		}
		b.WriteByte('\n')
	}
}
